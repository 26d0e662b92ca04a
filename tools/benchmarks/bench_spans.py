"""What labelled spans of one long video cost: one against a bare seek, ten against one decode of their union.

    python -m tools.benchmarks.bench_spans [VIDEO...] [--rounds 3] [--json PATH]

Spans of five seconds, ten frames of each at 224x224. Processor time of this process, everything in turn in each round;
the best of the rounds. Without videos named, made ones of each codec, and the long ones of the collection if there is
one.

- `span, ratio to a seek`: decoding a span as a build does (open, index, decode, resize), against opening the video with
  PyAV, seeking to the span's first stored frame, decoding up to its last and resizing the stored ones by PyAV's own
  `to_ndarray`. The middle of ten. `bare` is the same without resizing, which ours then does on top.
- `ten …, ratio to their union`: ten spans as the tasks of a build, JPEG and records included, against one decode of
  the union of their stored frames, and of nothing else. `alone` is the same with a task for each span.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from tools.benchmarks.bench_build import clip_jobs
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import KnownTimeline, Timeline, choose_timestamps
from video_assets.media.codec_check import usual_scheduling
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.probe import probe_video
from video_assets.pipeline.shards.encode import ClipJob, decode_job, encode_spans, joint_part, unchanged_video
from video_assets.pipeline.shards.spans import span_tasks
from video_assets_tests.corpus import corpus_files, corpus_path

NUM_SPANS, SPAN_SECONDS = 10, 5.0
ENCODING = Encoding()
SIZE = FrameSize(ENCODING.resize, ENCODING.resolution)
TARGETS = {"a seek": 1.1, "union": 2.0}

Spans = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a video of the benchmark is made."""

    codec: str
    suffix: str
    options: Mapping[str, str]


KINDS = {
    "H.264 mp4": Kind("libx264", "mp4", {"preset": "veryfast"}),
    "H.264 mkv": Kind("libx264", "mkv", {"preset": "veryfast"}),
    "HEVC mp4": Kind("libx265", "mp4", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=4"}),
    "VP9 webm": Kind("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "8", "g": "128"}),
    "AV1 mp4": Kind("libsvtav1", "mp4", {"preset": "12", "g": "161"}),
}
VIDEO_SECONDS, RATE, WIDTH_PX, HEIGHT_PX = 120, 25, 426, 240


def write_video(kind: Kind, path: Path) -> None:
    """A picture of soft spots that wanders and flickers a little, with the encoder's usual distance of keyframes."""
    os.environ["SVT_LOG"] = "0"  # the AV1 encoder's page of greetings
    random = np.random.default_rng(0)
    spots = cv2.GaussianBlur(random.integers(0, 256, (2 * HEIGHT_PX, 2 * WIDTH_PX, 3), dtype=np.uint8), (0, 0), 4)
    spots = np.asarray(spots * 2.0 - 128).clip(0, 250)
    with usual_scheduling(), av.open(path, "w") as container:
        stream = cast("VideoStream", container.add_stream(kind.codec, rate=RATE, options=dict(kind.options)))
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for number in range(VIDEO_SECONDS * RATE):
            x, y = (int(span * (1 + np.sin(number / period)) / 2) for span, period in ((WIDTH_PX, 40), (HEIGHT_PX, 31)))
            picture = (spots[y : y + HEIGHT_PX, x : x + WIDTH_PX] + number % 5).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_repeated(path: Path, into: Path, times: int) -> None:
    """The same packets over and over."""
    with av.open(into, "w") as output, av.open(path) as video:
        stream = output.add_stream_from_template(video.streams.video[0])
        for number in range(times):
            video.seek(0)
            for packet in video.demux(video=0):
                if packet.pts is None or packet.dts is None:
                    continue
                shift = int(number * VIDEO_SECONDS / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                output.mux(packet)


def layouts(duration_seconds: float) -> dict[str, Spans]:
    """Spans all over the video, and from its middle on: one after another, or each over four fifths of the next."""
    step = duration_seconds / NUM_SPANS
    length = min(SPAN_SECONDS, step / 2)
    half = duration_seconds / 2
    return {
        "disjoint": [(step * number, step * number + length) for number in range(NUM_SPANS)],
        "touching": [(half + length * number, half + length * (number + 1)) for number in range(NUM_SPANS)],
        "overlapping": [
            (half + length / 5 * number, half + length / 5 * number + length) for number in range(NUM_SPANS)
        ],
    }


def chosen(timeline: Timeline, span: tuple[float, float]) -> list[int]:
    """The stored frames of a span."""
    return choose_timestamps(timeline, ENCODING, *span).tolist()


def span_jobs(path: Path, spans: Spans) -> list[ClipJob]:
    """A job a span."""
    (job,) = clip_jobs([path])
    facts = probe_video(path)
    job = replace(job, known=KnownTimeline(facts.start_us, facts.start_us + facts.duration_us, facts.num_frames))
    return [
        replace(job, clip=replace(job.clip, clip_id=f"{start}", start_seconds=start, end_seconds=end))
        for start, end in spans
    ]


def encode_alone(jobs: Sequence[ClipJob]) -> None:
    """A task a span."""
    for job in jobs:
        encode_spans([job])


def encode_as_tasks(jobs: Sequence[ClipJob]) -> None:
    """The tasks of a build."""
    for task in span_tasks(jobs):
        if encode_spans([job for _, job in task]) is None:
            raise RuntimeError("the spans did not decode together")


def seek_and_decode(path: Path, wanted_us: Sequence[int], *, resizes: bool) -> None:
    """As short as it can be said with PyAV."""
    left = set(wanted_us)
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.thread_type = "NONE"
        container.seek(int(wanted_us[0] / 1_000_000 / cast("Fraction", stream.time_base)), stream=stream)
        for frame in container.decode(stream):
            if (time_us := int(frame.time * 1_000_000 + 0.5)) in left:
                left.remove(time_us)
                if resizes:
                    frame.to_ndarray(format="rgb24", width=SIZE.resolution, height=SIZE.resolution)
            if not left:
                return
    if left:
        raise RuntimeError(f"{len(left)} of the wanted frames did not come")


def least_cpu_seconds(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least processor time of each of some ways, which take turns."""
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, work in ways.items():
            begun = time.process_time()
            work()
            least[name] = min(least[name], time.process_time() - begun)
    return least


def measure(path: Path, rounds: int) -> dict[str, float]:
    """The ratios of one video."""
    timeline = decode_clip(path, lambda timeline: [timeline.start_us], SIZE).timeline
    found: dict[str, float] = {}
    ratios: dict[str, list[float]] = {"seek": [], "bare": []}
    disjoint = layouts(timeline.duration_us / 1e6)["disjoint"]
    for span, job in zip(disjoint, span_jobs(path, disjoint), strict=True):
        wanted = chosen(timeline, span)
        ways: dict[str, Callable[[], object]] = {
            "bare": lambda wanted=wanted: seek_and_decode(path, wanted, resizes=False),
            "seek": lambda wanted=wanted: seek_and_decode(path, wanted, resizes=True),
            "ours": lambda job=job: decode_job(job, unchanged_video(job)),
        }
        least = least_cpu_seconds(ways, rounds)
        for name, found_so_far in ratios.items():
            found_so_far.append(least["ours"] / least[name])
    found["span, ratio to a seek"] = statistics.median(ratios["seek"])
    found["span, bare, ratio to a seek"] = statistics.median(ratios["bare"])
    for name, spans in layouts(timeline.duration_us / 1e6).items():
        union = sorted({time_us for span in spans for time_us in chosen(timeline, span)})
        jobs = span_jobs(path, spans)
        part = joint_part(jobs)
        ways = {
            "union": lambda union=union, part=part: decode_clip(path, lambda _: union, SIZE, time_range=part),
            "together": lambda jobs=jobs: encode_as_tasks(jobs),
            "alone": lambda jobs=jobs: encode_alone(jobs),
        }
        least = least_cpu_seconds(ways, rounds)
        found[f"ten {name}, ratio to their union"] = least["together"] / least["union"]
        found[f"ten {name}, alone, ratio to their union"] = least["alone"] / least["union"]
    return found


def videos(folder: Path) -> Iterator[tuple[str, Path]]:
    """Made ones, and the collection's long ones."""
    for name, kind in KINDS.items():
        path = folder / f"{kind.codec}.{kind.suffix}"
        write_video(kind, path)
        yield name, path
    for suffix in ("mp4", "mkv"):
        path = folder / f"hour.{suffix}"
        write_repeated(folder / "libx264.mp4", path, 3600 // VIDEO_SECONDS)
        yield f"H.264 {suffix}, an hour", path
    corpus = corpus_path()
    yield from ((name, corpus / name) for name in corpus_files("long/") if corpus)


def show(name: str, found: Mapping[str, float]) -> None:
    """A line a ratio; with its target, where it has one."""
    for what, ratio in found.items():
        target = next((most for end, most in TARGETS.items() if what.endswith(end) and what.count(",") == 1), None)
        verdict = "" if target is None else f"  target <= {target}: {'met' if ratio <= target else 'MISSED'}"
        print(f"  {name:40} {what:45} {ratio:5.2f}{verdict}", flush=True)


def run(paths: Sequence[Path], rounds: int) -> dict[str, dict[str, float]]:
    """Measure these videos, or else the ones that `videos` gives."""
    report: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        for name, path in [(path.name, path) for path in paths] or videos(Path(folder)):
            report[name] = measure(path, rounds)
            show(name, report[name])
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures each video."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the ratios here")
    options = parser.parse_args(arguments)
    report: dict[str, Any] = run(options.videos, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
