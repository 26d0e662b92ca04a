"""The plan: what is placed stays; what is new, changed or gone touches its own shards only; one encoding for all."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from video_assets.domain.encoding import ENCODER_VERSION
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.pipeline import noted_settings
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.plan.stage import PlanReport, needs_new_version
from video_assets.settings import PlanSettings
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.tables import PLAN, write_table
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS
from video_assets_tests.pipeline.stages import ENCODING, Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, clip_path, write_class, write_video


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    """A planned dataset without shards."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    stages.up_to_plan()
    return stages


def members(stages: Stages) -> dict[str, list[str]]:
    """The clips of every planned shard, in order."""
    rows = pd.read_parquet(stages.paths.plan).sort_values(["split", "shard_index", "position"])
    keys = [f"{split}-{index:05d}" for split, index in zip(rows["split"], rows["shard_index"], strict=True)]
    return rows.groupby(pd.Series(keys, index=rows.index))["clip_id"].agg(list).to_dict()


def test_a_plan_is_read_where_a_killed_build_left_no_encoding_beside_it(stages: Stages) -> None:
    before = read_plan(stages.paths)
    stages.paths.encoding.unlink()
    assert read_plan(stages.paths).pinned == before.pinned


def shard_of(stages: Stages, clip_id: str) -> str:
    return next(key for key, clips in members(stages).items() if clip_id in clips)


def pretend_built(stages: Stages, *shards: str) -> None:
    """Files of these names are all that a plan looks for."""
    version = stages.paths.version("1.0.0")
    version.directory.mkdir(parents=True)
    for key in shards or ["train-00000"]:
        version.shard(*parse_partition_key(key)).touch()
    version.dataset_info.touch()


def test_every_clip_is_in_exactly_one_shard_of_its_split(stages: Stages) -> None:
    planned = members(stages)
    assert sorted(planned) == sorted([*TRAIN_SHARDS, *TEST_SHARDS])
    assert {len(clips) for clips in planned.values()} == {4, 2}
    clips = [clip_id for shard in planned.values() for clip_id in shard]
    assert len(clips) == len(set(clips)) == NUM_CLIPS
    assert {clip_id: key.partition("-")[0] for key, shard in planned.items() for clip_id in shard} == stages.split_of()


def test_shards_mix_classes(stages: Stages) -> None:
    planned = members(stages)
    full = [clips for clips in planned.values() if len(clips) == 4]
    assert all(len({clip_id.partition("/")[0] for clip_id in clips}) > 1 for clips in full)


def test_a_first_plan_adds_every_shard(stages: Stages) -> None:
    stages.paths.plan.unlink()
    stages.paths.encoding.unlink()
    report = stages.plan()
    assert report.added == report.shards == [*TRAIN_SHARDS, *TEST_SHARDS]
    assert report.superseded == []


def test_planning_again_changes_nothing(stages: Stages) -> None:
    before = stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()
    report = stages.up_to_plan()
    assert (report.added, report.superseded) == ([], [])
    assert (stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()) == before


def test_shards_of_an_earlier_plan_that_were_never_written_are_still_to_be_encoded(stages: Stages) -> None:
    assert stages.up_to_plan().unwritten == [*TRAIN_SHARDS, *TEST_SHARDS]
    version = stages.paths.version("1.0.0")
    version.directory.mkdir(exist_ok=True)
    for key in TRAIN_SHARDS:
        version.shard(*parse_partition_key(key)).touch()
    report = stages.up_to_plan()
    assert report.to_write == TEST_SHARDS
    assert set(report.new_rows()["split"]) == {"test"}


def grown(stages: Stages) -> tuple[dict[str, list[str]], PlanReport]:
    """The plan before a growth by one group, and the report of the plan after it."""
    before = members(stages)
    write_class(stages.source, "run", range(5, 6))
    return before, stages.up_to_plan()


def test_growth_opens_new_shards_and_supersedes_only_a_last_partial_one(stages: Stages) -> None:
    before, report = grown(stages)
    after = members(stages)
    new = [clip_path("run", 5, 1), clip_path("run", 5, 2)]
    assert stages.split_of()[new[0]] == "train"
    assert report.superseded == ["train-00004"]
    assert report.added == ["train-00005"]
    kept = set(before) - {"train-00004"}
    assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
    assert sorted(after["train-00005"]) == sorted([*before["train-00004"], *new])


def test_growth_keeps_every_fingerprint_of_the_shards_that_stay(stages: Stages) -> None:
    before = read_plan(stages.paths).fingerprints()
    grown(stages)
    after = read_plan(stages.paths).fingerprints()
    assert {key: after[key] for key in before if key != "train-00004"} == {
        key: value for key, value in before.items() if key != "train-00004"
    }


def test_neither_growth_nor_a_new_class_changes_the_data_version(stages: Stages) -> None:
    before = stages.plan().data_version()
    _, report = grown(stages)
    assert report.data_version() == before
    write_video(stages.source / "climb" / "a.mp4", seed=5)
    assert stages.up_to_plan().data_version() == before


def test_an_index_is_never_used_twice(stages: Stages) -> None:
    grown(stages)
    for clip in (1, 2):
        (stages.source / clip_path("run", 5, clip)).unlink()
    report = stages.up_to_plan()
    assert report.superseded == ["train-00005"]
    assert report.added == ["train-00006"]
    assert read_plan(stages.paths).pinned.num_shards == {"train": 7, "test": 2}


def test_a_deleted_clip_supersedes_its_own_shard_alone(stages: Stages) -> None:
    before = members(stages)
    pretend_built(stages, *before)
    gone = before["train-00001"][0]
    (stages.source / gone).unlink()
    report = stages.up_to_plan()
    after = members(stages)
    assert report.superseded == ["train-00001"]
    assert report.added == ["train-00005"]
    assert report.copied == set(after["train-00005"])
    assert all(after[key] == before[key] for key in before if key not in report.superseded)
    assert gone not in {clip_id for clips in after.values() for clip_id in clips}


def test_a_changed_clip_supersedes_its_own_shard(stages: Stages) -> None:
    before = members(stages)
    pretend_built(stages, *before)
    changed = before["test-00000"][2]
    write_video(stages.source / changed, seed=5, num_frames=23)
    report = stages.up_to_plan()
    assert (report.superseded, report.added) == (["test-00000"], ["test-00002"])
    assert set(report.new_rows()["clip_id"]) & set(members(stages)["test-00002"]) == {changed}


def test_another_time_of_a_file_without_another_content_changes_no_shard(stages: Stages) -> None:
    path = stages.source / clip_path("run", 1, 1)
    os.utime(path, (1, 1))
    report = stages.up_to_plan()
    assert (report.added, report.superseded) == ([], [])
    row = pd.read_parquet(stages.paths.plan).set_index("clip_id").loc[clip_path("run", 1, 1)]
    assert row["mtime_ns"] == 10**9


def test_before_anything_is_built_the_encoding_may_change_freely(stages: Stages) -> None:
    report = stages.plan(ENCODING.replace(resolution=64), PlanSettings(clips_per_shard=9))
    assert report.pinned.version == "1.0.0"
    assert report.pinned.encoding.resolution == 64
    assert report.shards == ["train-00000", "train-00001", "test-00000"]


def test_another_encoding_of_a_built_dataset_is_refused_by_the_names_of_the_fields(stages: Stages) -> None:
    pretend_built(stages)
    before = stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()
    with pytest.raises(BuildRefused) as refused:
        stages.plan(ENCODING.replace(resolution=64, image_format="png"))
    assert str(refused.value) == (
        "the dataset clips 1.0.0 exists under another encoding (resolution 32 → 64, image_format jpeg → png). "
        "Set these fields of plan.encoding back, or set plan.new_version: true to build the next version beside it."
    )
    assert (stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()) == before


def test_another_encoding_of_a_build_that_never_ended_is_refused_with_what_is_there(stages: Stages) -> None:
    assert needs_new_version(stages.paths) is False
    pretend_built(stages)
    version = stages.paths.version("1.0.0")
    version.dataset_info.unlink()
    assert needs_new_version(stages.paths) is True
    with pytest.raises(BuildRefused) as refused:
        stages.plan(ENCODING.replace(resolution=64))
    assert str(refused.value) == (
        "the dataset clips 1.0.0 is not committed yet, but shards of its unfinished build are there under another "
        "encoding (resolution 32 → 64). Set these fields of plan.encoding back to go on with them; or remove "
        f"{version.directory} to begin again under the new ones."
    )
    shutil.rmtree(version.directory)  # as it says
    assert stages.plan(ENCODING.replace(resolution=64)).pinned.version == "1.0.0"


def test_a_new_version_begins_beside_the_old_one_with_the_same_splits(stages: Stages) -> None:
    pretend_built(stages)
    splits = stages.split_of()
    report = stages.plan(ENCODING.replace(resolution=64), new_version=True)
    assert report.pinned.version == "2.0.0"
    assert report.added == [*TRAIN_SHARDS, *TEST_SHARDS]
    assert stages.split_of() == splits
    assert stages.paths.version("1.0.0").shard("train", 0).exists()


def test_a_new_version_without_a_change_is_no_new_version(stages: Stages) -> None:
    pretend_built(stages)
    report = stages.plan(new_version=True)
    assert report.pinned.version == "1.0.0"
    assert report.added == []


def test_a_dataset_goes_on_under_the_encoders_version_that_began_it(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (stages.paths.manifest, stages.paths.plan, stages.paths.encoding):
        file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(noted_settings, "ENCODER_VERSION", 1)
        planned = stages.up_to_plan()
    pretend_built(stages)
    write_video(stages.source / clip_path("run", 9, 1), seed=99)
    assert stages.manifest().num_files_probed == 1
    stages.splits()
    grown = stages.plan()
    assert grown.pinned.version == "1.0.0"
    assert planned.pinned.encoding.encoder_version == grown.pinned.encoding.encoder_version == 1
    assert read_plan(stages.paths).pinned.encoding.encoder_version == 1
    assert set(planned.shards) - set(grown.superseded) <= set(grown.shards)


def test_a_new_version_is_encoded_by_the_newest_encoder_and_its_videos_are_read_by_it(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in (stages.paths.manifest, stages.paths.plan, stages.paths.encoding):
        file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(noted_settings, "ENCODER_VERSION", 1)
        stages.up_to_plan()
    pretend_built(stages)
    assert stages.manifest(new_version=True).num_files_probed == NUM_CLIPS
    stages.splits()
    newest = stages.plan(new_version=True)
    assert newest.pinned.version == "2.0.0"
    assert newest.pinned.encoding.encoder_version == ENCODER_VERSION
    assert stages.manifest().num_files_probed == 0


def test_a_dataset_of_a_later_encoder_is_refused_by_name(stages: Stages) -> None:
    later = stages.paths.encoding.read_text("utf-8").replace(
        f'"encoder_version": {ENCODER_VERSION}', '"encoder_version": 99'
    )
    stages.paths.encoding.write_text(later, "utf-8")
    with pytest.raises(SettingsError, match=r"encoding\.json was written by a later video_assets: its encoder has"):
        stages.plan()


def test_a_new_version_never_takes_the_number_of_one_that_is_there(stages: Stages) -> None:
    pretend_built(stages)
    (stages.paths.directory / "7.0.0").mkdir()
    assert stages.plan(ENCODING.replace(resolution=64), new_version=True).pinned.version == "8.0.0"


def test_the_data_version_tells_another_encoding(stages: Stages) -> None:
    before = stages.plan().data_version()
    assert stages.plan(ENCODING.replace(jpeg_quality=90)).data_version() != before


def test_another_shard_size_holds_for_new_shards_only(stages: Stages) -> None:
    before = members(stages)
    write_class(stages.source, "run", range(5, 7))
    stages.manifest()
    stages.splits()
    report = stages.plan(sharding=PlanSettings(clips_per_shard=2))
    after = members(stages)
    assert {key: after[key] for key in before if key not in report.superseded} == {
        key: clips for key, clips in before.items() if key not in report.superseded
    }
    assert {len(after[key]) for key in report.added} == {2}


def test_the_shard_size_is_kept_where_none_is_given(stages: Stages) -> None:
    write_class(stages.source, "run", range(5, 7))
    stages.manifest()
    stages.splits()
    assert stages.plan(sharding=PlanSettings()).pinned.clips_per_shard == 4


def test_a_shard_size_in_megabytes_becomes_a_number_of_clips(stages: Stages) -> None:
    stages.paths.plan.unlink()
    stages.paths.encoding.unlink()
    assert stages.plan(sharding=PlanSettings(shard_megabytes=0.02)).pinned.clips_per_shard == 4
    stages.paths.plan.unlink()  # the settings stand in both
    stages.paths.encoding.unlink()
    assert stages.plan(sharding=PlanSettings(shard_megabytes=1e-6)).pinned.clips_per_shard == 1


def test_a_plan_needs_a_manifest(videos: Path, tmp_path: Path) -> None:
    stages = Stages(videos, DatasetPaths(tmp_path / "root", "clips"))
    with pytest.raises(BuildRefused, match="there is no manifest yet"):
        stages.plan()
    with pytest.raises(BuildRefused, match="there is no plan in"):
        read_plan(stages.paths)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "1.0.0"}'])
def test_damaged_pinned_settings_are_named_not_forgotten(stages: Stages, content: str) -> None:
    stages.paths.encoding.write_text(content)
    with pytest.raises(SettingsError, match=r"encoding\.json is damaged"):
        stages.plan()


def test_a_growth_that_was_killed_between_plan_and_pinned_settings_uses_no_index_twice(stages: Stages) -> None:
    """`encoding.json` is written after the plan: one that stayed as it was must not take indices back."""
    left = stages.paths.encoding.read_bytes()
    write_class(stages.source, "run", range(5, 6))
    planned = stages.up_to_plan()
    whole = stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()
    stages.paths.encoding.write_bytes(left)
    assert read_plan(stages.paths).pinned.num_shards == planned.pinned.num_shards
    assert stages.up_to_plan().added == []
    assert (stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()) == whole


def test_a_new_version_that_was_killed_between_plan_and_pinned_settings_is_not_taken_for_the_old_one(
    stages: Stages,
) -> None:
    pretend_built(stages)
    left = stages.paths.encoding.read_bytes()
    stages.plan(ENCODING.replace(resolution=64), new_version=True)
    whole = stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()
    stages.paths.encoding.write_bytes(left)
    assert read_plan(stages.paths).pinned.version == "2.0.0"
    stages.plan(ENCODING.replace(resolution=64), new_version=True)
    assert (stages.paths.plan.read_bytes(), stages.paths.encoding.read_bytes()) == whole


def test_a_plan_that_is_replaced_while_it_is_read_is_not_mixed_with_the_one_before(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows and its settings are of one read: the other plan comes just after the first one."""
    before = stages.plan()
    path, read = stages.paths.plan, Path.read_bytes

    def replaced_after(self: Path) -> bytes:
        data = read(self)
        if self == path:
            monkeypatch.setattr(Path, "read_bytes", read)
            stages.plan(ENCODING.replace(num_frames=7), sharding=PlanSettings(clips_per_shard=3))
        return data

    monkeypatch.setattr(Path, "read_bytes", replaced_after)
    found = read_plan(stages.paths)
    assert (found.pinned.encoding.num_frames, read_plan(stages.paths).pinned.encoding.num_frames) == (5, 7)
    assert found.rows["shard_index"].tolist() == before.rows["shard_index"].tolist()


def test_a_plan_of_an_earlier_version_has_its_settings_beside_it_only(stages: Stages) -> None:
    plan = read_plan(stages.paths)
    write_table(stages.paths.plan, plan.rows, PLAN)
    assert read_plan(stages.paths).pinned == plan.pinned


def test_a_shard_that_is_not_planned_is_named(stages: Stages) -> None:
    with pytest.raises(SettingsError, match="train-00042 is not in the plan; materialize plan first"):
        read_plan(stages.paths).shard("train", 42)


def test_every_clip_that_is_planned_is_found_in_its_shard(stages: Stages) -> None:
    plan = read_plan(stages.paths)
    for key, clips in members(stages).items():
        split, _, index = key.partition("-")
        shard, rows = plan.shard("train" if split == "train" else "test", int(index))
        assert [clip.clip_id for clip in shard.clips] == clips == rows["clip_id"].tolist()
        assert shard.fingerprint() == plan.fingerprints()[key]
        assert shard_of(stages, clips[0]) == key
