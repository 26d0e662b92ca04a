"""Encode some clips of a plan to see what that costs. `domain.forecast` says what follows from it for all clips."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from video_assets.domain.clips import Loss
from video_assets.domain.encoding import Encoding
from video_assets.domain.forecast import TriedClip, spread_places
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.plan.table import planned_clips
from video_assets.pipeline.shards.encode import ClipJob, TrialJob, try_clip
from video_assets.pipeline.shards.stage import known_timelines
from video_assets.settings import Limits
from video_assets.sources.opening import source_directory
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST
from video_assets.storage.tables import read_table

MAX_CLIPS = 64
MAX_SECONDS = 20.0
"""After so long no further clip is begun."""
_MAX_CLIP_SECONDS = 40.0


@dataclass(slots=True)
class Trial:
    """What the tried clips took under each encoding, how many of them could be stored, and how long the trial took."""

    clips: dict[Encoding, list[TriedClip]]
    num_stored: int = 0
    seconds: float = 0.0
    _begun: float = field(default_factory=time.monotonic)

    def add(self, outcome: tuple[TriedClip, ...] | Loss, seconds: float) -> None:
        """Add what a job gave; a clip that is lost has cost its time under every encoding."""
        if isinstance(outcome, Loss):
            lost = TriedClip(num_frames=0, num_bytes=0, seconds=seconds, core_seconds=seconds)
            outcome = (lost,) * len(self.clips)
        else:
            self.num_stored += 1
        for tried, clip in zip(self.clips.values(), outcome, strict=True):
            tried.append(clip)
        self.seconds = time.monotonic() - self._begun


def trial_limits(limits: Limits) -> Limits:
    """Return the limits of a trial's own pool, in which no clip may take longer than the trial should."""
    return replace(limits, clip_seconds=min(limits.clip_seconds, _MAX_CLIP_SECONDS))


def trial_jobs(
    paths: DatasetPaths, report: PlanReport, encodings: Sequence[Encoding], limits: Limits, max_clips: int = MAX_CLIPS
) -> list[TrialJob]:
    """Return a job for each clip to try, of those that the plan puts into new shards; if there is none, of all clips.

    The clips are spread evenly over all of them in the order of codec, frame size and length.
    """
    new = report.new_rows()
    rows = report.rows if new.empty else new
    codecs = read_table(paths.manifest, MANIFEST, ["clip_id", "codec"]).set_index("clip_id")["codec"]
    ordered = rows.assign(codec=codecs.reindex(rows["clip_id"]).to_numpy())
    ordered = ordered.sort_values(["codec", "num_pixels", "num_frames", "clip_id"])
    picked = ordered.iloc[spread_places(len(ordered), max_clips)]
    clips, directory = list(planned_clips(picked)), source_directory(open_address(report.pinned.source))
    known = known_timelines(paths, clips)
    files = zip(picked["path"].tolist(), picked["size_bytes"].tolist(), picked["mtime_ns"].tolist(), strict=True)
    return [
        TrialJob(
            # Its videos were hashed by this very run.
            ClipJob(directory / file[0], *file[1:], clip, encodings[0], limits, known.get(file), hashed_ns=sys.maxsize),
            tuple(encodings),
        )
        for clip, file in zip(clips, files, strict=True)
    ]


def try_clips(
    jobs: Sequence[TrialJob], make_pool: PoolMaker, num_processes: int, max_seconds: float = MAX_SECONDS
) -> Trial:
    """Encode the clips in decoding processes; after `max_seconds` no further one is begun, but for the first.

    All jobs have the same encodings.
    """
    trial = Trial({encoding: [] for encoding in (jobs[0].encodings if jobs else ())})
    if jobs:
        with make_pool() as pool:
            in_time = _begun_in_time(jobs, time.monotonic() + max_seconds)
            for result in pool.map(try_clip, in_time, window=num_processes):
                trial.add(result.outcome, result.seconds)
    return trial


def _begun_in_time(jobs: Iterable[TrialJob], until: float) -> Iterator[TrialJob]:
    for number, job in enumerate(jobs):
        if number and time.monotonic() > until:
            return
        yield job
