"""Whole builds from videos to committed dataset, against the way of today.

    python -m tools.benchmarks.bench_build [--clips 200 900] [--rounds 3] [--json PATH]

Baseline (c): the original helper's algorithm (`baselines.py`) on a seeded choice of the same clips. What is compared
in one ratio runs alternately, medians are compared, and their spread is printed: another load on the machine hits
both. A ratio of 15 means: ours does fifteen times as many clips a second.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tools.benchmarks.clips_source import write_clips_source
from tools.benchmarks.watching import Watched, run_watched
from video_assets.domain.clips import Loss
from video_assets.domain.encoding import Encoding
from video_assets.domain.plan import PlannedClip
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.shards.encode import ClipJob, EncodedClip, encode_clip
from video_assets.settings import DEFAULT_LIMITS
from video_assets.storage.files import file_sha256
from video_assets_tests.corpus import corpus_files, corpus_path

NUM_WORKERS = 2
TARGETS = {
    "whole build, ratio to (c)": (">=", 15.0),
    "bytes a clip, (c) to ours": (">=", 20.0),
    "read-back, ratio to (c)": (">=", 5.0),
    "2 workers against 1": (">=", 1.7),
    "peak MB of a worker": ("<=", 350.0),
    "--help, seconds per second of import tensorflow": ("<=", 1 / 6),
    "code location, seconds per second of import tensorflow": ("<=", 3 / 6),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A median, and the least and the largest of what it is the median of."""

    median: float
    least: float
    largest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """The figure of some measurements."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.least:.3g} to {self.largest:.3g})"


def _timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


# --- The whole build ------------------------------------------------------------------------------------------------


def build_command(source: Path, root: Path, num_workers: int = NUM_WORKERS, settings: Sequence[str] = ()) -> list[str]:
    """The real command; `settings` as `--set` takes them."""
    command = [sys.executable, "-m", "video_assets.cli", "build", "--source", str(source), "--root", str(root)]
    command += [part for setting in settings for part in ("--set", setting)]
    return [*command, "--workers", str(num_workers), "--json"]


def build(source: Path, root: Path, num_workers: int = NUM_WORKERS, settings: Sequence[str] = ()) -> Watched:
    """Run it into an empty root."""
    return run_watched(build_command(source, root, num_workers, settings))


def _convert_as_original(sample: Sequence[Path], folder: Path) -> tuple[float, list[Path]]:
    """Seconds a clip of (c), and its files."""
    from tools.benchmarks.baselines import LabelledClip, convert_as_original

    clips = [LabelledClip(path, 0) for path in sample]
    begun = time.perf_counter()
    files = convert_as_original(clips, folder)
    return (time.perf_counter() - begun) / len(clips), files


def measure_builds(
    clips: Sequence[Path], source: Path, work: Path, rounds: int, sample: Sequence[Path]
) -> dict[str, Any]:
    """Builds and conversions in turn; gives seconds, bytes and memory."""
    builds: list[Watched] = []
    originals: list[float] = []
    files: list[Path] = []
    for number in range(rounds):
        builds.append(build(source, work / f"root{number}"))
        seconds, files = _convert_as_original(sample, work / f"original{number}")
        originals.append(seconds)
    version_dir = Path(json.loads(builds[-1].stdout.splitlines()[-1])["version_dir"])
    bytes_a_clip = sum(path.stat().st_size for path in version_dir.glob("*.tfrecord")) / len(clips)
    bytes_of_original = sum(path.stat().st_size for path in files) / len(sample)
    return {
        "clips": len(clips),
        "clips a second": Figure.of([len(clips) / built.seconds for built in builds]),
        "core seconds a build": Figure.of([built.cpu_seconds for built in builds]),
        "clips a second of (c)": Figure.of([1 / seconds for seconds in originals]),
        "whole build, ratio to (c)": Figure.of(
            [seconds * len(clips) / built.seconds for seconds, built in zip(originals, builds, strict=True)]
        ),
        "bytes a clip": bytes_a_clip,
        "bytes a clip, (c) to ours": bytes_of_original / bytes_a_clip,
        "peak MB of the whole build": max(built.peak_memory_bytes for built in builds) / 1e6,
        "version_dir": version_dir,
        "files of (c)": files,
    }


# --- The encoding stage alone ---------------------------------------------------------------------------------------


def clip_jobs(clips: Iterable[Path]) -> list[ClipJob]:
    """One job a file, under the default encoding."""
    jobs: list[ClipJob] = []
    for path in clips:
        status = path.stat()
        clip = PlannedClip(
            clip_id=path.name,
            path=path.name,
            label="label",
            label_index=0,
            start_seconds=None,
            end_seconds=None,
            content_hash=file_sha256(path),
        )
        jobs.append(ClipJob(path, status.st_size, status.st_mtime_ns, clip, Encoding(), DEFAULT_LIMITS))
    return jobs


@dataclass(frozen=True, slots=True)
class Encoded:
    """What encoding some clips took."""

    seconds: float
    peak_worker_bytes: int
    share_decoded: float


def encode_all(jobs: Sequence[ClipJob], num_workers: int) -> Encoded:
    """Through the pool; the clock starts when every process has answered once."""
    with DecodingPool(num_workers) as pool:
        for _ in pool.map(encode_clip, jobs[: 2 * num_workers]):
            pass
        begun = time.perf_counter()
        results = list(pool.map(encode_clip, jobs))
        seconds = time.perf_counter() - begun
    for result in results:
        if isinstance(result.outcome, Loss):
            raise TypeError(f"{result.job.path} is lost: {result.outcome.detail}")
    stored = [result.outcome for result in results if isinstance(result.outcome, EncodedClip)]
    peak_bytes = max(result.peak_rss_bytes for result in results)
    num_total = sum(clip.num_frames_total for clip in stored)
    return Encoded(seconds, peak_bytes, sum(clip.num_frames_decoded for clip in stored) / max(1, num_total))


def measure_encoding(clips: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Two workers and one, in turn; and a worker's memory, on long videos too where there are some."""
    jobs = clip_jobs(clips)
    pairs = [(encode_all(jobs, 2), encode_all(jobs, 1)) for _ in range(2 * rounds)]
    corpus = corpus_path()
    long_videos = [corpus / name for name in corpus_files("long/")] if corpus else []
    peak_bytes = max(two.peak_worker_bytes for two, _ in pairs)
    if long_videos:
        peak_bytes = max(peak_bytes, encode_all(clip_jobs(long_videos), 1).peak_worker_bytes)
    return {
        "encoding, clips a second, 2 workers": Figure.of([len(jobs) / two.seconds for two, _ in pairs]),
        "encoding, clips a second, 1 worker": Figure.of([len(jobs) / one.seconds for _, one in pairs]),
        "2 workers against 1": Figure.of([one.seconds / two.seconds for two, one in pairs]),
        # On a machine that others use, two workers may share one core's time: the best of each is nearest to alone.
        "2 workers against 1, best of each": min(o.seconds for _, o in pairs) / min(t.seconds for t, _ in pairs),
        "share of frames decoded": pairs[0][0].share_decoded,
        "peak MB of a worker": peak_bytes / 1e6,
        "of which long videos": len(long_videos),
    }


# --- Reading back, and starting -------------------------------------------------------------------------------------


def measure_reading(version_dir: Path, files: Sequence[Path], num_original: int, rounds: int) -> dict[str, Any]:
    """Clips a second through `load_dataset` against (c)'s own reader, in turn, files in the cache."""
    from tools.benchmarks.baselines import read_as_original
    from video_assets.reader import load_dataset

    def read_ours() -> int:
        return sum(1 for _ in load_dataset(version_dir, "train"))

    def read_original() -> int:
        return sum(1 for _ in read_as_original(files))

    num_ours = read_ours()
    read_original()
    pairs = [(_timed(read_ours), _timed(read_original)) for _ in range(rounds)]
    return {
        "read-back, clips a second": Figure.of([num_ours / ours for ours, _ in pairs]),
        "read-back of (c)": Figure.of([num_original / theirs for _, theirs in pairs]),
        "read-back, ratio to (c)": Figure.of([(num_ours / ours) / (num_original / theirs) for ours, theirs in pairs]),
    }


def measure_starts(rounds: int) -> dict[str, Any]:
    """Seconds until the help is there and until the code location is loaded, per second of TensorFlow's import."""
    load = "from video_assets.definitions import defs; defs().get_repository_def()"
    commands = {
        "help": [sys.executable, "-m", "video_assets.cli", "--help"],
        "location": [sys.executable, "-c", load],
        "tensorflow": [sys.executable, "-c", "import tensorflow"],
    }
    runs = [{name: run_watched(command).seconds for name, command in commands.items()} for _ in range(rounds)]
    return {
        "--help, seconds": Figure.of([run["help"] for run in runs]),
        "code location, seconds": Figure.of([run["location"] for run in runs]),
        "import tensorflow, seconds": Figure.of([run["tensorflow"] for run in runs]),
        "--help, seconds per second of import tensorflow": Figure.of([r["help"] / r["tensorflow"] for r in runs]),
        "code location, seconds per second of import tensorflow": Figure.of(
            [r["location"] / r["tensorflow"] for r in runs]
        ),
    }


# --- All of it ------------------------------------------------------------------------------------------------------


def run(sizes: Sequence[int], rounds: int, num_original: int, work: Path, *, use_corpus: bool = True) -> dict[str, Any]:
    """All figures by name; those of the builds once for each size."""
    figures: dict[str, Any] = {"builds": []}
    for size in sizes:
        folder = work / f"of{size}"
        clips = write_clips_source(folder / "source", size, use_corpus=use_corpus)
        sample = random.Random(0).sample(clips, min(num_original, len(clips)))
        _convert_as_original(sample[:1], folder / "warm")  # TensorFlow's first use of everything
        figures["builds"].append(built := measure_builds(clips, folder / "source", folder, rounds, sample))
        if size == sizes[0]:
            figures |= measure_encoding(clips, rounds)
            figures |= measure_reading(built["version_dir"], built["files of (c)"], len(sample), rounds)
    return figures | measure_starts(rounds)


def _value(figure: Any) -> float:
    return figure.median if isinstance(figure, Figure) else figure


def show(figures: Mapping[str, Any]) -> None:
    """A line a figure, with its target if it has one."""
    for built in figures["builds"]:
        print(f"\nwhole build of {built['clips']} clips, {NUM_WORKERS} workers")
        _show_lines(built)
    print("\nparts")
    _show_lines(figures)


def _show_lines(figures: Mapping[str, Any]) -> None:
    for name, figure in figures.items():
        if not isinstance(figure, float | int | Figure):
            continue
        text = str(figure) if isinstance(figure, Figure) else f"{figure:.6g}"
        print(f"  {name:56} {text:32} {_verdict(name, _value(figure))}")


def _verdict(name: str, value: float) -> str:
    if name not in TARGETS:
        return ""
    return verdict(*TARGETS[name], value)


def verdict(sign: str, target: float, value: float) -> str:
    """A target, which is `>=` or `<=` a number, and whether a value meets it."""
    is_met = value >= target if sign == ">=" else value <= target
    return f"target {sign} {target:.3g}: {'met' if is_met else 'MISSED'}"


def print_report(report: object, path: Path | None) -> None:
    """Print numbers as one line of JSON, the last one; write them to a file as well if one is named."""
    if path:
        path.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(json.dumps(report))


def as_json(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers only: a figure is its median, with its spread beside it."""
    flat: dict[str, Any] = {"builds": [as_json(built) for built in figures["builds"]]} if "builds" in figures else {}
    for name, figure in figures.items():
        if isinstance(figure, Figure):
            flat |= {
                name: round(figure.median, 4),
                f"{name}, spread": [round(figure.least, 4), round(figure.largest, 4)],
            }
        elif isinstance(figure, float | int):
            flat[name] = round(figure, 4)
    return flat


def add_options(parser: argparse.ArgumentParser) -> None:
    """What can be told."""
    parser.add_argument("--clips", type=int, nargs="+", default=[200, 900], help="sizes of the builds, at least")
    parser.add_argument("--build-rounds", type=int, default=3)
    parser.add_argument("--original-clips", type=int, default=24, help="how many of them (c) converts")
    parser.add_argument("--no-corpus", action="store_true", help="use the project's own sample even where there is one")


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measures and prints; gives what goes into the JSON file."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="video-assets-bench-") as folder:
        measure_all = partial(run, options.clips, options.build_rounds, options.original_clips, Path(folder))
        figures = measure_all(use_corpus=not options.no_corpus)
    show(figures)
    return as_json(figures)


def main() -> int:
    """Measure, print a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--json", type=Path, help="also write the JSON here")
    options = parser.parse_args()
    print_report(measure(options), options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
