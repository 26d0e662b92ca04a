"""Moments in Time: `trainingSet.csv` and `validationSet.csv` without a header.

Each line is `class/file.mp4,class,votes for,votes against`; the files lie below `training/` and `validation/`, and
`moments_categories.txt` numbers the classes. Form by the set's own README.txt and MMAction2's
`tools/data/parse_file_list.py`. Multi-Moments, whose lines have numbers of several classes, is read with
`manifest.multi_label`.
"""

import csv
from collections.abc import Iterator
from typing import Final

from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.class_names import ClassNames, parse_class_names
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_LIST: Final = r"(?:training|validation)set.*\.csv"
_CATEGORIES: Final = r"(?:m?moments|mmit)?_?categories\.txt"


def recognise(tree: SourceTree) -> Match | None:
    """Return the lists that are called as those of Moments in Time."""
    found = tree.named(_LIST)
    if not found:
        return None
    categories = tree.helper(_CATEGORIES, found[0])
    names: ClassNames | None = None
    if categories and tree.settings.multi_label:
        names = parse_class_names(tree.text(categories), categories)
    beside = (categories,) if categories else ()
    return Match(tuple(found), "lists are called trainingSet.csv and validationSet.csv", beside, names)


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list."""
    found: list[RowTable] = []
    for name in match.files:
        rows = list(_rows(tree, name))
        finder = tree.finder(name, [str(row["path"]) for row in rows[:100]])
        found.append(RowTable(name, rows, finder.find, split_in_name(name), "line"))
    return found


def _rows(tree: SourceTree, name: str) -> Iterator[Row]:
    for values in csv.reader(tree.lines(name)):
        path, *others = [value.strip() for value in values]
        if others and others[0].isdigit() and tree.settings.multi_label:
            yield {"path": path, "label": "|".join(others)}
        else:
            yield {"path": path, "label": others[0] if others else path.partition("/")[0]}


MOMENTS: Final = Dialect("moments", "Moments in Time lists", recognise, tables)
