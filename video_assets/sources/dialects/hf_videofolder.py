"""Hugging Face's VideoFolder with metadata: `metadata.csv`, `.jsonl` or `.parquet` with a column `file_name`.

Paths are relative to the file of metadata, which may stand once at the top or once in each split's folder. Without a
column of labels the class is the folder that a video lies in. Splits are told by folders' names. By the documentation
of datasets, "Create a video dataset", and its `packaged_modules/folder_based_builder`.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns
from video_assets.sources.file_names import split_of_folder
from video_assets.sources.path_finder import relative_folder
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_FILE: Final = r"metadata\.(?:csv|jsonl|parquet)"
_PATHS: Final = ("file_name", "video_file_name")


def recognise(tree: SourceTree) -> Match | None:
    """Return the files of metadata that name files."""
    found = [name for name in tree.named(_FILE) if tree.columns(name) & set(_PATHS)]
    return Match(tuple(found), "metadata files have a column file_name") if found else None


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each file of metadata."""
    found: list[RowTable] = []
    for name in match.files:
        rows = _rows(tree, name)
        first = list(islice(rows, 100))
        finder = tree.finder(name, [str(row.get("path")) for row in first])
        found.append(RowTable(name, chain(first, rows), finder.find, _split_of(relative_folder(name))))
    return found


def _rows(tree: SourceTree, name: str) -> Iterator[Row]:
    path = next(column for column in _PATHS if column in tree.columns(name))
    columns = Columns({"path": path, **tree.settings.columns}, ("path",))
    has_split = _split_of(relative_folder(name)) is not None
    is_checked = False
    for row in tree.rows(name, columns):
        values: dict[str, object] = dict(row)
        folders = str(values.get("path") or "").split("/")[:-1]
        if "label" not in values:
            values["label"] = _label_of(folders, relative_folder(name).split("/"))
            if not values["label"] and not is_checked:
                raise SettingsError(
                    f"{name} has no column that could be the label, and its videos lie in no folder of a class; "
                    "name the column with manifest.columns"
                )
        is_checked = True
        if not has_split and "split" not in values:
            values["split"] = _split_of("/".join(folders))
        yield values


def _split_of(folder: str) -> Split | None:
    return next((split for part in folder.split("/") if (split := split_of_folder(part))), None)


def _label_of(folders: Iterable[str], above: Iterable[str]) -> str:
    """The folder that a video lies in, where it is none of a split or of data."""
    classes = [name for name in folders if name and not split_of_folder(name) and name not in ("data", "videos")]
    outer = [name for name in above if name and not split_of_folder(name) and name not in ("data", "videos")]
    return (classes or outer or [""])[-1]


HF_VIDEOFOLDER: Final = Dialect("hf_videofolder", "Hugging Face VideoFolder", recognise, tables)
