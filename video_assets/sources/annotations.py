"""Rows of annotations as wanted clips: each is one clip, or lost by name and reason. A dialect gives the rows."""

import datetime as dt
import decimal
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from video_assets.domain.clips import LeftOut, ListedFile, Loss, LostSource, VideoLost, WantedClip, group_from_path
from video_assets.domain.labels import split_labels, stored_label
from video_assets.domain.splits import SPLITS, Split, split_of_word
from video_assets.setting_types import SourceFormat
from video_assets.sources.class_names import ClassNames
from video_assets.sources.columns import parse_frame, parse_seconds
from video_assets.sources.source_clips import AnnotatedClips
from video_assets.sources.table_rows import LOSS, Row
from video_assets.sources.tree import SourceTree
from video_assets.sources.videos import lost

_LONGEST: Final = {"path": 4096, "label": 500, "group": 4096, "caption": 100_000, "split": 100}
"""Characters. Label files are read whole by every reader, and names stand in every report."""
_LONGEST_SET: Final = 10_000
"""Characters of all labels of a clip that may have several."""
_LONGEST_SHOWN: Final = 4096
_NO_NUMBERS: Final = frozenset({"nan", "inf", "+inf", "-inf", "infinity", "-infinity"})
"""What programs write where a number was missing or too large; a class of this name would be their mistake."""


@dataclass(slots=True)
class RowTable:
    """The rows of one table or list, in its order.

    `find` gives the file that the text in `path` means to a row of a split. `split` is that of the file's name, for
    rows that name none. `word` is what one row is called to people.
    """

    name: str
    rows: Iterable[Row]
    find: Callable[[str, Split | None], ListedFile]
    split: Split | None = None
    word: str = "row"


@dataclass(slots=True)
class ClipRules:
    """What is the same for all rows of a source."""

    group_pattern: str = ""
    multi_label: bool = False
    names: ClassNames | None = None
    known_labels: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class _Gathering:
    rules: ClipRules
    annotated: AnnotatedClips = field(default_factory=AnnotatedClips)
    seen: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    numbers: list[int] = field(default_factory=list[int])
    of_table: list[int] = field(default_factory=list[int])
    tables: list[RowTable] = field(default_factory=list[RowTable])
    contradicted: set[int] = field(default_factory=set[int])


def clips_of_rows(tables: Iterable[RowTable], rules: ClipRules) -> AnnotatedClips:
    """Return the clips of all rows of tables, in their order.

    Without a group, the path's name may tell one. With `multi_label` a label may be several, `run|jump`, whose order
    says nothing. A clip that two rows put into different splits or groups is lost: the order of the rows must not
    decide what is tested on.

    Raises:
        SettingsError: if a table cannot be read as a whole, lacks a column, or holds more than the limits allow.
    """
    gathering = _Gathering(rules)
    annotated = gathering.annotated
    for table in tables:
        gathering.tables.append(table)
        for number, row in enumerate(table.rows, start=1):
            try:
                clip = _parse_row(row, table, rules)
            except VideoLost as error:
                where = f"{table.word} {number} of {table.name}"
                loss = Loss(error.loss.reason, f"{where}: {error.loss.detail}")
                annotated.lost.append(LostSource(_storable(row.get("path")), loss, _storable(row.get("label"))))
                continue
            _add(clip, table, number, gathering)
    contradicted = gathering.contradicted
    annotated.clips = [clip for place, clip in enumerate(annotated.clips) if place not in contradicted]
    return annotated


def _add(clip: WantedClip, table: RowTable, number: int, gathering: _Gathering) -> None:
    annotated = gathering.annotated
    place = gathering.seen.setdefault((clip.clip_id, clip.label), len(annotated.clips))
    if place == len(annotated.clips):
        gathering.numbers.append(number)
        gathering.of_table.append(len(gathering.tables) - 1)
        annotated.clips.append(clip)
        return
    earlier, first = annotated.clips[place], gathering.tables[gathering.of_table[place]]
    here = f"{table.word} {number}"
    there = f"{first.word} {gathering.numbers[place]}" + ("" if first is table else f" of {first.name}")
    words = _contradiction(earlier, clip, there, here)
    if words and place not in gathering.contradicted:
        gathering.contradicted.add(place)
        loss = Loss("split_conflict", f"{words} ({table.word}s of {table.name}); correct the table")
        annotated.lost.append(LostSource(clip.clip_id, loss, clip.label))
    elif words:
        detail = f"{here} contradicts {there}, as a {table.word} before it did"
        annotated.left_out.append(LeftOut(clip.clip_id, detail))
    else:
        annotated.left_out.append(LeftOut(clip.clip_id, _repetition(earlier, clip, there, here)))


def _contradiction(one: WantedClip, other: WantedClip, first: str, second: str) -> str:
    """What two rows of one clip say against each other about where it belongs; empty if it is nothing."""
    for what, said, says in (
        ("split", one.official_split, other.official_split),
        ("group", one.group, other.group),
    ):
        if said != says:
            return f"{second} puts it into {_called(what, says)}, {first} into {_called(what, said)}"
    return ""


def _called(what: str, name: str | None) -> str:
    return f"no {what}" if name is None else f"the {what} {name}"


def _repetition(one: WantedClip, other: WantedClip, first: str, second: str) -> str:
    """Why the second row of a clip is left out."""
    if one.caption != other.caption:
        return f"{second} gives the clip of {first} another caption; that of {first} is kept"
    return f"{second} repeats {first}"


def _storable(value: object) -> str:
    """What the row says, as far as it can be stored; empty where it says nothing."""
    if _is_missing(value):
        return ""
    text = str(value)
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _parse_row(row: Row, table: RowTable, rules: ClipRules) -> WantedClip:
    loss = row.get(LOSS)
    if isinstance(loss, Loss):
        raise VideoLost(loss)
    path = _text(row, "path")
    label = _known_label(row, rules)
    split = (_split(row) if "split" in row else None) or table.split
    start, end = _seconds(row, "start"), _seconds(row, "end")
    first, last = None, None
    if start is None and end is None:
        first, last = _frame(row, "start_frame"), _frame(row, "end_frame")
    _check_span(start, end, "s")
    _check_span(first, last, "frames")
    file = table.find(path, split)
    return WantedClip(
        file=file,
        label=label,
        group=_text(row, "group").strip() or group_from_path(file.path, rules.group_pattern),
        official_split=split,
        caption=(_text(row, "caption") or None) if "caption" in row else None,
        start_seconds=start,
        end_seconds=end,
        start_frame=first,
        end_frame=last,
    )


def _check_span(start: float | None, end: float | None, unit: str) -> None:
    if start is not None and end is not None and end <= start:
        raise lost("bad_span", f"the span ends at {end:g} {unit}, which is not after its start at {start:g} {unit}")


def _known_label(row: Row, rules: ClipRules) -> str:
    """The label of a row; a text that was understood before is not looked at again."""
    text = row.get("label")
    if not isinstance(text, str):
        return _label(row, rules)
    label = rules.known_labels.get(text)
    if label is None:
        label = rules.known_labels[text] = _label(row, rules)
    return label


def _label(row: Row, rules: ClipRules) -> str:
    text = _text(row, "label", _LONGEST_SET if rules.multi_label else 0)
    labels = split_labels(text, multi_label=rules.multi_label)
    longest = max(map(len, labels))
    if longest > _LONGEST["label"]:
        raise lost("bad_row", f"one of the labels has {longest} characters; {_LONGEST['label']} are allowed")
    if any(label.strip().lower() in _NO_NUMBERS for label in labels):
        raise lost("bad_row", f"the label is {text.strip()}: no class, but a number that a program did not have")
    try:
        label = stored_label(text, multi_label=rules.multi_label)
        if label and rules.names is not None:
            label = _named_label(label, rules.names, multi_label=rules.multi_label)
    except ValueError as error:
        raise lost("bad_row", str(error)) from None
    if not label:
        raise lost("bad_row", "the label is empty")
    return label


def _named_label(label: str, names: ClassNames, *, multi_label: bool) -> str:
    """The label with names in place of numbers.

    Raises:
        ValueError: if a class is none of the names.
    """
    found: list[str] = []
    for part in split_labels(label, multi_label=multi_label):
        name = names.name_of(part)
        if name is None:
            raise ValueError(f"the label is {part}, which is none of the {len(names.by_number)} of {names.source}")
        found.append(name)
    return stored_label("|".join(found), multi_label=multi_label) if multi_label else found[0]


def _split(row: Row) -> Split | None:
    name = _text(row, "split").strip()
    if not name:
        return None
    split = split_of_word(name)
    if split is None:
        detail = f"the split is {name.lower()!r}; it must be empty or one of {', '.join(SPLITS)}"
        raise lost("bad_row", detail)
    return split


def _text(row: Row, column: str, longest: int = 0) -> str:
    value = row.get(column)
    if _is_missing(value):
        return ""
    text = value if isinstance(value, str) else _one_text(value, column)
    longest = longest or _LONGEST[column]
    if len(text) > longest:
        raise lost("bad_row", f"the {column} has {len(text)} characters; {longest} are allowed")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise lost("bad_row", f"the {column} is not valid Unicode") from None
    return text


def _one_text(value: object, column: str) -> str:
    match value:
        case float() if value.is_integer():
            return str(int(value))  # a column of whole numbers with a hole in it comes as floats
        case float() if math.isinf(value):
            raise lost("bad_row", f"the {column} is infinite")
        case bytes():
            raise lost("bad_row", f"the {column} is not valid Unicode")
        case bool() | int() | float() | decimal.Decimal() | dt.date():
            return str(value)
        case _:
            raise lost("bad_row", f"the {column} is a {type(value).__name__}, not a text")


def _seconds(row: Row, column: str) -> float | None:
    value = row.get(column)
    if _is_missing(value) or value == "":
        return None
    try:
        seconds = parse_seconds(value)
    except ValueError:
        raise lost("bad_row", f"the {column} is {value!r:.200}, not a number of seconds") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise lost("bad_span", f"the {column} is {seconds:g} s; it must be zero or more")
    return abs(seconds)  # -0.0 is 0.0


def _frame(row: Row, column: str) -> int | None:
    value = row.get(column)
    if _is_missing(value) or value == "":
        return None
    try:
        frame = parse_frame(value)
    except (ValueError, OverflowError):
        raise lost("bad_row", f"the {column} is {value!r:.200}, not the number of a frame") from None
    if frame < 0:
        raise lost("bad_span", f"the {column} is {frame}; it must be zero or more")
    return frame


def official_splits(clips: Sequence[WantedClip]) -> list[Split]:
    """Return the splits that clips are officially in, in the order of `SPLITS`."""
    found = {clip.official_split for clip in clips}
    return [split for split in SPLITS if split in found]


@dataclass(frozen=True, slots=True)
class Match:
    """The annotation files of a source that a dialect reads, and by what it knows them.

    `beside` are files that it reads too but whose rows are no clips: names of classes. `names` turns numbers into
    names of classes.
    """

    files: tuple[str, ...]
    because: str
    beside: tuple[str, ...] = ()
    names: ClassNames | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way in which annotation files say which clips there are."""

    name: SourceFormat
    title: str
    recognise: Callable[[SourceTree], Match | None]
    tables: Callable[[SourceTree, Match], Sequence[RowTable]]
