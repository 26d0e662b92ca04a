"""What of a plan is still to do."""

import os
import shutil
from dataclasses import replace

import pytest

from video_assets.domain.errors import BuildRefused
from video_assets.domain.splits import Split
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.shards.pending import chunk_shards, read_backlog, rotating_sample, why_not_current
from video_assets.pipeline.upkeep.status import dataset_status
from video_assets.report.screens import status_screen
from video_assets.storage.files import file_sha256
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.sidecars import read_sidecar
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import steps_of
from video_assets_tests.report.test_screens import flat

ORDER: dict[Split, list[str]] = {"train": [f"train-{n:05d}" for n in range(6)], "test": ["test-00000"]}


def test_a_committed_plan_leaves_nothing_to_do(built: Built) -> None:
    backlog = read_backlog(built.paths)
    assert backlog.is_committed
    assert backlog.num_shards == 7
    assert not backlog.missing


def test_a_missing_shard_is_named_with_its_fingerprint_before_the_commit(built: Built) -> None:
    built.version.dataset_info.unlink()
    built.shard("train-00001").unlink()
    backlog = read_backlog(built.paths)
    assert list(backlog.missing) == ["train-00001"]
    assert len(backlog.missing["train-00001"]) == 64
    assert not backlog.is_committed


def test_without_a_missing_shard_a_commit_is_to_do(built: Built) -> None:
    built.version.dataset_info.unlink()
    backlog = read_backlog(built.paths)
    assert not backlog.missing
    assert not backlog.is_committed


def rot(built: Built, key: str) -> None:
    """Turn a bit of a committed shard, without a trace in its size and time."""
    shard = built.shard(key)
    status, content = shard.stat(), bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_committed_shard_or_sidecar_that_is_gone_or_written_over_is_to_do(built: Built) -> None:
    built.shard("train-00001").unlink()
    built.sidecar("test-00000").unlink()
    content = built.shard("train-00003").read_bytes()
    built.shard("train-00003").write_bytes(b"x" + content[1:])
    built.shard("train-00002").touch()  # the bytes are as they were
    assert list(read_backlog(built.paths).missing) == ["train-00001", "train-00003", "test-00000"]
    assert dataset_status(built.paths)["shards_missing"] == ["train-00001", "train-00003", "test-00000"]


def test_a_shard_that_a_check_found_damaged_is_to_do_until_it_is_whole(built: Built) -> None:
    content = built.shard("train-00001").read_bytes()
    rot(built, "train-00001")
    assert read_backlog(built.paths).is_committed  # nobody has looked yet
    steps = steps_of(built.paths)
    list(steps.checker(read_plan(built.paths)).check(["train-00001"]))
    backlog = read_backlog(built.paths)
    assert list(backlog.missing) == ["train-00001"]
    assert {outcome.name for outcome in steps.check_dataset() if not outcome.passed} == {"nothing_lost"}
    assert not dataset_status(built.paths)["is_valid"]

    built.shard("train-00001").write_bytes(content)
    list(steps.checker(read_plan(built.paths)).check(["train-00001"]))
    backlog = read_backlog(built.paths)
    assert (backlog.missing, backlog.is_committed) == ({}, False)  # the dataset's own check still says so: a commit
    steps.check_dataset()
    assert read_backlog(built.paths).is_committed
    assert dataset_status(built.paths)["is_valid"]


def test_a_shard_of_other_bytes_than_committed_asks_for_a_commit(built: Built) -> None:
    """As of one that was written again by another version of FFmpeg."""
    shard, sidecar = built.shard("train-00001"), read_sidecar(built.sidecar("train-00001"))
    assert sidecar is not None
    shard.write_bytes(shard.read_bytes() + b"\0")
    replace(sidecar, sha256=file_sha256(shard), bytes=shard.stat().st_size).write(built.sidecar("train-00001"))
    backlog = read_backlog(built.paths)
    assert (backlog.missing, backlog.is_committed) == ({}, False)


def test_a_status_without_recorded_checks_does_not_say_that_all_is_well(built: Built) -> None:
    shutil.rmtree(built.paths.directory / ".checks")
    found = dataset_status(built.paths)
    assert len(found["shards_unchecked"]) == 7
    text = flat(status_screen(found))
    assert "Committed, and not checked" in text
    assert "No outcome of a check is recorded for 7 of 7 shards" in text


def test_why_a_shard_is_written_again(built: Built) -> None:
    fingerprints = read_plan(built.paths).fingerprints()

    def why(key: str, fingerprint: str = "") -> str:
        return why_not_current(built.version, key, fingerprint or fingerprints[key])

    assert why("train-00000", "other") == "it was written for another plan"
    rot(built, "train-00001")
    assert why("train-00001") == "its bytes are not those that were written"
    built.shard("train-00002").unlink()
    assert why("train-00002") == "its file is gone"
    built.sidecar("train-00003").unlink()
    assert why("train-00003") == "its sidecar is gone or damaged"


def test_without_a_plan_there_is_no_backlog(tmp_path: object) -> None:
    from pathlib import Path

    with pytest.raises(BuildRefused, match="there is no plan in"):
        read_backlog(DatasetPaths(Path(str(tmp_path)), "clips"))


def test_chunks_are_neighbours_of_one_split_and_no_longer_than_a_run() -> None:
    missing = dict.fromkeys([*ORDER["train"], *ORDER["test"]], "f")
    chunks = chunk_shards(missing, ORDER, set(), shards_per_run=4)
    assert [chunk.keys for chunk in chunks] == [
        tuple(ORDER["train"][:4]),
        tuple(ORDER["train"][4:]),
        ("test-00000",),
    ]


def test_shards_that_a_run_is_at_work_on_are_not_asked_for_again() -> None:
    missing = dict.fromkeys(ORDER["train"], "f")
    chunks = chunk_shards(missing, ORDER, {"train-00002"}, shards_per_run=10)
    assert [chunk.keys for chunk in chunks] == [tuple(ORDER["train"][:2]), tuple(ORDER["train"][3:])]


def test_a_chunk_is_named_by_its_shards_and_their_fingerprints() -> None:
    one = chunk_shards({"train-00000": "f"}, ORDER, set(), shards_per_run=4)[0].digest
    other = chunk_shards({"train-00000": "g"}, ORDER, set(), shards_per_run=4)[0].digest
    assert one != other
    assert one == chunk_shards({"train-00000": "f"}, ORDER, set(), shards_per_run=4)[0].digest


def test_a_shard_without_a_registered_partition_waits() -> None:
    assert chunk_shards({"train-00009": "f"}, ORDER, set(), shards_per_run=4) == []


def test_every_shard_has_its_turn_once_a_round() -> None:
    keys = [f"train-{n:05d}" for n in range(100)]
    turns = [rotating_sample(keys, day_number=day, num_days=30) for day in range(30)]
    assert sorted(key for turn in turns for key in turn) == keys
    assert {len(turn) for turn in turns} == {3, 4}
