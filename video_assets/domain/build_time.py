"""How long a whole build takes: what every build costs, its shards, and its clips on so many processes."""

from collections.abc import Sequence
from dataclasses import dataclass

from video_assets.domain.estimates import Floats, pool_seconds

START_SECONDS = 5.0
"""Dagster's import, the runs of `manifest` to `plan` and of `dataset`, with an empty plan. As all constants here:
measured on builds of 4 to 1,000 clips, for a core on which `video_assets.pipeline.plan.forecast.Slowness` is 1."""
POOL_CORE_SECONDS = 1.0
"""Decoding processes start on another core meanwhile."""
KERNELS_SECONDS = 0.5
"""To load TensorFlow's kernels, for the checks of the first run of shards."""
RUN_SECONDS = 0.4
SHARD_SECONDS = 0.25
"""Its checks, before the commit once more, and its events."""
RECORD_SECONDS = 0.0025
"""To read a record back in the checks of its run and before the commit, and to show some of them on the card."""
STORE_SECONDS = 0.003
"""To write a record and read it back, in the building process, while others decode."""


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes decode, on how many cores."""

    num_workers: int
    num_cores: int


@dataclass(frozen=True, slots=True)
class ShardRun:
    """The shards of one run: seconds to encode each clip (N,), and to decode each compared clip of each shard.

    A sample of a shard is decoded plainly once: what the check of its run found is kept for the commit.
    """

    encode_seconds: Floats
    compare_seconds: Sequence[Floats]


def build_seconds(runs: Sequence[ShardRun], workers: Workers, slowness: float) -> float:
    """Seconds by the clock of a build, without listing and probing.

    `slowness` is this machine's, 1 for the one that the constants were measured on; seconds of clips are measured here
    and are not scaled. Records are stored while other clips are decoded.
    """
    busy = min(workers.num_workers, workers.num_cores)
    seconds = START_SECONDS * slowness
    for number, run in enumerate(runs):
        main = len(run.encode_seconds) * STORE_SECONDS * slowness
        encoding = run.encode_seconds
        seconds += max(pool_seconds(encoding, busy), main, (float(encoding.sum()) + main) / workers.num_cores)
        seconds += _checking_seconds(number, run) * slowness
        seconds += sum(pool_seconds(shard, busy) for shard in run.compare_seconds)
    return seconds


def build_core_seconds(runs: Sequence[ShardRun], slowness: float) -> float:
    """The same in seconds of a core, over all processes; the runs' seconds are those of a core too."""
    seconds = (START_SECONDS + POOL_CORE_SECONDS) * slowness
    for number, run in enumerate(runs):
        seconds += (len(run.encode_seconds) * STORE_SECONDS + _checking_seconds(number, run)) * slowness
        seconds += float(run.encode_seconds.sum())
        seconds += sum(float(shard.sum()) for shard in run.compare_seconds)
    return seconds


def _checking_seconds(number: int, run: ShardRun) -> float:
    num_shards, num_clips = len(run.compare_seconds), len(run.encode_seconds)
    loading = KERNELS_SECONDS if number == 0 else 0.0
    return loading + RUN_SECONDS + num_shards * SHARD_SECONDS + num_clips * RECORD_SECONDS
