"""Charades: a CSV a split whose column `actions` holds `c092 11.90 21.20;c147 0.00 12.60`: spans in seconds.

`Charades_v1_classes.txt` names the classes, `c000 Holding some clothes` a line. Videos are called `ID.mp4`. One subject
is in one split only. Columns by the set's read-me (Charades.zip), read so by SlowFast and PyTorchVideo.
"""

from collections.abc import Iterator
from typing import Final

from video_assets.domain.clips import LeftOut
from video_assets.domain.splits import Split
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_KEYS: Final = frozenset({"id", "actions", "script", "length"})
_COLUMNS: Final = Columns({"id": "id", "actions": "actions", "group": "subject"}, ("id", "actions"), only_chosen=True)
_CLASSES: Final = r".*classes\.txt"


def recognise(tree: SourceTree) -> Match | None:
    """Return the tables with the columns of Charades."""
    found = [name for name in tree.with_suffix(".csv") if tree.columns(name) >= _KEYS]
    if not found:
        return None
    classes = tree.helper(_CLASSES, found[0])
    return Match(tuple(found), "the columns id, script, actions and length", (classes,) if classes else ())


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return a row for each action."""
    names = _class_names(tree, match)
    found: list[RowTable] = []
    for name in match.files:
        split = split_in_name(name)
        found.append(RowTable(name, _rows(tree, name, split, names), tree.exact, split, "action"))
    return found


def _class_names(tree: SourceTree, match: Match) -> dict[str, str]:
    names: dict[str, str] = {}
    for name in match.beside:
        for line in tree.lines(name):
            code, _, text = line.strip().partition(" ")
            names[code] = text.strip()
    return names


def _rows(tree: SourceTree, name: str, split: Split | None, names: dict[str, str]) -> Iterator[Row]:
    for row in tree.rows(name, _COLUMNS):
        video = str(row.get("id") or "").strip()
        actions = str(row.get("actions") or "").strip()
        placed: dict[str, object] = {"group": row.get("group")}
        tree.place(placed, [video], split)
        if not actions:
            tree.left_out.append(LeftOut(str(placed["path"]), f"{name} has no action of it"))
        for action in actions.split(";") if actions else ():
            code, start, end = (*action.split(), "", "", "")[:3]
            yield {**placed, "label": names.get(code, code), "start": start, "end": end}


CHARADES: Final = Dialect("charades", "Charades annotations", recognise, tables)
