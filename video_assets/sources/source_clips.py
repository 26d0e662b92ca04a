"""What was found in a source: clips, losses, and how they were read."""

from dataclasses import dataclass, field
from pathlib import Path

from video_assets.domain.clips import LeftOut, LostSource, SourceWarning, WantedClip
from video_assets.domain.text import sequence_of
from video_assets.setting_types import SourceFormat

MISSING_REASON = "not_found"
"""The reason of rows without a file, which have a budget of their own."""

WITHOUT_ROW = "no row names it"
"""Why a video of a folder with annotations is left out."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a source may not be what it was read as: one sentence that names both readings and the deciding setting."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a table is not read. `names_files`: its paths may well be those of files, and not numbers or names."""

    why: str
    names_files: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a source was read. `because` says by what the dialect was recognised."""

    dialect: SourceFormat
    title: str
    because: str
    annotation_files: tuple[str, ...] = ()
    num_splits: int = 0
    num_classes: int = 0
    num_missing: int = 0
    num_without_row: int = 0

    @property
    def sentence(self) -> str:
        """What every screen says first.

        >>> Reading(dialect="jester", title="Jester", because="", annotation_files=("a.csv",), num_classes=2).sentence
        'Read as: Jester (a.csv), 2 classes'
        """
        files = f" ({sequence_of(self.annotation_files)})" if self.annotation_files else ""
        parts = [f"Read as: {self.title}{files}"]
        if self.num_splits:
            parts.append(_counted(self.num_splits, "split", "splits"))
        parts.append(_counted(self.num_classes, "class", "classes"))
        if self.num_missing:
            parts.append(f"{_counted(self.num_missing, 'listed clip', 'listed clips')} without a file")
        if self.num_without_row:
            parts.append(f"{_counted(self.num_without_row, 'file', 'files')} without a row")
        return ", ".join(parts)


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


@dataclass(slots=True)
class AnnotatedClips:
    """The clips that annotations ask for, rows that cannot be used, and rows that add nothing to another."""

    clips: list[WantedClip] = field(default_factory=list[WantedClip])
    lost: list[LostSource] = field(default_factory=list[LostSource])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    warnings: list[SourceWarning] = field(default_factory=list[SourceWarning])
    doubts: list[Doubt] = field(default_factory=list[Doubt])


@dataclass(slots=True)
class SourceClips:
    """All that a source asks for; `directory` is what every path is relative to.

    `class_order` is the order that `manifest.class_names` fixes; without the setting it is empty.
    """

    directory: Path
    clips: list[WantedClip]
    lost: list[LostSource] = field(default_factory=list[LostSource])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    reading: Reading | None = None
    warnings: list[SourceWarning] = field(default_factory=list[SourceWarning])
    doubts: list[Doubt] = field(default_factory=list[Doubt])
    class_order: tuple[str, ...] = ()
