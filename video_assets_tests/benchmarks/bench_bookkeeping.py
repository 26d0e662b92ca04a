"""What the bookkeeping costs at 10,000, 100,000 and 1,000,000 clips: metadata only, nothing is decoded.

Processor time, because machines are shared; of a step that waits for nothing but its disk it is the time it takes.

Run: python -m video_assets_tests.benchmarks.bench_bookkeeping [--clips 10000 100000] [--json FILE]
Each size runs in a process of its own, so that its peak memory is its own.
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
from typing import Any

from video_assets.domain.clips import ListedFile, WantedClip
from video_assets.domain.encoding import Encoding
from video_assets.pipeline.arrivals import LookCursor, look
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


def measure(num_clips: int, root: Path) -> dict[str, float]:
    """Seconds of processor time of each step, and the peak memory of the process in MB."""
    paths = DatasetPaths(root, "clips")
    settings, sharding = SourceSettings(), ShardingSettings(clips_per_shard=CLIPS_PER_SHARD)
    clips = invent_clips(0, num_clips)
    num_new = max(1, num_clips // 1000)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = time.process_time()
        result = work()
        seconds[name] = round(time.process_time() - begun, 3)
        return result

    def refresh(wanted: list[WantedClip]) -> None:
        asked = SourceClips(Path("videos"), sorted(wanted, key=lambda clip: clip.clip_id))
        update_manifest(Path("videos"), asked, paths, settings, InventedPool)  # pyright: ignore[reportArgumentType]

    timed("manifest, first", lambda: refresh(clips))
    timed("splits, first", lambda: build_splits(paths, SplitSettings()))
    timed("plan, first", lambda: build_plan(paths, Encoding(), sharding))
    _invent_shards(paths)
    grown = [*clips, *invent_clips(num_clips, num_clips + num_new)]
    timed("manifest, 0.1 % new", lambda: refresh(grown))
    timed("splits, 0.1 % new", lambda: build_splits(paths, SplitSettings()))
    timed("plan, 0.1 % new", lambda: build_plan(paths, Encoding(), sharding))
    files = sorted((clip.file for clip in grown), key=lambda file: file.path)
    cursor = LookCursor()
    for _ in range(2):
        cursor = look(paths, files, cursor).cursor
    timed("arrivals tick, nothing new", lambda: look(paths, files, cursor))
    timed("arrivals tick, one new", lambda: look(paths, [*files, ListedFile("z/new.mp4", 1, 1)], cursor))
    from video_assets.pipeline.backlog import read_backlog

    backlog = timed("shards tick", lambda: read_backlog(paths))
    seconds["shards"] = float(backlog.num_shards)
    seconds["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return seconds


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


def _in_own_process(num_clips: int) -> dict[str, float]:
    command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, "--one", str(num_clips)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_sizes(sizes: Sequence[int]) -> dict[int, dict[str, float]]:
    """The figures of each size, printed as a table as well."""
    results = {size: _in_own_process(size) for size in sizes}
    print_table(results)
    return results


def print_table(results: dict[int, dict[str, float]]) -> None:
    """Seconds a step and size, and the cost of a clip at the largest size against that at the smallest."""
    sizes = sorted(results)
    print(f"{'processor seconds':28}" + "".join(f"{size:>12,}" for size in sizes) + f"{'per clip':>12}")
    for name in results[sizes[0]]:
        values = [results[size][name] for size in sizes]
        ratio = (values[-1] / sizes[-1]) / max(1e-9, values[0] / sizes[0])
        print(f"{name:28}" + "".join(f"{value:12,.2f}" for value in values) + f"{ratio:11.2f}x")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as root, contextlib.redirect_stdout(sys.stderr):
            figures = measure(options.one, Path(root))
        print(json.dumps(figures))
        return
    results = measure_sizes(options.clips)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")


if __name__ == "__main__":
    main()
