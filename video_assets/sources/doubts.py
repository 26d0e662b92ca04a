"""When a source is doubted though it could be read: tables left unread, or files that may mean something else."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from video_assets.domain.clips import LeftOut, SourceWarning
from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import in_fixed_order, split_labels
from video_assets.domain.text import counted
from video_assets.settings import ManifestSettings
from video_assets.sources.columns import Columns
from video_assets.sources.file_names import VIDEO_SUFFIXES, split_in_name, suffix_of
from video_assets.sources.found import MISSING_REASON, Doubt, SourceClips, Unread
from video_assets.sources.opening import is_table
from video_assets.sources.tree import SourceTree

_MOST_AMBIGUOUS = 0.5


def refuse_misread(found: SourceClips, settings: ManifestSettings, known_classes: Sequence[str] = ()) -> None:
    """Refuse a source that may have been read wrongly, before anything is written.

    `known_classes` are those of the dataset that it is for; with any the dataset exists, was accepted once, and goes
    on as it is.

    Raises:
        SettingsError: with what was seen and the setting that decides.
    """
    _refuse_doubtful(found, settings, known_classes)
    _refuse_missing(found, settings)
    in_fixed_order(known_classes, found.class_order)


def _refuse_doubtful(found: SourceClips, settings: ManifestSettings, known_classes: Sequence[str]) -> None:
    """Refuse a source for a new dataset that can be read in two ways, or that has one class."""
    if known_classes or not found.clips:
        return
    if found.doubts:
        raise SettingsError(found.doubts[0].sentence)
    multi_label = settings.multi_label
    classes = {name for clip in found.clips for name in split_labels(clip.label, multi_label=multi_label)}
    if len(classes) == 1 and not settings.allow_single_class:
        how = f" {found.reading.sentence}." if found.reading else ""
        raise SettingsError(
            f"all {len(found.clips)} clips of {found.directory} are of one class, {next(iter(classes))}.{how} A "
            "dataset of one class teaches nothing, and mostly means that labels are elsewhere: name the annotation "
            "table with --source, put videos into a folder per class, or set manifest.allow_single_class: true"
        )


def why_empty(source: Path, found: SourceClips, num_known: int = 0) -> str:
    """Return why a source is refused that asks for nothing; empty if it asks for something.

    `num_known` is how many clips the dataset has.
    """
    if found.clips or found.lost:
        return ""
    others = found.left_out
    left_out = known = ""
    if others:
        left_out = f" ({len(others)} entries were left out, such as {others[0].source}: {others[0].reason})"
    remedy = "Put videos into a folder per class, or name a table."
    if num_known:
        known = f" The dataset knows {counted(num_known, 'clip')}; an empty source does not mean that they are gone."
        remedy = "Mount its disk, or put the videos back."
    if is_table(source):
        remedy = "The table has no rows; write one for each clip."
    return f"no videos in the source {source}{left_out}.{known} {remedy}"


def num_missing(found: SourceClips) -> int:
    """Return how many rows name no file."""
    return sum(item.loss.reason == MISSING_REASON for item in found.lost)


def _refuse_missing(found: SourceClips, settings: ManifestSettings) -> None:
    """Refuse a source of which more rows name no file than may.

    Raises:
        SettingsError: with counts, the first such row and the setting.
    """
    missing = [item for item in found.lost if item.loss.reason == MISSING_REASON]
    num_listed = len(found.clips) + len(found.lost)
    if len(missing) > settings.max_missing_fraction * num_listed:
        raise SettingsError(
            f"{len(missing)} of {num_listed} listed clips ({len(missing) / num_listed:.1%}) have no file; at most "
            f"{settings.max_missing_fraction:.1%} may be missing. The first is {missing[0].source}: "
            f"{missing[0].loss.detail}. See where the videos are (manifest.videos), complete them, or raise "
            "manifest.max_missing_fraction"
        )


def refuse_ambiguous(found: SourceClips) -> None:
    """Refuse a source most of whose rows match two files each: then the paths are not understood.

    Raises:
        SettingsError: with the first such row.
    """
    ambiguous = [item for item in found.lost if item.loss.reason == "ambiguous_file"]
    num_listed = len(found.clips) + len(found.lost)
    if len(ambiguous) > _MOST_AMBIGUOUS * num_listed:
        raise SettingsError(
            f"{len(ambiguous)} of {num_listed} listed clips match two files or more. The first: "
            f"{ambiguous[0].loss.detail}. Say with manifest.videos which folder the paths are relative to, leave the "
            "other files out with manifest.include, or write whole paths with endings"
        )


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
