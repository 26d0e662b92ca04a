"""What should be said aloud of a source that was read."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from video_assets.domain.clips import LostSource, SourceWarning, WantedClip
from video_assets.domain.labels import split_labels
from video_assets.domain.text import counted, sequence_of
from video_assets.sources.found import MISSING_REASON, AnnotatedClips
from video_assets.sources.listing import LINK_OUT, Listing

_UNKNOWN_SPLIT: Final = re.compile(r"the split is ('[^']*')")


def warnings_of_rows(found: AnnotatedClips, where: str) -> list[SourceWarning]:
    """Return what is to be said of rows: those without a file, those that cannot be used, and their splits' words."""
    missing = [item for item in found.lost if item.loss.reason == MISSING_REASON]
    others = [item for item in found.lost if item.loss.reason != MISSING_REASON]
    warnings: list[SourceWarning] = []
    if missing:
        named = f"{len(missing)} listed clips have no file, such as {missing[0].source}"
        warnings.append(SourceWarning("missing_files", where, named, len(missing)))
    words = Counter(match[1] for item in others if (match := _UNKNOWN_SPLIT.search(item.loss.detail)))
    if words:
        detail = f"words that name no split: {sequence_of(sorted(words))}; train, val and test are known"
        warnings.append(SourceWarning("unknown_split_words", where, detail, sum(words.values())))
    if others:
        warnings.append(SourceWarning("skipped_rows", where, _skipped(others), len(others)))
    return warnings


def _skipped(rows: Sequence[LostSource]) -> str:
    counts = Counter(item.loss.reason for item in rows)
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{counted(len(rows), 'row')} cannot be used ({reasons}); the first: {rows[0].loss.detail}"


def warnings_of_links(listing: Listing, where: str) -> list[SourceWarning]:
    """Return what is to be said of symbolic links that lead out of a source."""
    warnings: list[SourceWarning] = []
    refused = [item.source for item in listing.left_out if item.reason == LINK_OUT]
    if refused:
        detail = (
            f"{counted(len(refused), 'symbolic link leads', 'symbolic links lead')} out of the source, not followed, "
            f"such as {refused[0]}; "
            "manifest.follow_links: true takes what they lead to"
        )
        warnings.append(SourceWarning("refused_links", where, detail, len(refused)))
    if listing.num_followed_links:
        detail = f"{counted(listing.num_followed_links, 'symbolic link')} out of the source followed"
        warnings.append(SourceWarning("followed_links", where, detail, listing.num_followed_links))
    return warnings


def warning_of_unlisted(paths: Sequence[str], where: str) -> list[SourceWarning]:
    """Return what is to be said of videos that no row names."""
    if not paths:
        return []
    detail = f"{counted(len(paths), 'video is', 'videos are')} named by no row, such as {paths[0]}"
    return [SourceWarning("files_without_row", where, detail, len(paths))]


def classes_of(clips: Sequence[WantedClip], *, multi_label: bool) -> Counter[str]:
    """Return how many clips each class has."""
    labels = Counter(clip.label for clip in clips)
    if not multi_label:
        return labels
    counts: Counter[str] = Counter()
    for label, count in labels.items():
        for name in split_labels(label, multi_label=True):
            counts[name] += count
    return counts


def warnings_of_classes(counts: Counter[str], order: Sequence[str]) -> list[SourceWarning]:
    """Return what is to be said of names: nearly equal ones, and those of `manifest.class_names` without clips."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        alike[_without_style(name)].append(name)
    warnings = [
        SourceWarning(
            "near_equal_classes",
            min(names),
            f"classes that differ in spelling alone: {sequence_of(sorted(names))}; name them alike if they are one",
            sum(counts[name] for name in names),
        )
        for _, names in sorted(alike.items())
        if len(names) > 1
    ]
    empty = [name for name in order if name not in counts]
    if empty:
        detail = (
            f"{counted(len(empty), 'class', 'classes')} of manifest.class_names without a clip: {sequence_of(empty)}"
        )
        warnings.append(SourceWarning("classes_without_clips", empty[0], detail, len(empty)))
    return warnings


def _without_style(name: str) -> str:
    """A name without what people write in different ways: case, blanks, dashes, a number's decimals."""
    text = re.sub(r"[\s_\-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
    try:
        return f"{float(text):g}" if re.fullmatch(r"\d+(\.\d+)?", text) else text
    except OverflowError:
        return text
