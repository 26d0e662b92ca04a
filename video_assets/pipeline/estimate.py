"""What a planned build will take in bytes and time: some of its clips are really encoded."""

import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.build_time import ShardRun, Workers, build_core_seconds, build_seconds
from video_assets.domain.encoding import Encoding
from video_assets.domain.estimates import (
    ClipSizes,
    Floats,
    choose_trial,
    expected_record_bytes,
    expected_seconds,
    extrapolate,
    merged_strata,
    relative_error,
)
from video_assets.domain.limits import Limits
from video_assets.domain.sampling import num_stored_frames
from video_assets.media.pool import PoolMaker
from video_assets.pipeline.fit import clip_lengths
from video_assets.pipeline.plan import PlanReport
from video_assets.pipeline.read_plan import partition_keys
from video_assets.pipeline.shard_runs import compared_clips, shard_runs, shards_of
from video_assets.pipeline.trial_clips import TrialSettings, Tried, trial_jobs, try_clips
from video_assets.sources.opening import source_directory
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST
from video_assets.storage.tables import read_table

_CANDIDATES = 20_000
"""Of the plan's first clips the tried ones are taken; a plan mixes its clips by a hash."""
_REFERENCE_SECONDS = 0.19
_REFERENCE_MODULES = (
    "asyncio, email.mime.text, http.server, json, logging.config, multiprocessing.pool, sqlite3, unittest.mock, "
    "urllib.request, xml.dom.minidom"
)
_MAX_TRIED_IN_A_RUN, _MAX_SECONDS_IN_A_RUN = 16, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a build under one encoding will take.

    `seconds` are by the clock and do not count listing and probing; `bytes_error` is the standard error of
    `num_bytes`, as a share of it, that comes from having tried some clips and not all.
    """

    encoding: Encoding
    num_clips: int
    num_bytes: float
    bytes_error: float
    seconds: float
    core_seconds: float


@dataclass(frozen=True, slots=True)
class Slowness:
    """How many times longer than on the machine of `domain.build_time` this one takes, by its clock and of its core."""

    clock: float
    core: float

    @classmethod
    def measure(cls) -> "Slowness":
        """Starts Python once more, with some of its own modules: most of what a build costs is of that kind.

        Arithmetic on a few numbers would say too much of a fast core: it waits neither for memory nor for the system.
        """
        clock, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-I", "-c", f"import {_REFERENCE_MODULES}"], check=True)
        clock, after = time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN)
        core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return cls(clock / _REFERENCE_SECONDS, core / _REFERENCE_SECONDS)


@dataclass(frozen=True)
class BuildTrial:
    """A trial that was made; it can say what any of its encodings will take."""

    rows: pd.DataFrame
    sizes: Mapping[Encoding, ClipSizes]
    strata: NDArray[np.int64]
    tried: Tried
    settings: TrialSettings
    slowness: Slowness
    seconds: float

    @property
    def num_tried(self) -> int:
        """Clips that were encoded."""
        return len(self.tried.rows)

    def estimate(self, encoding: Encoding, shards: Sequence[NDArray[np.int64]]) -> Estimate:
        """What building these shards, each given by its row numbers, will take."""
        number = list(self.sizes).index(encoding)
        costs = [result.costs[number] for result in self.tried.results]
        sizes = self.sizes[encoding]
        members = np.concatenate(shards) if shards else np.zeros(0, np.int64)
        expected = expected_seconds(sizes, encoding)
        by_clock = extrapolate(expected, self.strata, self.tried.rows, [cost.seconds for cost in costs])
        of_core = extrapolate(expected, self.strata, self.tried.rows, [cost.core_seconds for cost in costs])
        expected_bytes = expected_record_bytes(encoding, sizes.stored_frames)
        measured_bytes = [float(cost.num_bytes) for cost in costs]
        num_bytes = extrapolate(expected_bytes, self.strata, self.tried.rows, measured_bytes)
        clock_runs = self._runs(encoding, shards, by_clock, self._plain_seconds(sizes, of_core=False))
        core_runs = self._runs(encoding, shards, of_core, self._plain_seconds(sizes, of_core=True))
        return Estimate(
            encoding=encoding,
            num_clips=len(members),
            num_bytes=float(num_bytes[members].sum()),
            bytes_error=relative_error(expected_bytes, self.strata, self.tried.rows, measured_bytes),
            seconds=build_seconds(clock_runs, self.settings.workers, self.slowness.clock),
            core_seconds=build_core_seconds(core_runs, self.slowness.core),
        )

    def _plain_seconds(self, sizes: ClipSizes, *, of_core: bool) -> Floats:
        """Seconds to decode each clip's video plainly, (N,)."""
        from video_assets.media.plain import is_decoded_twice

        pixels = sizes.frame_pixels
        found = [(row, r.plain_frame) for row, r in zip(self.tried.rows, self.tried.results, strict=True)]
        known = [(row, cost.core_seconds if of_core else cost.seconds) for row, cost in found if cost is not None]
        frames = self.rows["num_frames"].to_numpy(np.float64)
        expected = frames * (pixels * 1.5e-9 + 2e-5)
        rows = [row for row, _ in known]
        seconds = extrapolate(expected, self.strata, rows, [frames[row] * cost for row, cost in known])
        return seconds * np.where(is_decoded_twice(frames, pixels), 2.0, 1.0)

    def _runs(
        self, encoding: Encoding, shards: Sequence[NDArray[np.int64]], seconds: Floats, plain: Floats
    ) -> list[ShardRun]:
        compared = compared_clips(self.rows, shards, encoding)
        return [
            ShardRun(
                np.concatenate([seconds[shards[number]] for number in run]), [plain[compared[number]] for number in run]
            )
            for run in shard_runs(self.rows, shards)
        ]


def estimate_new_shards(
    paths: DatasetPaths, report: PlanReport, limits: Limits, make_pool: PoolMaker, workers: Workers
) -> Estimate:
    """What the shards that a plan added will take, from trying a fiftieth of their clips, for three seconds at most.

    That is little for a small build, which is over before anybody has read it; `video-assets plan` tries more.

    Where the plan added nothing, nothing is tried.
    """
    rows = report.rows[np.isin(partition_keys(report.rows), report.added)].reset_index(drop=True)
    settings = TrialSettings(
        max_clips=min(_MAX_TRIED_IN_A_RUN, -(-len(rows) // 50)), max_seconds=_MAX_SECONDS_IN_A_RUN, workers=workers
    )
    encoding = report.pinned.encoding
    trial = try_build(paths, report, rows, [encoding], limits, make_pool, settings)
    return trial.estimate(encoding, shards_of(rows, report.added))


def try_build(
    paths: DatasetPaths,
    report: PlanReport,
    rows: pd.DataFrame,
    encodings: Sequence[Encoding],
    limits: Limits,
    make_pool: PoolMaker,
    settings: TrialSettings,
) -> BuildTrial:
    """Encodes some of these rows of a plan under each of the encodings, in decoding processes.

    A clip that cannot be used tells nothing and is passed over: the build will name it.
    """
    begun = time.monotonic()
    rows = rows.reset_index(drop=True)
    slowness = Slowness.measure()
    facts = _clip_facts(paths, rows)
    sizes = {encoding: _sizes(facts, rows, encoding) for encoding in encodings}
    strata = _strata(facts, rows)
    tried = Tried()
    if len(rows):
        decoded = {replace(encoding, jpeg_quality=100): encoding for encoding in encodings}.values()  # once each
        each = [expected_seconds(sizes[encoding], encoding) for encoding in decoded]
        seconds = np.sum(each, axis=0)[:_CANDIDATES] * slowness.core
        names = rows["clip_id"].tolist()[:_CANDIDATES]
        # The cheapest first: what may be given up is what costs most.
        chosen = choose_trial(strata[:_CANDIDATES], seconds, names, max_clips=settings.max_clips)
        directory = source_directory(open_address(report.pinned.source))
        jobs = trial_jobs(directory, rows.iloc[chosen], strata[chosen], tuple(encodings), limits)
        tried = try_clips(chosen, jobs, seconds[chosen].tolist(), make_pool, settings)
    return BuildTrial(rows, sizes, strata, tried, settings, slowness, time.monotonic() - begun)


def _clip_facts(paths: DatasetPaths, rows: pd.DataFrame) -> pd.DataFrame:
    """Of each row: codec, keyframes, whether its index is trusted; frames and duration of its span."""
    columns = ["clip_id", "codec", "num_keyframes", "index_trusted", "num_frames"]
    facts = read_table(paths.manifest, MANIFEST, columns).set_index("clip_id")
    facts = facts.rename(columns={"num_frames": "video_frames"}).join(clip_lengths(paths))
    return facts.reindex(rows["clip_id"]).reset_index(drop=True)


def _sizes(facts: pd.DataFrame, rows: pd.DataFrame, encoding: Encoding) -> ClipSizes:
    frames = facts["num_frames"].to_numpy(np.int64)
    stored = num_stored_frames(encoding, facts["duration_us"].to_numpy(np.int64), frames)
    share = frames / np.maximum(1.0, facts["video_frames"].to_numpy(np.float64))
    return ClipSizes(
        source_frames=frames.astype(np.float64),
        stored_frames=stored.astype(np.float64),
        frame_pixels=rows["num_pixels"].to_numpy(np.float64),
        keyframes=np.maximum(1.0, facts["num_keyframes"].to_numpy(np.float64) * share),
        is_indexed=facts["index_trusted"].to_numpy(dtype=bool),
    )


def _strata(facts: pd.DataFrame, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Kinds of clips that cost alike: codec, whether the index is trusted, pixels of a frame to the power of two."""
    pixels = np.rint(np.log2(np.maximum(1, rows["num_pixels"].to_numpy(np.float64)))).astype(int)
    kinds = zip(facts["codec"].tolist(), facts["index_trusted"].tolist(), pixels.tolist(), strict=True)
    return merged_strata(list(kinds))
