"""The campaigns whose figures stand in docs/RELIABILITY.md.

    python -m tools.reliability kills [--points 200] [--seed 1]    random moments
    python -m tools.reliability operations [--step 1]              every operation of the writer
    python -m tools.reliability looks                              every reader, before every operation
    python -m tools.reliability flips [--flips 1000] [--seed 1]    bits turned over, and repairs
    python -m tools.reliability commits [--commits 200]            what Dagster's history takes, and each commit
    python -m tools.reliability growth [--sequences 30]            random changes, and a build by command after each

Without a name, all six. The exit code is 1 if anything was found.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.util import get_temp_dir
from pathlib import Path

from tools.reliability.builds import Build, run_stages
from tools.reliability.campaign import Figures, Outcome, kill_at_operations, kill_at_times
from tools.reliability.children import Child
from tools.reliability.flips import flip_campaign, repair_campaign
from tools.reliability.growth import grow_by_command
from tools.reliability.looks import look_at_operations
from tools.reliability.often import commit_often
from tools.reliability.scenarios import KINDS, prepare, write_first_source

COMMAND_SHARE, PROCESSES_SHARE = 0.1, 0.2
"""Of the random kills, how many strike the command itself, Dagster included, and how many the stages with decoding
processes; the others strike the stages in one process, which is soonest done."""


def main() -> int:
    options = _options()
    chosen = {
        "kills": _kills,
        "operations": _operations,
        "looks": _looks,
        "flips": _flips,
        "commits": _commits,
        "growth": _growth,
    }
    faults: list[str] = []
    get_temp_dir()  # multiprocessing removes its own at the very end, when the folder below is gone
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # who is killed leaves temporary files behind
        for name in [options.campaign] if options.campaign else chosen:
            begun = time.monotonic()
            print(f"\n## {name}, seed {options.seed}\n", flush=True)
            faults += chosen[name](options, Path(folder, name))
            print(f"\n{time.monotonic() - begun:.0f} s", flush=True)
    print("\n".join(faults[:50]))
    return 1 if faults else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.reliability")
    parser.add_argument("campaign", nargs="?", choices=["kills", "operations", "looks", "flips", "commits", "growth"])
    parser.add_argument("--scenario", action="append", choices=KINDS, help="may be given again; default: all")
    parser.add_argument("--points", type=int, default=200, help="random kill points; default: 200")
    parser.add_argument("--step", type=int, default=1, help="take every so many operations, or states; default: 1, all")
    parser.add_argument("--flips", type=int, default=1000, help="flipped bits; default: 1000")
    parser.add_argument("--commits", type=int, default=200, help="commits of one dataset; default: 200")
    parser.add_argument("--sequences", type=int, default=30, help="random sequences of 12 steps; default: 30")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.scenario = options.scenario or list(KINDS)
    return options


def _kills(options: argparse.Namespace, folder: Path) -> list[str]:
    figures = Figures()
    for number, kind in enumerate(options.scenario):
        share = options.points // len(options.scenario) + (number < options.points % len(options.scenario))
        num_command, num_processes = round(share * COMMAND_SHARE), round(share * PROCESSES_SHARE)
        seed, num_alone = options.seed + number, share - num_command - num_processes
        by_stages = prepare(kind, folder / kind)
        _count(figures, f"{kind}, stages", kill_at_times(by_stages, num_alone, seed, num_workers=0))
        _count(figures, f"{kind}, stages and decoding processes", kill_at_times(by_stages, num_processes, seed))
        by_command = prepare(kind, folder / f"{kind}-command", by_command=True)
        _count(figures, f"{kind}, command", kill_at_times(by_command, num_command, seed))
    print(figures.table())
    return figures.faults


def _operations(options: argparse.Namespace, folder: Path) -> list[str]:
    figures = Figures()
    for kind in options.scenario:
        scenario = prepare(kind, folder / kind)
        print(f"{kind}: {len(scenario.operations)} operations", flush=True)
        _count(figures, f"{kind}, operations", kill_at_operations(scenario, options.step))
    print(figures.table())
    return figures.faults


def _looks(options: argparse.Namespace, folder: Path) -> list[str]:
    faults: list[str] = []
    print(
        "| build | points | states that differ | looks that saw one commit | faults |\n| --- | --- | --- | --- | --- |"
    )
    for kind in options.scenario:
        found = look_at_operations(prepare(kind, folder / kind), options.step)
        numbers = (found.num_points, found.num_states, found.num_reads, len(found.faults))
        print(f"| {kind} | {' | '.join(map(str, numbers))} |", flush=True)
        faults += [f"{kind}, {fault}" for fault in found.faults]
    return faults


def _count(figures: Figures, kind: str, outcomes: Iterator[Outcome]) -> None:
    for number, outcome in enumerate(outcomes, 1):
        figures.add(kind, outcome)
        for fault in outcome.faults:
            print(f"FAULT {kind}, {outcome.point}: {fault}", flush=True)
        if number % 20 == 0:
            print(f"{kind}: {number} points, {len(figures.faults)} differences so far", flush=True)


def _flips(options: argparse.Namespace, folder: Path) -> list[str]:
    source = folder / "videos"
    write_first_source(source, num_groups=2)
    build = Build(source, folder / "root")
    Child(folder / "build.log", run_stages, build).finish()
    found = flip_campaign(build.paths, options.flips, options.seed)
    num_found = found.num_flips - len(found.faults)
    print(f"{found.num_flips} bits flipped in {found.num_files} files: {num_found} found and named right,", end=" ")
    print(f"{found.false_alarms} false alarms on the untouched dataset", flush=True)
    num_repaired, faults = repair_campaign(build.paths, options.seed)
    print(f"{num_repaired} files damaged and repaired one after another: {len(faults)} not byte-identical")
    return found.faults + faults + ["false alarm"] * found.false_alarms


def _commits(options: argparse.Namespace, folder: Path) -> list[str]:
    found = commit_often(folder, options.commits, options.seed)
    print(found.table())
    return found.faults()


def _growth(options: argparse.Namespace, _folder: Path) -> list[str]:
    grow_by_command(options.sequences, num_steps=12)
    print(f"{options.sequences} sequences of up to 12 steps kept every promise")
    return []


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
