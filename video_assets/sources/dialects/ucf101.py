"""UCF101: three official splits as lists of `Class/v_Class_g01_c01.avi`.

`trainlist01.txt` to `trainlist03.txt` have the class's number behind each path, `testlist01.txt` to `testlist03.txt`
the path alone; `classInd.txt` numbers the classes from 1. Read so by torchvision's `datasets/ucf101.py` and MMAction2's
`tools/data/parse_file_list.py`. Clips of one group `gNN` of a class were cut from one video (CRCV-TR-12-01, section 2).
"""

import re
from collections.abc import Iterator
from typing import Final

from video_assets.domain.errors import SettingsError
from video_assets.settings import UCF101_GROUP_PATTERN
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.source_clips import Doubt
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree, is_found

_LIST: Final = r"(train|test)list0?(\d)\.txt"
_FIRST: Final = 100
_GROUP: Final = re.compile(UCF101_GROUP_PATTERN)
_LINE: Final = re.compile(r"(.+?)(?:\s+\d+)?\s*")


def recognise(tree: SourceTree) -> Match | None:
    """Return the lists of the chosen split."""
    lists = tree.named(_LIST)
    if not lists:
        return None
    wanted = tree.settings.official_split
    chosen = [name for name in lists if _number(name) == wanted]
    if not chosen:
        numbers = ", ".join(map(str, sorted({_number(name) for name in lists})))
        raise SettingsError(f"manifest.official_split is {wanted}, but the lists of UCF101 here are of {numbers}")
    halves = {name.rpartition("/")[2].lower()[:5] for name in chosen}
    if len(halves) == 1:
        other = "testlist" if halves == {"train"} else "trainlist"
        detail = f"of split {wanted} of UCF101, {chosen[0]} is there, but not {other}{wanted:02d}.txt"
        remedy = "put it beside the other, or set manifest.source_format: folders to leave the lists out"
        tree.doubts.append(Doubt("half_of_split", f"{detail}; {remedy}"))
    beside = [name for name in (*tree.named(r"classInd\.txt"), *lists) if name not in chosen]
    return Match(tuple(chosen), f"trainlist and testlist files are there; split {wanted} is taken", tuple(beside))


def _number(name: str) -> int:
    match = re.search(r"(\d)\.txt$", name)
    return int(match[1]) if match else 0


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list."""
    found: list[RowTable] = []
    for name in match.files:
        split = "train" if name.rpartition("/")[2].lower().startswith("train") else "test"
        rows = list(_rows(tree, name))
        paths = [str(row["path"]) for row in rows[:_FIRST]]
        finder = tree.finder(name, paths)
        if rows and not any(is_found(finder.find, path) for path in paths):  # all videos lie in one folder
            rows = [{**row, "path": str(row["path"]).rpartition("/")[2]} for row in rows]
            finder = tree.finder(name, [str(row["path"]) for row in rows[:_FIRST]])
        found.append(RowTable(name, rows, finder.find, split, "line"))
    return found


def _rows(tree: SourceTree, name: str) -> Iterator[Row]:
    for line in tree.lines(name):
        match = _LINE.fullmatch(line.strip())
        path = (match[1] if match else line).replace("\\", "/")
        row: dict[str, object] = {"path": path, "label": path.rpartition("/")[0].rpartition("/")[2]}
        group = _GROUP.search(path)
        if group and tree.settings.group_pattern == UCF101_GROUP_PATTERN:
            row["group"] = f"{group['class']} g{group['number']}"
        yield row


UCF101: Final = Dialect("ucf101", "UCF101 lists", recognise, tables)
