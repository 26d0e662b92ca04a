"""Tables that people make: CSV and the like, Parquet, JSONL. Each row is a clip, and columns have usual names.

Which names are usual stands in `sources/columns.py`. Several tables make one source; the split is in a column, or in
the files' names.
"""

import re
from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

from video_assets.domain.clips import SourceWarning, VideoLost
from video_assets.domain.errors import SettingsError
from video_assets.domain.text import sequence_of
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns, RefusedTable, plain_name
from video_assets.sources.file_names import TABLE_SUFFIXES, VIDEO_SUFFIXES, suffix_of
from video_assets.sources.source_clips import Doubt, Unread
from video_assets.sources.tree import SourceTree, splits_of_names

_FIRST: Final = 100


def recognise(tree: SourceTree) -> Match | None:
    """Return tables whose columns are a path and a label, and whose first rows name videos of the source."""
    if tree.is_one_file:
        found = tree.with_suffix(*TABLE_SUFFIXES)  # whatever its rows name: it was pointed at
        return Match(tuple(found), _because(tree, found)) if found else None
    found: list[str] = []
    tree.unread.clear()
    for name in tree.with_suffix(*TABLE_SUFFIXES):
        unread = _why_unread(tree, name)
        if unread is None:
            found.append(name)
        else:
            tree.unread[name] = unread
    if tree.unread and not found and tree.settings.source_format == "table":
        raise SettingsError(next(iter(tree.unread.values())).why)
    return Match(tuple(found), _because(tree, found)) if found else None


def _why_unread(tree: SourceTree, name: str) -> Unread | None:
    """Return why a table is not read; None if its first rows name videos."""
    if "submission" in name.rpartition("/")[2].lower():
        return Unread(
            f"{name} is called as submissions to a competition are, whose labels are made up", names_files=False
        )
    try:
        paths = _first_paths(tree, name)
    except SettingsError as error:
        return Unread(str(error))
    if _names_videos(tree, name, paths):
        return None
    names_files = any(suffix_of(path.strip()) in VIDEO_SUFFIXES for path in paths)
    first = _why_not_found(tree, name, paths)
    return Unread(f"none of the first {_FIRST} rows of {name} names a video of {tree.source}{first}", names_files)


def _first_paths(tree: SourceTree, name: str) -> list[str]:
    """Return the paths of a table's first rows.

    Raises:
        SettingsError: if it cannot be read as a table of clips.
    """
    return [str(row.get("path") or "") for row in islice(tree.rows(name, _columns(tree)), _FIRST)]


def _names_videos(tree: SourceTree, name: str, paths: Sequence[str]) -> bool:
    finder = tree.finder(name, paths)
    for path in paths:
        try:
            finder.find(path)
        except VideoLost as error:
            if error.loss.reason != "ambiguous_file":
                continue
        return True
    return False


def _why_not_found(tree: SourceTree, name: str, paths: Sequence[str]) -> str:
    try:
        tree.finder(name, paths).find(next(iter(paths), ""))
    except VideoLost as error:
        return f"; of the first, {error.loss.detail}"
    return ""


def _columns(tree: SourceTree) -> Columns:
    return Columns(tree.settings.columns)


def _because(tree: SourceTree, names: Sequence[str]) -> str:
    if tree.settings.columns:
        said = ", ".join(f"{column or 'none'} as {name}" for name, column in sorted(tree.settings.columns.items()))
        return f"manifest.columns says {said}"
    return f"{names[0]} has columns of paths and labels"


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each table."""
    splits = splits_of_names(match.files)
    found: list[RowTable] = []
    for name in match.files:
        _say_unread_columns(tree, name)
        rows = tree.rows(name, _columns(tree))
        first = list(islice(rows, _FIRST))
        finder = tree.finder(name, [str(row.get("path") or "") for row in first])
        found.append(RowTable(name, chain(first, rows), finder.find, splits[name]))
    return found


# --- columns that are not read ----------------------------------------------------------------------------------------

_SPLIT_NAMES: Final = re.compile(r"(?:cv_?|k_?)?folds?|is_?(?:train|test|val)\w*|phase|mode")
_START: Final = re.compile(r"(?:t_?)?(?:start|begin|onset|from)(?:_\w+)?")
_END: Final = re.compile(r"(?:t_?)?(?:end|stop|offset|until)(?:_\w+)?")
_LENGTH: Final = re.compile(r"(?:clip_?)?(?:duration|length)(?:_\w+)?")


def _say_unread_columns(tree: SourceTree, name: str) -> None:
    """Doubt a table whose spans are in columns that are not read, and say which ones may be splits."""
    header, columns = tree.first_values(name), _columns(tree)
    try:
        places = columns.of_header(header)
    except RefusedTable:
        return  # it has no header
    unread = {plain_name(value): value.strip() for place, value in enumerate(header) if place not in places.values()}
    starts, ends, lengths = ([unread[key] for key in unread if form.fullmatch(key)] for form in (_START, _END, _LENGTH))
    has_start, has_end = {"start", "start_frame"} & places.keys(), {"end", "end_frame"} & places.keys()
    chosen = {"start", "end", "start_frame", "end_frame"} & columns.chosen.keys()
    spans = [*starts, *ends] if starts and ends else [*ends, *lengths] if has_start else []
    if spans and not (has_start and has_end) and not chosen:
        detail = (
            f"the columns {sequence_of(spans)} of {name} look like spans of clips, and are not read as such. Put start "
            'and end in seconds into it, name them with manifest.columns, or say with manifest.columns: {end: ""} that '
            "the clips are longer"
        )
        tree.doubts.append(Doubt("unread_columns", detail))
    splits = [value for key, value in unread.items() if _SPLIT_NAMES.fullmatch(key) or "split" in key.split("_")]
    if splits and "split" not in places:
        detail = f"the column {splits[0]} may be the split, and is not read; manifest.columns: {{split: {splits[0]}}}"
        tree.notes.append(SourceWarning("unread_columns", name, f"{detail} takes it, if it says train, val or test"))


TABLE: Final = Dialect("table", "table", recognise, tables)
