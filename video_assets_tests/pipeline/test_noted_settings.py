"""Settings that a dataset notes: read whoever wrote them, and not forgotten by a later build that omits them."""

import json
import math
from pathlib import Path

import pytest

from video_assets.domain.errors import BuildRefused, FileDamaged
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.noted_settings import SETTINGS_NOTE, manifest_settings, own_settings, split_settings
from video_assets.settings import ManifestSettings, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST, SPLIT_HISTORY
from video_assets.storage.tables import read_table, write_table
from video_assets_tests.pipeline.stages import InThisProcess, Stages
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
    settings = own_settings(stages.paths, ManifestSettings())
    clips = build_manifest(stages.source, stages.paths, settings, InThisProcess()).clips
    assert clips["clip_id"].tolist() == ["a.mp4", "b.mp4"]
    assert clips[["official_split", "caption", "start_seconds"]].isna().all(axis=None)


def test_what_the_first_edition_did_not_note_yet_is_the_default(paths: DatasetPaths) -> None:
    values = {name: value for name, value in FIRST_EDITION.items() if name != "table_limits"}
    note_manifest(paths, json.dumps(values))
    assert manifest_settings(paths).table_limits == ManifestSettings().table_limits


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


ASKED = ManifestSettings(max_failed_fraction=0.5, max_frames=7)


def test_a_first_build_has_the_settings_that_it_is_given(paths: DatasetPaths) -> None:
    assert own_settings(paths, ASKED) == ASKED


def test_what_is_not_given_stays_as_it_was_and_what_is_given_holds(videos: Path, paths: DatasetPaths) -> None:
    Stages(videos, paths).manifest(group_pattern="g(..)", include=["jump/*"], max_failed_fraction=1.0, max_frames=99)
    assert own_settings(paths, ASKED) == ASKED.replace(group_pattern="g(..)", include=["jump/*"])
    assert own_settings(paths, ManifestSettings()).max_frames == ManifestSettings().max_frames  # not among these, yet
    given = ASKED.replace(group_pattern="")
    assert own_settings(paths, given) == given.replace(include=["jump/*"])
    given = given.replace(include=[])
    assert own_settings(paths, given) == given
