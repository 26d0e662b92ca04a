"""A commit is whole at every moment: killed at any file operation, all that readers open is of one commit."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.reliability.invariants import mixed_commits, seen_by_readers
from video_assets.domain.errors import FileDamaged
from video_assets.pipeline.commit import publish as publishing
from video_assets.pipeline.commit import stage
from video_assets.pipeline.commit.retired import remove_expired, waiting
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.upkeep.status import dataset_status
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import ENCODING, Stages, copied_source
from video_assets_tests.pipeline.videos import write_class

EVERY = 7


class Killed(BaseException):
    """A process that does no more."""


@dataclass
class Disk:
    """Counts what is renamed, removed, linked, made and opened for writing; from one operation on, nothing is done."""

    patch: pytest.MonkeyPatch
    dies_at: int = 1_000_000
    number: int = 0

    def __enter__(self) -> "Disk":
        for name in ("replace", "rename", "unlink", "rmdir", "symlink", "mkdir", "fsync"):
            self.patch.setattr(os, name, self._counted(getattr(os, name)))
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            if self.number > self.dies_at:
                raise Killed
            return real(*args, **kwargs)

        return counted


@dataclass
class LastSteps:
    """What a commit writes when all is checked; done as often as one likes, on any copy of the root."""

    root: Path
    args: tuple[Any, ...]
    live: list[str]

    def do(self, root: Path) -> None:
        paths = DatasetPaths(root, "clips").version("1.0.0")
        publishing.publish(paths, *self.args)
        stage.retire(paths, self.live, 0.0)
        remove_expired(DatasetPaths(root, "clips"))

    def copy(self, target: Path) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        return Path(shutil.copytree(self.root, target, symlinks=True))


@pytest.fixture(scope="module", params=["linked", "as files"])
def last_steps(request: pytest.FixtureRequest, videos: Path, tmp_path_factory: pytest.TempPathFactory) -> LastSteps:
    """A dataset that grew by two clips, just before its second commit; also one that was committed as earlier."""
    folder = tmp_path_factory.mktemp("whole")
    stages = Stages(copied_source(videos, folder), DatasetPaths(folder / "root", "clips"))
    stages.up_to_plan()
    stages.plan(ENCODING.replace(layout="sequence_example"))
    stages.shards()
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "as files":
            patch.setattr(publishing, "_has_links", lambda _: False)
        stages.commit()
    write_class(stages.source, "run", range(5, 6))
    stages.manifest()
    stages.splits()
    stages.plan(ENCODING.replace(layout="sequence_example"))
    stages.shards()
    before = LastSteps(Path(shutil.copytree(stages.paths.root, folder / "before", symlinks=True)), (), [])
    noted: list[tuple[Any, ...]] = []

    def noting(paths: Any, *args: Any) -> bool:
        noted.append(args)
        return publishing.publish(paths, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "publish", noting)
        stages.commit()
    return LastSteps(before.root, noted[0], list(read_plan(stages.paths).fingerprints()))


@pytest.mark.slow
def test_killed_at_any_operation_of_a_commit_all_that_readers_open_is_of_one(
    last_steps: LastSteps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen_by_readers(last_steps.root)
    root = last_steps.copy(tmp_path / "whole")
    with Disk(monkeypatch) as whole:
        last_steps.do(root)
    after = seen_by_readers(tmp_path / "whole")
    assert after != before
    assert whole.number > 40
    num_old = 0
    for number in range(2, whole.number, EVERY):  # `make reliability ARGS=operations` takes all of them
        root = last_steps.copy(tmp_path / "root")
        with pytest.raises(Killed), Disk(monkeypatch, number):
            last_steps.do(root)
        seen = seen_by_readers(root)
        assert seen in (before, after), number
        assert mixed_commits(root) == [], number
        status = dataset_status(DatasetPaths(root, "clips"))
        assert bool(status["unfinished"]) == (seen == before), number
        num_old += seen == before
        last_steps.do(root)
        assert seen_by_readers(root) == after
        assert [item.sentence for item in find_damage(DatasetPaths(root, "clips"))] == []
        assert files_of(root) == files_of(tmp_path / "whole")
    assert 0 < num_old < whole.number


def files_of(root: Path) -> set[str]:
    # What a killed process left is removed by `remove_temporaries` of the next build, which asks whether it lives.
    return {str(path.relative_to(root)) for path in root.rglob("*") if ".tmp-" not in str(path)}


@pytest.mark.slow
def test_a_store_has_files_of_two_commits_for_a_moment_and_status_and_verify_say_so(
    last_steps: LastSteps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents, sidecars, _ = last_steps.args
    root = last_steps.copy(tmp_path / "root")
    paths = DatasetPaths(root, "clips")
    version = paths.version("1.0.0")
    write = publishing.write_if_changed

    def failing(path: Path, data: bytes) -> bool:
        if path.name == "dataset_info.json":
            raise OSError(28, "No space left on device")
        return write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "write_if_changed", failing)
        with pytest.raises(OSError, match="No space left"):
            publishing.publish(version, contents, sidecars)
    status = dataset_status(paths)
    assert status["unfinished"].startswith("A commit of 1.0.0 was interrupted")
    assert not status["is_valid"]
    publishing.publish(version, contents, sidecars)
    assert dataset_status(paths)["unfinished"] == ""
    assert mixed_commits(root) == []


def test_a_copy_that_was_made_without_links_goes_on(last_steps: LastSteps, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(last_steps.root, root)
    last_steps.do(root)
    assert mixed_commits(root) == []
    assert (root / "clips/1.0.0/dataset_info.json").is_symlink()


def test_what_a_commit_replaced_is_named_and_goes_when_its_time_is_over(last_steps: LastSteps, tmp_path: Path) -> None:
    root = last_steps.copy(tmp_path / "root")
    paths = DatasetPaths(root, "clips")
    version = paths.version("1.0.0")
    publishing.publish(version, *last_steps.args)
    stage.retire(version, last_steps.live, 10.0)
    names = {item["name"]: item["minutes_left"] for item in dataset_status(paths)["retired"]}
    assert "train-00004" in names and len(names) == 2
    assert all(9.5 < left <= 10 for left in names.values())
    marker = version.retired_marker("train", 4)
    earlier = marker.stat().st_mtime - 601
    os.utime(marker, (earlier, earlier))
    assert len(dataset_status(paths)["retired"]) == 1
    assert not version.shard("train", 4).exists()
    assert [item.name.startswith("commits/") for item in waiting(paths)] == [True]


def test_a_shard_count_that_disagrees_with_its_table_is_named(last_steps: LastSteps, tmp_path: Path) -> None:
    from video_assets.pipeline.noted_settings import PINNED_NOTE
    from video_assets.storage.tables import PLAN, read_notes, read_table, write_table

    paths = DatasetPaths(last_steps.copy(tmp_path / "root"), "clips")
    notes = read_notes(paths.plan) or {}
    pinned = notes[PINNED_NOTE].replace('"train": 6', '"train": 3')
    assert pinned != notes[PINNED_NOTE]
    write_table(paths.plan, read_table(paths.plan, PLAN), PLAN, {**notes, PINNED_NOTE: pinned})
    with pytest.raises(FileDamaged, match=r"it says that train has 3 shards, and plan\.parquet has train-00005"):
        read_plan(paths)
