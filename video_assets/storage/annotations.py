"""Annotation tables (CSV, Parquet, JSONL): one row a clip."""

import datetime as dt
import decimal
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from video_assets.domain.clips import (
    LeftOut,
    ListedFile,
    Loss,
    LossReason,
    LostSource,
    VideoLost,
    WantedClip,
    group_from_path,
)
from video_assets.domain.labels import split_labels, stored_label
from video_assets.domain.splits import SPLITS, Split, split_named
from video_assets.settings import DEFAULT_TABLE_LIMITS, TableLimits
from video_assets.storage.addresses import is_remote, stat_file
from video_assets.storage.table_rows import Row, read_rows

REQUIRED_COLUMNS = ("path", "label")
OPTIONAL_COLUMNS = ("start", "end", "split", "group", "caption")
_LONGEST: Final = {"path": 4096, "label": 500, "group": 4096, "caption": 100_000, "split": 100}
"""Characters. Label files are read whole by every reader, and names stand in every report."""
_LONGEST_SET: Final = 10_000
"""Characters of all labels of a clip that may have several."""
_LONGEST_SHOWN: Final = 4096


@dataclass(slots=True)
class AnnotatedClips:
    """The clips that a table asks for, its rows that cannot be used, and rows that add nothing to another."""

    clips: list[WantedClip] = field(default_factory=list)
    lost: list[LostSource] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_annotations(
    table: Path, group_pattern: str, limits: TableLimits = DEFAULT_TABLE_LIMITS, *, multi_label: bool = False
) -> AnnotatedClips:
    """Clips of an annotation table. Paths are relative to the table's folder and stay inside it.

    Columns: `path`, `label`; optional `start`, `end` (seconds from the video's first frame), `split` (train,
    test, or val, which may be written validation), `group`, `caption`. Without a group, the path's name may tell one.
    With `multi_label` a label may be several, `run|jump`, whose order says nothing. A clip that two rows put into
    different splits or groups is lost: the order of the rows must not decide what is tested on.

    Raises:
        SettingsError: if the table cannot be read as a whole, lacks a column, or holds more than the limits allow.
    """
    annotated = AnnotatedClips()
    folder = table.parent
    files: dict[str, ListedFile] = {}
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    contradicted: set[int] = set()
    for number, row in enumerate(read_rows(table, REQUIRED_COLUMNS, OPTIONAL_COLUMNS, limits), start=1):
        try:
            clip = _parse_row(row, folder, files, group_pattern, multi_label=multi_label)
        except VideoLost as lost:
            loss = Loss(lost.loss.reason, f"row {number} of {table.name}: {lost.loss.detail}")
            annotated.lost.append(LostSource(_storable(row.get("path")), loss, _storable(row.get("label"))))
            continue
        first, place = seen.setdefault((clip.clip_id, clip.label), (number, len(annotated.clips)))
        if first == number:
            annotated.clips.append(clip)
        elif place not in contradicted and (words := _contradiction(annotated.clips[place], clip, first, number)):
            contradicted.add(place)
            loss = Loss("split_conflict", f"{words} (rows of {table.name}); correct the table")
            annotated.lost.append(LostSource(clip.clip_id, loss, clip.label))
        else:
            annotated.left_out.append(LeftOut(clip.clip_id, _repetition(annotated.clips[place], clip, first, number)))
    annotated.clips = [clip for place, clip in enumerate(annotated.clips) if place not in contradicted]
    return annotated


def _contradiction(one: WantedClip, other: WantedClip, first: int, number: int) -> str:
    """What two rows of one clip say against each other about where it belongs; empty if it is nothing."""
    for what, said, says in (
        ("split", one.official_split, other.official_split),
        ("group", one.group, other.group),
    ):
        if said != says:
            return f"row {number} puts it into {_called(what, says)}, row {first} into {_called(what, said)}"
    return ""


def _called(what: str, name: str | None) -> str:
    return f"no {what}" if name is None else f"the {what} {name}"


def _repetition(one: WantedClip, other: WantedClip, first: int, number: int) -> str:
    """Why the second row of a clip is left out."""
    if _contradiction(one, other, first, number):
        return f"row {number} contradicts row {first}, as a row before it did"
    if one.caption != other.caption:
        return f"row {number} gives the clip of row {first} another caption; that of row {first} is kept"
    return f"row {number} repeats row {first}"


def _storable(value: object) -> str:
    """What the row says, as far as it can be stored; empty where it says nothing."""
    if _is_missing(value):
        return ""
    text = str(value)
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _parse_row(
    row: Row, folder: Path, files: dict[str, ListedFile], group_pattern: str, *, multi_label: bool
) -> WantedClip:
    path = _parse_path(_text(row, "path"))
    label = _label(row, multi_label=multi_label)
    split = _split(_text(row, "split").strip().lower())
    start, end = _seconds(row, "start"), _seconds(row, "end")
    if start is not None and end is not None and end <= start:
        raise _lost("bad_span", f"the span ends at {end:g} s, which is not after its start at {start:g} s")
    file = files.get(path)
    if file is None:
        file = files.setdefault(path, _stat_file(folder, path))
    return WantedClip(
        file=file,
        label=label,
        group=_text(row, "group").strip() or group_from_path(path, group_pattern),
        official_split=split,
        caption=_text(row, "caption") or None,
        start_seconds=start,
        end_seconds=end,
    )


def _label(row: Row, *, multi_label: bool) -> str:
    text = _text(row, "label", _LONGEST_SET if multi_label else 0)
    longest = max(map(len, split_labels(text, multi_label=multi_label)))
    if longest > _LONGEST["label"]:
        raise _lost("bad_row", f"one of the labels has {longest} characters; {_LONGEST['label']} are allowed")
    try:
        label = stored_label(text, multi_label=multi_label)
    except ValueError as error:
        raise _lost("bad_row", str(error)) from None
    if not label:
        raise _lost("bad_row", "the label is empty")
    return label


def _lost(reason: LossReason, detail: str) -> VideoLost:
    return VideoLost(Loss(reason, detail))


def _split(name: str) -> Split | None:
    try:
        return split_named(name) if name else None
    except ValueError:
        detail = f"the split is {name!r}; it must be empty or one of {', '.join(SPLITS)}"
        raise _lost("bad_row", detail) from None


def _text(row: Row, column: str, longest: int = 0) -> str:
    value = row.get(column)
    if _is_missing(value):
        return ""
    text = _one_text(value, column)
    longest = longest or _LONGEST[column]
    if len(text) > longest:
        raise _lost("bad_row", f"the {column} has {len(text)} characters; {longest} are allowed")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _lost("bad_row", f"the {column} is not valid Unicode") from None
    return text


def _one_text(value: object, column: str) -> str:
    match value:
        case str():
            return value
        case float() if value.is_integer():
            return str(int(value))  # a column of whole numbers with a hole in it comes as floats
        case float() if math.isinf(value):
            raise _lost("bad_row", f"the {column} is infinite")
        case bytes():
            raise _lost("bad_row", f"the {column} is not valid Unicode")
        case bool() | int() | float() | decimal.Decimal() | dt.date():
            return str(value)
        case _:
            raise _lost("bad_row", f"the {column} is a {type(value).__name__}, not a text")


def _seconds(row: Row, column: str) -> float | None:
    value = row.get(column)
    if _is_missing(value) or value == "":
        return None
    try:
        seconds = float(cast("float", value))
    except (TypeError, ValueError, OverflowError):
        raise _lost("bad_row", f"the {column} is {value!r:.200}, not a number of seconds") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise _lost("bad_span", f"the {column} is {seconds:g} s; it must be zero or more")
    return abs(seconds)  # -0.0 is 0.0


def _parse_path(text: str) -> str:
    """The path in its plain form, as the key of its file; never one that could leave the folder."""
    if not text or "\0" in text:
        raise _lost("bad_row", "the path is empty" if not text else "the path holds a zero byte")
    path = os.path.normpath(text)  # after which ".." stands at the beginning only
    if path.startswith(("/", "../")) or path == ".." or "://" in text:
        raise _lost("outside_source", f"the path {text} leads out of the table's folder; paths are relative to it")
    return path


def _stat_file(folder: Path, path: str) -> ListedFile:
    full = folder / path
    if is_remote(full):
        try:
            return stat_file(full, path)
        except FileNotFoundError:
            raise _lost("missing_file", f"{path} cannot be found: there is no such object") from None
    try:
        real = full.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a circle of links"
        raise _lost("missing_file", f"{path} cannot be found: {reason}") from None
    if not real.is_relative_to(folder.resolve()):
        raise _lost("outside_source", f"{path} is a symbolic link out of the table's folder")
    if not real.is_file():
        raise _lost("missing_file", f"{path} is not a file")
    return ListedFile(path, status.st_size, status.st_mtime_ns)
