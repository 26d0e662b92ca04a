"""Whole builds by one worker, against a plain OpenCV loop over the same files and against our own decoding alone.

    python -m tools.benchmarks.bench_whole [--clips 168] [--rounds 3] [--long] [--json PATH]

Figures are CPU time of all processes. What a build of one clip takes (to start Python, TensorFlow and Dagster) is taken
off that of all clips. The loop grabs every frame up to the last wanted one, converts and resizes ten, and stores
nothing. All three take turns on one core, and a ratio is that of one round.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2

from tools.benchmarks.bench_build import Figure, as_json, build_command, print_report, verdict
from tools.benchmarks.bench_decode import cpu_seconds, decode_by_grab, decode_ours
from tools.benchmarks.clips_source import copy_clips, sample_clips
from video_assets.media.probe import probe_video
from video_assets_tests.corpus import corpus_files, corpus_path

SETS = {"surveillance": "labelled/surv_fight/", "UCF101": "labelled/ucf101/"}
LONG = {"long videos": "long/"}
TARGETS = {
    "surveillance: ratio, OpenCV loop to build": (">=", 1.3),
    "UCF101: ratio, OpenCV loop to build": (">=", 1.2),
    "long videos: ratio, OpenCV loop to build": (">=", 6.0),
    "surveillance: ratio, build to decoding": ("<=", 1.3),
    "UCF101: ratio, build to decoding": ("<=", 1.3),
    "long videos: ratio, build to decoding": ("<=", 1.15),
}
"""The loop's time divided by ours has to be as large as this; a build's divided by decoding as small."""


def _cpu_of(work: Callable[[], object]) -> float:
    begun = cpu_seconds()
    work()
    return cpu_seconds() - begun


def _build(source: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as root:
        command = build_command(source, Path(root), 1, ["manifest.allow_single_class=true"])
        subprocess.run(command, check=True, capture_output=True)


@contextmanager
def _one_core() -> Generator[None]:
    """Keep this process and those that it starts on one core.

    Two processes of a build that share the units of a core, as virtual cores do, take up to half as much CPU time again
    for the same work; the loop, alone on its core, would not.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def measure_set(name: str, originals: Sequence[Path], folder: Path, num_clips: int, rounds: int) -> dict[str, Figure]:
    """Figures of one set of videos, which is copied until it has so many clips."""
    clips = copy_clips(originals, folder / "all", num_clips)
    copy_clips(originals[:1], folder / "one", 1)
    num_frames = {clip: probe_video(clip).num_frames for clip in clips}

    def all_but_one(take: Callable[[Path], object]) -> float:
        return _cpu_of(lambda: [take(clip) for clip in clips[1:]])

    runs: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        built = _cpu_of(lambda: _build(folder / "all")) - _cpu_of(lambda: _build(folder / "one"))
        runs.append((built, all_but_one(lambda clip: decode_by_grab(clip, num_frames[clip])), all_but_one(decode_ours)))
    return {
        f"{name}: build of {len(clips)} clips above one clip, CPU s": Figure.of([built for built, _, _ in runs]),
        f"{name}: OpenCV loop, CPU s": Figure.of([loop for _, loop, _ in runs]),
        f"{name}: decoding alone, CPU s": Figure.of([decoded for _, _, decoded in runs]),
        f"{name}: ratio, OpenCV loop to build": Figure.of([loop / built for built, loop, _ in runs]),
        f"{name}: ratio, build to decoding": Figure.of([built / decoded for built, _, decoded in runs]),
    }


def run(num_clips: int, rounds: int, *, with_long: bool) -> dict[str, Any]:
    """Measure all sets and print a line for each figure; without the corpus, the project's sample is the only set."""
    cv2.setNumThreads(1)
    corpus = corpus_path()
    figures: dict[str, Figure] = {}
    with _one_core(), tempfile.TemporaryDirectory(prefix="video-assets-bench-") as work:
        if corpus is None:
            sets = {"sample": sample_clips(Path(work) / "sample")}
        else:
            chosen = SETS | LONG if with_long else SETS
            sets = {name: [corpus / file for file in corpus_files(folder)] for name, folder in chosen.items()}
        for name, originals in sets.items():
            count = len(originals) if name in LONG else num_clips
            figures |= measure_set(name, originals, Path(work) / name, count, rounds)
    for name, figure in figures.items():
        said = verdict(*TARGETS[name], figure.median) if name in TARGETS else ""
        print(f"  {name:60} {figure!s:28} {said}".rstrip())
    return as_json(figures)


def main() -> int:
    """Measure, print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=168)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", action="store_true", help="the long videos of the corpus as well: minutes per round")
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    print_report(run(options.clips, options.rounds, with_long=options.long), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
