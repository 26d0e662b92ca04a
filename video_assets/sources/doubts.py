"""When a source that could be read is still refused: it may not be what it was read as."""

from collections.abc import Collection
from pathlib import Path

from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import split_labels
from video_assets.domain.text import counted
from video_assets.settings import ManifestSettings
from video_assets.sources.found import MISSING_REASON, SourceClips
from video_assets.sources.opening import is_table

_MOST_AMBIGUOUS = 0.5


def refuse_doubtful(found: SourceClips, settings: ManifestSettings, known_classes: Collection[str] = ()) -> None:
    """Refuse a source for a new dataset that may have been misread.

    `known_classes` are those of the dataset that it is for; with any the dataset exists, was accepted once, and goes
    on as it is.

    Raises:
        SettingsError: with both readings and the setting that decides.
    """
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


def refuse_missing(found: SourceClips, settings: ManifestSettings) -> None:
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
