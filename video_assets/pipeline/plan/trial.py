"""Encode some clips of a plan to see what that costs. `domain.forecast` says what follows from it for all clips."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from video_assets.domain.clips import Loss
from video_assets.domain.encoding import Encoding
from video_assets.domain.forecast import TriedClip, spread_places
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.plan.table import planned_clips
from video_assets.pipeline.shards.encode import ClipJob, decode_job, encode_decoded, unchanged_video
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


@dataclass(frozen=True, slots=True)
class TrialJob:
    """A clip to encode under each of some encodings."""

    clip: ClipJob
    encodings: tuple[Encoding, ...]


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


def try_clip(job: TrialJob) -> tuple[TriedClip, ...]:
    """Encode a clip as a build would, and return what it took under each encoding. Runs in a decoding process.

    Encodings that differ in image format or quality alone share one decoding; each counts it as its own.

    Raises:
        VideoLost: if the clip cannot be used.
    """
    found: dict[Encoding, TriedClip] = {}
    clock = _Clock()
    video = unchanged_video(job.clip)
    fetching = clock.read()
    for encodings in _by_frames(job.encodings):
        clock = _Clock()
        decoded = decode_job(replace(job.clip, encoding=encodings[0]), video)
        decoding = clock.read()
        for encoding in encodings:
            clock = _Clock()
            encoded = encode_decoded(replace(job.clip, encoding=encoding), video, decoded)
            seconds, core_seconds = np.sum([fetching, decoding, clock.read()], axis=0).tolist()
            found[encoding] = TriedClip(
                num_frames=encoded.num_frames,
                num_bytes=len(encoded.framed),
                seconds=seconds,
                core_seconds=core_seconds,
            )
    return tuple(found[encoding] for encoding in job.encodings)


class _Clock:
    """Seconds by the clock and of this process since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]


def _by_frames(encodings: Iterable[Encoding]) -> list[list[Encoding]]:
    """Return the encodings in groups that store the same frames."""
    groups: dict[Encoding, list[Encoding]] = {}
    for encoding in dict.fromkeys(encodings):
        frames = encoding.replace(image_format="jpeg", jpeg_quality=100)
        groups.setdefault(frames, []).append(encoding)
    return list(groups.values())
