"""Time, memory, storage and money for 10,000 to 10,000,000 clips on 1 to 1,000 cores: a model fitted to measurements.

python -m tools.benchmarks.scaling                       measures (half an hour on two quiet cores), prints
python -m tools.benchmarks.scaling --figures FILE        prints the model of figures measured before

What is measured here: seconds of a core to probe and to encode a clip, what bookkeeping takes by clip and in memory,
what a run and a shard cost Dagster, requests to a store. Everything beyond the sizes measured is extrapolated, on the
straight lines that the measurements lie on, but for the search for look-alikes, which grows with the square.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.benchmarks import bench_bookkeeping, bench_events, bench_requests
from tools.benchmarks.clips_source import write_clips_source
from video_assets.domain.encoding import Encoding
from video_assets.domain.limits import Limits
from video_assets.domain.plan import PlannedClip

CLIPS = (10_000, 100_000, 1_000_000, 10_000_000)
CORES = (1, 10, 100, 1000)
SHARD_BYTES = 128e6
SHARDS_PER_RUN = 50
HELD_OUT = 0.1
DRIVER_CORES = 8
LATENCY_SECONDS = 0.02
"""Of one request to a store: assumed, not measured; stores in the same region take 10 to 50 ms."""
START_SECONDS, SHARD_SECONDS, RECORD_SECONDS = 5.2, 0.28, 0.0012
"""Of a core: what every build costs, three checks of a shard, and to read a record back through TensorFlow's reader.
Fitted to builds of 4 to 1,000 clips on the machine of docs/scaling-figures.json."""
REQUESTS_AT_ONCE = 32
_ON_THE_DRIVER = ("manifest, first", "splits, first", "plan, first", "commit, all committed")


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. Seconds are those of a core."""

    encode_seconds: float
    probe_seconds: float
    record_bytes: float
    bookkeeping_seconds: float
    """Of each clip, in the stages of a first build and its commit."""
    memory_bytes: Mapping[str, float]
    """Of each clip, by step."""
    pair_seconds: float
    run_seconds: float
    shard_event_seconds: float
    shard_event_bytes: float
    requests: Mapping[str, Sequence[float]]
    """By stage: of a build, of each clip, of each shard."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Hours of a first build. `encoding_hours` go down with cores; all else happens where Dagster runs."""

    num_shards: int
    encoding_hours: float
    probing_hours: float
    bookkeeping_hours: float
    checking_hours: float
    look_alike_hours: float
    request_hours: float
    memory_gb: float
    dataset_gb: float
    event_log_gb: float
    num_requests: float

    @property
    def hours(self) -> float:
        """All of it, one after the other; requests only where the dataset lies in a store."""
        return self.encoding_hours + self.driver_hours

    @property
    def driver_hours(self) -> float:
        """What no further core makes shorter."""
        return self.probing_hours + self.bookkeeping_hours + self.checking_hours + self.look_alike_hours


def predict(figures: Figures, num_clips: int, num_cores: int, *, driver_cores: int = DRIVER_CORES) -> Prediction:
    """A first build of so many clips, whose shards are encoded by so many cores."""
    num_shards = math.ceil(num_clips * figures.record_bytes / SHARD_BYTES)
    held_out = HELD_OUT * num_clips
    # A shard is the unit of work, so no more cores than shards are busy; and the last round is as long as any other.
    rounds = math.ceil(num_shards / num_cores)
    shard_seconds = num_clips / num_shards * figures.encode_seconds
    checking = 2 * (num_clips * RECORD_SECONDS + num_shards * SHARD_SECONDS)
    events = math.ceil(num_shards / SHARDS_PER_RUN) * figures.run_seconds + num_shards * figures.shard_event_seconds
    requests = {name: a + b * num_clips + c * num_shards for name, (a, b, c) in figures.requests.items()}
    # Those of videos and shards are made by the processes that decode, the others by the driver.
    at_once = {"manifest": driver_cores, "shards": min(num_cores, num_shards)}
    waiting = sum(number * LATENCY_SECONDS / at_once.get(name, REQUESTS_AT_ONCE) for name, number in requests.items())
    return Prediction(
        num_shards=num_shards,
        encoding_hours=rounds * shard_seconds / 3600,
        probing_hours=num_clips * figures.probe_seconds / driver_cores / 3600,
        bookkeeping_hours=(START_SECONDS + num_clips * figures.bookkeeping_seconds) / 3600,
        checking_hours=(checking + events) / 3600,
        look_alike_hours=held_out * (num_clips - held_out) * figures.pair_seconds / 3600,
        request_hours=waiting / 3600,
        memory_gb=max(figures.memory_bytes.values()) * num_clips / 1e9,
        dataset_gb=num_clips * figures.record_bytes / 1e9,
        event_log_gb=num_shards * figures.shard_event_bytes / 1e9,
        num_requests=sum(requests.values()),
    )


def fit_bookkeeping(results: Mapping[int, Mapping[str, Mapping[str, float]]]) -> tuple[float, dict[str, float], float]:
    """Seconds a clip of a first build, memory a clip of each step, and seconds a pair of look-alikes.

    Each step's from the two largest sizes at which it was measured.
    """
    seconds, memory = 0.0, dict[str, float]()
    for name in _ON_THE_DRIVER:
        sizes = [n for n in sorted(results) if math.isfinite(results[n].get(name, {}).get("seconds", math.nan))]
        small, large = sizes[-2:]
        span = large - small
        seconds += (results[large][name]["seconds"] - results[small][name]["seconds"]) / span
        memory[name] = (results[large][name]["peak_mb"] - results[small][name]["peak_mb"]) * 1e6 / span
    searched = max(n for n in results if results[n].get("look-alikes", {}).get("seconds"))
    held_out = searched // 10
    pair_seconds = results[searched]["look-alikes"]["seconds"] / (held_out * (searched - held_out))
    return seconds, memory, pair_seconds


def measure_clips(num_clips: int = 120) -> tuple[float, float, float]:
    """Seconds of a core to probe and to encode a clip, and the bytes of its record, under the default encoding."""
    from video_assets.pipeline.manifest.probing import ProbeJob, probe_file
    from video_assets.pipeline.shards.encode import ClipJob, encode_clip
    from video_assets.storage.addresses import stat_file

    with tempfile.TemporaryDirectory(prefix="video-assets-scaling-") as folder:
        paths = write_clips_source(Path(folder) / "clips", num_clips)[:num_clips]
        jobs: list[ClipJob] = []
        begun = time.process_time()
        for path in paths:
            listed = stat_file(path, path.name)
            facts = probe_file(ProbeJob(path.parent, listed, Limits()))
            clip = PlannedClip(path.name, path.name, facts.content_hash, "class", 0)
            jobs.append(ClipJob(path, listed.size_bytes, listed.mtime_ns, clip, Encoding(), Limits()))
        probed = time.process_time()
        num_bytes = sum(len(encode_clip(job).framed) for job in jobs)
        encoded = time.process_time()
    return (probed - begun) / len(jobs), (encoded - probed) / len(jobs), num_bytes / len(jobs)


def measure(sizes: Sequence[int], partitions: Sequence[int]) -> Figures:
    """Measures everything, one after the other."""
    results = bench_bookkeeping.measure_sizes(sizes)
    runs = bench_events.measure(partitions)
    return figures_of(results, runs, bench_requests.measure(), measure_clips())


def figures_of(
    results: Mapping[int, Mapping[str, Mapping[str, float]]],
    runs: Sequence[bench_events.RunCost],
    requests: Mapping[str, Mapping[str, Sequence[float]]],
    clips: tuple[float, float, float],
) -> Figures:
    """The figures of the single benchmarks, put together."""
    seconds, memory, pair_seconds = fit_bookkeeping(results)
    run_seconds, shard_seconds = bench_events.fit_line(runs, "cpu_seconds")
    return Figures(
        probe_seconds=clips[0],
        encode_seconds=clips[1],
        record_bytes=clips[2],
        bookkeeping_seconds=seconds,
        memory_bytes=memory,
        pair_seconds=pair_seconds,
        run_seconds=run_seconds,
        shard_event_seconds=shard_seconds,
        shard_event_bytes=bench_events.fit_line(runs, "event_bytes")[1],
        requests={stage: kinds["all"] for stage, kinds in requests.items() if stage != "commit again"},
    )


def print_model(figures: Figures) -> None:
    """What was measured, and what follows."""
    for name, value in asdict(figures).items():
        print(f"{name}: {value}")
    print(
        f"\nHours of a first build; the driver has {DRIVER_CORES} cores, a request takes {LATENCY_SECONDS * 1e3:.0f} ms"
    )
    columns = ("clips", "shards", *(f"enc@{n}" for n in CORES), "probe", "book", "check", "alike", "request")
    print("".join(f"{name:>11}" for name in (*columns, "memory GB", "data GB", "events GB")))
    for num_clips in CLIPS:
        by_cores = [predict(figures, num_clips, cores) for cores in CORES]
        one = by_cores[-1]
        hours = (one.probing_hours, one.bookkeeping_hours, one.checking_hours, one.look_alike_hours, one.request_hours)
        cells = [f"{num_clips:,}", f"{one.num_shards:,}", *(f"{p.encoding_hours:,.2f}" for p in by_cores)]
        cells += [f"{value:,.2f}" for value in (*hours, one.memory_gb, one.dataset_gb, one.event_log_gb)]
        print("".join(f"{cell:>11}" for cell in cells))


def main() -> None:
    """Measures or reads, and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[10_000, 50_000, 200_000])
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--figures", type=Path, help="figures that an earlier call wrote with --json")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if options.figures:
        figures = Figures(**json.loads(options.figures.read_text("utf-8")))
    else:
        figures = measure(options.clips, options.partitions)
    print_model(figures)
    if options.json:
        options.json.write_text(json.dumps(asdict(figures), indent=1), "utf-8")


if __name__ == "__main__":
    main()
