"""List a folder: the videos and annotation files that are there, and what is left out by rule."""

import errno
import fnmatch
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from video_assets.domain.clips import LeftOut, ListedFile, Loss, LostSource
from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.sources.file_names import ANNOTATION_SUFFIXES, VIDEO_SUFFIXES, suffix_of
from video_assets.storage.addresses import is_remote
from video_assets.storage.failures import TOO_MANY_FILES, failure_sentence

NOT_LISTED = "the folder cannot be listed"
NOT_SEEN = "it cannot be looked at"
_TO_NOTHING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


NOT_A_VIDEO = "not a video by its name"
LINK_OUT = "a symbolic link out of the source"
OF_SYSTEM = "a folder of the system"
_OF_SYSTEMS: Final = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"})
"""Folders that systems make beside people's files: copies, thumbnails and what was deleted."""


@dataclass(slots=True)
class Listing:
    """What is in a folder, each in the order of its paths.

    `files` are the videos. `annotations` may tell of them, by their names; they are `left_out` as well. `lost` are
    videos whose names cannot be stored. `empty_folders` hold nothing that can be seen.
    """

    files: list[ListedFile] = field(default_factory=list[ListedFile])
    annotations: list[ListedFile] = field(default_factory=list[ListedFile])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    lost: list[LostSource] = field(default_factory=list[LostSource])
    num_followed_links: int = 0
    empty_folders: list[str] = field(default_factory=list[str])


def list_videos(source: Path, include: Sequence[str] = (), *, follow_links: bool = False) -> Listing:
    """All videos below a folder, at any depth.

    Left out, by name: hidden files and folders, files whose suffix is none of a video's, files that match
    none of the `include` patterns (if any), and symbolic links in a circle, or to nothing. Links that lead out of the
    source are left out too, unless they are to be followed.

    Raises:
        SettingsError: if the source is no folder or cannot be read. An unreadable source is not an empty one.
        StorageFailed: if this process has too many files open to list a folder.
    """
    if is_remote(source):
        return _list_store(source, include)
    if not source.exists():
        raise SettingsError(
            f"the source {source} is not there; mount its disk, or name a folder of videos or an annotation table"
        )
    if not source.is_dir():
        raise SettingsError(f"the source {source} is not a folder; name a folder of videos or an annotation table")
    listing = Listing()
    rules = _Rules(str(source.resolve()), include, follow_links=follow_links)
    for entry, relative in _walk(source, rules, listing):
        _take(entry, relative, rules, listing)
    _sort(listing)
    return listing


def _sort(listing: Listing) -> None:
    listing.files.sort(key=lambda file: file.path)
    listing.annotations.sort(key=lambda file: file.path)
    listing.left_out.sort(key=lambda item: item.source)
    listing.empty_folders.sort()


@dataclass(frozen=True, slots=True)
class _Rules:
    real_source: str
    include: Sequence[str]
    follow_links: bool

    def allows(self, real: str) -> bool:
        """Whether what a link leads to may be taken."""
        return self.follow_links or self.is_within(real)

    def is_within(self, real: str) -> bool:
        """Whether a real path lies in the source."""
        return Path(real).is_relative_to(self.real_source)


def _walk(source: Path, rules: _Rules, listing: Listing) -> Iterator[tuple[os.DirEntry[str], str]]:
    pending: list[tuple[str, str, frozenset[str]]] = [(str(source), "", frozenset({rules.real_source}))]
    while pending:
        directory, prefix, ancestors = pending.pop()
        try:
            with os.scandir(directory) as entries:
                found = list(entries)
        except OSError as error:
            if error.errno in TOO_MANY_FILES:
                raise StorageFailed(failure_sentence(error, Path(directory), "listed")) from error
            if not prefix:
                raise SettingsError(f"the source {source} cannot be listed: {error.strerror}") from error
            listing.left_out.append(LeftOut(printable(prefix), f"{NOT_LISTED}: {error.strerror}"))
            continue
        if prefix and all(entry.name.startswith(".") for entry in found):
            listing.empty_folders.append(printable(prefix.rstrip("/")))
        for entry in found:
            relative = f"{prefix}{entry.name}"
            if entry.name.startswith("."):
                listing.left_out.append(LeftOut(printable(relative), "hidden"))
            elif entry.name.lower() in _OF_SYSTEMS:
                listing.left_out.append(LeftOut(printable(relative), OF_SYSTEM))
            elif not _is_folder(entry):
                yield entry, relative
            elif (real := _real_folder(entry, relative, rules, ancestors, listing)) is not None:
                pending.append((entry.path, f"{relative}/", ancestors | {real}))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself, or through a folder that may not be entered
        return False


def _real_folder(
    entry: os.DirEntry[str], relative: str, rules: _Rules, ancestors: frozenset[str], listing: Listing
) -> str | None:
    """Where a folder really is, or None if a link makes it lead out of the source or in a circle."""
    real = os.path.realpath(entry.path)
    if not entry.is_symlink():
        return real
    if not rules.allows(real):
        listing.left_out.append(LeftOut(printable(relative), LINK_OUT))
        return None
    if real in ancestors:
        listing.left_out.append(LeftOut(printable(relative), "a symbolic link to a folder that holds it"))
        return None
    listing.num_followed_links += not rules.is_within(real)
    return real


def _take(entry: os.DirEntry[str], relative: str, rules: _Rules, listing: Listing) -> None:
    name = printable(relative)
    is_out = entry.is_symlink() and not rules.is_within(os.path.realpath(entry.path))
    if is_out and not rules.follow_links:
        listing.left_out.append(LeftOut(name, LINK_OUT))
        return
    try:
        status = entry.stat()
        is_file = entry.is_file()
    except OSError as error:
        what = "a link to nothing" if error.errno in _TO_NOTHING else NOT_SEEN
        listing.left_out.append(LeftOut(name, f"{what}: {error.strerror}"))
        return
    if not is_file:
        listing.left_out.append(LeftOut(name, "not a file"))
        return
    suffix = suffix_of(relative)
    if name == relative and suffix in ANNOTATION_SUFFIXES:
        listing.annotations.append(ListedFile(relative, status.st_size, status.st_mtime_ns))
    if refusal := _refusal(relative, suffix, rules.include):
        listing.left_out.append(LeftOut(name, refusal))
    elif name != relative:
        detail = "the file's name is not valid UTF-8; rename it to use it"
        listing.lost.append(LostSource(name, Loss("bad_name", detail)))
    else:
        listing.num_followed_links += is_out
        listing.files.append(ListedFile(relative, status.st_size, status.st_mtime_ns))


def _refusal(relative: str, suffix: str, include: Sequence[str]) -> str:
    """Why a file is not taken, by its name; empty if it is."""
    if suffix not in VIDEO_SUFFIXES:
        return NOT_A_VIDEO
    if include and not any(fnmatch.fnmatchcase(relative, pattern) for pattern in include):
        return "matches none of manifest.include"
    return ""


def _list_store(source: Path, include: Sequence[str]) -> Listing:
    """The same of a source in a store. Its names are keys, and a folder is what several keys begin with."""
    from video_assets.storage.object_requests import list_objects

    listing = Listing()
    hidden: set[str] = set()
    of_systems: set[str] = set()
    is_empty = True
    for file in list_objects(source):
        is_empty = False
        parts = file.path.split("/")
        dotted = next((number for number, part in enumerate(parts) if part.startswith(".") and part.strip(".")), None)
        of_system = next((number for number, part in enumerate(parts) if part.lower() in _OF_SYSTEMS), None)
        if dotted is not None:
            hidden.add("/".join(parts[: dotted + 1]))
        elif of_system is not None:
            of_systems.add("/".join(parts[: of_system + 1]))
        elif any(not part.strip(".") for part in parts):
            detail = "an object's name with an empty part, or one of dots alone, is no path; rename it to use it"
            listing.lost.append(LostSource(file.path, Loss("bad_name", detail)))
        else:
            suffix = suffix_of(file.path)
            if suffix in ANNOTATION_SUFFIXES:
                listing.annotations.append(file)
            if refusal := _refusal(file.path, suffix, include):
                listing.left_out.append(LeftOut(file.path, refusal))
            else:
                listing.files.append(file)
    if is_empty:
        raise SettingsError(f"there is nothing at {source}; name a place that holds videos, or an annotation table")
    listing.left_out += [LeftOut(name, "hidden") for name in hidden]
    listing.left_out += [LeftOut(name, OF_SYSTEM) for name in of_systems]
    _sort(listing)
    return listing


def folders_without_videos(listing: Listing, depth: int) -> list[str]:
    """Return folders of one depth that hold neither videos nor annotations; 0 is directly in the source."""

    def folders(paths: Iterable[str]) -> set[str]:
        return {"/".join(path.split("/")[: depth + 1]) for path in paths if path.count("/") > depth}

    others = folders(item.source for item in listing.left_out if item.reason == NOT_A_VIDEO)
    others |= {path for path in listing.empty_folders if path.count("/") == depth}
    return sorted(others - folders(file.path for file in (*listing.files, *listing.annotations)))


def printable(name: str) -> str:
    """A name that can be stored as UTF-8: bytes that are none appear as backslash escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
