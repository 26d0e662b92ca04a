"""What new shards will take: by the records and the pace of the last build, or by encoding some clips of the plan.

`domain.forecast` says what follows from either for all clips.
"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from video_assets.domain.clips import Loss
from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import FileDamaged
from video_assets.domain.forecast import (
    ExpectedBuild,
    TriedClip,
    expected_record_bytes,
    seconds_per_clip,
    spread_places,
)
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.manifest.manifest_table import read_clip_lengths, stored_frames
from video_assets.pipeline.noted_settings import PinnedSettings
from video_assets.pipeline.plan.plan_table import planned_clips
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.shards.stage import known_timelines
from video_assets.settings import Limits
from video_assets.sources.tree import source_directory
from video_assets.storage.addresses import ask_each, open_address
from video_assets.storage.files import file_status, was_written_after
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.tables import INDEX, MANIFEST, read_table

if TYPE_CHECKING:
    from video_assets.pipeline.shards.encode import TrialJob

_MAX_SHARDS = 50
"""Shards whose times are looked at: those of the highest indices, which are the newest."""
_MAX_TRIED_CLIPS = 64
_MAX_TRIAL_SECONDS = 20.0
"""After so long no further clip is begun."""
_MAX_CLIP_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class LastBuild:
    """What a stored frame took in bytes, and a clip in seconds. None of either where it is not known."""

    version: str
    bytes_per_frame: float | None = None
    seconds_per_clip: float | None = None


def read_last_build(paths: DatasetPaths) -> LastBuild:
    """Return what the committed dataset shows. To be read before its plan is replaced.

    Nothing on disk says how long a build took. But a plan is written before the shards that it adds: what was written
    after it is of the last build, and the shards' times say how fast that was. Where the plan was written once more
    since, or only one shard after it, that is not known.
    """
    pinned = PinnedSettings.of_plan(paths)
    if pinned is None:
        return LastBuild("")
    version_paths, planned = paths.version(pinned.version), file_status(paths.plan)
    try:
        index = read_table(version_paths.index, INDEX, ["shard", "num_frames", "length"])
    except FileDamaged:  # the stage that needs the file reports it
        return LastBuild(pinned.version)
    if index.empty or planned is None:
        return LastBuild(pinned.version)
    return LastBuild(
        pinned.version,
        float(index["length"].sum() / index["num_frames"].sum()),
        _pace(version_paths, index["shard"].value_counts().to_dict(), planned),
    )


def _pace(version_paths: VersionPaths, num_records: dict[str, int], planned: os.stat_result) -> float | None:
    """Return the seconds that a clip of the shards took which were written after the plan."""
    newest = sorted(num_records, key=lambda key: parse_partition_key(key)[1])[-_MAX_SHARDS:]
    files = [version_paths.shard(*parse_partition_key(key)) for key in newest]
    found = zip(newest, ask_each(version_paths.directory, file_status, files), strict=True)
    return seconds_per_clip(
        [(s.st_mtime, num_records[key]) for key, s in found if s is not None and was_written_after(s, planned)]
    )


def expect_build(paths: DatasetPaths, report: PlanReport, last: LastBuild) -> ExpectedBuild:
    """Return what the plan's new shards will take at the rates of the last build.

    Of a first build, and under another encoding, bytes are a rule of thumb, and how long it takes is not known.
    """
    encoding, rows = report.pinned.encoding, report.rows_to_write()
    frames = stored_frames(read_clip_lengths(paths).reindex(rows["clip_id"]), encoding)
    if last.bytes_per_frame is None or last.version != report.pinned.version:
        return ExpectedBuild(sum(expected_record_bytes(encoding, n) for n in frames.tolist()), "rule of thumb", None)
    seconds = None if last.seconds_per_clip is None else len(report.new_rows()) * last.seconds_per_clip
    return ExpectedBuild(float(frames.sum()) * last.bytes_per_frame, "last build", seconds)


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
    paths: DatasetPaths,
    report: PlanReport,
    encodings: Sequence[Encoding],
    limits: Limits,
    max_clips: int = _MAX_TRIED_CLIPS,
) -> "list[TrialJob]":
    """Return a job for each clip to try, of those that the plan puts into new shards; if there is none, of all clips.

    The clips are spread evenly over all of them in the order of codec, frame size and length.
    """
    from video_assets.pipeline.shards.encode import ClipJob, TrialJob

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
    jobs: "Sequence[TrialJob]", make_pool: PoolMaker, num_processes: int, max_seconds: float = _MAX_TRIAL_SECONDS
) -> Trial:
    """Encode the clips in decoding processes; after `max_seconds` no further one is begun, but for the first.

    All jobs have the same encodings.
    """
    from video_assets.pipeline.shards.encode import try_clip

    trial = Trial({encoding: [] for encoding in (jobs[0].encodings if jobs else ())})
    if jobs:
        with make_pool() as pool:
            in_time = _begun_in_time(jobs, time.monotonic() + max_seconds)
            for result in pool.map(try_clip, in_time, window=num_processes):
                trial.add(result.outcome, result.seconds)
    return trial


def _begun_in_time(jobs: "Iterable[TrialJob]", until: float) -> "Iterator[TrialJob]":
    for number, job in enumerate(jobs):
        if number and time.monotonic() > until:
            return
        yield job
