"""Kills, each followed by a look at what is on disk, an ordinary build, and a comparison with an undisturbed one."""

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tools.reliability.builds import Build, run_build
from tools.reliability.children import Child
from tools.reliability.faults import Fault, noted
from tools.reliability.invariants import differences, incomplete_files, mixed_commits, seen_by_readers, told_as_damage
from tools.reliability.scenarios import Scenario
from video_assets.pipeline.upkeep.verify import find_damage

CLIPS_PER_SHARD = 2
WINDOW_PER_WORKER = 4
"""How many clips a pool decodes ahead of the one that is being stored; see `media.pool`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one kill did. `faults` says what was wrong; empty if nothing was."""

    point: str
    was_killed: bool
    faults: tuple[str, ...]
    num_encoded_again: int


@dataclass(slots=True)
class Figures:
    """What a campaign found, by scenario and way of killing."""

    points: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    most_encoded_again: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, kind: str, outcome: Outcome) -> None:
        """Counts one kill."""
        self.points[kind] += 1
        self.killed[kind] += outcome.was_killed
        self.most_encoded_again[kind] = max(self.most_encoded_again[kind], outcome.num_encoded_again)
        self.faults += [f"{kind}, {outcome.point}: {fault}" for fault in outcome.faults]

    def table(self) -> str:
        """As it stands in docs/RELIABILITY.md."""
        lines = [
            "| build and kill | points | killed in mid build | most clips encoded again |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| {kind} | {self.points[kind]} | {self.killed[kind]} | {self.most_encoded_again[kind]} |"
            for kind in self.points
        ]
        return "\n".join([*lines, "", f"{sum(self.points.values())} kill points, {len(self.faults)} differences"])


def kill_at_operations(scenario: Scenario, step: int = 1, first: int = 0) -> Iterator[Outcome]:
    """Before every operation of the build (or every `step`th), and in the middle of every write."""
    for number in range(first, len(scenario.operations), step):
        yield _killed_at(scenario, Fault(number, "kill"))
        if " write " in f" {scenario.operations[number]}":
            yield _killed_at(scenario, Fault(number, "tear"))


def kill_at_times(scenario: Scenario, num_points: int, seed: int, num_workers: int = 2) -> Iterator[Outcome]:
    """At random moments of a build whose clips are decoded in processes of their own, or (0) in its own."""
    build = replace(scenario.build, num_workers=num_workers)
    seconds = _seconds_of(scenario, build)
    moments = random.Random(seed)
    for number in range(num_points):
        moment = moments.uniform(0.0, seconds)

        def kill(child: Child, moment: float = moment) -> None:
            if child.wait(moment) is None:
                child.kill_group()

        yield _disturb(scenario, build, f"point {number}, after {moment:.3f} s", None, kill)


def _seconds_of(scenario: Scenario, build: Build) -> float:
    root = scenario.root("timed")
    begun = time.monotonic()
    Child(
        scenario.folder / "timed.log", run_build, replace(build, root=root), scenario.folder / "timed.journal"
    ).finish()
    shutil.rmtree(root)
    return time.monotonic() - begun


def _killed_at(scenario: Scenario, fault: Fault) -> Outcome:
    point = f"{fault.kind} at operation {scenario.operations[fault.number]}"
    return _disturb(scenario, scenario.build, point, fault, lambda child: child.wait(120))


def _disturb(
    scenario: Scenario, build: Build, point: str, fault: Fault | None, kill: Callable[[Child], object]
) -> Outcome:
    root = scenario.root("disturbed")
    journals = [scenario.folder / f"{name}.journal" for name in ("killed", "resumed")]
    for journal in journals:
        journal.unlink(missing_ok=True)
    before = seen_by_readers(root)
    build = replace(build, root=root)
    killed = Child(scenario.folder / "killed.log", run_build, build, journals[0], fault)
    kill(killed)
    code = killed.wait(10)
    faults: list[str] = [] if code in (0, -9) else [f"it ended with {code}: {killed.log.read_text('utf-8', 'replace')}"]
    faults += [f"{path} is incomplete" for path in incomplete_files(root, scenario.whole)]
    faults += [f"after the kill: {sentence}" for sentence in told_as_damage(root)]
    faults += [f"after the kill: {sentence}" for sentence in mixed_commits(root)]
    amid = seen_by_readers(root)
    Child(scenario.folder / "resumed.log", run_build, build, journals[1]).finish()
    faults += differences(root, scenario.final)
    faults += [f"in the end: {item.sentence}" for item in find_damage(build.paths)]
    after = seen_by_readers(root)
    faults += [
        f"readers of {version} saw neither the old clips nor the new ones"
        for version, seen in amid.items()
        if seen not in (before.get(version), after.get(version))
    ]
    encoded = sum(len(noted(journal, "encode")) for journal in journals)
    num_again = encoded - scenario.num_encoded
    in_flight = CLIPS_PER_SHARD + WINDOW_PER_WORKER * max(1, build.num_workers)
    if not 0 <= num_again <= in_flight:
        faults.append(f"{num_again} clips were encoded again, more than the {in_flight} in flight")
    shutil.rmtree(root)
    return Outcome(point, code == -9, tuple(faults), num_again)
