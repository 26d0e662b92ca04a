"""What Ray costs over the pool of this machine, and what a second node brings.

    python -m tools.benchmarks.bench_engines [--clips 500] [--rounds 3] [--json PATH]

Whole shard stages of the same plan, in turn: on two processes of this machine, on a Ray node of two cores, on one of
one core, and on two of one core each. Each node is kept to cores of its own. The nodes run when the clock starts, as
in a cluster; what starting one here costs is a figure of its own. Medians, with their spread, as ratios within a round.
"""

import argparse
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tools.benchmarks.bench_build import Figure, print_report
from tools.benchmarks.clips_source import write_clips_source
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.plan.stage import build_plan
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.ray_engine import RayEngine
from video_assets.pipeline.shards.stage import ShardEngine, build_shards
from video_assets.pipeline.splits.stage import build_splits
from video_assets.settings import DEFAULT_LIMITS, ManifestSettings, PlanSettings, SplitSettings
from video_assets.storage.files import file_sha256
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.engines.cluster import ray_nodes, run_alone, why_no_cluster

_ALONE = "--in-namespace"
_LIMITS = DEFAULT_LIMITS


def _plan(folder: Path, num_clips: int) -> DatasetPaths:
    source, paths = folder / "source", DatasetPaths(folder / "root", "clips")
    write_clips_source(source, num_clips)
    build_manifest(source, paths, ManifestSettings(max_failed_fraction=1), partial(DecodingPool, 2))
    build_splits(paths, SplitSettings())
    build_plan(paths, PlanSettings(clips_per_shard=16))
    return paths


def _seconds(paths: DatasetPaths, num_workers: int, engine: ShardEngine | None) -> tuple[float, str]:
    """Of building all shards into an empty version; and a hash of what was built."""
    version = paths.version("1.0.0").directory
    shutil.rmtree(version, ignore_errors=True)
    begun = time.perf_counter()
    pool = partial(DecodingPool, num_workers)
    reports = list(build_shards(paths, shards_to_build(paths), _LIMITS, pool, engine=engine))
    seconds = time.perf_counter() - begun
    if failed := [report.error for report in reports if report.error]:
        raise RuntimeError(failed[0])
    return seconds, " ".join(file_sha256(path)[:8] for path in sorted(version.glob("*.tfrecord")))


def _on_nodes(paths: DatasetPaths, cpus: list[int]) -> tuple[float, str]:
    """The second of two builds: the first one starts Ray's workers, which live as long as their driver."""
    import ray

    with ray_nodes(cpus, keep_apart=True) as (address, _):
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            _seconds(paths, 1, RayEngine(address=address))
            return _seconds(paths, 1, RayEngine(address=address))
        finally:
            ray.shutdown()


def measure(num_clips: int, rounds: int) -> dict[str, Any]:
    """All ways in turn."""
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        paths = _plan(Path(folder), num_clips)
        ways: dict[str, Callable[[], tuple[float, str]]] = {
            "this machine, 2 processes": lambda: _seconds(paths, 2, None),
            "a node of 2 cores": lambda: _on_nodes(paths, [2]),
            "a node of 1 core": lambda: _on_nodes(paths, [1]),
            "2 nodes of 1 core": lambda: _on_nodes(paths, [1, 1]),
            "a cluster started here": lambda: _seconds(paths, 2, RayEngine()),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        hashes: set[str] = set()
        for _ in range(rounds):
            for way, run in ways.items():
                taken, found = run()
                seconds[way].append(taken)
                hashes.add(found)
    if len(hashes) > 1:
        raise RuntimeError("not all ways gave the same bytes")
    return {"clips": num_clips, "seconds": {way: str(Figure.of(values)) for way, values in seconds.items()}} | {
        name: str(Figure.of([a / b for a, b in zip(seconds[above], seconds[below], strict=True)]))
        for name, above, below in (
            ("Ray over this machine (target <= 1.15)", "a node of 2 cores", "this machine, 2 processes"),
            ("Ray started here over this machine", "a cluster started here", "this machine, 2 processes"),
            ("one node over two (target >= 1.7)", "a node of 1 core", "2 nodes of 1 core"),
        )
    }


def main() -> int:
    """Measures in a network of its own; prints the figures, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    parser.add_argument(_ALONE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.in_namespace:
        print(json.dumps(measure(options.clips, options.rounds)))
        return 0
    if reason := why_no_cluster():
        print(f"a cluster {reason}", file=sys.stderr)
        return 1
    module = "tools.benchmarks.bench_engines"
    sizes = ("--clips", str(options.clips), "--rounds", str(options.rounds))
    done = run_alone(module, _ALONE, *sizes, timeout=3600)
    if done.returncode:
        sys.stderr.write(done.stderr)
        return 1
    report = json.loads(done.stdout.splitlines()[-1])
    for name, value in (report | report.pop("seconds")).items():
        print(f"{name:44} {value}")
    print_report(report, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
