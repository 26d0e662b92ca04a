"""What new shards will take, judged by the records and the pace of the last build. No clip is encoded for it."""

import os
from dataclasses import dataclass

from video_assets.domain.errors import FileDamaged
from video_assets.domain.forecast import ExpectedBuild, expected_record_bytes, seconds_per_clip
from video_assets.pipeline.noted_settings import PinnedSettings
from video_assets.pipeline.plan.model_windows import read_clip_lengths, stored_frames
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.storage.addresses import ask_each
from video_assets.storage.files import file_status, was_written_after
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.schemas import INDEX
from video_assets.storage.tables import read_table

_MAX_SHARDS = 50
"""Shards whose times are looked at: those of the highest indices, which are the newest."""


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
