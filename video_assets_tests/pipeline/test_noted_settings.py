"""Settings that a dataset notes: read whoever wrote them, and not forgotten by a later build that omits them."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import BuildRefused, FileDamaged, SettingsError
from video_assets.pipeline.build_command import run_build
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.noted_settings import (
    SETTINGS_NOTE,
    dataset_settings,
    manifest_settings,
    noted_source,
    settings_in_force,
    split_settings,
    without_values_of,
)
from video_assets.pipeline.plan.stage import refuse_another_encoding
from video_assets.settings import ManifestSettings, PlanSettings, Settings, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import MANIFEST, SPLIT_HISTORY, read_table, write_table
from video_assets_tests.pipeline.stages import ENCODING, InThisProcess, Stages
from video_assets_tests.pipeline.videos import write_video

FIRST_EDITION = {
    "group_pattern": "g(..)",
    "include": ["jump/*"],
    "multi_label": True,
    "max_failed_fraction": 0.25,
    "only_settled": True,
    "limits": {
        "max_pixels": 1000,
        "max_frames": 7,
        "max_duration_seconds": 60.0,
        "max_file_bytes": 5_000_000,
        "clip_seconds": 5.5,
        "memory_bytes": 512 * 2**20,
    },
    "table_limits": {"max_rows": 3, "max_bytes": 2_000_000},
}


@pytest.fixture
def paths(tmp_path: Path) -> DatasetPaths:
    return DatasetPaths(tmp_path, "clips")


def note_manifest(paths: DatasetPaths, text: str) -> None:
    write_table(paths.manifest, read_table(paths.manifest, MANIFEST), MANIFEST, {SETTINGS_NOTE: text})


def test_what_the_first_edition_noted_is_read(paths: DatasetPaths) -> None:
    note_manifest(paths, json.dumps(FIRST_EDITION))
    assert manifest_settings(paths) == ManifestSettings(
        source_format="folders",
        group_pattern="g(..)",
        include=["jump/*"],
        multi_label=True,
        max_failed_fraction=0.25,
        only_settled=True,
        max_pixels=1000,
        max_frames=7,
        max_duration_seconds=60,
        max_file_megabytes=5,
        clip_seconds=5.5,
        clip_memory_megabytes=512,
        max_table_rows=3,
        max_table_megabytes=2,
    )


def test_a_table_of_the_first_edition_has_the_columns_that_it_knew_and_no_others(tmp_path: Path) -> None:
    stages = Stages(tmp_path / "videos" / "clips.csv", DatasetPaths(tmp_path, "clips"))
    write_video(stages.source.parent / "a.mp4", seed=1)
    write_video(stages.source.parent / "b.mp4", seed=2)
    stages.source.write_text("path,label,subset,start_frame,text\na.mp4,run,test,3,words\nb.mp4,walk,test,3,words\n")
    notes = {SETTINGS_NOTE: json.dumps(FIRST_EDITION | {"include": [], "limits": None}), "source": str(stages.source)}
    write_table(stages.paths.manifest, read_table(stages.paths.manifest, MANIFEST), MANIFEST, notes)
    stages.paths.labels.write_text("run\n")
    settings = settings_in_force(stages.paths, Settings()).manifest
    clips = build_manifest(stages.source, stages.paths, settings, InThisProcess()).clips
    assert clips["clip_id"].tolist() == ["a.mp4", "b.mp4"]
    assert clips[["official_split", "caption", "start_seconds"]].isna().all(axis=None)


def test_what_the_first_edition_did_not_note_yet_is_the_default(paths: DatasetPaths) -> None:
    values = {name: value for name, value in FIRST_EDITION.items() if name != "table_limits"}
    note_manifest(paths, json.dumps(values))
    assert manifest_settings(paths).max_table_rows == ManifestSettings().max_table_rows


@pytest.mark.parametrize("text", ['{"max_frames": 0}', '{"limit_of_tomorrow": 3}', "{"])
def test_a_note_that_cannot_be_understood_is_named_with_its_table(paths: DatasetPaths, text: str) -> None:
    note_manifest(paths, text)
    with pytest.raises(FileDamaged, match=f"^the settings that {paths.manifest} notes cannot be understood"):
        manifest_settings(paths)


def test_settings_are_noted_as_they_are_an_infinite_limit_too(videos: Path, paths: DatasetPaths) -> None:
    with pytest.raises(BuildRefused, match="materialize manifest first"):
        manifest_settings(paths)
    settings = ManifestSettings(include=["[jr]*/*"], max_failed_fraction=1.0, max_frames=1000, clip_seconds=math.inf)
    build_manifest(videos, paths, settings, InThisProcess())
    assert manifest_settings(paths) == settings


def test_the_settings_of_the_splits_are_noted_and_are_the_defaults_before(videos: Path, paths: DatasetPaths) -> None:
    assert split_settings(paths) == SplitSettings()
    stages = Stages(videos, paths)
    stages.manifest()
    stages.splits(SplitSettings(test_fraction=0.5, seed=7))
    assert split_settings(paths) == SplitSettings(test_fraction=0.5, seed=7)
    history = read_table(paths.split_history, SPLIT_HISTORY)
    first_edition = '{"test_fraction": 0.3, "val_fraction": 0.1, "seed": 2}'
    write_table(paths.split_history, history, SPLIT_HISTORY, {SETTINGS_NOTE: first_edition})
    assert split_settings(paths) == SplitSettings(test_fraction=0.3, val_fraction=0.1, seed=2)


def test_a_first_build_has_what_it_is_given_and_the_defaults(paths: DatasetPaths) -> None:
    given = Settings(manifest=ManifestSettings(max_frames=7), plan=PlanSettings(new_version=True))
    assert settings_in_force(paths, given) == given
    assert dataset_settings(paths) == Settings()


OWN = {
    "manifest": {"group_pattern": "_(g..)_", "include": ["[jr]*/*"], "max_failed_fraction": 1.0, "max_frames": 999},
    "splits": {"test_fraction": 0.4, "seed": 3},
    "plan": {"encoding": {"num_frames": 2, "resolution": 16, "image_format": "png"}, "clips_per_shard": 4},
    "dataset": {"licence": "CC0", "retired_grace_minutes": 0.0, "text_index": True},
}
"""Settings of every step that are not the defaults."""


@pytest.fixture(scope="module")
def own(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> DatasetPaths:
    """A committed dataset with settings of its own."""
    paths = DatasetPaths(tmp_path_factory.mktemp("own"), "clips")
    result = run_build(videos, paths, Settings.model_validate(OWN), num_workers=1)
    assert result.exit_code == 0, result.refused
    return paths


@pytest.mark.slow
def test_what_is_not_given_is_the_datasets_own_and_builds_nothing_again(videos: Path, own: DatasetPaths) -> None:
    assert dataset_settings(own) == Settings.model_validate(OWN)
    assert settings_in_force(own, Settings()) == Settings.model_validate(OWN)
    before = {path: path.read_bytes() for path in own.directory.rglob("*") if path.is_file()}
    result = run_build(videos, own, Settings(), num_workers=1).as_dict()
    assert (result["exit_code"], result["clips_encoded"], result["shards_written"]) == (0, 0, 0)
    assert {path: path.read_bytes() for path in before} == before


def test_what_is_given_holds_and_only_another_encoding_is_refused(videos: Path, own: DatasetPaths) -> None:
    given = Settings.model_validate({"manifest": {"include": []}, "splits": {"test_fraction": 0.3}})
    found = settings_in_force(own, given)
    assert (found.manifest.include, found.manifest.max_frames, found.splits.seed) == ([], 999, 3)
    same = Settings.model_validate({"plan": {"encoding": {"num_frames": 2}}})
    refuse_another_encoding(own, settings_in_force(own, same))
    other = settings_in_force(own, Settings.model_validate({"plan": {"encoding": {"num_frames": 3, "resolution": 16}}}))
    with pytest.raises(BuildRefused, match=r"exists under another encoding \(num_frames 2 → 3\)"):
        refuse_another_encoding(own, other)
    refuse_another_encoding(own, other.replace(plan=other.plan.replace(new_version=True)))


def test_what_holds_for_one_run_is_not_the_datasets_own(videos: Path, paths: DatasetPaths) -> None:
    stages = Stages(videos, paths)
    stages.manifest(only_settled=False)
    stages.splits(SplitSettings())
    stages.plan(sharding=PlanSettings(new_version=True, retry_lost=True, shard_megabytes=3))
    assert dataset_settings(paths).plan == PlanSettings(encoding=ENCODING.settings, shard_megabytes=3)


@pytest.mark.parametrize(
    ("own_values", "given", "problem"),
    [
        ({"splits": {"val_fraction": 0.3}}, {"splits": {"test_fraction": 0.8}}, "are together 1.1"),
        (
            {"plan": {"encoding": {"layout": "tfds"}}},
            {"plan": {"encoding": {"audio_sample_rate": 8000}}},
            "the layout tfds has no place for sound",
        ),
    ],
)
def test_what_does_not_go_with_the_datasets_own_is_refused(
    videos: Path,
    paths: DatasetPaths,
    own_values: dict[str, Any],
    given: dict[str, Any],
    problem: str,
) -> None:
    stages, settings = Stages(videos, paths), Settings.model_validate(own_values)
    stages.manifest()
    stages.splits(settings.splits)
    stages.plan(Encoding.of(settings.plan.encoding, multi_label=False))
    with pytest.raises(SettingsError, match=problem):
        settings_in_force(paths, Settings.model_validate(given))


def test_an_unchanged_form_gives_nothing_and_a_changed_value_is_given() -> None:
    shown = Settings.model_validate(OWN)
    assert without_values_of(Settings.model_validate(shown.model_dump()), shown) == {
        "manifest": {},
        "splits": {},
        "plan": {"encoding": {}},
        "dataset": {},
    }
    changed = Settings.model_validate(OWN | {"splits": {"test_fraction": 0.4, "seed": 4}})
    assert without_values_of(changed, shown)["splits"] == {"seed": 4}


def test_the_source_is_the_one_that_was_given_last(videos: Path, paths: DatasetPaths) -> None:
    assert noted_source(paths) == ""
    Stages(videos, paths).manifest()
    assert noted_source(paths) == str(videos)
