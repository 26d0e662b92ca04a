"""How a source would be read, as plain values (for JSON, screens, the card), and the warnings about it."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from video_assets.domain.clips import LostSource, SourceWarning, WantedClip, group_from_path
from video_assets.domain.labels import split_labels
from video_assets.domain.splits import SPLITS
from video_assets.domain.text import counted, sequence_of
from video_assets.setting_types import SourceFormat
from video_assets.settings import UCF101_GROUP_PATTERN, ManifestSettings
from video_assets.sources.file_names import ARCHIVE_SUFFIXES, suffix_of
from video_assets.sources.listing import LINK_OUT, Listing
from video_assets.sources.source_clips import MISSING_REASON, WITHOUT_ROW, AnnotatedClips, Doubt, SourceClips

_LOOKED_AT: Final = 5000
"""Clips whose names are looked at for groups."""
_PEOPLE: Final = "files' names tell who is seen, such as {group} in {path}"
_GROUPS: Final = (
    ("groups_in_names", r"((?i:person|subject|subj|actor|participant|patient|player|driver|user)[_-]?\d+)", _PEOPLE),
    ("groups_in_names", r"S\d{3}C\d{3}(P\d{3})R\d{3}A\d{3}", _PEOPLE),
    ("groups_in_names", r"(?:^|[/_.-])([pPsS]\d{2,3})[_.-]", _PEOPLE),
    (
        "groups_in_names",
        r"(?:^|/)([^/]+)_\d{6}_\d{6}\.[^./]+$",
        "files' names tell what they were cut from, as {path} does",
    ),
    (
        "same_beginnings",
        r"(?:^|/)([A-Za-z]+)[_-][^/]*$",
        "files of several classes begin alike, as with {group} in {path}",
    ),
    ("groups_in_folders", r"^([^/]+/[^/]+)/", "class folders hold folders of several videos each, such as {group}"),
)
"""What may tell clips that belong together: a code, a pattern for `manifest.group_pattern`, and a sentence."""
_UNKNOWN_SPLIT: Final = re.compile(r"the split is ('[^']*')")


def source_warnings(
    clips: Sequence[WantedClip], listing: Listing, names: Sequence[str], settings: ManifestSettings, where: str
) -> list[SourceWarning]:
    """Return what is to be said of any source: of its links, archives, splits, groups and classes.

    `names` are those of `manifest.class_names`, in their order.
    """
    return [
        *_warnings_of_links(listing, where),
        *_warning_of_archives(listing, where),
        *_warnings_of_splits(clips, where),
        *_warnings_of_groups(clips, settings.group_pattern),
        *_warnings_of_classes(classes_of(clips, multi_label=settings.multi_label), names),
    ]


def row_warnings(found: AnnotatedClips, unlisted: Sequence[str], where: str) -> list[SourceWarning]:
    """Return what is to be said of rows: those without a file, those that cannot be used, their splits' words.

    Then of videos that no row names, `unlisted`.
    """
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
    return [*warnings, *_warning_of_unlisted(unlisted, where)]


def _skipped(rows: Sequence[LostSource]) -> str:
    counts = Counter(item.loss.reason for item in rows)
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    return f"{counted(len(rows), 'row')} cannot be used ({reasons}); the first: {rows[0].loss.detail}"


def _warnings_of_links(listing: Listing, where: str) -> list[SourceWarning]:
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


def _warning_of_unlisted(paths: Sequence[str], where: str) -> list[SourceWarning]:
    """Return what is to be said of videos that no row names."""
    if not paths:
        return []
    detail = f"{counted(len(paths), 'video is', 'videos are')} named by no row, such as {paths[0]}"
    return [SourceWarning("files_without_row", where, detail, len(paths))]


def _warning_of_archives(listing: Listing, where: str) -> list[SourceWarning]:
    """Return what is to be said of archives, whose videos nobody sees."""
    archives = [item.source for item in listing.left_out if suffix_of(item.source) in ARCHIVE_SUFFIXES]
    if not archives:
        return []
    detail = f"{counted(len(archives), 'archive is', 'archives are')} not opened, such as {archives[0]}"
    return [SourceWarning("archives", where, f"{detail}; unpack what holds videos", len(archives))]


def empty_folder_warnings(paths: Sequence[str]) -> list[SourceWarning]:
    """Return what is to be said of folders that stand where class folders do, and hold nothing."""
    if not paths:
        return []
    detail = f"{counted(len(paths), 'folder holds', 'folders hold')} no video and {'is' if len(paths) == 1 else 'are'}"
    return [SourceWarning("empty_folders", paths[0], f"{detail} no class: {sequence_of(paths)}", len(paths))]


def _warnings_of_splits(clips: Sequence[WantedClip], where: str) -> list[SourceWarning]:
    """Return what is to be said of official splits of which none is for training."""
    splits = {clip.official_split for clip in clips}
    if not splits or None in splits or "train" in splits:
        return []
    detail = f"all clips are in {' and '.join(sorted(filter(None, splits)))}, and none is left to train on"
    return [SourceWarning("no_train_split", where, detail, len(clips))]


def _warnings_of_groups(clips: Sequence[WantedClip], group_pattern: str) -> list[SourceWarning]:
    """Return how clips without groups seem to belong together: by people in files' names, or by folders in classes.

    Clips of one person in both train and test make a test too easy. Only a pattern that somebody gives makes groups:
    what a number in a name means is a guess.
    """
    if not clips or any(clip.group for clip in clips) or all(clip.official_split for clip in clips):
        return []
    if group_pattern != UCF101_GROUP_PATTERN:
        return []
    first = clips[:_LOOKED_AT]
    for code, pattern, what in _GROUPS:
        found = [(group_from_path(clip.file.path, pattern), clip) for clip in first]
        labels: dict[str, set[str]] = defaultdict(set)
        for group, clip in found:
            if group is not None:
                labels[group].add(clip.label)
        num_found = sum(group is not None for group, _ in found)
        num_mixed = sum(len(names) > 1 for names in labels.values())
        is_told = 1 < len(labels) <= num_found / 2 and (code != "same_beginnings" or 2 * num_mixed >= len(labels) > 2)
        if num_found < 0.9 * len(first) or not is_told:
            continue
        group, clip = next((group, clip) for group, clip in found if group is not None)
        detail = (
            f"{what.format(group=group, path=clip.file.path)}; their clips may come into train and test both. "
            f"manifest.group_pattern: {pattern} keeps together what belongs together"
        )
        return [SourceWarning(code.replace("same_beginnings", "groups_in_names"), clip.file.path, detail, len(labels))]
    return []


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


def _warnings_of_classes(counts: Counter[str], order: Sequence[str]) -> list[SourceWarning]:
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
    joined = [name for name in counts if _are_classes(re.split(r"[|;,]", name), counts)]
    if joined:
        detail = (
            f"labels that join the names of other classes: {sequence_of(sorted(joined))}; if such clips have several "
            "classes, write them with | between and set manifest.multi_label: true"
        )
        warnings.append(SourceWarning("joined_labels", min(joined), detail, sum(counts[name] for name in joined)))
    empty = [name for name in order if name not in counts]
    if empty:
        detail = (
            f"{counted(len(empty), 'class', 'classes')} of manifest.class_names without a clip: {sequence_of(empty)}"
        )
        warnings.append(SourceWarning("classes_without_clips", empty[0], detail, len(empty)))
    return warnings


def _are_classes(parts: Sequence[str], counts: Counter[str]) -> bool:
    return len(parts) > 1 and all(part.strip() in counts for part in parts)


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
