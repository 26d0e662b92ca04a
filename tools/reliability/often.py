"""Hundreds of small commits, by command and by runs in turn: what Dagster's history takes, and how long each takes."""

import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.reliability.builds import Build
from tools.reliability.soak import build_by_command
from tools.reliability.soak_source import ChangingSource
from video_assets.defs.instance import open_instance
from video_assets.defs.video_dataset import build_video_dataset_defs
from video_assets.environment import VideoDataset
from video_assets.pipeline.upkeep.status import dataset_status

HISTORY_RUNS = 20
"""`dataset.history_runs` of the campaign, so that its end has been pruned for most of the time."""
MOST_GROWTH = 1.3
"""The median of the last fifth over that of the second, which is when all that is kept is there."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit: how it was made, its time, and what the instance takes after it."""

    by: str
    seconds: float
    num_bytes: int
    num_files: int
    is_valid: bool


@dataclass(slots=True)
class Commits:
    """All commits of a campaign, in order."""

    done: list[Commit] = field(default_factory=list[Commit])

    def table(self) -> str:
        """As it stands in docs/RELIABILITY.md."""
        lines = ["| commits | seconds by command | seconds by run | MB | files |", "| --- | --- | --- | --- | --- |"]
        size = max(1, len(self.done) // 5)
        for begin in range(0, len(self.done), size):
            part = self.done[begin : begin + size]
            seconds = [f"{_median([c.seconds for c in part if c.by == way]):.2f}" for way in ("command", "run")]
            sizes = [f"{part[-1].num_bytes / 1e6:.1f}", str(part[-1].num_files)]
            lines.append(f"| {' | '.join([f'{begin + 1} to {begin + len(part)}', *seconds, *sizes])} |")
        return "\n".join(lines)

    def faults(self) -> list[str]:
        """What grew, and commits after which `status` did not call the dataset valid."""
        invalid = [number for number, commit in enumerate(self.done, 1) if not commit.is_valid]
        found = [f"after commit {number} the dataset is not valid" for number in invalid]
        for what, values in (
            ("bytes of the history", [float(c.num_bytes) for c in self.done]),
            ("files of the history", [float(c.num_files) for c in self.done]),
            ("seconds by command", [c.seconds for c in self.done if c.by == "command"]),
            ("seconds by run", [c.seconds for c in self.done if c.by == "run"]),
        ):
            if (growth := growth_of(values)) > MOST_GROWTH:
                found.append(f"{what} grew by {growth:.2f} from the second fifth of the commits to the last")
        return found


def growth_of(values: Sequence[float]) -> float:
    """Return the median of the last fifth by that of the second; 1 for fewer than five values, which tell nothing."""
    if len(values) < 5:
        return 1.0
    size = len(values) // 5
    return _median(values[-size:]) / _median(values[size : 2 * size])


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else 0.0


def commit_often(
    folder: Path, num_commits: int, seed: int, history_runs: int = HISTORY_RUNS, *, run_every: int = 2
) -> Commits:
    """Build one dataset again and again, each time after a small change of its source; every `run_every`th by a run."""
    source = ChangingSource(folder / "videos", random.Random(seed))
    source.folder.mkdir(parents=True)
    source.begin()
    build = Build(source.folder, folder / "root")
    found = Commits()
    for number in range(num_commits):
        if number:
            source.change()
        begun = time.monotonic()
        by = "run" if number % run_every == 1 else "command"
        if by == "run":
            _build_by_run(build)
        else:
            build_by_command(build, history_runs)
        seconds = time.monotonic() - begun
        sizes = [path.stat().st_size for path in build.paths.dagster_home.rglob("*") if path.is_file()]
        is_valid = bool(dataset_status(build.paths)["is_valid"])
        found.done.append(Commit(by, seconds, sum(sizes), len(sizes), is_valid))
        print(f"commit {number + 1}: {found.done[-1]}", file=sys.stderr, flush=True)
    return found


def _build_by_run(build: Build) -> None:
    """Build by the job `build_dataset`, on the dataset's own instance, as the UI does."""
    dataset = VideoDataset(name=build.paths.name, source=str(build.source), root=str(build.root), workers=1)
    job = build_video_dataset_defs(dataset).resolve_job_def("build_dataset")
    config = {
        "ops": {"manifest": {"config": {"max_removed_fraction": 1.0}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with open_instance(build.paths) as instance:
        result = job.execute_in_process(instance=instance, run_config=config)
    assert result.success
