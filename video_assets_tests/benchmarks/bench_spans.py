"""What labelled spans of one long video cost: against one decode of their union, and late in the video against early.

    python -m video_assets_tests.benchmarks.bench_spans VIDEO... [--rounds 3]

Ten spans of five seconds, ten frames of each, one after another, each opening the video anew, as jobs of a build do.
Processor time of this process; the best of the rounds. `union` is one decode of all frames of all spans together.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import choose_timestamps
from video_assets.domain.timeline import Timeline
from video_assets.media.decode import decode_clip

NUM_SPANS, SPAN_SECONDS = 10, 5.0
STORED, EVERY_FRAME = Encoding(), Encoding(sampling="all", max_frames=100_000)
SIZE = FrameSize("stretch", 224)

Spans = list[tuple[float, float]]


def layouts(duration_seconds: float) -> dict[str, Spans]:
    """Spans over all of the video, one after another at its beginning, and each overlapping the next by four fifths."""
    step = duration_seconds / NUM_SPANS
    length = min(SPAN_SECONDS, step)
    return {
        "spread": [(step * number, step * number + length) for number in range(NUM_SPANS)],
        "adjacent": [(length * number, length * (number + 1)) for number in range(NUM_SPANS)],
        "overlapping": [(length / 5 * number, length / 5 * number + length) for number in range(NUM_SPANS)],
    }


def decode_spans(path: Path, spans: Spans, encoding: Encoding) -> None:
    """One opening of the video, for the frames of all these spans."""

    def choose(timeline: Timeline) -> list[int]:
        return sorted({int(t) for start, end in spans for t in choose_timestamps(timeline, encoding, start, end)})

    decode_clip(path, choose, SIZE)


def cpu_seconds(work: Callable[[], object], rounds: int) -> float:
    """The least processor time of some rounds."""
    found: list[float] = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def measure(path: Path, rounds: int) -> None:
    """A line a layout of spans, and one for late against early."""
    duration_seconds = decode_clip(path, lambda timeline: [timeline.start_us], SIZE).timeline.duration_us / 1e6
    for name, spans in layouts(duration_seconds).items():
        each = cpu_seconds(lambda spans=spans: [decode_spans(path, [span], STORED) for span in spans], rounds)
        union = cpu_seconds(lambda spans=spans: decode_spans(path, spans, EVERY_FRAME), rounds)
        print(f"{path.name:40} {name:12} ten spans {each:6.2f} s, their union {union:6.2f} s: {each / union:5.2f}")
    spread = layouts(duration_seconds)["spread"]
    early, late = (cpu_seconds(lambda span=span: decode_spans(path, [span], STORED), rounds) for span in spread[1::7])
    print(f"{path.name:40} span at {spread[8][0]:.0f} s against {spread[1][0]:.0f} s: {late / early:5.2f}", flush=True)


def main() -> int:
    """Measures each video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for path in options.videos:
        measure(path, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
