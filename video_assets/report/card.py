"""The dataset card: its values, and card.html of a version directory; `card_markdown.py` has README.md.

Neither has a date or a path of this machine: the same dataset has the same card, byte for byte.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.encoding import Encoding
from video_assets.domain.labels import split_labels
from video_assets.domain.statistics import DatasetStatistics
from video_assets.domain.text import counted
from video_assets.report.charts import Bar, Histogram, bar_chart, histogram_chart
from video_assets.report.contact_sheet import SampledClip, jpeg_uri, strip_jpeg
from video_assets.report.escape import visible
from video_assets.report.reader_code import ReaderLines, record_features, record_sentences

MAX_ROWS = 200
"""Rows of a table; the files beside the card have all of them."""
MAX_CLASS_ROWS = 2_000
"""Classes that the page lists and searches."""
STRIPS_OF_CLASS = 6
_STRIP_PX = 96
NO_LICENCE = "none given; say it with dataset.licence"


@dataclass(frozen=True, slots=True)
class SplitTotals:
    """The size of one split."""

    name: str
    records: int
    shards: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: its index, its name and its clips in each split."""

    index: int
    label: str
    clips: Mapping[str, int]

    @property
    def total(self) -> int:
        """Return the clips of all splits."""
        return sum(self.clips.values())


@dataclass(frozen=True, slots=True)
class Change:
    """One kind of change since the last commit: how many clips, and the names of the first ones."""

    what: str
    count: int
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LostRow:
    """One clip of the quarantine."""

    source: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Everything that a card says, except its pictures.

    `durations` are seconds of the clips in their videos; `motion` is the mean change of brightness from one stored
    frame to the next, in grey levels, of a sample of clips. `quarantine` has the first rows, `lost_by_reason` counts
    all. `changes` is None for the first commit. `versions` is the software that wrote the shards. `not_stored` is a
    sentence about what the source has and the layout has no place for, or empty. `read_as` says how the source was
    read, or is empty; `warnings` are sentences about it. `video_facts` counts the videos by what the manifest notes.
    """

    name: str
    version: str
    encoding: Encoding
    splits: Sequence[SplitTotals]
    classes: Sequence[ClassRow]
    durations: Histogram | None
    motion: Histogram | None
    hours: float
    licence: str
    source: str
    digest: str
    versions: Mapping[str, str]
    readers: Sequence[ReaderLines]
    lost_by_reason: Mapping[str, int]
    quarantine: Sequence[LostRow]
    checks: Sequence[CheckOutcome]
    changes: Sequence[Change] | None
    model_fit: Sequence[str] = ()
    statistics: DatasetStatistics | None = None
    recipes: Mapping[str, str] = field(default_factory=dict[str, str])
    not_stored: str = ""
    read_as: str = ""
    warnings: Sequence[str] = ()
    citation: str = ""
    intended_use: str = ""
    newest_video: str = ""
    has_captions: bool = False
    video_facts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def num_clips(self) -> int:
        """Return the records of all splits."""
        return sum(split.records for split in self.splits)

    @property
    def megabytes(self) -> float:
        """Return the size of all shards."""
        return sum(split.num_bytes for split in self.splits) / 1e6


def card_html(card: Card, sampled: Sequence[SampledClip]) -> str:
    """Return the card as one page that needs nothing else: no other file, no network, and no script but its own.

    Pictures are those of `sampled`, by label, at most `STRIPS_OF_CLASS` of each. All texts from outside are escaped.
    """
    strips: dict[str, list[dict[str, Any]]] = {}
    for clip in sampled:
        jpeg, width = strip_jpeg(clip.frames, _STRIP_PX)
        entry = {"clip": clip, "address": jpeg_uri(jpeg), "width": width, "height": _STRIP_PX}
        for name in split_labels(clip.label, multi_label=card.encoding.multi_label):
            if len(strips.setdefault(name, [])) < STRIPS_OF_CLASS:
                strips[name].append(entry)
    names = [split.name for split in card.splits]
    bars = [Bar(row.label, [row.clips.get(name, 0) for name in names]) for row in card.classes]
    script = files("video_assets.report").joinpath("card.js").read_text("utf-8")
    page = _template().render(
        card=card,
        script=Markup(script),  # noqa: S704  (our own file)
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        features=record_features(card.encoding, has_captions=card.has_captions),
        failed=[check for check in card.checks if not check.passed],
        weights=card.statistics.class_weights if card.statistics else {},
        max_class_rows=MAX_CLASS_ROWS,
        strips=strips,
        max_rows=MAX_ROWS,
        records=f"{record_sentences(card.encoding)} {TIMES_NOTE}",
        classes_note=LABEL_SETS_NOTE if card.encoding.multi_label else "",
        licence=card.licence or NO_LICENCE,
        recipes_note=RECIPES_NOTE,
        numbers=statistics_sentences(card.statistics),
        quarantine_sentence=quarantine_sentence(card),
        changes_sentence=changes_sentence(card),
        balance=bar_chart(bars, names, f"Clips of each class in {' and '.join(names)}"),
        durations=card.durations and histogram_chart(card.durations, card.durations.sentence()),
        motion=card.motion and histogram_chart(card.motion, card.motion.sentence()),
    )
    return page + "\n"


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["visible"] = visible
    return environment.from_string(template_text())


def template_text() -> str:
    """Return the page's template."""
    return files("video_assets.report").joinpath("card.html.jinja").read_text("utf-8")


TIMES_NOTE = (
    "Times are those at which the source shows the stored frames, in microseconds on its own time line. index.parquet "
    "says in which shard, and at which byte, each clip lies."
)


LABEL_SETS_NOTE = "A clip may have several labels; it counts for each of them."


def statistics_sentences(statistics: DatasetStatistics | None) -> list[str]:
    """Return the numbers that a trainer needs, in sentences."""
    if statistics is None:
        return []
    found: list[str] = []
    for spread, what in ((statistics.frames, "Stored frames of a clip"), (statistics.seconds, "Seconds of a clip")):
        if spread is not None:
            numbers = f"{spread.min:.4g} to {spread.max:.4g}, median {spread.median:.4g}, mean {spread.mean:.4g}"
            found.append(f"{what}: {numbers}.")
    if levels := statistics.levels:
        mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (levels.mean, levels.std))
        found.append(
            f"Red, green and blue, from 0 to 1: mean {mean}; standard deviation {std}; of {levels.num_frames} training "
            "clips, the middle frame of each."
        )
    return found


MOTION_NOTE = (
    "Motion is how much the brightness of a pixel changes on average from one stored frame to the next, in grey levels "
    "from 0 to 255, at an eighth of the frame's size; of a sample of the clips."
)


RECIPES_NOTE = (
    "A whole recipe for each model. Batch, steps and learning rate follow from the number of clips. Only the place of "
    "the published checkpoint is left to fill in."
)


def quarantine_sentence(card: Card) -> str:
    """Return how many clips were lost and why, in one sentence."""
    if not card.lost_by_reason:
        return "No clip was lost."
    named = ", ".join(f"{count} {reason}" for reason, count in card.lost_by_reason.items())
    total = sum(card.lost_by_reason.values())
    what = counted(total, "clip")
    return f"{what} could not be used ({named}); quarantine.parquet names all.".replace("_", " ")


def changes_sentence(card: Card) -> str:
    """Return whether anything changed, in one sentence."""
    if card.changes is None:
        return "This is the first commit of this version."
    return "Clips that changed:" if card.changes else "No clip changed."
