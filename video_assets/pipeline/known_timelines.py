"""What probing found of the videos whose spans are encoded, where it spares indexing them once more."""

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from video_assets.domain.errors import FileDamaged
from video_assets.domain.plan import PlannedClip
from video_assets.domain.timeline import KnownTimeline
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST
from video_assets.storage.tables import read_table

_SUFFIXES = frozenset({".mkv", ".webm"})
_COLUMNS = ("path", "size_bytes", "mtime_ns", "start_us", "duration_us", "num_frames", "index_trusted")

KnownVideos = Mapping[tuple[str, int, int], KnownTimeline]
"""By path, size and time of the file."""


def known_timelines(paths: DatasetPaths, clips: Iterable[PlannedClip]) -> KnownVideos:
    """The time lines of Matroska videos with a trusted index of which some of the clips are spans."""
    wanted = {clip.path for clip in clips if clip.is_span and PurePosixPath(clip.path).suffix.lower() in _SUFFIXES}
    if not wanted:
        return {}
    try:
        rows = read_table(paths.manifest, MANIFEST, _COLUMNS)
    except FileDamaged:  # found and mended by those whose work it is; here it costs time only
        return {}
    rows = rows[rows["path"].isin(wanted) & rows["index_trusted"]].drop_duplicates("path")
    columns = (rows[name].tolist() for name in _COLUMNS[:-1])
    return {
        (path, size_bytes, mtime_ns): KnownTimeline(start_us, start_us + duration_us, num_frames)
        for path, size_bytes, mtime_ns, start_us, duration_us, num_frames in zip(*columns, strict=True)
    }
