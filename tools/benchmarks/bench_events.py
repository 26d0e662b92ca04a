"""What a run of shards costs Dagster, against the number of partitions that it takes.

Every shard is whole already, so a run does what runs do besides encoding: it starts a process, loads the code location,
compares each shard with its file, checks it, and writes events. `a + b x partitions` is fitted to the processor time.

Run: python -m tools.benchmarks.bench_events [--partitions 1 10 50 200] [--json FILE]
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tools.benchmarks.watching import run_watched
from video_assets.settings import EncodingSettings, PlanSettings, Settings, SplitSettings

SIZES = (1, 10, 50, 200)
_CLASSES = ("jump", "run", "walk", "wave")
_SETTINGS = Settings(
    splits=SplitSettings(test_fraction=0.05),
    plan=PlanSettings(encoding=EncodingSettings(resolution=32, num_frames=5), clips_per_shard=1),
)


@dataclass(frozen=True, slots=True)
class RunCost:
    """One run. Events are rows of its log; bytes are those by which Dagster's storage grew."""

    partitions: int
    seconds: float
    cpu_seconds: float
    events: int
    event_bytes: int


def build_dataset(folder: Path, num_shards: int) -> None:
    """A dataset of shards of one clip each, built as the command builds."""
    from video_assets.defs.report_thread import ReportThread
    from video_assets.pipeline.build_command import run_build
    from video_assets.storage.paths import DatasetPaths
    from video_assets_tests.pipeline.videos import write_class

    num_clips = -(-num_shards * 11 // 10 // len(_CLASSES))
    for name in _CLASSES:
        write_class(folder / "videos", name, range(1, num_clips + 1), range(1, 2))
    paths = DatasetPaths(folder / "root", "clips")
    with contextlib.redirect_stdout(sys.stderr), ReportThread(paths) as thread:
        run_build(folder / "videos", paths, _SETTINGS, num_workers=2, listeners=[thread])


def run_range(folder: Path, num_partitions: int) -> None:
    """In a process of its own, as the daemon launches it: one run of the first partitions of train."""
    import dagster as dg

    from video_assets.definitions import build_definitions

    tags = {
        "dagster/asset_partition_range_start": "train-00000",
        "dagster/asset_partition_range_end": f"train-{num_partitions - 1:05d}",
    }
    with dg.DagsterInstance.get() as instance:
        job = build_definitions().resolve_job_def("encode_train_shards")
        result = job.execute_in_process(instance=instance, tags=tags)
        print(json.dumps({"success": result.success, "events": len(instance.all_logs(result.run_id))}))


def _tree_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure_run(folder: Path, num_partitions: int) -> RunCost:
    """One run, watched from outside."""
    home = folder / "root" / "clips" / ".dagster"
    before = _tree_bytes(home)
    module = "tools.benchmarks.bench_events"
    done = run_watched([sys.executable, "-m", module, "--folder", str(folder), "--range", str(num_partitions)])
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["success"], done.stdout
    return RunCost(num_partitions, done.seconds, done.cpu_seconds, said["events"], _tree_bytes(home) - before)


def fit_line(runs: Sequence[RunCost], field: str) -> tuple[float, float]:
    """What a run costs, and each of its partitions, by least squares."""
    slope, base = np.polyfit([run.partitions for run in runs], [getattr(run, field) for run in runs], 1)
    return float(base), float(slope)


def measure(sizes: Sequence[int]) -> list[RunCost]:
    """Runs of so many partitions each, on one dataset; the first run, which warms the disk's cache, is not counted."""
    with tempfile.TemporaryDirectory(prefix="video-assets-events-") as place:
        folder = Path(place)
        build_dataset(folder, max(sizes))
        measure_run(folder, 1)
        return [measure_run(folder, size) for size in sizes]


def print_table(runs: Sequence[RunCost]) -> None:
    """Each run, what of it each partition bears, and the lines."""
    print(f"{'partitions':>10}{'seconds':>9}{'cpu s':>8}{'cpu s each':>12}{'events each':>13}{'kB each':>9}")
    for run in runs:
        each = (run.cpu_seconds / run.partitions, run.events / run.partitions, run.event_bytes / run.partitions / 1e3)
        print(
            f"{run.partitions:10}{run.seconds:9.1f}{run.cpu_seconds:8.1f}{each[0]:12.2f}{each[1]:13.1f}{each[2]:9.1f}"
        )
    for field, unit in (("cpu_seconds", "s"), ("events", "events"), ("event_bytes", "bytes")):
        base, slope = fit_line(runs, field)
        print(f"{field}: {base:,.1f} {unit} a run + {slope:,.2f} {unit} a partition")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--partitions", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--range", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.range:
        root = options.folder / "root"
        os.environ |= {
            "DAGSTER_HOME": str(root / "clips" / ".dagster"),
            "VIDEO_ASSETS_SOURCE": str(options.folder / "videos"),
            "VIDEO_ASSETS_ROOT": str(root),
            "VIDEO_ASSETS_NAME": "clips",
        }
        run_range(options.folder, options.range)
        return
    runs = measure(options.partitions)
    print_table(runs)
    if options.json:
        options.json.write_text(json.dumps([asdict(run) for run in runs], indent=1), "utf-8")


if __name__ == "__main__":
    main()
