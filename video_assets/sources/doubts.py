"""When a source is refused though it could be read: doubts, one class alone, rows without files."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import in_fixed_order, split_labels
from video_assets.domain.text import counted, sequence_of
from video_assets.settings import ManifestSettings
from video_assets.sources.file_names import ARCHIVE_SUFFIXES, suffix_of
from video_assets.sources.source_clips import MISSING_REASON, SourceClips
from video_assets.sources.tree import is_table

_MOST_AMBIGUOUS = 0.5
_MANY = 20
"""Clips from which on classes of one clip each are no classes."""


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
    if known_classes:
        return
    if found.doubts:
        raise SettingsError(found.doubts[0].sentence)
    if not found.clips:
        return
    _refuse_lonely(found, settings)
    multi_label = settings.multi_label
    classes = {name for clip in found.clips for name in split_labels(clip.label, multi_label=multi_label)}
    if len(classes) == 1 and not settings.allow_single_class:
        how = f" {found.reading.sentence}." if found.reading else ""
        unusable = [item.loss.detail for item in found.lost if item.loss.reason != MISSING_REASON]
        others = f" {counted(len(unusable), 'other')} cannot be used: {unusable[0]}." if unusable else ""
        raise SettingsError(
            f"all {len(found.clips)} clips of {found.directory} are of one class, {next(iter(classes))}.{how}{others} "
            "A dataset of one class teaches nothing, and mostly means that labels are elsewhere: name the annotation "
            "table with --source, put videos into a folder per class, say with manifest.label_pattern where files' "
            "names tell the class, or set manifest.allow_single_class: true"
        )


def _refuse_lonely(found: SourceClips, settings: ManifestSettings) -> None:
    """Refuse a source nearly each clip of which has a class of its own: then these are names or sizes, no classes."""
    num_classes = len({clip.label for clip in found.clips})
    if settings.source_format != "auto" or len(found.clips) < _MANY or num_classes < 0.9 * len(found.clips):
        return
    how, first = (found.reading.sentence if found.reading else ""), found.clips[0]
    raise SettingsError(
        f"{num_classes} classes have {len(found.clips)} clips, so nearly each clip has one of its own, such as "
        f"{first.label} of {first.file.path}. {how}. Mostly the labels are elsewhere: name the annotation table with "
        "--source, or say with manifest.source_format how it is to be read if these are the classes"
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
    if instead := _pictures_in(found):
        remedy = instead.strip()
    if num_known:
        known = f" The dataset knows {counted(num_known, 'clip')}; an empty source does not mean that they are gone."
        remedy = "Mount its disk, or put the videos back."
    if is_table(source):
        remedy = "The table has no rows; write one for each clip."
    return f"no videos in the source {source}{left_out}.{known} {remedy}"


def num_missing(found: SourceClips) -> int:
    """Return how many rows name no file."""
    return sum(item.loss.reason == MISSING_REASON for item in found.lost)


def why_too_many_unusable(found: SourceClips, settings: ManifestSettings) -> str:
    """Return why a build would be refused for rows and names that cannot be used; empty if few enough are."""
    unusable = [item for item in found.lost if item.loss.reason != MISSING_REASON]
    num_all = len(unusable) + len(found.clips)
    if len(unusable) <= settings.max_failed_fraction * num_all:
        return "" if settings.multi_label else _why_contradicted(found, settings)
    return (
        f"{len(unusable)} of {counted(num_all, 'clip')} cannot be used; at most {settings.max_failed_fraction:.1%} may "
        f"fail (manifest.max_failed_fraction). The first is {unusable[0].source}: {unusable[0].loss.detail}"
    )


def _why_contradicted(found: SourceClips, settings: ManifestSettings) -> str:
    """Return why a build would be refused for clips that rows give several labels; empty if few enough are."""
    labels: dict[str, set[str]] = defaultdict(set)
    for clip in found.clips:
        labels[clip.clip_id].add(clip.label)
    several = {name: sorted(names) for name, names in labels.items() if len(names) > 1}
    if len(several) <= settings.max_failed_fraction * len(labels):
        return ""
    name, names = next(iter(several.items()))
    return (
        f"{len(several)} of {counted(len(labels), 'clip')} have several labels, such as {name}: {sequence_of(names)}. "
        f"Remove the rows or tables that do not count, or write {'|'.join(names)} and set manifest.multi_label: true"
    )


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
            f"{missing[0].loss.detail}.{_pictures_in(found)} See where the videos are "
            "(manifest.videos), complete them, or raise manifest.max_missing_fraction"
        )


_PICTURES: Final = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".ppm"))


def _pictures_in(found: SourceClips) -> str:
    """Say what the source holds in place of videos; empty if it is neither pictures nor archives."""
    for suffixes, what in (
        (_PICTURES, "pictures; extracted frames are not read, take the set's videos or encode the frames as videos"),
        (ARCHIVE_SUFFIXES, "archives; unpack them"),
    ):
        names = [item.source for item in found.left_out if suffix_of(item.source) in suffixes]
        if names and 2 * len(names) >= len(found.left_out):
            return f" The source holds {what} ({names[0]})."
    return ""


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
