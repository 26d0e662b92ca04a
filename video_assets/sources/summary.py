"""How a source would be read, as plain values: for JSON, for screens, for the card."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from video_assets.domain.clips import SourceWarning, WantedClip
from video_assets.domain.splits import SPLITS
from video_assets.settings import SourceFormat
from video_assets.sources.found import MISSING_REASON, WITHOUT_ROW, Doubt, SourceClips
from video_assets.sources.spoken import classes_of

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
