"""What the bookkeeping costs at 10,000 to 10,000,000 clips: metadata only, nothing is decoded.

Processor time, because machines are shared; of a step that waits for nothing but its disk it is the time it takes.

Run: python -m tools.benchmarks.bench_bookkeeping [--clips 10000 100000] [--json FILE]
Each step runs in a process of its own, so that its peak memory is its own, and is ended where it takes more than
`--memory-gb`. With more than two million clips the manifest is written as a table, without the list of its files.
"""

import argparse
import contextlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import psutil

from tools.benchmarks import invented_datasets
from video_assets.domain.clips import ListedFile, WantedClip
from video_assets.domain.near_duplicates import near_duplicates
from video_assets.pipeline.commit.stage import commit_dataset
from video_assets.pipeline.manifest.new_files import LookCursor, look
from video_assets.pipeline.manifest.stage import build_manifest
from video_assets.pipeline.plan.stage import build_plan
from video_assets.pipeline.shards.pending import read_backlog
from video_assets.pipeline.splits.stage import build_splits
from video_assets.settings import DatasetSettings, ManifestSettings, PlanSettings, SplitSettings
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.invented import InventedPool, invented_clip

CLIPS_PER_SHARD = 50
MANY_CLIPS = 2_000_000
SIZES = (10_000, 100_000, 1_000_000)


def invent_clips(start: int, stop: int) -> list[WantedClip]:
    """Clips of 400 classes; every five neighbours of a class are a group."""
    clips: list[WantedClip] = []
    for number in range(start, stop):
        class_name, in_class = f"class_{number % 400:03d}", number // 400
        path = f"{class_name}/v_{class_name}_g{in_class // 5:05d}_c{in_class % 5:02d}.mp4"
        clips.append(invented_clip(path, class_name, number, group=f"{class_name}_{in_class // 5:05d}"))
    return clips


Step = Callable[[DatasetPaths, int], object]
_CLIPS_PER_SHARD_VARIABLE = "VIDEO_ASSETS_BENCH_CLIPS_PER_SHARD"
_LOOK_SECONDS = 0.2
_NOTHING = {"seconds": math.nan, "peak_mb": math.nan}


def grown_clips(num_clips: int) -> list[WantedClip]:
    """The clips of the first build, and one new for each thousand."""
    return invent_clips(0, num_clips + max(1, num_clips // 1000))


def refresh(paths: DatasetPaths, num_clips: int, clips: Callable[[int], list[WantedClip]]) -> object:
    """Makes the manifest of these clips."""
    if num_clips > MANY_CLIPS:
        return invented_datasets.write_manifest(paths, num_clips)
    return _refresh(paths, clips(num_clips))


def _refresh(paths: DatasetPaths, clips: list[WantedClip]) -> object:
    asked = SourceClips(Path("videos"), sorted(clips, key=lambda clip: clip.clip_id))
    return build_manifest(Path("videos"), paths, ManifestSettings(allow_single_class=True), InventedPool, asked=asked)  # type: ignore[arg-type]


def tick(paths: DatasetPaths, num_clips: int, *, extra: int) -> object:
    """A look at a listing that was looked at before, but for `extra` files."""
    cursor_file = paths.directory / "cursor.json"
    cursor = LookCursor.from_json(cursor_file.read_text("utf-8") if cursor_file.exists() else None)
    files = sorted((clip.file for clip in grown_clips(num_clips)), key=lambda file: file.path)
    files += [ListedFile(f"z/new_{number}.mp4", 1, 1) for number in range(extra)]
    begun = time.process_time()
    cursor_file.write_text(look(paths, files, cursor).cursor.to_json(), "utf-8")
    return time.process_time() - begun  # without the listing, which a disk gives and not this process


def plan_again(paths: DatasetPaths, _num_clips: int) -> object:
    """Plans under the same settings."""
    return build_plan(paths, PlanSettings(clips_per_shard=_clips_per_shard()))


def _clips_per_shard() -> int:
    return int(os.environ.get(_CLIPS_PER_SHARD_VARIABLE, CLIPS_PER_SHARD))


def commit(paths: DatasetPaths, _num_clips: int) -> object:
    """A commit of a dataset most of whose shards were committed before, but for the search for look-alikes."""
    with mock.patch("video_assets.pipeline.checks.dataset.near_duplicates", return_value=[]):
        return commit_dataset(paths, DatasetSettings(), lambda _key: [], max_failed_fraction=0.1)


def look_for_look_alikes(paths: DatasetPaths, num_clips: int) -> object:
    """The search of a commit, a tenth of the clips against the others; beyond 50,000 clips it is left out."""
    if num_clips > 50_000:
        return 0.0
    held_out, train = invented_datasets.signatures(num_clips // 10, num_clips - num_clips // 10)
    return near_duplicates(held_out, train)


STEPS: dict[str, Step] = {
    "manifest, first": lambda paths, num_clips: refresh(paths, num_clips, lambda n: invent_clips(0, n)),
    "splits, first": lambda paths, _: build_splits(paths, SplitSettings()),
    "plan, first": plan_again,
    "(shards on disk)": invented_datasets.write_shards,
    "shards tick": lambda paths, _: read_backlog(paths),
    "look-alikes": look_for_look_alikes,
    "commit, all committed": commit,
    "manifest, 0.1 % new": lambda paths, num_clips: refresh(paths, num_clips, grown_clips),
    "splits, 0.1 % new": lambda paths, _: build_splits(paths, SplitSettings()),
    "plan, 0.1 % new": plan_again,
    "(first look)": lambda paths, num_clips: tick(paths, num_clips, extra=0),
    "(second look)": lambda paths, num_clips: tick(paths, num_clips, extra=0),
    "arrivals tick, nothing new": lambda paths, num_clips: tick(paths, num_clips, extra=0),
    "arrivals tick, one new": lambda paths, num_clips: tick(paths, num_clips, extra=1),
}


def measure_step(name: str, num_clips: int, root: Path) -> dict[str, float]:
    """Seconds of processor time of one step, and the peak memory of this process in MB."""
    begun = time.process_time()
    result = STEPS[name](DatasetPaths(root, "clips"), num_clips)
    seconds = result if isinstance(result, float) else time.process_time() - begun
    return {"seconds": round(seconds, 3), "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


def measure(num_clips: int, memory_gb: float = math.inf) -> dict[str, dict[str, float]]:
    """Every step in a process of its own, one after the other, on one dataset.

    A step that takes more memory is ended, and stands there with `seconds` of NaN.
    """
    results: dict[str, dict[str, float]] = {}
    names = [
        name for name in STEPS if num_clips <= MANY_CLIPS or not name.startswith(("arrivals", "(first", "(second"))
    ]
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as root:
        for name in names:
            command = [sys.executable, "-m", "tools.benchmarks.bench_bookkeeping"]
            command += ["--step", name, "--clips", str(num_clips), "--root", root]
            results[name] = _run_step(command, memory_gb)
            print(f"{num_clips:,} clips, {name}: {results[name]}", file=sys.stderr, flush=True)
    return {name: figures for name, figures in results.items() if not name.startswith("(")}


def _run_step(command: Sequence[str], memory_gb: float) -> dict[str, float]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                if watched.memory_info().rss > memory_gb * 1e9:
                    process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)
        output = process.stdout.read() if process.stdout else ""
    if process.returncode == -signal.SIGKILL:
        return {"seconds": math.nan, "peak_mb": memory_gb * 1e3}
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(output.splitlines()[-1])


def measure_sizes(sizes: Sequence[int], memory_gb: float = math.inf) -> dict[int, dict[str, dict[str, float]]]:
    """Figures by size and step."""
    return {size: measure(size, memory_gb) for size in sizes}


def print_table(results: dict[int, dict[str, dict[str, float]]]) -> None:
    """Processor seconds and peak MB of each step and size; the cost of a clip at the largest against the smallest."""
    sizes = sorted(results)
    print(f"{'processor seconds (peak MB)':28}" + "".join(f"{size:>16,}" for size in sizes) + f"{'per clip':>10}")
    for name in results[sizes[0]]:
        figures = [results[size].get(name, _NOTHING) for size in sizes]
        ratio = (figures[-1]["seconds"] / sizes[-1]) / max(1e-9, figures[0]["seconds"] / sizes[0])
        cells = [f"{entry['seconds']:,.2f} ({entry['peak_mb']:,.0f})" for entry in figures]
        print(f"{name:28}" + "".join(f"{cell:>16}" for cell in cells) + f"{ratio:9.2f}x")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--clips-per-shard", type=int, default=CLIPS_PER_SHARD)
    parser.add_argument("--memory-gb", type=float, default=math.inf, help="end a step that takes more")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.step:
        with contextlib.redirect_stdout(sys.stderr):
            figures = measure_step(options.step, options.clips[0], options.root)
        print(json.dumps(figures))
        return
    os.environ[_CLIPS_PER_SHARD_VARIABLE] = str(options.clips_per_shard)
    results = measure_sizes(options.clips, options.memory_gb)
    print_table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
