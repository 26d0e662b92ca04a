"""How a source would be read, as plain values (for JSON, screens, the card), and the warnings about it."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from video_assets.domain.clips import LostSource, SourceWarning, WantedClip
from video_assets.domain.labels import split_labels
from video_assets.domain.splits import SPLITS
from video_assets.domain.text import counted, sequence_of
from video_assets.settings import SourceFormat
from video_assets.sources.found import MISSING_REASON, WITHOUT_ROW, AnnotatedClips, Doubt, SourceClips
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


_SHOWN: Final = 5
_NO_SPLIT: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """What somebody wants to see before a build.

    `classes` and `splits` count clips; a split `none` counts those that no annotation puts anywhere. `examples`,
    `missing` and `without_row` are the first five of each; the numbers are of all.
    """

    read_as: str
    source_format: SourceFormat
    because: str
    annotation_files: tuple[str, ...]
    num_clips: int
    classes: Mapping[str, int]
    splits: Mapping[str, int]
    examples: Sequence[Mapping[str, object]]
    num_missing: int
    missing: Sequence[str]
    num_without_row: int
    without_row: Sequence[str]
    num_lost: int
    warnings: Sequence[SourceWarning]
    doubts: Sequence[Doubt]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON's kinds of values."""
        return asdict(self)


def summarize(found: SourceClips, *, multi_label: bool = False) -> SourceSummary:
    """Return how a source was read. Classes are in the fixed order if there is one, else in that of their names."""
    reading = found.reading
    if reading is None:
        raise ValueError("the clips were not read from a source")
    counts = classes_of(found.clips, multi_label=multi_label)
    splits = Counter(clip.official_split or _NO_SPLIT for clip in found.clips)
    missing = [item.loss.detail for item in found.lost if item.loss.reason == MISSING_REASON]
    return SourceSummary(
        read_as=reading.sentence,
        source_format=reading.dialect,
        because=reading.because,
        annotation_files=reading.annotation_files,
        num_clips=len(found.clips),
        classes={name: counts[name] for name in found.class_order or sorted(counts)},
        splits={name: splits[name] for name in (*SPLITS, _NO_SPLIT) if name in splits},
        examples=[_example(clip) for clip in _spread(found.clips)],
        num_missing=len(missing),
        missing=missing[:_SHOWN],
        num_without_row=reading.num_without_row,
        without_row=[item.source for item in found.left_out if item.reason == WITHOUT_ROW][:_SHOWN],
        num_lost=len(found.lost),
        warnings=tuple(found.warnings),
        doubts=tuple(found.doubts),
    )


def _spread(clips: Sequence[WantedClip]) -> list[WantedClip]:
    """Five clips from all over the source: the first five are mostly of one class."""
    step = max(1, len(clips) // _SHOWN)
    return [*clips[::step]][:_SHOWN]


def _example(clip: WantedClip) -> dict[str, object]:
    row: dict[str, object] = {
        "path": clip.file.path,
        "label": clip.label,
        "split": clip.official_split,
        "start": clip.start_seconds,
        "end": clip.end_seconds,
        "start_frame": clip.start_frame,
        "end_frame": clip.end_frame,
        "group": clip.group,
        "caption": clip.caption,
    }
    return {name: value for name, value in row.items() if value is not None}
