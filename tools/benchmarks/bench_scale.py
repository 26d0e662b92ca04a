"""Builds of many small clips, whole: what a clip costs in a large set, against what it costs in a small one.

    python -m tools.benchmarks.bench_scale [--clips 2000 100000] [--added 100] [--folder PATH] [--json PATH]

Clips of 30 frames of 64x48 pixels. 499 parts of ten frames are drawn and encoded; each clip is three of them one after
the other, and no two clips have two in common. The largest set is built in three commands: two are killed, at a third
and at two thirds of its shards, and all three count. Then each set grows by as many clips. Figures are CPU seconds of
all processes. Making 100,000 clips takes 4 CPU minutes, building them about 15; `--folder` keeps the videos for another
run.
"""

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np

from tools.benchmarks.bench_build import build_command, print_report, verdict
from tools.benchmarks.watching import Watched, run_watched
from video_assets.media.sample_dataset import ClipFormat, draw_times, encode_video
from video_assets.media.sample_scenes import MOTIONS, draw_frames, random_path, random_scene

PART = ClipFormat("mp4", (64, 48), Fraction(10), duration_seconds=1.0, keyframe_interval=12)
CLIPS_PER_SHARD = 500
NUM_PARTS = 499
"""A prime, so that three parts in equal steps are another three for every step."""
SETTINGS = ("plan.encoding.resolution=64", f"plan.clips_per_shard={CLIPS_PER_SHARD}")
TARGETS = {
    "ratio, clips per CPU second in the large set to the small one": (">=", 0.9),
    "peak MB of the main process": ("<=", 1500.0),
    "ratio, CPU of growth in the large set to the small one": ("<=", 3.0),
}


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_suffix(".partial")
    partial_file.write_bytes(data)
    partial_file.replace(file)


def write_part(folder: Path, number: int) -> None:
    """Draw and encode ten frames, if they are not there."""
    file = folder / f"{number}.mp4"
    if file.exists():
        return
    motion = MOTIONS[number % len(MOTIONS)]
    random = np.random.default_rng((11, number))
    times = draw_times(PART, random)
    progress = [float(time / PART.duration_seconds) for time in times]
    frames = draw_frames(random_scene(random), random_path(motion, random), progress, PART.size_px, random)
    _write(file, encode_video(frames, times, PART))


def write_clip(folder: Path, parts: Path, number: int) -> None:
    """Put one clip together from three parts, if it is not there; any two clips have at most one part in common."""
    file = folder / MOTIONS[number % len(MOTIONS)] / f"clip_{number:06d}.mp4"
    if file.exists():
        return
    first, step = number % NUM_PARTS, number // NUM_PARTS + 1
    made = io.BytesIO()
    with ExitStack() as opened:
        videos = [
            opened.enter_context(av.open(str(parts / f"{(first + step * place) % NUM_PARTS}.mp4")))
            for place in range(3)
        ]
        container = opened.enter_context(av.open(made, "w", format="mp4", container_options={"fflags": "+bitexact"}))
        stream = container.add_stream_from_template(videos[0].streams.video[0])
        for place, video in enumerate(videos):
            for packet in video.demux(video=0):
                if packet.pts is None or packet.dts is None:  # the empty one at the end
                    continue
                later = int(place * Fraction(PART.duration_seconds) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, stream
                container.mux(packet)
    _write(file, made.getvalue())


def write_clips(folder: Path, numbers: range) -> None:
    """Write clips on all cores; their parts lie beside the folder."""
    parts = folder.parent / "parts"
    with ProcessPoolExecutor() as processes:
        for write, of in (
            (partial(write_part, parts), range(NUM_PARTS)),
            (partial(write_clip, folder, parts), numbers),
        ):
            for _ in processes.map(write, of, chunksize=100):
                pass


def _num_shards(root: Path) -> int:
    return sum(1 for _ in root.rglob("*.tfrecord"))


def build_killed_twice(source: Path, root: Path, num_shards: int) -> list[Watched]:
    """Three commands that together build a dataset: the first two are killed on their way."""
    command = build_command(source, root, settings=SETTINGS)
    kills = [lambda least=num_shards * third // 3: _num_shards(root) >= least for third in (1, 2)]
    return [*(run_watched(command, kill_when=kill) for kill in kills), run_watched(command)]


def measure_size(folder: Path, num_clips: int, num_added: int, *, killed: bool) -> dict[str, Any]:
    """Figures of one size: a first build, and growth by some clips."""
    source, root = folder / f"of{num_clips}", folder / f"root{num_clips}"
    write_clips(source, range(num_clips))
    if killed:
        runs = build_killed_twice(source, root, num_clips // CLIPS_PER_SHARD)
    else:
        runs = [run_watched(build_command(source, root, settings=SETTINGS))]
    report = json.loads(runs[-1].stdout.splitlines()[-1])
    sizes = dict(_sizes(root))
    write_clips(source, range(num_clips, num_clips + num_added))
    grown = run_watched(build_command(source, root))
    added = json.loads(grown.stdout.splitlines()[-1])
    stored = sum(split["records"] for split in added["splits"].values())
    return {
        "clips": num_clips,
        "clips encoded by the last command": report["clips_encoded"],
        "clips stored after growth": stored,
        "clips encoded by growth": added["clips_encoded"],
        "CPU s": sum(run.cpu_seconds for run in runs),
        "seconds": sum(run.seconds for run in runs),
        "CPU s of growth": grown.cpu_seconds,
        "peak MB of the main process": max(run.peak_main_bytes for run in (*runs, grown)) / 1e6,
        "peak MB of a worker": max(run.peak_worker_bytes for run in runs) / 1e6,
        **sizes,
    }


def _sizes(root: Path) -> Iterator[tuple[str, float]]:
    files = [file for file in root.rglob("*") if file.is_file()]
    dagster = [file for file in files if ".dagster" in file.parts]
    yield "files", len(files)
    yield "MB", sum(file.stat().st_size for file in files) / 1e6
    yield "files of .dagster", len(dagster)
    yield "MB of .dagster", sum(file.stat().st_size for file in dagster) / 1e6


def run(sizes: Sequence[int], num_added: int, folder: Path) -> dict[str, Any]:
    """Measure every size, print a line for each figure."""
    found: list[dict[str, Any]] = []
    for size in sizes:
        found.append(measure_size(folder, size, num_added, killed=size == max(sizes)))
        print(f"\n{size} clips", flush=True)
        for name, value in found[-1].items():
            print(f"  {name:64} {value:.6g}", flush=True)
    small, large = found[0], found[-1]
    figures = {
        "ratio, clips per CPU second in the large set to the small one": (large["clips"] / large["CPU s"])
        / (small["clips"] / small["CPU s"]),
        "peak MB of the main process": large["peak MB of the main process"],
        "ratio, CPU of growth in the large set to the small one": large["CPU s of growth"] / small["CPU s of growth"],
    }
    print()
    for name, value in figures.items():
        print(f"  {name:64} {value:8.3g}  {verdict(*TARGETS[name], value)}")
    return {"sizes": found, **figures}


def main() -> int:
    """Measure, print, and print one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[2_000, 100_000])
    parser.add_argument("--added", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where videos and datasets are written, and stay")
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as temporary:
        print_report(run(options.clips, options.added, options.folder or Path(temporary)), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
