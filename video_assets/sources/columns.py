"""Which column of a table is which field (usual names in any case, or what the settings say), and times as written."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast, get_args

from video_assets.domain.splits import split_of_word
from video_assets.setting_types import ClipField
from video_assets.sources.file_names import VIDEO_SUFFIXES, suffix_of

_CLOCK: Final = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d+)?)")
_LONGEST: Final = 400
CHECKSUM: Final = re.compile(r"[0-9a-fA-F]{32,128}")
"""Hexadecimal digits from MD5 to SHA-512."""


def parse_seconds(value: object) -> float:
    """Return a time in seconds: a number, or a text such as `75.5`, `1:15.5` or `00:01:15.50`.

    >>> parse_seconds("00:01:15.50"), parse_seconds("1:15"), parse_seconds(3)
    (75.5, 75.0, 3.0)

    Raises:
        ValueError: if it is none of these. Numbers that are not finite are given as they are.
    """
    if isinstance(value, str) and ":" in value:
        return _parse_clock(value)
    try:
        return float(cast("float", value))
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _parse_clock(text: str) -> float:
    match = _CLOCK.fullmatch(text.strip()) if len(text) < _LONGEST else None
    if match is None:
        raise ValueError("not a time")
    hours, minutes, seconds = int(match[1] or 0), int(match[2]), float(match[3].replace(",", "."))
    if seconds >= 60 or (match[1] and minutes >= 60):
        raise ValueError("minutes and seconds go to 59")
    return math.fsum((hours * 3600, minutes * 60, seconds))


def parse_frame(value: object) -> int:
    """Return the number of a frame: a whole number, however it is written.

    >>> parse_frame("25"), parse_frame(25.0)
    (25, 25)

    Raises:
        ValueError: if it is not one.
    """
    try:
        number = float(cast("float", value))
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if not number.is_integer():
        raise ValueError("not a whole number")
    return int(number)


_NAMED_COLUMNS: Final = 50
"""In a sentence about a missing one."""

# Each field's usual names, the surest first. Of names in one group none is surer than another.
_NAMES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "path": (
        ("path",),
        ("filepath", "file_path", "video_path", "videopath", "clip_path"),
        ("file_name", "filename", "file"),
        ("video_name", "videoname", "clip_name"),
        ("video", "clip"),
        ("video_id", "clip_id", "vid_name"),
        ("id",),
    ),
    "label": (
        ("label",),
        ("class", "class_name", "classname", "category", "action", "tag", "choice", "label_name"),
        ("activity", "activity_name"),
        ("class_id", "label_id", "category_id", "class_index", "label_index"),
    ),
    "split": (("split",), ("subset", "set", "usage", "partition"), ("data_split", "dataset_split", "split_name")),
    "start": (
        ("start",),
        ("start_time", "time_start", "start_timestamp", "start_seconds", "start_sec", "start_s", "t_start", "begin"),
    ),
    "end": (
        ("end",),
        ("end_time", "time_end", "end_timestamp", "stop_timestamp", "end_seconds", "end_sec", "end_s", "t_end", "stop"),
    ),
    "start_frame": (("start_frame",), ("frame_start", "startframe", "begin_frame")),
    "end_frame": (("end_frame",), ("stop_frame", "frame_end", "endframe")),
    "group": (
        ("group",),
        ("subject", "person", "participant", "subject_id", "person_id", "participant_id", "actor", "group_id"),
    ),
    "caption": (("caption",), ("text", "description", "narration", "sentence")),
}
REQUIRED: Final = ("path", "label")
_MUST_BE_SURE: Final = ("path", "label", "split", "start", "end")
"""Fields that are refused where two columns could be it; of others the first is taken."""


class RefusedTable(Exception):
    """What is wrong with a table as a whole, as the end of "the annotation table X …"."""


def plain_name(name: str) -> str:
    """Return a column's name as names are compared.

    >>> plain_name(" File Name")
    'file_name'
    """
    return re.sub(r"[\s.\-]+", "_", name.strip().lower())


@dataclass(frozen=True, slots=True)
class Columns:
    """How a table's columns become fields.

    `chosen` maps fields to names of columns, over the usual names; an empty name says that no column is the field.
    `required` fields must be there. With `only_chosen` no usual name is looked for: a dialect knows its columns.
    """

    chosen: Mapping[str, str] = field(default_factory=dict[str, str])
    required: Sequence[str] = REQUIRED
    only_chosen: bool = False

    def fields(self) -> list[str]:
        """Return the names of all fields that a row may have."""
        return list(self.chosen) if self.only_chosen else [*get_args(ClipField)]

    def has(self, field: ClipField, names: Sequence[str]) -> bool:
        """Return whether one of these columns is, or two could each be, this field."""
        wanted = [self.chosen[field]] if field in self.chosen else [name for group in _NAMES[field] for name in group]
        plain = [plain_name(name) for name in names]
        return any(plain_name(name) in plain for name in wanted if name)

    def is_header(self, names: Sequence[str]) -> bool:
        """Return whether these names of columns have all that is required."""
        try:
            self.of_header(names)
        except RefusedTable as refused:
            return "twice" in str(refused) or "could each be" in str(refused)
        return True

    def of_header(self, names: Sequence[str]) -> dict[str, int]:
        """Return the place of each field's column.

        Raises:
            RefusedTable: if a required one is missing, one is there twice, or two columns could be one field.
        """
        places = self.of_keys(names)
        missing = [self.chosen.get(name) or name for name in self.required if name not in places]
        if missing:
            has = ", ".join(name[:60] for name in names[:_NAMED_COLUMNS]) or "none"
            setting = "" if self.only_chosen else "; name its columns with manifest.columns"
            raise RefusedTable(f"has no column {' and no '.join(missing)}; it has {has}{setting}")
        return places

    def of_keys(self, names: Sequence[str]) -> dict[str, int]:
        """Return the place of the column of each field that there is; fields may be missing.

        Raises:
            RefusedTable: if one is there twice, or two columns could be one field.
        """
        plain = [plain_name(name) for name in names]
        counts = Counter(plain)
        places: dict[str, int] = {}
        for name in self.fields():
            found = self._column_of(name, names, plain)
            if found is None:
                continue
            if counts[plain[found]] > 1 and [*names].count(names[found]) != 1:
                raise RefusedTable(f"has the column {names[found].strip()} twice")
            places[name] = found
        return places

    def _column_of(self, name: str, names: Sequence[str], plain: Sequence[str]) -> int | None:
        if name in self.chosen:
            wanted = self.chosen[name]
            stripped = [other.strip() for other in names]
            if wanted in stripped:
                return stripped.index(wanted)
            return plain.index(plain_name(wanted)) if wanted and plain_name(wanted) in plain else None
        for group in _NAMES.get(name, ()) if not self.only_chosen else ():
            found = [other for other in group if other in plain]
            if len(found) > 1 and name in _MUST_BE_SURE:
                shown = " and ".join(names[plain.index(other)].strip() for other in found)
                raise RefusedTable(f"has columns {shown}, which could each be the {name}; choose with manifest.columns")
            if found:
                return plain.index(found[0])
        return None

    def of_values(self, rows: Sequence[Sequence[str]]) -> dict[str, int]:
        """Return the place of each field in a table without a header, told by its first rows; empty if none tells.

        One column names videos. Of the others, one that holds words of splits is the split, two of times that rise in
        each row are the span, and the one that is left is the label.

        Raises:
            RefusedTable: if there are videos, but more than one column could be the label.
        """
        if self.chosen and all(place.isdigit() for place in self.chosen.values()):
            return {name: int(place) - 1 for name, place in self.chosen.items()}
        width = min((len(row) for row in rows), default=0)
        columns = [[row[place] for row in rows] for place in range(width)]
        is_path = [all(suffix_of(value.strip()) in VIDEO_SUFFIXES for value in column) for column in columns]
        if True not in is_path or self.only_chosen:
            return {}
        places = {"path": is_path.index(True)}
        left = [place for place in range(width) if place != places["path"] and not _say_nothing(columns[place])]
        splits = [place for place in left if all(split_of_word(value) for value in columns[place])]
        if len(splits) == 1 and len(left) > 1:
            places["split"] = splits[0]
            left.remove(splits[0])
        if len(left) == 3:
            left = _without_span(left, columns, places)
        if not left:
            raise RefusedTable("has paths alone; write the class of each behind it, separated by a comma")
        if len(left) != 1:
            raise RefusedTable(
                f"has no header, and {len(left)} columns could be the label; "
                'say which by number, such as manifest.columns: {path: "1", label: "2"}'
            )
        return {**places, "label": left[0]}

    def of_values_known(self, rows: Sequence[Sequence[str]]) -> bool:
        """Return whether rows without a header name videos, even if not all of their columns can be told."""
        try:
            return bool(self.of_values(rows))
        except RefusedTable:
            return True


def _say_nothing(values: Sequence[str]) -> bool:
    """Whether values are empty or checksums, as md5sum and its kin list them: no class is called so."""
    return all(not value.strip() or CHECKSUM.fullmatch(value.strip()) for value in values)


def _without_span(left: list[int], columns: Sequence[Sequence[str]], places: dict[str, int]) -> list[int]:
    """Return the places that are left after two neighbours that are a span in each row."""
    for first, second in itertools.pairwise(left):
        times = [(_time(a), _time(b)) for a, b in zip(columns[first], columns[second], strict=True)]
        if all(a is not None and b is not None and a < b for a, b in times):
            places |= {"start": first, "end": second}
            return [place for place in left if place not in (first, second)]
    return left


def _time(text: str) -> float | None:
    try:
        return parse_seconds(text)
    except ValueError:
        return None
