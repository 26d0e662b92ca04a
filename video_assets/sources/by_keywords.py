"""`read_source` and `list_source` as the stages call them until they hand over `ReadingOptions`."""

from collections.abc import Sequence
from pathlib import Path

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import SettingsError
from video_assets.settings import DEFAULT_TABLE_LIMITS, TableLimits
from video_assets.sources import read
from video_assets.sources.found import SourceClips
from video_assets.sources.options import ReadingOptions

_TABLE_LIMITS = DEFAULT_TABLE_LIMITS


def read_source(
    source: Path,
    *,
    include: Sequence[str] = (),
    group_pattern: str = "",
    table_limits: TableLimits = _TABLE_LIMITS,
    multi_label: bool = False,
) -> SourceClips:
    """The clips that a source asks for.

    Raises:
        SettingsError: as `read.read_source` does, and for spans in frames, which no stage turns into seconds yet.
    """
    options = ReadingOptions(
        include=tuple(include), group_pattern=group_pattern, table_limits=table_limits, multi_label=multi_label
    )
    found = read.read_source(source, options)
    if any(clip.start_frame is not None or clip.end_frame is not None for clip in found.clips):
        raise SettingsError(f"spans of {source} are in frames, which cannot be built yet; write them in seconds")
    return found


def list_source(
    source: Path,
    *,
    include: Sequence[str] = (),
    table_limits: TableLimits = _TABLE_LIMITS,
    multi_label: bool = False,
) -> list[ListedFile]:
    """The files that a source's clips lie in, by size and time only.

    Raises:
        SettingsError: as `read.list_source` does.
    """
    options = ReadingOptions(include=tuple(include), table_limits=table_limits, multi_label=multi_label)
    return read.list_source(source, options)
