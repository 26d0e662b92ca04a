"""A short soak with everything in it; and that each promise, when it is broken, is said to be."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tools.reliability.builds import run_stages
from tools.reliability.growth import GrowthByCommand, grow_by_command
from tools.reliability.often import commit_often, growth_of
from tools.reliability.promises import Promises
from tools.reliability.soak import Soak
from tools.reliability.soak_source import ChangingSource

NUM_COMMITS = 8


@pytest.mark.long
def test_every_promise_holds_after_every_commit_of_a_disturbed_dataset(tmp_path: Path) -> None:
    soak = Soak(tmp_path / "soak", seed=4)
    soak.run(NUM_COMMITS, version_every=5, dagster_every=1000)
    assert soak.faults == []
    assert soak.num_commits == 1 + NUM_COMMITS
    assert soak.source.events["re_encode"] == 1
    assert sum(soak.disturbances.values()) >= 2
    assert soak.promises.num_kept > 10


def test_the_same_seed_gives_the_same_changes(tmp_path: Path) -> None:
    found: list[dict[str, object]] = []
    for place in ("a", "b"):
        soak = Soak(tmp_path / place, seed=9)
        soak.source.begin()
        for _ in range(15):
            soak.source.change()
        found.append(dict(soak.source.videos))
        files = {str(path.relative_to(soak.source.folder)) for path in soak.source.folder.rglob("*.mp4")}
        assert files == set(soak.source.videos)
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Soak:
    """One commit, whose promises are kept."""
    soak = Soak(tmp_path_factory.mktemp("soak") / "soak", seed=5)
    soak.source.begin()
    soak.source.die()
    run_stages(soak.build)
    assert soak.promises.broken(soak.source) == []
    return soak


def forget_a_video(_: Promises, source: ChangingSource) -> str:
    del source.videos[min(source.videos)]
    return "lost without a word, or not in the source"


def call_it_another_class(_: Promises, source: ChangingSource) -> str:
    path = min(source.videos)
    source.videos[path] = replace(source.videos[path], label="sleep")
    return f"{path} is stored as climb, the source has Video(label='sleep'"


def remember_another_split(promises: Promises, _: ChangingSource) -> str:
    content = min(promises.splits)
    promises.splits[content] = "test" if promises.splits[content] == "train" else "train"
    return f"content {content[:12]} moved to"


def remember_another_label(promises: Promises, _: ChangingSource) -> str:
    promises.labels = ["zoo"]
    return "labels were ['zoo'] and are ['climb', 'jump', 'run']"


def remember_other_bytes(promises: Promises, _: ChangingSource) -> str:
    promises.shards["train-00000"] = "0" * 64
    return "the bytes of train-00000 changed"


def remember_a_retirement(promises: Promises, _: ChangingSource) -> str:
    promises.retired = {"train-00000"}
    return "the retired train-00000 came back"


def put_all_into_one_group(_: Promises, source: ChangingSource) -> str:
    source.videos = {path: replace(video, group="g") for path, video in source.videos.items()}
    return "the group g is in two splits"


BREAKS = [
    forget_a_video,
    call_it_another_class,
    remember_another_split,
    remember_another_label,
    remember_other_bytes,
    remember_a_retirement,
    put_all_into_one_group,
]


@pytest.mark.parametrize("break_it", BREAKS)
def test_a_broken_promise_is_said_to_be(soaked: Soak, break_it: Callable[[Promises, ChangingSource], str]) -> None:
    old = soaked.promises
    promises = replace(old, splits=dict(old.splits), labels=[*old.labels], shards=dict(old.shards), retired=set())
    source = replace(soaked.source, videos=dict(soaked.source.videos))
    words = break_it(promises, source)
    assert [found for found in promises.broken(source) if found.startswith(words)]


def test_a_file_that_was_left_and_a_shard_that_nobody_names_are_told(soaked: Soak) -> None:
    directory = soaked.build.paths.version(soaked.promises.version).directory
    left = [directory / "x.parquet.tmp-1-abcd", directory / "clips-train-00099.tfrecord"]
    for path in left:
        path.touch()
    promises = replace(soaked.promises, retired=set())
    found = promises.broken(soaked.source)
    for path in left:
        path.unlink()
    assert f"{left[0]} was left" in found
    assert "shard files that no plan names, or none of one that it names: ['train-00099']" in found


@pytest.mark.slow
def test_after_any_changes_a_build_by_command_keeps_every_promise() -> None:
    grow_by_command(num_sequences=2, num_steps=4)


@pytest.mark.slow
def test_the_sequences_see_a_clip_that_moved() -> None:
    machine = GrowthByCommand()
    machine.first_build()
    machine.promises.splits = dict.fromkeys(machine.promises.splits, "elsewhere")
    with pytest.raises(AssertionError, match="moved to"):
        machine.nothing_changes()
    machine.teardown()


@pytest.mark.long
def test_after_many_commits_the_history_is_as_small_as_before(tmp_path: Path) -> None:
    found = commit_often(tmp_path / "often", num_commits=15, seed=3, history_runs=2, run_every=20)
    assert [fault for fault in found.faults() if "seconds" not in fault] == []  # times of so few say little
    assert [commit.by for commit in found.done].count("run") == 1


def test_growth_is_that_of_the_last_fifth_over_the_second() -> None:
    assert growth_of([9, 9, 1, 1, 5, 5, 5, 5, 2, 2]) == 2
    assert growth_of([1, 9]) == 1
