"""What a source asks for: clips from a folder per class, or from an annotation table."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from video_assets.domain.clips import LeftOut, ListedFile, Loss, LostSource, WantedClip, group_from_path
from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import stored_label
from video_assets.settings import DEFAULT_TABLE_LIMITS, TableLimits
from video_assets.storage.addresses import stat_file
from video_assets.storage.annotations import read_annotations
from video_assets.storage.listing import Listing, list_videos
from video_assets.storage.table_rows import TABLE_SUFFIXES


@dataclass(slots=True)
class SourceClips:
    """All that a source asks for; `directory` is what every path is relative to."""

    directory: Path
    clips: list[WantedClip]
    lost: list[LostSource] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def is_table(source: Path) -> bool:
    """Whether a source is an annotation table by its name; otherwise it is a folder."""
    return source.suffix.lower() in TABLE_SUFFIXES and not source.is_dir()


def source_directory(source: Path) -> Path:
    """The folder that the paths of a source's clips are relative to."""
    return source.parent if is_table(source) else source


def read_source(
    source: Path,
    *,
    include: Sequence[str] = (),
    group_pattern: str = "",
    table_limits: TableLimits = DEFAULT_TABLE_LIMITS,
    multi_label: bool = False,
) -> SourceClips:
    """The clips that a source asks for, in the order of their names.

    A folder's first level names the classes. A folder with videos directly in it and nowhere below is itself
    one class, named as the folder is. With `multi_label` a name may hold several, as a table's label may.

    Raises:
        SettingsError: if the source is not there or cannot be read.
    """
    if is_table(source):
        rows = read_annotations(source, group_pattern, table_limits, multi_label=multi_label)
        clips = sorted(rows.clips, key=lambda clip: (clip.clip_id, clip.label))
        return SourceClips(source.parent, clips, rows.lost, rows.left_out)
    if source.is_file():
        raise SettingsError(f"the source {source} is a file, but none of {', '.join(TABLE_SUFFIXES)}")
    return _clips_of_folder(source, list_videos(source, include), group_pattern, multi_label=multi_label)


def list_source(
    source: Path,
    *,
    include: Sequence[str] = (),
    table_limits: TableLimits = DEFAULT_TABLE_LIMITS,
    multi_label: bool = False,
) -> list[ListedFile]:
    """The files that a source's clips lie in, by size and time only; of a table, also the table itself.

    Raises:
        SettingsError: if the source is not there or cannot be read.
    """
    if not is_table(source):
        return list_videos(source, include).files
    table = stat_file(source, source.name) if source.exists() else None
    rows = read_annotations(source, "", table_limits, multi_label=multi_label)
    found = {clip.file.path: clip.file for clip in rows.clips}
    if table is not None:
        found[source.name] = table
    return [found[path] for path in sorted(found)]


def _clips_of_folder(source: Path, listing: Listing, group_pattern: str, *, multi_label: bool) -> SourceClips:
    has_class_folders = any("/" in file.path for file in listing.files)
    found = SourceClips(source, [], listing.lost, listing.left_out)
    for file in listing.files:
        class_name, separator, _ = file.path.partition("/")
        if not separator and has_class_folders:
            detail = "the video lies beside the class folders; move it into one of them"
            found.lost.append(LostSource(file.path, Loss("no_label", detail)))
            continue
        detail = "the class folder's name is blank; rename it"
        try:
            label = stored_label(class_name if separator else source.resolve().name, multi_label=multi_label)
        except ValueError as error:
            label, detail = "", f"of the class folder's name, {error}; rename it"
        if not label:
            found.lost.append(LostSource(file.path, Loss("no_label", detail)))
            continue
        found.clips.append(WantedClip(file=file, label=label, group=group_from_path(file.path, group_pattern)))
    return found
