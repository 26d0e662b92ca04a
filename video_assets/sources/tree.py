"""Open a source, as dialects see it: its annotation files, their beginnings, and its videos."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from video_assets.domain.clips import LeftOut, ListedFile, SourceWarning, VideoLost
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.settings import ManifestSettings
from video_assets.sources.class_names import ClassNames, read_class_names
from video_assets.sources.columns import Columns, plain_name
from video_assets.sources.file_names import ANNOTATION_SUFFIXES, split_in_name, suffix_of
from video_assets.sources.listing import Listing, list_videos
from video_assets.sources.path_finder import PathFinder, relative_folder
from video_assets.sources.source_clips import Doubt, Unread
from video_assets.sources.table_rows import LOSS, Row, read_rows
from video_assets.sources.text_lines import encoding_of, separator_line
from video_assets.sources.videos import Videos, lost, one_of
from video_assets.storage.addresses import is_remote, open_address

_HEAD_BYTES: Final = 1 << 16
_DEEPEST: Final = 4
_MOST_HEADS: Final = 500
"""Files whose beginnings are looked at: a note beside each of a million videos is no table."""
_SEPARATORS: Final = (",", ";", "\t")


@dataclass(slots=True)
class SourceTree:
    """A source before it is read.

    `folder` is what names of annotation files are relative to, `directory` what paths of videos are. `annotations`
    are the names of files that may hold annotations, the uppermost first; `helpers` those that may stand beside a
    file that is itself the source. Dialects add to `notes` and `left_out` what should be said, and to `unread` the
    tables that they cannot read; `doubts` are those about such tables.
    """

    source: Path
    folder: Path
    settings: ManifestSettings
    annotations: Sequence[str]
    helpers: Sequence[str]
    videos: Videos
    listing: Listing | None = None
    files: dict[str, ListedFile] = field(default_factory=dict[str, ListedFile])
    notes: list[SourceWarning] = field(default_factory=list[SourceWarning])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    doubts: list[Doubt] = field(default_factory=list[Doubt])
    unread: dict[str, Unread] = field(default_factory=dict[str, Unread])
    _heads: dict[str, str] = field(default_factory=dict[str, str])
    _columns: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    @property
    def is_one_file(self) -> bool:
        """Whether the source is an annotation file, not a folder."""
        return self.folder != self.source

    # --- files by name and beginning ---

    def named(self, pattern: str) -> list[str]:
        """Return annotation files whose names, without folders, match a pattern in any case."""
        expression = re.compile(pattern, re.IGNORECASE)
        return [name for name in self.annotations if expression.fullmatch(name.rpartition("/")[2])]

    def helper(self, pattern: str, near: str = "") -> str | None:
        """Return the first file beside the annotations that matches, those in the folder of `near` first."""
        expression = re.compile(pattern, re.IGNORECASE)
        found = [name for name in self.helpers if expression.fullmatch(name.rpartition("/")[2])]
        beside = [name for name in found if near and relative_folder(name) == relative_folder(near)]
        return next(iter([*beside, *found]), None)

    def with_suffix(self, *suffixes: str) -> list[str]:
        """Return annotation files of these endings whose beginnings may be looked at."""
        found = [name for name in self.annotations if suffix_of(name) in suffixes and name.count("/") < _DEEPEST]
        return found[:_MOST_HEADS]

    def head(self, name: str) -> str:
        """Return the beginning of a file as text; empty for what is none."""
        if name not in self._heads:
            try:
                with (self.folder / name).open("rb") as file:
                    data = file.read(_HEAD_BYTES)
                self._heads[name] = data.decode(encoding_of(data[:4]), "replace").lstrip("\ufeff")
            except (OSError, UnicodeError):
                self._heads[name] = ""
        return self._heads[name]

    def columns(self, name: str) -> frozenset[str]:
        """Return the names of a table's columns as they are compared; of a table without a header its first values."""
        if name not in self._columns:
            self._columns[name] = frozenset(map(plain_name, self.first_values(name)))
        return self._columns[name]

    def first_values(self, name: str) -> list[str]:
        """Return the names of a table's columns as they are written; of a table without a header its first values.

        They are told by the file's beginning, whatever follows. Empty where nothing can be read.
        """
        suffix = suffix_of(name)
        if suffix == ".parquet":
            return self._parquet_columns(name)
        if suffix in (".json", ".jsonl", ".ndjson"):
            return list(_first_object(self.head(name)))
        return _first_values(self.head(name))

    def _parquet_columns(self, name: str) -> list[str]:
        try:
            with (self.folder / name).open("rb") as file:
                return pq.read_metadata(file).schema.to_arrow_schema().names
        except (OSError, ValueError, pa.ArrowException):
            return []

    def first_object(self, name: str) -> dict[str, Any]:
        """Return the first object of a JSON list by its beginning; empty if it is none, or too long."""
        return _first_object(self.head(name)) if self.head(name).lstrip().startswith("[") else {}

    # --- contents ---

    def rows(self, name: str, columns: Columns) -> Iterator[Row]:
        """Return the rows of a table.

        Raises:
            SettingsError: as `read_rows` does.
        """
        return read_rows(self.folder / name, columns, self.settings)

    def lines(self, name: str) -> list[str]:
        """Return the lines of a text file without their ends and without blank ones.

        Raises:
            SettingsError: if it cannot be read, is no text or larger than a table may be.
        """
        return [line for line in self.text(name).splitlines() if line.strip()]

    def text(self, name: str) -> str:
        """Return a text file's content.

        Raises:
            SettingsError: if it cannot be read, is no text or larger than a table may be.
        """
        limit = self.settings.max_table_bytes
        try:
            with (self.folder / name).open("rb") as file:
                data = file.read(limit + 1)
            if len(data) > limit:
                raise SettingsError(f"{name} is larger than {limit / 1e6:g} MB (manifest.max_table_megabytes)")
            return data.decode(encoding_of(data[:4])).lstrip("\ufeff")
        except UnicodeError as error:
            raise SettingsError(f"{name} is not in UTF-8 ({error}); save it in UTF-8") from None
        except OSError as error:
            raise SettingsError(f"{name} cannot be read: {error.strerror}") from error

    def json(self, name: str) -> Any:
        """Return a JSON file's value.

        Raises:
            SettingsError: if it cannot be read or understood.
        """
        try:
            return json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"{name} is not JSON: {error!s:.200}") from None

    # --- videos of rows ---

    def finder(self, name: str, first_paths: Iterable[str] = ()) -> PathFinder:
        """Return what finds the files of one table's rows, whose first paths are these.

        Where none of them is found relative to the table's folder or the source, the files are looked for anywhere
        below: lists often name files without the folder that they were moved to.
        """
        bases = [""] if self.settings.videos else [relative_folder(name), ""]
        direct = PathFinder(self.videos, bases)
        paths = list(first_paths)
        if not paths or any(is_found(direct.find, path) for path in paths):
            return direct
        return PathFinder(self.videos, bases, anywhere=True)

    def exact(self, path: str, split: Split | None) -> ListedFile:  # noqa: ARG002  (as a finder is called)
        """Return the file of a path that was found already.

        Raises:
            VideoLost: if there is none.
        """
        return self.videos.exact(path)

    def place(self, row: dict[str, object], names: Sequence[str], split: Split | None) -> str:
        """Put the file of the first of these names that there is into a row; return that name, or empty.

        A name that no file has, or two files have, is put down as the row's loss.
        """
        for name in names:
            found = self.videos.named(name)
            if found:
                try:
                    row["path"] = one_of(found, name, split).path
                except VideoLost as error:
                    row["path"], row[LOSS] = name, error.loss
                return name
        shown = names[0] if names else ""
        row["path"] = shown
        row[LOSS] = lost("not_found", f"there is no video {' or '.join(names)}").loss
        return ""


def is_found(find: Callable[[str], ListedFile], path: str) -> bool:
    """Return whether a path of an annotation names a file of the source, or several."""
    try:
        find(path)
    except VideoLost as error:
        return error.loss.reason not in ("not_found", "bad_row", "outside_source")
    return True


def _first_values(head: str) -> list[str]:
    lines = [line for line in head.splitlines() if line.strip()]
    line = next((line for line in lines if not separator_line(line)), "")
    separator = max(_SEPARATORS, key=line.count)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _first_object(head: str) -> dict[str, Any]:
    start = head.find("{")
    try:
        value = json.JSONDecoder().raw_decode(head, start)[0] if start >= 0 else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def splits_of_names(names: Sequence[str]) -> dict[str, Split | None]:
    """Return the split of each file by its name. One file alone, or files of one split, are everything there is.

    >>> splits_of_names(["a/train.csv", "a/val.csv"])
    {'a/train.csv': 'train', 'a/val.csv': 'val'}
    >>> splits_of_names(["train.csv"])
    {'train.csv': None}
    """
    found: dict[str, Split | None] = {name: split_in_name(name) for name in names}
    if len({split for split in found.values() if split}) < 2:
        found = dict.fromkeys(names)
    return found


def is_table(source: Path) -> bool:
    """Whether a source is an annotation file by its name; otherwise it is a folder."""
    return suffix_of(source.name) in ANNOTATION_SUFFIXES and not source.is_dir()


def source_directory(source: Path, videos: str = "") -> Path:
    """The folder that the paths of a source's clips are relative to."""
    folder = source.parent if is_table(source) else source
    if not videos:
        return folder
    place = open_address(videos)
    return place if is_remote(place) or place.is_absolute() else folder / place


def open_tree(source: Path, settings: ManifestSettings) -> SourceTree:
    """Return a source as dialects see it.

    Raises:
        SettingsError: if it is not there or cannot be listed, or `manifest.videos` is no folder.
    """
    if is_table(source):
        return _tree_of_table(source, settings)
    if source.is_file():
        endings = ", ".join(ANNOTATION_SUFFIXES)
        raise SettingsError(f"the source {source} is a file, but none of {endings}")
    listing = list_videos(source, settings.include, follow_links=settings.follow_links)
    names = sorted((file.path for file in listing.annotations), key=lambda path: (path.count("/"), path))
    directory = source_directory(source, settings.videos)
    return SourceTree(
        source,
        source,
        settings,
        names,
        names,
        _videos(directory, settings, None if settings.videos else listing),
        listing,
        {file.path: file for file in listing.annotations},
    )


def _tree_of_table(source: Path, settings: ManifestSettings) -> SourceTree:
    """A source that is one annotation file: those beside it are read for names of classes alone."""
    if not source.is_file():
        raise SettingsError(f"the annotation table {source} is not there")
    folder = source.parent
    beside = sorted(path.name for path in folder.iterdir() if suffix_of(path.name) in ANNOTATION_SUFFIXES)
    directory = source_directory(source, settings.videos)
    return SourceTree(source, folder, settings, [source.name], beside, _videos(directory, settings, None))


def _videos(directory: Path, settings: ManifestSettings, known: Listing | None) -> Videos:
    if settings.videos and not directory.is_dir():
        raise SettingsError(f"manifest.videos is {settings.videos}, but {directory} is not a folder")

    def list_all() -> Listing:
        return list_videos(directory, settings.include, follow_links=settings.follow_links)

    videos = Videos(directory, list_all, follow_links=settings.follow_links, known=known)
    if settings.videos:
        videos.listing()
    return videos


def class_names_of(tree: SourceTree) -> ClassNames | None:
    """Return the classes of `manifest.class_names`; None without the setting.

    Raises:
        SettingsError: if the file is not there or cannot be understood.
    """
    setting = tree.settings.class_names
    if not setting:
        return None
    return read_class_names(place_of_setting(tree.folder, setting), f"manifest.class_names ({setting})")


def place_of_setting(folder: Path, setting: str) -> Path:
    """Return the file that a setting names; a relative one is beside the source, or else where the command runs."""
    place = open_address(setting)
    if is_remote(place) or place.is_absolute():
        return place
    beside = folder / place
    return beside if beside.is_file() or not place.is_file() else place
