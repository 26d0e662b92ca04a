"""What the bookkeeping costs at 10,000, 100,000 and 1,000,000 clips: metadata only, nothing is decoded.

Processor time, because machines are shared; of a step that waits for nothing but its disk it is the time it takes.

Run: python -m video_assets_tests.benchmarks.bench_bookkeeping [--clips 10000 100000] [--json FILE]
Each step runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from video_assets.domain.clips import ListedFile, WantedClip
from video_assets.domain.encoding import Encoding
from video_assets.pipeline.arrivals import LookCursor, look
from video_assets.pipeline.backlog import read_backlog
from video_assets.pipeline.manifest import update_manifest
from video_assets.pipeline.plan import build_plan, read_plan
from video_assets.pipeline.settings import ShardingSettings, SourceSettings, SplitSettings
from video_assets.pipeline.splits import build_splits
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar, StoredClip
from video_assets.storage.sources import SourceClips
from video_assets_tests.invented import InventedPool, invented_clip

CLIPS_PER_SHARD = 50
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


def grown_clips(num_clips: int) -> list[WantedClip]:
    """The clips of the first build, and one new for each thousand."""
    return invent_clips(0, num_clips + max(1, num_clips // 1000))


def refresh(paths: DatasetPaths, clips: list[WantedClip]) -> object:
    """Makes the manifest of these clips."""
    asked = SourceClips(Path("videos"), sorted(clips, key=lambda clip: clip.clip_id))
    return update_manifest(Path("videos"), asked, paths, SourceSettings(), InventedPool)  # type: ignore[arg-type]


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
    return build_plan(paths, Encoding(), ShardingSettings(clips_per_shard=CLIPS_PER_SHARD))


def invent_shards(paths: DatasetPaths, _num_clips: int) -> object:
    """Puts the planned shards on disk, without content."""
    return _invent_shards(paths)


STEPS: dict[str, Step] = {
    "manifest, first": lambda paths, num_clips: refresh(paths, invent_clips(0, num_clips)),
    "splits, first": lambda paths, _: build_splits(paths, SplitSettings()),
    "plan, first": plan_again,
    "(shards on disk)": invent_shards,
    "manifest, 0.1 % new": lambda paths, num_clips: refresh(paths, grown_clips(num_clips)),
    "splits, 0.1 % new": lambda paths, _: build_splits(paths, SplitSettings()),
    "plan, 0.1 % new": plan_again,
    "(first look)": lambda paths, num_clips: tick(paths, num_clips, extra=0),
    "(second look)": lambda paths, num_clips: tick(paths, num_clips, extra=0),
    "arrivals tick, nothing new": lambda paths, num_clips: tick(paths, num_clips, extra=0),
    "arrivals tick, one new": lambda paths, num_clips: tick(paths, num_clips, extra=1),
    "shards tick": lambda paths, _: read_backlog(paths),
}


def measure_step(name: str, num_clips: int, root: Path) -> dict[str, float]:
    """Seconds of processor time of one step, and the peak memory of this process in MB."""
    begun = time.process_time()
    result = STEPS[name](DatasetPaths(root, "clips"), num_clips)
    seconds = result if isinstance(result, float) else time.process_time() - begun
    return {"seconds": round(seconds, 3), "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}


def _invent_shards(paths: DatasetPaths) -> None:
    """Empty files under the shards' names, with full sidecars: what a tick reads."""
    plan = read_plan(paths)
    version = paths.version(plan.pinned.version)
    fingerprints = plan.fingerprints()
    version.directory.mkdir(parents=True, exist_ok=True)
    version.directory.joinpath("shards").mkdir(exist_ok=True)
    stored = [
        StoredClip(
            clip_id=f"class/v_clip_{n}.mp4",
            source=f"class/v_clip_{n}.mp4",
            label="class",
            label_index=0,
            content_hash="0" * 64,
            offset=n,
            length=1,
            num_frames=10,
            signature="00" * 216,
        )
        for n in range(CLIPS_PER_SHARD)
    ]
    for key, fingerprint in fingerprints.items():
        split, index = parse_partition_key(key)
        version.shard(split, index).touch()
        sidecar = Sidecar(
            shard=key,
            fingerprint=fingerprint,
            sha256="",
            bytes=0,
            records=CLIPS_PER_SHARD,
            encoding=plan.pinned.encoding.as_dict(),
            clips=stored,
        )
        # Not the atomic writer: its flush to disk, 20,000 times, is not what is measured.
        version.sidecar(split, index).write_text(sidecar.to_json(), "utf-8")


def measure(num_clips: int) -> dict[str, dict[str, float]]:
    """Every step in a process of its own, one after the other, on one dataset."""
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as root:
        for name in STEPS:
            command = [sys.executable, "-m", "video_assets_tests.benchmarks.bench_bookkeeping"]
            command += ["--step", name, "--clips", str(num_clips), "--root", root]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results[name] = json.loads(done.stdout.splitlines()[-1])
    return {name: figures for name, figures in results.items() if not name.startswith("(")}


def measure_sizes(sizes: Sequence[int]) -> dict[int, dict[str, dict[str, float]]]:
    """Figures by size and step."""
    return {size: measure(size) for size in sizes}


def print_table(results: dict[int, dict[str, dict[str, float]]]) -> None:
    """Processor seconds and peak MB of each step and size; the cost of a clip at the largest against the smallest."""
    sizes = sorted(results)
    print(f"{'processor seconds (peak MB)':28}" + "".join(f"{size:>16,}" for size in sizes) + f"{'per clip':>10}")
    for name in results[sizes[0]]:
        figures = [results[size][name] for size in sizes]
        ratio = (figures[-1]["seconds"] / sizes[-1]) / max(1e-9, figures[0]["seconds"] / sizes[0])
        cells = [f"{entry['seconds']:,.2f} ({entry['peak_mb']:,.0f})" for entry in figures]
        print(f"{name:28}" + "".join(f"{cell:>16}" for cell in cells) + f"{ratio:9.2f}x")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.step:
        with contextlib.redirect_stdout(sys.stderr):
            figures = measure_step(options.step, options.clips[0], options.root)
        print(json.dumps(figures))
        return
    results = measure_sizes(options.clips)
    print_table(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
