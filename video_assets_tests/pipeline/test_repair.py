"""Repair makes a damaged dataset byte-identical again, from its source and second copies; or says why it cannot."""

import os
import shutil
from pathlib import Path

import pytest

from tools.reliability.flips import choose_flips, files_at_risk
from video_assets.domain.errors import StorageFailed
from video_assets.pipeline.upkeep.repair import RepairReport, repair_dataset
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.storage.files import file_sha256
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import InThisProcess, Stages, steps_of
from video_assets_tests.pipeline.videos import write_class, write_video


def repair(built: Built, source: Path | None = None, pool: InThisProcess | None = None) -> RepairReport:
    return repair_dataset(steps_of(built.paths, pool), source)


def bytes_of(built: Built) -> dict[str, str]:
    return {str(path.relative_to(built.paths.root)): file_sha256(path) for path in files_at_risk(built.paths)}


def test_a_whole_dataset_needs_no_repair(built: Built) -> None:
    before = bytes_of(built)
    report = repair(built)
    assert (report.damaged, report.repaired, report.failed) == ([], [], {})
    assert bytes_of(built) == before


@pytest.mark.slow
def test_a_flipped_bit_in_every_file_one_after_another_is_repaired_byte_for_byte(built: Built) -> None:
    before = bytes_of(built)
    for flip in choose_flips(built.paths, len(before), seed=2):
        flip.turn()
        report = repair(built)
        assert (report.repaired, report.failed) == ([flip.path], {}), flip
        assert bytes_of(built) == before, flip
        assert repair(built).damaged == [], flip


def test_only_the_damaged_shards_are_encoded_again(built: Built) -> None:
    before = bytes_of(built)
    damage.flip_byte(built.shard(TRAIN_SHARDS[1]), 700)
    damage.flip_byte(built.sidecar(TEST_SHARDS[0]), 50)
    built.shard(TRAIN_SHARDS[3]).unlink()
    pool = InThisProcess()
    report = repair(built, pool=pool)
    assert report.failed == {}
    assert report.shards_rebuilt == [TEST_SHARDS[0], TRAIN_SHARDS[1], TRAIN_SHARDS[3]]
    encoded = [job.clip.clip_id for job in pool.jobs if type(job).__name__ == "ClipJob"]
    assert sorted(encoded) == sorted(
        clip.clip_id for key in report.shards_rebuilt for clip in damage.known_of(built, key).clips
    )
    assert bytes_of(built) == before
    assert not built.paths.scratch.root.exists()


def test_links_to_devices_and_pipes_in_the_place_of_shards_are_replaced(built: Built) -> None:
    before = bytes_of(built)
    for path in (built.shard(TRAIN_SHARDS[1]), built.sidecar(TRAIN_SHARDS[2])):
        path.unlink()
        path.symlink_to("/dev/zero")
    built.shard(TRAIN_SHARDS[0]).unlink()
    os.mkfifo(built.shard(TRAIN_SHARDS[0]))
    report = repair(built)
    assert report.failed == {}
    assert report.shards_rebuilt == TRAIN_SHARDS[:3]
    assert not any(path.is_symlink() for path in report.repaired)
    assert bytes_of(built) == before


def test_a_source_whose_store_does_not_answer_is_not_taken_for_gone(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "s3://bucket/run/a.mp4 cannot be read: connection refused"

    def no_answer(_path: Path, _identity: str) -> bool:
        raise StorageFailed(told)

    monkeypatch.setattr("video_assets.pipeline.upkeep.repair.has_content", no_answer)
    damage.flip_byte(built.shard(TRAIN_SHARDS[1]), 700)
    with pytest.raises(StorageFailed, match=f"^{told}$"):
        repair(built)


def test_all_that_the_commit_writes_comes_back_at_once(built: Built) -> None:
    before = bytes_of(built)
    for path in built.version.directory.glob("*.*"):
        if path.suffix != ".tfrecord" and path != built.version.dataset_info:
            path.unlink()
    assert len(find_damage(built.paths)) == 1  # without their sums nobody can say what else is missing
    repair(built)
    assert bytes_of(built) == before


def test_videos_that_moved_are_found_where_source_says_whatever_their_times(built: Built, tmp_path: Path) -> None:
    before = bytes_of(built)
    moved = tmp_path / "moved"
    shutil.copytree(built.source, moved)
    for video in moved.rglob("*.mp4"):
        os.utime(video, ns=(1, 1))
    damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 700)
    assert repair(built, moved).failed == {}
    assert bytes_of(built) == before


@pytest.fixture
def own_source(built: Built, tmp_path: Path) -> Path:
    """A copy of the source that a test may change, given to repair by name."""
    return Path(shutil.copytree(built.source, tmp_path / "own"))


def test_a_shard_whose_video_is_gone_or_changed_stays_as_it_is_and_is_named(built: Built, own_source: Path) -> None:
    first, second = TRAIN_SHARDS[0], TRAIN_SHARDS[1]
    gone, changed = (damage.known_of(built, key).clips[0].source for key in (first, second))
    (own_source / gone).unlink()
    write_video(own_source / changed, seed=1)
    for key in (first, second, TRAIN_SHARDS[2]):
        damage.flip_byte(built.shard(key), 700)
    damage.flip_byte(built.version.features, 9)
    left = built.shard(first).read_bytes()
    report = repair(built, own_source)
    assert report.repaired == [built.shard(TRAIN_SHARDS[2])]
    assert report.failed[built.shard(first)].endswith(
        f"is not as it was committed; its source {gone} cannot be read in {own_source} (No such file or directory): "
        "put it back, or name another place with --source"
    )
    assert (
        f"its source {changed} in {own_source} has changed since: put the old file back"
        in (report.failed[built.shard(second)])
    )
    assert report.failed[built.version.features].endswith("once they are whole: repair those first")
    assert built.shard(first).read_bytes() == left
    assert repair(built).failed == {}  # from the source that is whole


def test_a_clip_that_cannot_be_decoded_any_more_does_not_cost_the_others(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    from video_assets.domain.clips import Loss, VideoLost
    from video_assets.pipeline.shards import encode

    def timing_out(job: encode.ClipJob) -> encode.EncodedClip:
        raise VideoLost(Loss("timeout", "decoding took longer than 120 s"))

    damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 700)
    left = built.shard(TRAIN_SHARDS[0]).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(encode, "encode_clip", timing_out)
        report = repair(built)
    assert "could not be encoded again: decoding took longer than 120 s" in report.failed[built.shard(TRAIN_SHARDS[0])]
    assert built.shard(TRAIN_SHARDS[0]).read_bytes() == left


def test_a_newer_plan_is_left_to_a_build(built: Built, own_source: Path) -> None:
    write_class(own_source, "run", range(5, 6))
    Stages(own_source, built.paths).up_to_plan()
    damage.flip_byte(built.version.features, 9)
    damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 700)
    report = repair(built)
    assert report.repaired == [built.shard(TRAIN_SHARDS[0])]
    assert (
        "a newer plan waits for its commit: `video-assets build` finishes it" in report.failed[built.version.features]
    )
    stages = Stages(own_source, built.paths)
    stages.everything()
    assert find_damage(built.paths) == []


def test_a_table_without_a_whole_copy_is_said_to_need_a_backup(built: Built) -> None:
    copy = built.version.tables / "plan.parquet"
    damage.flip_byte(copy, 100)
    damage.flip_byte(built.paths.plan, 100)
    report = repair(built)
    assert report.repaired == []
    assert "no commit has a whole copy of it: put one from a backup there" in report.failed[built.paths.plan]
    assert "once they are whole: repair those first" in report.failed[copy]


def test_an_old_version_that_is_damaged_beside_the_new_one_is_named_and_left(built: Built) -> None:

    from video_assets_tests.pipeline.stages import ENCODING

    stages = Stages(built.source, built.paths)
    stages.plan(ENCODING.replace(resolution=24), new_version=True)
    stages.shards()
    stages.commit()
    assert find_damage(built.paths) == []
    damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 700)
    damage.flip_byte(built.paths.version("2.0.0").features, 9)
    report = repair(built)
    assert report.repaired == [built.paths.version("2.0.0").features]
    assert report.failed[built.shard(TRAIN_SHARDS[0])].endswith(
        "the plan is of 2.0.0 now: put a copy from a backup there, or remove 1.0.0"
    )
