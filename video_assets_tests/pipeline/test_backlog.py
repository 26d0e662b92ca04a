"""What of a plan is still to do."""

import pytest

from video_assets.domain.errors import BuildRefused
from video_assets.domain.splits import Split
from video_assets.pipeline.shards.pending import chunk_shards, read_backlog, rotating_sample
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built

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
