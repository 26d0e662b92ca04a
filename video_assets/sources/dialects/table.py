"""Tables that people make: CSV and the like, Parquet, JSONL. Each row is a clip, and columns have usual names.

Which names are usual stands in `sources/columns.py`. Several tables make one source; the split is in a column, or in
the files' names.
"""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Final

from video_assets.domain.clips import VideoLost
from video_assets.domain.errors import SettingsError
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns
from video_assets.sources.file_names import TABLE_SUFFIXES, VIDEO_SUFFIXES, suffix_of
from video_assets.sources.found import Unread
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
    try:
        paths = _first_paths(tree, name)
    except SettingsError as error:
        return Unread(str(error))
    if _names_videos(tree, name, paths):
        return None
    names_files = any(suffix_of(path.strip()) in VIDEO_SUFFIXES for path in paths)
    return Unread(f"none of the first {_FIRST} rows of {name} names a video of {tree.source}", names_files)


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
        rows = tree.rows(name, _columns(tree))
        first = list(islice(rows, _FIRST))
        finder = tree.finder(name, [str(row.get("path") or "") for row in first])
        found.append(RowTable(name, chain(first, rows), finder.find, splits[name]))
    return found


TABLE: Final = Dialect("table", "table", recognise, tables)
