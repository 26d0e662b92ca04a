"""How fast ten frames of a video are had, on one thread, against the ways of today.

    python -m tools.benchmarks.bench_decode [--folder labelled] [--rounds 15] [--seconds 3] [--json PATH]

Baselines: (a) OpenCV `grab` for every frame up to the last wanted one, `retrieve` and an area resize for the wanted
ones; (b) OpenCV `read` of every frame; (d) the ffmpeg program decoding everything to nothing. All runs of one video
but the program's are interleaved in one process and medians are compared, so that another load hits all alike.
A ratio of 2 means: ours takes half the time. A video gets `--rounds` rounds, or as many as begin within `--seconds`:
many for clips of milliseconds, whose medians need them, one for an hour of video.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from tools.benchmarks.bench_build import verdict
from tools.benchmarks.clips_source import write_cases
from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.sample_dataset import write_sample
from video_assets_tests.corpus import corpus_files, corpus_path

NUM_FRAMES = 10
SIDE_PX = 224


@dataclass(frozen=True, slots=True)
class Timing:
    """One video's medians in seconds; None where a baseline could not decode it."""

    path: str
    ours_seconds: float
    grab_seconds: float | None
    read_seconds: float | None
    ffmpeg_seconds: float | None
    num_frames_decoded: int
    num_frames_total: int
    note: str

    def ratio(self, baseline: str) -> float | None:
        """How many times longer the baseline takes."""
        seconds = getattr(self, f"{baseline}_seconds")
        return None if seconds is None else seconds / self.ours_seconds


def uniform_times(timeline: Timeline) -> list[int]:
    """Ten times, evenly spread, the first one at the start."""
    return [timeline.start_us + index * timeline.duration_us // NUM_FRAMES for index in range(NUM_FRAMES)]


def decode_ours(path: Path) -> tuple[int, int, str]:
    """The engine under test."""
    clip = decode_clip(path, uniform_times, FrameSize("stretch", SIDE_PX))
    return clip.num_frames_decoded, clip.num_frames_total, clip.note


def decode_by_grab(path: Path, num_frames: int) -> bool:
    """(a) OpenCV, the frames in between grabbed but not retrieved; False where it cannot."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    places = [index * num_frames // NUM_FRAMES for index in range(NUM_FRAMES)]
    frames = np.empty((NUM_FRAMES, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    slot = 0
    for number in range(places[-1] + 1):
        if not capture.grab():
            break
        if number != places[slot]:
            continue
        _, picture = capture.retrieve()
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        cv2.resize(picture, (SIDE_PX, SIDE_PX), dst=frames[slot], interpolation=cv2.INTER_AREA)
        slot += 1
        while slot < NUM_FRAMES and places[slot] == number:  # fewer frames than targets: repeated, as ours are
            frames[slot] = frames[slot - 1]
            slot += 1
    capture.release()
    return slot == NUM_FRAMES


def decode_by_read(path: Path) -> bool:
    """(b) OpenCV, every frame read, the wanted ones resized when their number has come."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    num_read = 0
    while capture.read()[0]:
        num_read += 1
    capture.release()
    return num_read > 0


def decode_by_ffmpeg(path: Path) -> bool:
    """(d) The ffmpeg program, everything to nothing."""
    command = ["ffmpeg", "-v", "quiet", "-nostdin", "-threads", "1", "-i", str(path), "-f", "null", "-"]
    return subprocess.run(command, check=False).returncode == 0


def cpu_seconds() -> float:
    """Processor time of this process and of the programs that it ran: steady on a machine that is busy otherwise."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": cpu_seconds}


@dataclass(frozen=True, slots=True)
class Effort:
    """How often each way is timed, by which clock; at least once."""

    max_rounds: int
    max_seconds: float
    clock: Callable[[], float]


def measure(path: Path, name: str, effort: Effort, baselines: Sequence[str]) -> Timing | None:
    """All ways on one video, interleaved; None where the video is lost."""
    try:
        num_decoded, num_total, note = decode_ours(path)
    except VideoLost as error:
        print(f"{name}: {error}", file=sys.stderr)
        return None
    ways: dict[str, Callable[[], object]] = {"ours": lambda: decode_ours(path)}
    if "grab" in baselines:
        ways["grab"] = lambda: decode_by_grab(path, num_total)
    if "read" in baselines:
        ways["read"] = lambda: decode_by_read(path)
    seconds = timed_in_turn(ways, effort)
    if "ffmpeg" in baselines and shutil.which("ffmpeg"):
        # By itself: whoever came after another program would find the caches cold, which was always ours.
        seconds |= timed_in_turn({"ffmpeg": lambda: decode_by_ffmpeg(path)}, effort)
    medians = {way: statistics.median(values) for way, values in seconds.items()}
    return Timing(
        name,
        medians["ours"],
        medians.get("grab"),
        medians.get("read"),
        medians.get("ffmpeg"),
        num_decoded,
        num_total,
        note,
    )


def timed_in_turn(ways: Mapping[str, Callable[[], object]], effort: Effort) -> dict[str, list[float]]:
    """Times of each way in turn; those that say False, for they cannot, are left out."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    begun = time.monotonic()
    for number in range(effort.max_rounds):
        if number and time.monotonic() - begun > effort.max_seconds:
            break
        for way in list(seconds):
            begin = effort.clock()
            could = ways[way]()
            seconds[way].append(effort.clock() - begin)
            if could is False:
                del seconds[way]
    return seconds


def group_of(name: str) -> str:
    """What a video is reported under: its folder, two levels of it for labelled ones."""
    parts = Path(name).parts
    return "/".join(parts[:2]) if parts[0] == "labelled" else parts[0]


def summarise(timings: Sequence[Timing]) -> dict[str, dict[str, float]]:
    """Per group: videos, median and least ratio to each baseline, share of frames decoded."""
    groups: dict[str, list[Timing]] = {}
    for timing in timings:
        groups.setdefault(group_of(timing.path), []).append(timing)
    summary: dict[str, dict[str, float]] = {}
    for group, members in groups.items():
        row: dict[str, float] = {"videos": len(members)}
        for baseline in ("grab", "read", "ffmpeg"):
            ratios = [ratio for member in members if (ratio := member.ratio(baseline)) is not None]
            if ratios:
                row[f"{baseline}_ratio_median"] = round(statistics.median(ratios), 2)
                row[f"{baseline}_ratio_least"] = round(min(ratios), 2)
        row["frames_per_second"] = round(len(members) * NUM_FRAMES / sum(member.ours_seconds for member in members), 1)
        decoded, total = (sum(getattr(m, f"num_frames_{what}") for m in members) for what in ("decoded", "total"))
        row["share_decoded"] = round(decoded / max(1, total), 3)
        summary[group] = row
    return summary


CASE_TARGETS = {"17 frames of 112x80": 1.0, "one keyframe, no B-frames": 1.05}
"""How many times longer OpenCV's `grab` has to take."""


def run_cases(rounds: int = 15, seconds: float = 3.0) -> dict[str, float]:
    """Measure the videos of `write_cases`, and print and return a ratio for each."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        files = write_cases(Path(folder))
        effort = Effort(rounds, seconds, cpu_seconds)
        timings = {name: measure(file, name, effort, ["grab"]) for name, file in files.items()}
    found: dict[str, float] = {}
    for name, timing in timings.items():
        ratio = None if timing is None else timing.ratio("grab")
        if ratio is not None:
            found[f"{name}: ratio, OpenCV loop to ours"] = ratio
            said = verdict(">=", CASE_TARGETS[name], ratio) if name in CASE_TARGETS else ""
            print(f"  {name + ': ratio, OpenCV loop to ours':60} {ratio:8.2f} {said}".rstrip())
    return found


def _show(timings: Sequence[Timing]) -> None:
    def cell(ratio: float | None) -> str:
        return "     -" if ratio is None else f"{ratio:6.2f}"

    print(f"{'video':60} {'ms':>8} {'/grab':>6} {'/read':>6} {'/ffmp':>6} {'decoded':>13}")
    for t in timings:
        ratios = " ".join(cell(t.ratio(baseline)) for baseline in ("grab", "read", "ffmpeg"))
        frames = f"{t.num_frames_decoded:>6}/{t.num_frames_total:<6}"
        print(f"{t.path[-60:]:60} {t.ours_seconds * 1e3:8.1f} {ratios} {frames} {t.note}")


def _measure_all(options: argparse.Namespace, root: Path) -> list[Timing]:
    if options.source:
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    else:
        names = corpus_files(*(options.folder or ["labelled/", "formats/", "long/"]))
    effort = Effort(options.rounds, options.seconds, CLOCKS[options.clock])
    measured = [measure(root / name, name, effort, options.baselines.split(",")) for name in names]
    return [timing for timing in measured if timing is not None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", action="append", help="of the corpus; repeat for several (default: all good ones)")
    parser.add_argument(
        "--source",
        type=Path,
        help="measure every file below this folder; default: the corpus, or the project's sample where there is none",
    )
    parser.add_argument("--rounds", type=int, default=15, help="at most so many of one video")
    parser.add_argument("--seconds", type=float, default=3.0, help="no round of a video begins after so many")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall")
    parser.add_argument("--baselines", default="grab,read,ffmpeg")
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args(arguments)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # else OpenCV's FFmpeg complains a line a frame of some files
    cv2.setNumThreads(1)
    with ExitStack() as ending:
        root: Path | None = options.source or corpus_path()
        if root is None:
            root = options.source = Path(
                ending.enter_context(tempfile.TemporaryDirectory(prefix="video-assets-bench-"))
            )
            write_sample(root)
        timings = _measure_all(options, root)
    _show(timings)
    groups = summarise(timings)
    report = {"groups": groups, "videos": [asdict(timing) for timing in timings]}
    for group, row in groups.items():
        print(group, row)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(groups))
    return 0


if __name__ == "__main__":
    sys.exit(main())
