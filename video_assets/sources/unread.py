"""Annotation files of a folder that nothing reads: what is said of them, and when that refuses a new dataset."""

import re
from collections.abc import Sequence
from typing import Final

from video_assets.domain.clips import LeftOut, SourceWarning
from video_assets.domain.errors import SettingsError
from video_assets.sources.columns import Columns
from video_assets.sources.folder_names import split_in_name
from video_assets.sources.found import Doubt, Unread
from video_assets.sources.suffixes import VIDEO_SUFFIXES, suffix_of
from video_assets.sources.tree import SourceTree

UNREAD: Final = "unread_table"
"""The code of the warning and of the doubt."""

_USUAL_NAMES: Final = re.compile(r"labels?|annotations?|metadata|clips?|videos?|ground_?truth", re.IGNORECASE)


def say_unread(tree: SourceTree, *, is_one_read: bool) -> None:
    """Put down what is to be said of the files that are not read though they may say which clips there are.

    A table that names clips and labels must not be passed over: the folders would be taken for classes, or half of a
    set would be missing. It refuses a new dataset. One that names videos alone, or has a usual name, is a warning.
    Notes of other programs are nothing. `is_one_read` says that another table of the source is read.
    """
    columns = Columns(tree.settings.columns)
    for name, unread in {**_unknown_json(tree), **tree.unread}.items():
        why = unread.why.rstrip(".")
        if name.rpartition("/")[2] == tree.settings.class_names.rpartition("/")[2]:
            continue
        values = tree.first_values(name)
        if unread.names_files and _is_of_clips(name, values, columns):
            tree.doubts.append(_doubt(why, is_one_read=is_one_read))
        elif not _may_be_of_clips(name, values, columns):
            continue
        short = why.replace(f"{tree.folder}/", "")
        tree.notes.append(SourceWarning(UNREAD, name, f"{short}; the file is not read"))
        tree.left_out.append(LeftOut(name, short))


def _unknown_json(tree: SourceTree) -> dict[str, Unread]:
    """Return JSON files that are called as annotations are, and why they are not read."""
    found: dict[str, Unread] = {}
    for name in filter(_has_usual_name, tree.with_suffix(".json")):
        try:
            tree.json(name)
            found[name] = Unread(f"{name} is JSON of no form that is known", names_files=False)
        except SettingsError as error:
            found[name] = Unread(str(error))
    return found


def _is_of_clips(name: str, values: Sequence[str], columns: Columns) -> bool:
    """Whether a file has paths and labels, or is called so and nothing of it can be read."""
    if columns.has("path", values) and columns.has("label", values):
        return True
    is_list = any(suffix_of(value.strip()) in VIDEO_SUFFIXES for value in values)
    return (is_list and len(values) > 1) or (not values and _has_usual_name(name))


def _may_be_of_clips(name: str, values: Sequence[str], columns: Columns) -> bool:
    if columns.has("path", values) or _has_usual_name(name):
        return True
    return not values and suffix_of(name) != ".txt"


def _has_usual_name(name: str) -> bool:
    """Whether a file is called as annotations are; of a text, `labels` mostly means names of classes."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    is_usual = suffix_of(name) != ".txt" and _USUAL_NAMES.fullmatch(stem) is not None
    return is_usual or split_in_name(name) is not None


def _doubt(why: str, *, is_one_read: bool) -> Doubt:
    folders = "set manifest.source_format: folders (or split_folders), which takes folders for classes"
    remedy = "name the one table that counts with --source" if is_one_read else folders
    return Doubt(UNREAD, f"{why}. Correct it; or, if it does not belong to the set, remove it or {remedy}")
