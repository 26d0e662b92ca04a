"""Try clocks and tracks: `python -m tools.damage.clocks --files 300`; exit code 1 if a wrong frame is stored.

Each frame shows its own number, and the generator knows when each is shown. So which frame is the right one at a wanted
time is computed here, without the code under test.
"""

import argparse
import itertools
import random
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import choose_timestamps
from video_assets.media.decode.decode_clip import decode_clip
from video_assets_tests.media.making import number_of, numbered_video, video_of_tracks

SIZE: Final = FrameSize("stretch", 64)
NUM_FRAMES: Final = 50
SPAN: Final = (0.5, 1.3)
TICK_MS: Final = 2.0
"""Containers round times to milliseconds; a wanted time so near to a frame's start may mean either frame."""
SAMPLINGS: Final[dict[str, Encoding]] = {
    "uniform": Encoding(num_frames=7),
    "segments": Encoding(sampling="segments", num_frames=6),
    "fps": Encoding(sampling="fps", fps=7.0),
    "all": Encoding(sampling="all"),
    "span": Encoding(num_frames=5),
}
CODECS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "h264": ("libx264", {"x264-params": "keyint=15:bframes=2"}),
    "hevc": ("libx265", {"x265-params": "keyint=15:bframes=2:log-level=none:pools=1"}),
    "mpeg4": ("mpeg4", {"g": "15"}),
    "mpeg2": ("mpeg2video", {"g": "15", "bf": "2"}),
    "vp8": ("libvpx", {"g": "15", "deadline": "realtime", "cpu-used": "8"}),
    "vp9": ("libvpx-vp9", {"g": "15", "deadline": "realtime", "cpu-used": "8"}),
}
PLACES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "steady": (
        *((c, k) for c in ("h264", "hevc", "mpeg4", "mpeg2") for k in ("mp4", "matroska", "mpegts")),
        *((codec, "webm") for codec in ("vp8", "vp9")),
        *(("mpeg4", "avi"), ("h264", "flv"), ("mpeg4", "asf"), ("mpeg4", "nut"), ("h264", "mov")),
    ),
    "variable": (
        *((c, k) for c in ("h264", "hevc") for k in ("mp4", "matroska", "mov")),
        *((c, "webm") for c in ("vp8", "vp9")),
    ),
    "bare": (("h264", "h264"), ("hevc", "hevc"), ("mpeg4", "m4v"), ("mpeg2", "mpeg2video")),
    "tracks": tuple(("", container) for container in ("mp4", "mov", "matroska", "nut", "asf", "wtv")),
}
_MOVING: Final = (1, NUM_FRAMES, Fraction(25))
_STILL: Final = (2, 2, Fraction(1))
_EMPTY: Final = (2, 0, Fraction(25))
_SHORT: Final = (1, 5, Fraction(25))
TRACKS: Final = {
    "larger still first": (_STILL, _MOVING),
    "motion photo": (_MOVING, _STILL),
    "empty first": (_EMPTY, _MOVING),
    "short first": (_SHORT, _MOVING),
    "short, empty, still": (_SHORT, _EMPTY, _STILL, _MOVING),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One video and how it is sampled; the seed decides its times, its rate or its tracks."""

    kind: str
    codec: str
    container: str
    sampling: str
    seed: int

    def make(self) -> tuple[bytes, list[float]]:
        """Return the file, and when each of its frames is shown, in milliseconds from the first one on."""
        chance = random.Random(f"{self.kind} {self.codec} {self.container} {self.seed}")
        if self.kind == "tracks":
            tracks = [*TRACKS.values()][self.seed % len(TRACKS)]
            if self.container in ("mp4", "mov"):  # their muxer refuses a track without a packet
                tracks = [track for track in tracks if track[1]]
            return video_of_tracks(self.container, tracks), [number * 40.0 for number in range(NUM_FRAMES)]
        codec, options = CODECS[self.codec]
        if self.kind == "variable":
            times = [0]
            while len(times) < NUM_FRAMES:
                times.append(times[-1] + chance.choice((20, 33, 40, 41, 60, 100)))
            begin = chance.choice((0, 0, 700))
            later = [begin + time for time in times]
            video = numbered_video(NUM_FRAMES, codec=codec, container=self.container, options=options, times=later)
            return video, [float(time) for time in times]
        rates = (25, 50) if self.codec == "mpeg2" else (10, 24, 25, 30, 50, 60)
        rate = chance.choice(rates)
        video = numbered_video(NUM_FRAMES, codec=codec, container=self.container, options=options, rate=rate)
        return video, [number * 1000 / rate for number in range(NUM_FRAMES)]


def cases(kind: str, num_files: int, seed: int) -> Iterator[Case]:
    """Yield so many cases of a kind, over all codecs, containers and samplings in turn."""
    for number in range(num_files):
        codec, container = PLACES[kind][number % len(PLACES[kind])]
        yield Case(kind, codec, container, [*SAMPLINGS][number // len(PLACES[kind]) % len(SAMPLINGS)], seed + number)


def try_case(case: Case) -> str:
    """Decode a video as a build does; return what is wrong, or nothing."""
    video, times = case.make()
    encoding = SAMPLINGS[case.sampling]
    start, end = SPAN if case.sampling == "span" else (None, None)
    try:
        decoded = decode_clip(video, lambda timeline: choose_timestamps(timeline, encoding, start, end).tolist(), SIZE)
    except VideoLost as lost:
        return str(lost)
    found = [number_of(frame) for frame in decoded.frames]
    allowed = _right_frames(times, case.sampling, encoding, len(found))
    if isinstance(allowed, str):
        return f"{allowed}: {found}"
    wrong = [(place, number) for place, number in enumerate(found) if number not in allowed[place]]
    return f"frames {wrong} of {found}, expected {[allowed[place] for place, _ in wrong]}" if wrong else ""


def _right_frames(times: Sequence[float], sampling: str, encoding: Encoding, num_found: int) -> list[range] | str:
    """Return for each stored frame the numbers that it may show, or why so many cannot be right."""
    steps = [after - before for before, after in itertools.pairwise(times)]
    ends = (times[-1] + min(steps), times[-1] + max(steps))  # how long the last frame is shown is the container's guess
    if sampling == "all":
        return [range(n, n + 1) for n in range(len(times))] if num_found == len(times) else f"{num_found} frames"
    if sampling == "fps":
        least, most = (end * encoding.fps / 1000 for end in ends)
        if not least - 1 <= num_found <= most + 1:
            return f"{num_found} frames"
        wanted = [(n * 1000 / encoding.fps,) * 2 for n in range(num_found)]
    elif num_found != encoding.num_frames:
        return f"{num_found} frames"
    else:
        middle = 0.5 if sampling == "segments" else 0.0
        begin = SPAN[0] * 1000 if sampling == "span" else 0.0
        stops = tuple(min(end, SPAN[1] * 1000) for end in ends) if sampling == "span" else ends
        wanted = [tuple(begin + (n + middle) * (stop - begin) / num_found for stop in stops) for n in range(num_found)]
    return [range(_shown(times, low - TICK_MS), _shown(times, high + TICK_MS) + 1) for low, high in wanted]


def _shown(times: Sequence[float], time: float) -> int:
    return max(0, bisect_right(times, time) - 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all kinds, and name the seeds of what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.damage.clocks", description=__doc__)
    parser.add_argument("--files", type=int, default=300, help="of each kind; default: 300")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args(arguments)
    num_wrong = 0
    for kind in PLACES:
        counts = Counter[str]()
        for case in cases(kind, options.files, options.seed):
            wrong = try_case(case)
            counts["wrong" if wrong else "right"] += 1
            if wrong:
                print(f"{case}: {wrong}")
        print(f"{kind}: {counts['right']} right, {counts['wrong']} wrong", flush=True)
        num_wrong += counts["wrong"]
    return 1 if num_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
