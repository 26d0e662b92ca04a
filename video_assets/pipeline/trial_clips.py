"""Encode some clips to see what that costs: as many as a limit of time allows."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.build_time import Workers
from video_assets.domain.encoding import Encoding
from video_assets.domain.estimates import is_affordable
from video_assets.domain.limits import Limits
from video_assets.domain.losses import Loss
from video_assets.media.pool import PoolMaker
from video_assets.pipeline.planned_rows import planned_clips

if TYPE_CHECKING:
    from video_assets.pipeline.trial import TrialJob, TrialResult

_PLAIN_SECONDS = 0.4
"""How long one clip of each kind is decoded plainly to see how fast that is."""
_OVERTIME = 2.0
"""How many times its seconds a trial may take, before what has not come is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSettings:
    """How much a trial may cost, and on what the build will run."""

    max_clips: int
    max_seconds: float
    workers: Workers


@dataclass(slots=True)
class Tried:
    """Row numbers of the clips that were encoded, and what each took; `seconds` are also those of lost clips."""

    rows: list[int] = field(default_factory=list)
    results: "list[TrialResult]" = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def trial_jobs(
    directory: Path,
    picked: pd.DataFrame,
    strata: NDArray[np.int64],
    encodings: tuple[Encoding, ...],
    limits: Limits,
) -> "list[TrialJob]":
    """A job for each picked row; the first of each stratum also shows how fast a plain decode is."""
    from video_assets.pipeline.encode import ClipJob
    from video_assets.pipeline.trial import TrialJob

    firsts = set(np.unique(strata, return_index=True)[1].tolist())
    sizes, times = picked["size_bytes"].tolist(), picked["mtime_ns"].tolist()
    return [
        TrialJob(
            ClipJob(directory / clip.path, size_bytes, mtime_ns, clip, encodings[0], limits),
            encodings,
            _PLAIN_SECONDS if number in firsts else 0.0,
        )
        for number, (clip, size_bytes, mtime_ns) in enumerate(zip(planned_clips(picked), sizes, times, strict=True))
    ]


def try_clips(
    chosen: Sequence[int],
    jobs: "Sequence[TrialJob]",
    expected: Sequence[float],
    make_pool: PoolMaker,
    settings: TrialSettings,
) -> Tried:
    """What the jobs of the chosen rows gave, as many as the time allows; `expected` seconds are those of each job."""
    from video_assets.pipeline.trial import try_clip

    tried = Tried()
    num_workers = settings.workers.num_workers
    until = time.monotonic() + _OVERTIME * settings.max_seconds

    def affordable() -> "Iterator[TrialJob]":
        for number, job in enumerate(jobs):
            if not is_affordable(
                expected[number], expected[:number], tried.seconds, settings.max_seconds * num_workers
            ):
                return
            yield job

    with make_pool() as pool:
        results = pool.map(try_clip, affordable(), window=num_workers)
        for row, result in zip(chosen, results, strict=False):
            tried.seconds.append(result.seconds)
            if not isinstance(result.outcome, Loss):
                tried.rows.append(row)
                tried.results.append(result.outcome)
            if time.monotonic() > until:
                break
        results.close()
    return tried


def with_clip_limit(limits: Limits, settings: TrialSettings) -> Limits:
    """The limits for a pool of a trial's own: no clip of it may take longer than the trial."""
    return replace(limits, clip_seconds=min(limits.clip_seconds, _OVERTIME * settings.max_seconds))
