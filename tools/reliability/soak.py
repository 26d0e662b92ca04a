"""Hundreds of small commits of one dataset, a third of them disturbed; every promise is checked after each.

`python -m tools.reliability.soak` (or `make soak`) prints the figures of docs/RELIABILITY.md.
"""

import argparse
import errno
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from tools.reliability.builds import NAME, Build, run_build, run_stages
from tools.reliability.children import Child
from tools.reliability.faults import Fault, noted
from tools.reliability.flips import choose_flips
from tools.reliability.invariants import seen_by_readers
from tools.reliability.promises import Promises, sizes
from tools.reliability.soak_source import ChangingSource
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.upkeep.repair import repair_dataset
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.settings import (
    DatasetSettings,
    EncodingSettings,
    ManifestSettings,
    PlanSettings,
    Settings,
    SplitSettings,
)
from video_assets.storage.paths import parse_partition_key
from video_assets_tests.pipeline.stages import steps_of

DISTURBED = 0.35
RESOLUTIONS = (32, 24)
_WARM = 0.2
"""Share of the commits after which memory and metadata are taken for what they are to stay."""


def build_by_command(build: Build, history_runs: int = 100) -> None:
    """The same build as the command does it: reported to a real Dagster instance, decoding in processes."""
    from video_assets.defs.report_thread import ReportThread
    from video_assets.pipeline.build_command import run_build as run_command

    os.environ.pop("DAGSTER_HOME", None)
    encoding = EncodingSettings(resolution=build.resolution, num_frames=3)
    settings = Settings(
        manifest=ManifestSettings(max_failed_fraction=0.5, max_removed_fraction=1.0),
        splits=SplitSettings(test_fraction=0.3),
        plan=PlanSettings(encoding=encoding, clips_per_shard=2),
        dataset=DatasetSettings(retired_grace_minutes=0.0, history_runs=history_runs),
    )
    with ReportThread(build.paths) as thread:
        result = run_command(build.source, build.paths, settings, num_workers=1, listeners=[thread])
    assert result.exit_code == 0, f"{result.refused}; {[check for check in result.checks if not check.passed]}"


@dataclass
class Soak:
    """One dataset and its source, through all that happens to them."""

    folder: Path
    seed: int
    source: ChangingSource = field(init=False)
    build: Build = field(init=False)
    promises: Promises = field(init=False)
    disturbances: Counter[str] = field(default_factory=Counter[str])
    faults: list[str] = field(default_factory=list[str])
    rss_megabytes: list[float] = field(default_factory=list[float])
    metadata_bytes_per_clip: list[float] = field(default_factory=list[float])
    num_commits: int = 0
    num_operations: int = 120

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.source = ChangingSource(self.folder / "videos", random.Random(self.seed + 1))
        self.source.folder.mkdir(parents=True)
        self.build = Build(self.source.folder, self.folder / "root")
        self.build.root.mkdir()
        self.promises = Promises(self.build.paths)

    def run(self, num_commits: int, version_every: int, dagster_every: int) -> None:
        """So many commits after the first; each `version_every`th under another encoding, some by Dagster."""
        self.source.begin()
        self._commit("the first build")
        for number in range(1, num_commits + 1):
            event = self.source.change()
            is_new_version = number % version_every == 0
            if is_new_version:
                resolution = RESOLUTIONS[number // version_every % 2]
                self.build = replace(self.build, resolution=resolution, new_version=True)
                self.source.events["re_encode"] += 1
            disturb = self.rng.choice(self._ways()) if self.rng.random() < DISTURBED else None
            what = f"commit {number}, {event}"
            if number % dagster_every == 0 and not is_new_version:
                self._by_dagster(what)
            else:
                self._disturbed(what, disturb)
            self.build = replace(self.build, new_version=False)

    def _ways(self) -> Sequence[Callable[[], None]]:
        return (self.kill, self.kill, self.tear, self.fill_disk, self.spoil_shard, self.lose_shard, self.rot)

    def _disturbed(self, what: str, disturb: Callable[[], None] | None) -> None:
        before = seen_by_readers(self.build.root)
        if disturb is None:
            self._commit(what)
            return
        disturb()
        name = disturb.__name__
        self.disturbances[name] += 1
        is_data_hurt = name in ("spoil_shard", "lose_shard")
        amid = {} if is_data_hurt else seen_by_readers(self.build.root)
        self._commit(f"{what}, {name}")
        after = seen_by_readers(self.build.root)
        for version, seen in amid.items():
            if seen not in (before.get(version), after.get(version)):
                self.faults.append(f"{what}, {name}: readers of {version} saw neither the old clips nor the new ones")

    def _commit(self, what: str) -> None:
        run_stages(self.build)
        self._check(what)

    def _by_dagster(self, what: str) -> None:
        self.disturbances["none, but built by Dagster"] += 1
        Child(self.folder / "dagster.log", build_by_command, self.build).finish(300)
        self._check(f"{what}, by Dagster")

    def _check(self, what: str) -> None:
        self.num_commits += 1
        self.faults += [f"{what}: {words}" for words in self.promises.broken(self.source)]
        self.rss_megabytes.append(psutil.Process().memory_info().rss / 2**20)
        self.metadata_bytes_per_clip.append(sizes(self.build.paths)["metadata"] / len(self.source.videos))
        if self.num_commits % 10 == 0:
            sys.stderr.write(f"{self.num_commits} commits, {len(self.faults)} broken promises\n")

    # --- what happens to a build --------------------------------------------------------------------------------------

    def kill(self) -> None:
        """A writer is killed before one of its operations."""
        self._faulty_build("kill")

    def tear(self) -> None:
        """A writer is killed in the middle of a write."""
        self._faulty_build("tear")

    def fill_disk(self) -> None:
        """From one operation on there is no space."""
        self._faulty_build("fail", errno.ENOSPC)

    def _faulty_build(self, kind: Any, error: int = 0) -> None:
        journal = self.folder / "faulty.journal"
        journal.unlink(missing_ok=True)
        fault = Fault(self.rng.randrange(self.num_operations), kind, error)
        child = Child(self.folder / "faulty.log", run_build, self.build, journal, fault)
        code = child.wait(300)
        done = len(noted(journal, "operation"))
        if code == 0:  # it had fewer operations than that
            self.num_operations = max(20, done)
            self.disturbances["too late to disturb"] += 1
        elif kind != "fail" and code != -9:
            self.faults.append(f"{fault} ended with {code}: {child.log.read_text('utf-8', 'replace')[-500:]}")
        elif kind == "fail" and "No space left" not in child.log.read_text("utf-8", "replace"):
            self.faults.append(f"a full disk is not named: {child.log.read_text('utf-8', 'replace')[-500:]}")

    def _any_shard(self) -> Path:
        plan = read_plan(self.build.paths)
        key = self.rng.choice(sorted(self.promises.shards))
        return self.build.paths.version(plan.pinned.version).shard(*parse_partition_key(key))

    def spoil_shard(self) -> None:
        """Something writes into a committed shard."""
        shard = self._any_shard()
        data = bytearray(shard.read_bytes())
        data[self.rng.randrange(len(data))] ^= 0xFF
        shard.write_bytes(data)

    def lose_shard(self) -> None:
        """A committed shard is deleted."""
        self._any_shard().unlink()

    def rot(self) -> None:
        """A bit of any file turns over, and no time of a file tells; it is found by name, and repaired."""
        (flip,) = choose_flips(self.build.paths, 1, self.rng.randrange(1 << 30))
        times = flip.path.stat()
        flip.turn()
        os.utime(flip.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        if [damage.path for damage in find_damage(self.build.paths)] != [flip.path]:
            self.faults.append(f"{flip} was not found, or another file was: {find_damage(self.build.paths)}")
        flip.turn()  # the source has moved on, so that this shard may have no source any more
        os.utime(flip.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        report = repair_dataset(steps_of(self.build.paths), None)
        if report.damaged:
            self.faults.append(f"{flip}: turned back, it is still called damaged")

    # --- figures ------------------------------------------------------------------------------------------------------

    def growth(self, figures: Sequence[float]) -> float:
        """The median of the last fifth by that of the fifth after the warm-up."""
        part = max(1, int(len(figures) * _WARM))
        return statistics.median(figures[-part:]) / statistics.median(figures[part : 2 * part])

    def report(self, seconds: float) -> str:
        """As it stands in docs/RELIABILITY.md."""

        def counted(counter: Counter[str]) -> str:
            return ", ".join(f"{name} {number}" for name, number in counter.most_common())

        promises, rss = self.promises, self.rss_megabytes
        metadata = self.metadata_bytes_per_clip
        head = f"{self.num_commits} commits in {seconds / 60:.1f} min, seed {self.seed}"
        now = f"{metadata[-1] / 1000:.1f} kB, growth {self.growth(metadata):.3f}"
        lines = [
            f"{head}; {len(self.faults)} broken promises",
            f"changes: {counted(self.source.events)}",
            f"disturbances: {counted(self.disturbances)}",
            f"shards kept byte by byte: {promises.num_kept} comparisons; retired: {promises.num_retired}",
            f"versions: {len(promises.old_versions) + 1}; contents ever seen: {len(promises.splits)}",
            f"memory: {max(rss):.0f} MB at most, growth {self.growth(rss):.3f}",
            f"metadata a clip: {now}; bytes on disk: {dict(sizes(self.build.paths))}",
        ]
        return "\n".join([*lines, *self.faults])


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="make soak", description="Many small commits, with faults; all promises.")
    parser.add_argument("--commits", type=int, default=300, help="after the first; default: 300")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    parser.add_argument("--version-every", type=int, default=80, help="commits between two encodings; default: 80")
    parser.add_argument("--dagster-every", type=int, default=50, help="commits between two by Dagster; default: 50")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak, begun = Soak(Path(folder) / NAME, options.seed), time.monotonic()
        soak.run(options.commits, options.version_every, options.dagster_every)
        print(soak.report(time.monotonic() - begun))
        return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
