"""Annotation tables (CSV, Parquet, JSONL): one row a clip."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import cast

import pandas as pd

from video_assets.domain.clips import LeftOut, ListedFile, LostSource, WantedClip, group_from_path
from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import clean_label
from video_assets.domain.losses import Loss, LossReason, VideoLost
from video_assets.domain.splits import SPLITS

TABLE_SUFFIXES = (".csv", ".parquet", ".jsonl")
REQUIRED_COLUMNS = ("path", "label")
OPTIONAL_COLUMNS = ("start", "end", "split", "group", "caption")


@dataclass(slots=True)
class AnnotatedClips:
    """The clips that a table asks for, its rows that cannot be used, and rows that say what another said."""

    clips: list[WantedClip] = field(default_factory=list)
    lost: list[LostSource] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def read_annotations(table: Path, group_pattern: str) -> AnnotatedClips:
    """Clips of an annotation table. Paths are relative to the table's folder and stay inside it.

    Columns: `path`, `label`; optional `start`, `end` (seconds from the video's first frame), `split` (train or
    test), `group`, `caption`. Without a group, the path's name may tell one.

    Raises:
        SettingsError: if the table cannot be read as a whole, or lacks a column.
    """
    rows = _read_rows(table)
    annotated = AnnotatedClips()
    folder = table.parent
    files: dict[str, ListedFile] = {}
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows, start=1):
        try:
            clip = _parse_row(row, folder, files, group_pattern)
        except VideoLost as lost:
            loss = Loss(lost.loss.reason, f"row {number} of {table.name}: {lost.loss.detail}")
            annotated.lost.append(LostSource(_storable(row["path"]), loss, _storable(row["label"])))
            continue
        first = seen.setdefault((clip.clip_id, clip.label), number)
        if first == number:
            annotated.clips.append(clip)
        else:
            annotated.left_out.append(LeftOut(clip.clip_id, f"row {number} repeats row {first}"))
    return annotated


def _storable(value: object) -> str:
    """What the row says, as far as it can be stored; empty where it says nothing."""
    return "" if _is_missing(value) else str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _read_rows(table: Path) -> list[dict[str, object]]:
    if not table.is_file():
        raise SettingsError(f"the annotation table {table} is not there")
    try:
        frame = _read_frame(table)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise SettingsError(f"the annotation table {table} cannot be read: {error}") from error
    missing = [name for name in REQUIRED_COLUMNS if name not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns)) or "none"
        raise SettingsError(f"the annotation table {table} has no column {' and no '.join(missing)}; it has {found}")
    known = [name for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS) if name in frame.columns]
    twice = [name for name in known if list(frame.columns).count(name) > 1]
    if twice:
        raise SettingsError(f"the annotation table {table} has the column {', '.join(twice)} twice")
    return cast("list[dict[str, object]]", frame[known].to_dict("records"))


def _read_frame(table: Path) -> pd.DataFrame:
    match table.suffix.lower():
        case ".csv":
            # Every value as text: a class may be called NA, nan or 007. Header apart: pandas renames doubles.
            frame = pd.read_csv(table, dtype=str, keep_default_na=False, encoding="utf-8-sig", header=None)
            frame.columns = pd.Index([str(name).strip() for name in frame.iloc[0]])
            return frame.iloc[1:]
        case ".parquet":
            return pd.read_parquet(table)
        case ".jsonl":
            return pd.DataFrame(_read_json_lines(table), dtype=object)
        case other:
            raise SettingsError(f"{table}: {other or 'no suffix'} is none of {', '.join(TABLE_SUFFIXES)}")


def _read_json_lines(table: Path) -> list[dict[str, object]]:
    """One object a line. Not by pandas, which rounds times, stumbles over a byte order mark and names no line."""
    rows: list[dict[str, object]] = []
    for number, line in enumerate(table.read_text("utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not an object: {line:.40}")  # noqa: TRY004  (the caller's to turn)
        rows.append(cast("dict[str, object]", row))
    return rows


def _parse_row(row: Mapping[str, object], folder: Path, files: dict[str, ListedFile], group_pattern: str) -> WantedClip:
    path = _parse_path(_text(row, "path"))
    label = clean_label(_text(row, "label"))
    if not label:
        raise _lost("bad_row", "the label is empty")
    split = _text(row, "split").strip().lower()
    if split and split not in SPLITS:
        raise _lost("bad_row", f"the split is {split!r}; it must be empty or one of {', '.join(SPLITS)}")
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
        official_split=None if not split else ("train" if split == "train" else "test"),
        caption=_text(row, "caption") or None,
        start_seconds=start,
        end_seconds=end,
    )


def _lost(reason: LossReason, detail: str) -> VideoLost:
    return VideoLost(Loss(reason, detail))


def _text(row: Mapping[str, object], column: str) -> str:
    value = row.get(column)
    if _is_missing(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a column of whole numbers with a hole in it comes as floats
    text = str(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _lost("bad_row", f"the {column} is not valid Unicode") from None
    return text


def _seconds(row: Mapping[str, object], column: str) -> float | None:
    value = row.get(column)
    if _is_missing(value) or value == "":
        return None
    try:
        seconds = float(cast("float", value))
    except (TypeError, ValueError):
        raise _lost("bad_row", f"the {column} is {value!r}, not a number of seconds") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise _lost("bad_span", f"the {column} is {seconds:g} s; it must be zero or more")
    return abs(seconds)  # -0.0 is 0.0


def _parse_path(text: str) -> str:
    """The path in its plain form, as the key of its file; never one that could leave the folder."""
    if not text or "\0" in text:
        raise _lost("bad_row", "the path is empty" if not text else "the path holds a zero byte")
    path = PurePosixPath(os.path.normpath(text))
    if path.is_absolute() or ".." in path.parts or "://" in text:
        raise _lost("outside_source", f"the path {text} leads out of the table's folder; paths are relative to it")
    return str(path)


def _stat_file(folder: Path, path: str) -> ListedFile:
    full = folder / path
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
