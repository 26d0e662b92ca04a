"""Read a source: the clips that it asks for, how it was read, and what should be said of it."""

from pathlib import Path

from video_assets.domain.clips import LeftOut, ListedFile
from video_assets.domain.errors import SettingsError
from video_assets.settings import ManifestSettings, SourceFormat
from video_assets.sources.annotations import official_splits
from video_assets.sources.class_names import ClassNames
from video_assets.sources.dialects.folders import FILE_NAMES, FolderReading, choose_folders
from video_assets.sources.doubts import num_missing, refuse_ambiguous
from video_assets.sources.found import WITHOUT_ROW, AnnotatedClips, Reading, SourceClips
from video_assets.sources.listing import LINK_OUT, Listing
from video_assets.sources.opening import class_names_of, is_table, open_tree
from video_assets.sources.recognise import Annotated, read_annotated
from video_assets.sources.spoken import (
    classes_of,
    warning_of_unlisted,
    warnings_of_classes,
    warnings_of_links,
    warnings_of_rows,
)
from video_assets.sources.tree import SourceTree
from video_assets.storage.addresses import is_remote, stat_file

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
    where = files[0]
    unlisted = _without_row(tree, found)
    result = _source_clips(tree, found, names)
    result.left_out += tree.left_out
    if tree.listing is not None:
        told = {*files, *annotated.match.beside, *(item.source for item in tree.left_out)}
        result.left_out += [item for item in tree.listing.left_out if item.source not in told]
        result.left_out += [LeftOut(path, WITHOUT_ROW) for path in unlisted if path not in told]
    result.warnings = [
        *tree.notes,
        *warnings_of_rows(found, where),
        *warning_of_unlisted(unlisted, where),
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
    warnings = warnings_of_classes(classes_of(clips, multi_label=tree.settings.multi_label), order)
    listing = tree.listing if tree.videos.directory == tree.folder else None
    if listing is None and tree.videos.is_listed:
        listing = tree.videos.listing()
    if listing is None:
        listing = Listing(num_followed_links=tree.videos.num_followed_links)
    if not clips and not found.lost:
        _refuse_links(listing, tree)
    warnings = [*warnings_of_links(listing, str(tree.source)), *warnings]
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
    result.warnings = [*tree.notes, *result.warnings]
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
