"""The commit: what readers open changes at once, and only to a dataset whose every shard is sound."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.errors import BuildRefused, FileDamaged
from video_assets.domain.near_duplicates import SIGNATURE_BYTES
from video_assets.domain.splits import split_named
from video_assets.pipeline.commit import publish as module
from video_assets.pipeline.commit.stage import commit_dataset
from video_assets.pipeline.dataset_state import committed_counts, committed_lengths, committed_records
from video_assets.pipeline.manifest import manifest_table
from video_assets.pipeline.manifest.manifest_table import clip_lengths
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.settings import DatasetSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.sidecars import read_checksums
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, write_class, write_video

KEYS = [*TRAIN_SHARDS, *TEST_SHARDS]


@pytest.fixture
def stages(built: Built, tmp_path: Path) -> Stages:
    """A committed dataset with a source of its own."""
    stages = Stages(copied_source(built.source, tmp_path), built.paths)
    stages.up_to_plan()
    return stages


@pytest.fixture
def fresh(built: Built) -> Built:
    """All shards are there, but nothing was committed."""
    for path in (built.version.dataset_info, built.version.features, built.version.label_names, built.version.index):
        path.unlink()
    return built


def test_a_commit_works_out_once_how_long_its_clips_are(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Card, warnings and the index of what is cut all tell of it."""
    asked: list[int] = []

    def counted(clips: pd.DataFrame) -> pd.DataFrame:
        asked.append(len(clips))
        return clip_lengths(clips)

    monkeypatch.setattr(manifest_table, "clip_lengths", counted)
    stages_of(built).commit()
    assert asked == [NUM_CLIPS]


def stages_of(built: Built) -> Stages:
    return Stages(built.source, built.paths)


def files_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Time and content of everything that readers open."""
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(directory.iterdir())
        if path.is_file()
    }


def test_a_commit_makes_the_planned_shards_the_dataset(fresh: Built) -> None:
    report = stages_of(fresh).commit()
    assert report.was_changed
    assert report.records == {"train": 18, "test": 6}
    assert report.shards == {"train": 5, "test": 2}
    assert committed_lengths(fresh.version) == {"train": [4, 4, 4, 4, 2], "test": [4, 2]}
    assert committed_counts(fresh.paths, "1.0.0") == {
        "train": {"records": 18, "shards": 5},
        "test": {"records": 6, "shards": 2},
    }
    assert fresh.version.label_names.read_text("utf-8") == "jump\nrun\nwalk\n"


def test_damaged_labels_never_become_the_names_that_readers_see(fresh: Built) -> None:
    fresh.paths.labels.write_text("jump\nrun\nwajk\n")
    with pytest.raises(FileDamaged, match=r"labels\.txt of clips is damaged: .*run `video-assets repair`"):
        stages_of(fresh).commit()
    assert not fresh.version.label_names.exists()


def test_the_index_tells_where_every_record_lies(fresh: Built) -> None:
    stages_of(fresh).commit()
    index = pd.read_parquet(fresh.version.index)
    assert len(index) == 24
    for key, rows in index.groupby("shard"):
        for row, record in zip(rows.to_dict("records"), damage.records_of(fresh, str(key)), strict=True):
            assert (row["clip_id"], row["label_index"]) == (record.clip_id, record.label_index)
            data = fresh.shard(str(key)).read_bytes()[row["offset"] : row["offset"] + row["length"]]
            assert record.clip_id.encode() in data
    assert dict(zip(index["clip_id"], index["split"], strict=True)) == stages_of(fresh).split_of()


def test_the_metadata_is_what_a_first_build_wrote(fresh: Built, built_once: Built) -> None:
    stages_of(fresh).commit()
    for name in ("dataset_info.json", "features.json", "label.labels.txt", "index.parquet"):
        assert (fresh.version.directory / name).read_bytes() == (built_once.version.directory / name).read_bytes()


def test_a_commit_of_what_is_committed_changes_nothing(built: Built) -> None:
    before = files_of(built.version.directory)
    report = stages_of(built).commit()
    assert not report.was_changed
    assert report.removed == []
    after = files_of(built.version.directory)
    assert {name: content for name, (_, content) in after.items()} == {
        name: content for name, (_, content) in before.items()
    }
    assert after["dataset_info.json"] == before["dataset_info.json"]


def refusal(built: Built, **options: float) -> str:
    """Why a commit is refused; what readers open must be as it was."""
    before = files_of(built.version.directory)
    with pytest.raises(BuildRefused) as refused:
        stages_of(built).commit(**options)
    assert files_of(built.version.directory) == before
    return str(refused.value)


def test_a_missing_shard_is_refused_by_name(fresh: Built) -> None:
    fresh.shard("train-00002").unlink()
    assert refusal(fresh) == (
        "1 of 7 planned shards are missing, stale or damaged: train-00002. "
        "Materialize these partitions of train_shards and test_shards, then dataset."
    )


def test_a_dataset_without_a_single_shard_is_refused(fresh: Built) -> None:
    for key in KEYS:
        fresh.shard(key).unlink()
    assert refusal(fresh).startswith(
        "7 of 7 planned shards are missing, stale or damaged: train-00000, train-00001, train-00002, train-00003, "
        "train-00004 and 2 more."
    )


def test_a_shard_of_an_older_plan_is_refused_by_name(built: Built) -> None:
    damage.edit_sidecar(built, "test-00001", fingerprint="0" * 64)
    assert "stale or damaged: test-00001. " in refusal(built)


def test_a_shard_that_was_cut_off_is_refused_by_name(built: Built) -> None:
    os.truncate(built.shard("test-00000"), 1000)
    assert "stale or damaged: test-00000. " in refusal(built)


def test_a_flipped_byte_in_a_shard_that_was_never_committed_is_refused_by_name(fresh: Built) -> None:
    damage.flip_byte(fresh.shard("train-00003"), 900)
    assert "shard_is_complete of train-00003: record " in refusal(fresh)


def test_a_flipped_byte_in_a_committed_shard_is_refused_if_the_file_was_written_after_the_commit(built: Built) -> None:
    damage.flip_byte(built.shard("train-00003"), 900)
    assert "stale or damaged: train-00003. " in refusal(built)


def test_a_shard_that_a_repair_wrote_again_is_not_checked_by_every_later_commit(built: Built) -> None:
    built.sidecar("train-00003").touch()
    checked: list[str] = []

    def check(keys: Iterable[str]) -> list[list[CheckOutcome]]:
        checked.extend(keys)
        return []

    commit_dataset(built.paths, DatasetSettings(), check, max_failed_fraction=0.1)
    assert checked == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (damage.with_another_label, "shard_is_complete of train-00001: record 0 of clips-train-00001.tfrecord"),
        (damage.without_the_second, "shard_is_complete of train-00001: record 1 of clips-train-00001.tfrecord"),
        (damage.with_swapped_frames, "shard_matches_source of train-00001: record "),
    ],
)
@pytest.mark.parametrize("was_committed", [False, True])
@pytest.mark.slow
def test_a_shard_that_was_forged_never_becomes_part_of_the_dataset(
    built: Built, change: damage.Change, check: str, was_committed: bool
) -> None:
    if not was_committed:
        built.version.dataset_info.unlink()
    damage.rewrite_shard(built, "train-00001", change)
    words = refusal(built)
    assert words.startswith("the dataset is not committed, for ")
    assert check in words


def test_more_lost_than_allowed_is_refused(fresh: Built) -> None:
    assert "nothing_lost: 24 clips stored, 1 quarantined (4.0%, allowed 3.0%)" in refusal(
        fresh, max_failed_fraction=0.03
    )


def test_what_a_refused_manifest_lost_holds_back_no_plan_that_was_made_before(stages: Stages) -> None:
    stages.up_to_plan()
    stages.shards()
    for number in range(9):
        (stages.source / "run" / f"junk{number}.mp4").write_bytes(b"junk")
    with pytest.raises(BuildRefused, match=r"10 of 34 clips .* cannot be used"):
        stages.manifest()
    assert "run/junk0.mp4" in stages.quarantined()
    report = stages.commit()
    assert sum(report.records.values()) == NUM_CLIPS
    card = (Path(report.version_dir) / "README.md").read_text("utf-8")
    assert "run/broken" in card
    assert "junk" not in card


def test_look_alikes_are_refused_only_where_the_setting_says_so(built: Built) -> None:
    from dataclasses import asdict

    signature = (bytes(range(108)) + b"\xff" * (SIGNATURE_BYTES - 108)).hex()
    for key in ("train-00000", "test-00000"):
        first, *others = (asdict(clip) for clip in damage.known_of(built, key).clips)
        damage.edit_sidecar(built, key, clips=[first | {"signature": signature}, *others])
    assert "no_leakage: 1 clip of train looks like clips of test" in refusal(built, near_duplicates_are_errors=True)
    stages_of(built).commit()


def test_a_group_in_both_splits_is_refused(fresh: Built) -> None:
    from video_assets.storage.tables import SPLIT

    torn = pd.read_parquet(fresh.paths.split("train")).iloc[[0]]
    damage.edit_table(fresh.paths.split("test"), SPLIT, lambda test: pd.concat([test, torn], ignore_index=True))
    assert "no_leakage: " in refusal(fresh)


def test_all_that_readers_open_changes_by_one_link(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    grown(stages)
    version = stages.paths.version("1.0.0")
    opened = (version.dataset_info, version.features, version.label_names, version.index, version.card_markdown)
    before = [path.read_bytes() for path in opened]
    link = module.write_link
    seen: list[bool] = []

    def watched(path: Path, target: Path) -> None:
        seen.append([file.read_bytes() for file in opened] == before)
        link(path, target)

    monkeypatch.setattr(module, "write_link", watched)
    stages.commit()
    assert seen == [True]
    assert version.dataset_info.read_bytes() != before[0]


@pytest.mark.parametrize("name", ["label.labels.txt", "index.parquet", "checksums.json"])
@pytest.mark.slow
def test_a_commit_that_breaks_off_leaves_readers_the_old_dataset(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    grown(stages)
    version = stages.paths.version("1.0.0")
    before = version.dataset_info.read_bytes()
    write = module.write_bytes

    def failing(path: Path, data: bytes) -> None:
        if path.name == name:
            raise OSError(28, "No space left on device")
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_bytes", failing)
        with pytest.raises(OSError, match="No space left"):
            stages.commit()
    assert version.dataset_info.read_bytes() == before
    lengths = committed_lengths(version)
    for name, found in lengths.items():
        assert all(version.shard(split_named(name), index).exists() for index in range(len(found)))
    assert stages.commit().was_changed


def grown(stages: Stages) -> None:
    write_class(stages.source, "run", range(5, 6))
    stages.up_to_plan()
    stages.shards()


def test_until_the_commit_readers_see_the_old_dataset_whole(stages: Stages) -> None:
    version = stages.paths.version("1.0.0")
    before = version.dataset_info.read_bytes()
    grown(stages)
    assert version.dataset_info.read_bytes() == before
    assert version.shard("train", 4).exists()
    assert version.shard("train", 5).exists()


def test_a_retired_shard_counts_zero_and_its_file_stays_for_the_grace_time(stages: Stages) -> None:
    grown(stages)
    version = stages.paths.version("1.0.0")
    report = stages.commit()
    assert report.removed == []
    assert committed_lengths(version) == {"train": [4, 4, 4, 4, 0, 4], "test": [4, 2]}
    assert committed_records(version)["train-00004"] == 0
    assert committed_records(version)["test-00001"] == 2
    assert report.shards == {"train": 5, "test": 2}
    assert version.shard("train", 4).exists()
    assert version.retired_marker("train", 4).exists()
    assert not version.sidecar("train", 4).exists()


def test_after_the_grace_time_the_file_of_a_retired_shard_goes(stages: Stages) -> None:
    grown(stages)
    stages.commit()
    version = stages.paths.version("1.0.0")
    marker = version.retired_marker("train", 4)
    early = marker.stat().st_mtime - 14 * 60
    os.utime(marker, (early, early))
    assert stages.commit().removed == []
    late = marker.stat().st_mtime - 2 * 60
    os.utime(marker, (late, late))
    report = stages.commit()
    assert report.removed == ["train-00004"]
    assert not report.was_changed
    assert not version.shard("train", 4).exists()
    assert not marker.exists()
    assert committed_lengths(version)["train"] == [4, 4, 4, 4, 0, 4]


def test_without_a_grace_time_the_file_goes_at_once(stages: Stages) -> None:
    grown(stages)
    assert stages.commit(retired_grace_minutes=0).removed == ["train-00004"]


def test_a_marker_whose_file_a_killed_commit_removed_already_goes_too(stages: Stages) -> None:
    grown(stages)
    stages.commit()
    version = stages.paths.version("1.0.0")
    version.shard("train", 4).unlink()
    stages.commit()
    assert not version.retired_marker("train", 4).exists()


def test_the_half_written_shard_of_a_lost_machine_is_no_part_of_the_dataset(fresh: Built) -> None:
    half = fresh.version.directory / f"clips-train-00001.tfrecord.tmp-{'0' * 8}-77-abcd"
    half.write_bytes(b"half")
    stages_of(fresh).commit()
    assert half.exists()  # whether its process lives cannot be told from here
    checksums = read_checksums(fresh.version.checksums)
    assert checksums is not None
    assert not [name for name in checksums.files if ".tmp-" in name]
    half.unlink()
    assert find_damage(fresh.paths) == []


def test_a_file_that_is_no_shard_of_this_dataset_is_never_removed(stages: Stages) -> None:
    directory = stages.paths.version("1.0.0").directory
    others = ["other-train-00000.tfrecord", "clips-train-00000.tfrecord.bak", "notes.txt"]
    for name in others:
        (directory / name).write_text("mine")
    grown(stages)
    stages.commit(retired_grace_minutes=0)
    assert all((directory / name).read_text() == "mine" for name in others)


def test_the_index_after_growth_holds_live_records_only(stages: Stages) -> None:
    grown(stages)
    stages.commit()
    index = pd.read_parquet(stages.paths.version("1.0.0").index)
    assert len(index) == 26
    assert index["clip_id"].is_unique
    assert "train-00004" not in set(index["shard"])


def test_a_new_class_gets_a_number_after_all_others(stages: Stages) -> None:
    write_video(stages.source / "climb" / "a.mp4", seed=5)
    stages.everything()
    version = stages.paths.version("1.0.0")
    assert version.label_names.read_text("utf-8") == "jump\nrun\nwalk\nclimb\n"
    features = json.loads(version.features.read_text("utf-8"))
    assert features["featuresDict"]["features"]["label"]["classLabel"]["numClasses"] == "4"
    index = pd.read_parquet(version.index)
    assert index.groupby("label")["label_index"].first().to_dict() == {"climb": 3, "jump": 0, "run": 1, "walk": 2}


def test_losses_of_shards_reach_the_quarantine_and_leave_it_again(stages: Stages) -> None:
    clip = read_plan(stages.paths).shard("train", 0)[0].clips[0]
    file = stages.source / clip.path
    shutil.rmtree(stages.paths.version("1.0.0").directory)
    os.utime(file, (1, 1))
    stages.shards()
    stages.commit()
    assert stages.quarantined()[clip.clip_id][0] == "changed"
    assert committed_lengths(stages.paths.version("1.0.0"))["train"] == [3, 4, 4, 4, 2]
    write_video(file, seed=4, num_frames=21)
    stages.everything()
    assert set(stages.quarantined()) == {"run/broken.mp4"}
    assert sum(committed_lengths(stages.paths.version("1.0.0"))["train"]) == 18


@pytest.mark.slow
def test_a_clip_that_was_lost_because_its_file_was_touched_comes_back_with_the_next_build(stages: Stages) -> None:
    version = stages.paths.version("1.0.0")
    clip = read_plan(stages.paths).shard("train", 0)[0].clips[0]
    shutil.rmtree(version.directory)
    os.utime(stages.source / clip.path, (1, 1))
    stages.shards()
    assert stages.commit().records == {"train": 17, "test": 6}
    report = stages.up_to_plan()
    assert report.superseded == ["train-00000"]
    stages.shards()
    assert stages.commit().records == {"train": 18, "test": 6}
    assert set(stages.quarantined()) == {"run/broken.mp4"}
    assert stages.up_to_plan().added == []


def test_a_new_version_is_committed_beside_the_old_one(stages: Stages) -> None:

    from video_assets_tests.pipeline.stages import ENCODING

    old = files_of(stages.paths.version("1.0.0").directory)
    stages.plan(ENCODING.replace(resolution=24), new_version=True)
    stages.shards()
    stages.commit(retired_grace_minutes=0)
    assert files_of(stages.paths.version("1.0.0").directory) == old
    assert committed_counts(stages.paths, "2.0.0") == committed_counts(stages.paths, "1.0.0")


def test_nothing_is_committed_before_anything_is_planned(tmp_path: Path, videos: Path) -> None:
    stages = Stages(videos, DatasetPaths(tmp_path / "root", "clips"))
    with pytest.raises(BuildRefused, match=r"there is no plan in .*; materialize manifest, splits and plan first"):
        stages.commit()
    assert committed_counts(stages.paths, "1.0.0") == {}
