"""Read a source: recognise its dialect, and return the clips that it asks for, how it was read, and what to say of it.

Each dialect says whether it knows the source, and by which files; a source that two of them know is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from video_assets.domain.clips import LeftOut, ListedFile, WantedClip
from video_assets.domain.errors import SettingsError
from video_assets.domain.text import counted, sequence_of
from video_assets.setting_types import SourceFormat
from video_assets.settings import ManifestSettings
from video_assets.sources.annotations import ClipRules, Dialect, Match, clips_of_rows, official_splits
from video_assets.sources.class_names import ClassNames
from video_assets.sources.dialects.activitynet import ACTIVITYNET
from video_assets.sources.dialects.charades import CHARADES
from video_assets.sources.dialects.diving48 import DIVING48
from video_assets.sources.dialects.epic_kitchens import EPIC_KITCHENS
from video_assets.sources.dialects.finegym import FINEGYM
from video_assets.sources.dialects.folders import FILE_NAMES, FolderReading, choose_folders
from video_assets.sources.dialects.hf_videofolder import HF_VIDEOFOLDER
from video_assets.sources.dialects.hmdb51 import HMDB51
from video_assets.sources.dialects.kinetics import KINETICS
from video_assets.sources.dialects.label_studio import LABEL_STUDIO
from video_assets.sources.dialects.lists import MMACTION2, SLOWFAST
from video_assets.sources.dialects.moments import MOMENTS
from video_assets.sources.dialects.table import TABLE
from video_assets.sources.dialects.twentybn import JESTER, SOMETHING_SOMETHING
from video_assets.sources.dialects.ucf101 import UCF101
from video_assets.sources.doubts import num_missing, refuse_ambiguous
from video_assets.sources.file_names import split_of_folder
from video_assets.sources.listing import LINK_OUT, Listing, folders_without_videos
from video_assets.sources.source_clips import WITHOUT_ROW, AnnotatedClips, Reading, SourceClips
from video_assets.sources.summary import classes_of, empty_folder_warnings, row_warnings, source_warnings
from video_assets.sources.tree import SourceTree, class_names_of, is_table, open_tree
from video_assets.sources.unread import say_unread
from video_assets.storage.addresses import is_remote, stat_file

DIALECTS: Final[Sequence[Dialect]] = (
    UCF101,
    HMDB51,
    KINETICS,
    SOMETHING_SOMETHING,
    JESTER,
    ACTIVITYNET,
    CHARADES,
    EPIC_KITCHENS,
    MOMENTS,
    DIVING48,
    FINEGYM,
    LABEL_STUDIO,
    HF_VIDEOFOLDER,
    MMACTION2,
    SLOWFAST,
    TABLE,
)
"""Those whose files have names or columns of their own first: what one knows, a later one does not look at."""


@dataclass(slots=True)
class Annotated:
    """A dialect that knows a source, the files it knows it by, and the clips that they ask for."""

    dialect: Dialect
    match: Match
    clips: AnnotatedClips


def read_annotated(tree: SourceTree, names: ClassNames | None) -> Annotated | None:
    """Return what the annotation files of a source ask for; None if no dialect knows any of them.

    Raises:
        SettingsError: if two dialects know files of it and would give different clips, or the one that
            `manifest.source_format` names knows none.
    """
    matches = _matches(tree)
    if all(dialect is TABLE for dialect, _ in matches):  # another dialect knows which files of the set it needs
        say_unread(tree, is_one_read=bool(matches))
    if not matches:
        return None
    read = [_read(tree, dialect, match, names) for dialect, match in matches]
    first = read[0]
    for other in read[1:]:
        if _told(other.clips) != _told(first.clips):
            raise SettingsError(_two_readings(tree, first, other))
    return first


def _matches(tree: SourceTree) -> list[tuple[Dialect, Match]]:
    """Dialects that know files of the source. Of files that one knows no later one is asked.

    Where the settings name a dialect, it alone counts; it is asked of what the surer ones leave, and of everything if
    it knows none of that.
    """
    wanted = tree.settings.source_format
    all_names = tree.annotations
    found = _matches_of(tree, all_names)
    if wanted == "auto":
        return found
    chosen = [(dialect, match) for dialect, match in found if dialect.name == wanted]
    tree.notes.clear()
    tree.left_out.clear()
    dialect = next(dialect for dialect in DIALECTS if dialect.name == wanted)
    tree.annotations = [*chosen[0][1].files, *chosen[0][1].beside] if chosen else all_names
    match = dialect.recognise(tree)
    tree.annotations = all_names
    if match is None:
        has = sequence_of(list(all_names)) or "no annotation file"
        raise SettingsError(
            f"manifest.source_format is {wanted}, but {tree.source} is not known as {dialect.title}; it holds {has}"
        )
    return [(dialect, match)]


def _matches_of(tree: SourceTree, names: Sequence[str]) -> list[tuple[Dialect, Match]]:
    is_asked_of_all = tree.settings.source_format == "auto"
    found: list[tuple[Dialect, Match]] = []
    for dialect in DIALECTS:
        claimed = {name for _, match in found for name in (*match.files, *match.beside)}
        tree.annotations = [name for name in names if name not in claimed]
        try:
            match = dialect.recognise(tree)
        except SettingsError:
            if is_asked_of_all:
                raise
            match = None  # another one is wanted: what keeps this one from reading does not matter
        if match is not None:
            found.append((dialect, match))
    tree.annotations = names
    return found


def _read(tree: SourceTree, dialect: Dialect, match: Match, names: ClassNames | None) -> Annotated:
    settings = tree.settings
    rules = ClipRules(settings.group_pattern, settings.multi_label, names or match.names)
    found = clips_of_rows(dialect.tables(tree, match), rules)
    found.clips = _with_splits_of_folders(found.clips)
    return Annotated(dialect, match, found)


def _with_splits_of_folders(clips: list[WantedClip]) -> list[WantedClip]:
    """Give clips the splits that their folders are called as, where no annotation gives any and all folders do."""
    if any(clip.official_split for clip in clips):
        return clips
    splits = {
        folder: next((split for part in folder.split("/") if (split := split_of_folder(part))), None)
        for folder in {clip.file.path.rpartition("/")[0] for clip in clips}
    }
    if None in splits.values() or len(set(splits.values())) < 2:
        return clips
    return [replace(clip, official_split=splits[clip.file.path.rpartition("/")[0]]) for clip in clips]


def _told(found: AnnotatedClips) -> set[tuple[str, str, str | None]]:
    return {(clip.clip_id, clip.label, clip.official_split) for clip in found.clips}


def _two_readings(tree: SourceTree, one: Annotated, other: Annotated) -> str:
    readings = [
        f"as {found.dialect.title} by {sequence_of(found.match.files)}, which gives {_counts(found.clips)}"
        for found in (one, other)
    ]
    formats = f"{one.dialect.name} or {other.dialect.name}"
    decide = f"set manifest.source_format: {formats}" if one.dialect is not other.dialect else "name one with --source"
    return f"{tree.source} can be read {' and '.join(readings)}. {decide}, or name one file with --source"


def _counts(found: AnnotatedClips) -> str:
    num_classes = len({clip.label for clip in found.clips})
    return f"{counted(len(found.clips), 'clip')} of {counted(num_classes, 'class', 'classes')}"


_FOLDER_FORMATS = ("folders", "split_folders", "file_names")
_DEFAULTS = ManifestSettings()


def read_source(source: Path, settings: ManifestSettings = _DEFAULTS) -> SourceClips:
    """The clips that a source asks for, in the order of their names.

    Annotation files are understood before folders are taken for classes. Without any, a folder's first level names the
    classes, or the splits; a folder with videos directly in it and nowhere below is itself one class, named as it is.

    Raises:
        SettingsError: if the source is not there, cannot be read, or can be read in two ways.
    """
    tree = open_tree(source, settings)
    names = class_names_of(tree)
    if settings.source_format not in _FOLDER_FORMATS and not settings.label_pattern:
        annotated = read_annotated(tree, names)
        if annotated is not None:
            return _of_annotations(tree, annotated, names)
    if is_table(source):
        raise SettingsError(_not_understood(tree))
    return _of_folders(tree, names)


def list_source(source: Path, settings: ManifestSettings = _DEFAULTS) -> list[ListedFile]:
    """The files that a source's clips depend on, by size and time only: videos, and annotation files.

    Raises:
        SettingsError: if the source is not there, cannot be read, or can be read in two ways.
    """
    tree = open_tree(source, settings)
    found: dict[str, ListedFile] = {}
    if settings.source_format not in _FOLDER_FORMATS and not settings.label_pattern:
        annotated = read_annotated(tree, class_names_of(tree))
        if annotated is not None:
            found = {clip.file.path: clip.file for clip in annotated.clips.clips}
            for name in (*annotated.match.files, *annotated.match.beside):
                found[name] = tree.files.get(name) or stat_file(tree.folder / name, name)
            return [found[path] for path in sorted(found)]
    if is_table(source):
        raise SettingsError(_not_understood(tree))
    return tree.videos.listing().files


# --- annotations ------------------------------------------------------------------------------------------------------


def _of_annotations(tree: SourceTree, annotated: Annotated, names: ClassNames | None) -> SourceClips:
    found, files = annotated.clips, annotated.match.files
    unlisted = _without_row(tree, found)
    result = _source_clips(tree, found, names)
    result.left_out += tree.left_out
    if tree.listing is not None:
        told = {*files, *annotated.match.beside, *(item.source for item in tree.left_out)}
        result.left_out += [item for item in tree.listing.left_out if item.source not in told]
        result.left_out += [LeftOut(path, WITHOUT_ROW) for path in unlisted if path not in told]
    result.warnings = [
        *tree.notes,
        *row_warnings(found, unlisted, files[0]),
        *result.warnings,
    ]
    result.reading = Reading(
        dialect=annotated.dialect.name,
        title=annotated.dialect.title,
        because=annotated.match.because,
        annotation_files=files,
        num_splits=len(official_splits(found.clips)),
        num_classes=len(classes_of(found.clips, multi_label=tree.settings.multi_label)),
        num_missing=num_missing(result),
        num_without_row=len(unlisted),
    )
    refuse_ambiguous(result)
    return result


def _without_row(tree: SourceTree, found: AnnotatedClips) -> list[str]:
    """Videos that no row names: of a table whose folder was not listed, none is known."""
    if not tree.videos.is_listed:
        return []
    named = {clip.file.path for clip in found.clips}
    named.update(item.source for item in (*found.lost, *found.left_out, *tree.left_out))
    return [file.path for file in tree.videos.listing().files if file.path not in named]


def _source_clips(tree: SourceTree, found: AnnotatedClips, names: ClassNames | None) -> SourceClips:
    clips = sorted(found.clips, key=lambda clip: (clip.clip_id, clip.label))
    order = names.order if names else ()
    listing = tree.listing if tree.videos.directory == tree.folder else None
    if listing is None and tree.videos.is_listed:
        listing = tree.videos.listing()
    if listing is None:
        listing = Listing(num_followed_links=tree.videos.num_followed_links)
    if not clips and not found.lost:
        _refuse_links(listing, tree)
    warnings = source_warnings(clips, listing, order, tree.settings, str(tree.source))
    return SourceClips(
        tree.videos.directory,
        clips,
        found.lost,
        found.left_out,
        warnings=[*found.warnings, *warnings],
        doubts=[*tree.doubts, *found.doubts],
        class_order=order,
    )


def _refuse_links(listing: Listing, tree: SourceTree) -> None:
    """Say why there is nothing where all files are links that are not followed."""
    links = [item.source for item in listing.left_out if item.reason == LINK_OUT]
    if links:
        raise SettingsError(
            f"{tree.source} holds no video but {len(links)} symbolic links that lead out of it, such as {links[0]} (a "
            "cache of Hugging Face, DVC or git-annex looks so); manifest.follow_links: true takes what they lead to"
        )


def _not_understood(tree: SourceTree) -> str:
    return (
        f"the source {tree.source} is in no form that is known; name its folder, or an annotation table whose first "
        "line names the columns, such as path,label"
    )


# --- folders ----------------------------------------------------------------------------------------------------------


def _of_folders(tree: SourceTree, names: ClassNames | None) -> SourceClips:
    settings, listing = tree.settings, tree.videos.listing()
    directory = tree.videos.directory
    reading = FILE_NAMES if _by_names(settings) else choose_folders(listing, str(directory), settings.source_format)
    own_name = directory.name if is_remote(directory) else directory.resolve().name
    found = reading.read(listing, settings, own_name)
    found.lost = [*listing.lost, *found.lost]
    told = {item.source for item in tree.left_out}
    found.left_out = [*(item for item in listing.left_out if item.source not in told), *tree.left_out, *found.left_out]
    result = _source_clips(tree, found, names)
    depth = 1 if reading.name == "split_folders" else 0
    empty = folders_without_videos(listing, depth) if reading is not FILE_NAMES else []
    result.warnings = [*tree.notes, *empty_folder_warnings(empty), *result.warnings]
    result.reading = _reading_of_folders(reading, result, settings)
    return result


def _by_names(settings: ManifestSettings) -> bool:
    return bool(settings.label_pattern) or settings.source_format == "file_names"


def _reading_of_folders(reading: FolderReading, found: SourceClips, settings: ManifestSettings) -> Reading:
    name: SourceFormat = reading.name
    return Reading(
        dialect=name,
        title=reading.title,
        because=reading.because,
        num_splits=len(official_splits(found.clips)),
        num_classes=len(classes_of(found.clips, multi_label=settings.multi_label)),
    )
