"""Rows of annotation tables (CSV, Parquet, JSONL), a few at a time and never more than is allowed.

A table may come from anybody. A few kilobytes of Parquet can stand for a thousand million rows, or for one long text
a million times; so rows and bytes are counted as they come, as large as they would be written out, and texts that
repeat are kept once.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Self, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from video_assets.domain.errors import SettingsError
from video_assets.settings import TableLimits

TABLE_SUFFIXES: Final = (".csv", ".parquet", ".jsonl")
_LONGEST_ROW: Final = 1 << 20
"""Characters of a row of text, which quotes may let go on over several lines."""
_BATCH_ROWS: Final = 1024
_NAMED_COLUMNS: Final = 50
"""In a sentence about a missing one."""

_OTHER_SEPARATORS: Final = {";": "semicolons", "\t": "tabs"}

Row = Mapping[str, object]


def read_rows(table: Path, required: Sequence[str], optional: Sequence[str], limits: TableLimits) -> Iterator[Row]:
    """The rows of a table, in its order, with those of the columns that they have. Blank lines are no rows.

    Raises:
        SettingsError: when the table cannot be read as a whole, holds more than is allowed, lacks a required column
            or has one of these columns twice; at the latest after the last row.
    """
    if not table.is_file():
        raise SettingsError(f"the annotation table {table} is not there")
    suffix = table.suffix.lower()
    if suffix not in _READERS:
        raise SettingsError(f"{table}: {suffix or 'no suffix'} is none of {', '.join(TABLE_SUFFIXES)}")
    reading = _Reading(limits, required, [*required, *optional])
    try:
        with table.open("rb") as file:
            yield from _READERS[suffix](file, reading)
        reading.require()
    except _Refused as refused:
        raise SettingsError(f"the annotation table {table} {refused}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"the annotation table {table} is not in UTF-8 ({error}); save it in UTF-8") from None
    except (ValueError, OSError, OverflowError, RuntimeError, pa.ArrowException) as error:
        words = " ".join(str(error).split())[:300]
        raise SettingsError(f"the annotation table {table} cannot be read: {words}") from error


class _Refused(Exception):
    """What is wrong with a table as a whole, as the end of "the annotation table X …"."""


@dataclass(slots=True)
class _Reading:
    """What was read of a table so far, and what may be."""

    limits: TableLimits
    required: Sequence[str]
    wanted: Sequence[str]
    columns: list[str] = field(default_factory=list)
    num_rows: int = 0
    num_bytes: int = 0

    def count(self, num_rows: int, num_bytes: int) -> None:
        """Adds.

        Raises:
            _Refused: past a limit.
        """
        self.num_rows += num_rows
        self.num_bytes += num_bytes
        self.check(self.num_rows, self.num_bytes)

    def check(self, num_rows: int, num_bytes: int) -> None:
        """Compares with the limits.

        Raises:
            _Refused: past one of them.
        """
        if num_rows > self.limits.max_rows:
            raise _Refused(f"has more than {self.limits.max_rows} rows, the limit (manifest.max_table_rows)")
        if num_bytes > self.limits.max_bytes:
            megabytes = f"{self.limits.max_bytes / 1e6:g} MB"
            raise _Refused(f"holds more than {megabytes} of text, the limit (manifest.max_table_megabytes)")

    def see(self, names: Sequence[str]) -> None:
        """Remembers columns."""
        for name in names:
            if name not in self.columns and (name in self.wanted or len(self.columns) < _NAMED_COLUMNS):
                self.columns.append(name)

    def begin(self, names: Sequence[str]) -> list[str]:
        """Remembers all columns of a table that has a header; gives those that are wanted.

        Raises:
            _Refused: if one is missing, or there twice.
        """
        self.see(names)
        self.require()
        twice = [name for name in self.wanted if names.count(name) > 1]
        if twice:
            raise _Refused(f"has the column {', '.join(twice)} twice")
        return [name for name in self.wanted if name in self.columns]

    def require(self) -> None:
        """Compares the columns that were seen with those that must be there.

        Raises:
            _Refused: if one is missing.
        """
        missing = [name for name in self.required if name not in self.columns]
        if missing:
            has = ", ".join(name[:60] for name in self.columns) or "none"
            raise _Refused(
                f"has no column {' and no '.join(missing)}; it has {has}{_separated_otherwise(self.columns)}"
            )


def _separated_otherwise(columns: Sequence[str]) -> str:
    """What to do where a header is one column only because its names are not separated by commas."""
    found = [name for separator, name in _OTHER_SEPARATORS.items() if len(columns) == 1 and separator in columns[0]]
    return f". Its columns are separated by {found[0]}; save it with commas, in UTF-8" if found else ""


# --- text -------------------------------------------------------------------------------------------------------------


class _Lines(Iterator[str]):
    """Lines of a text file with their ends."""

    def __init__(self, file: BinaryIO, reading: _Reading, newline: str) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline)
        self._reading = reading
        self._characters_of_row = 0
        self.number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def begin_row(self) -> None:
        """What is read from now on is another row."""
        self._characters_of_row = 0

    def __next__(self) -> str:
        line = self._text.readline(_LONGEST_ROW)
        if not line:
            raise StopIteration
        self.number += 1
        self._characters_of_row += len(line)
        self._reading.count(0, len(line))
        if self._characters_of_row >= _LONGEST_ROW:
            raise ValueError(f"line {self.number}: a row of more than {_LONGEST_ROW} characters")
        return line


def _csv_rows(file: BinaryIO, reading: _Reading) -> Iterator[Row]:
    """Every value as text: a class may be called NA, nan or 007."""
    with _Lines(file, reading, newline="") as lines:
        rows = _split_rows(lines)
        header = [name.strip() for name in next(rows, ())]
        if not header:
            raise ValueError("it is empty; its first line names the columns")
        places = {name: header.index(name) for name in reading.begin(header)}
        for row in rows:
            if len(row) > len(header):
                raise ValueError(f"line {lines.number}: {len(row)} values, where the first line names {len(header)}")
            reading.count(1, 0)
            yield {name: row[place] for name, place in places.items() if place < len(row)}


def _split_rows(lines: _Lines) -> Iterator[list[str]]:
    try:
        for row in csv.reader(lines, strict=True):
            lines.begin_row()
            if row:
                yield row
    except csv.Error as error:
        raise ValueError(f"line {lines.number}: {error}") from error


def _json_rows(file: BinaryIO, reading: _Reading) -> Iterator[Row]:
    """One object a line. Not by pandas, which rounds times, stumbles over a byte order mark and names no line."""
    with _Lines(file, reading, newline="\n") as lines:
        for line in lines:
            lines.begin_row()
            if not line.strip():
                continue
            row = _json_object(line.rstrip("\n"), lines.number, reading.wanted)
            reading.count(1, 0)
            reading.see(list(row))
            yield {name: row[name] for name in reading.wanted if name in row}


def _json_object(line: str, number: int, wanted: Sequence[str]) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        twice = [name for name in wanted if names.count(name) > 1]
        if twice:
            raise ValueError(f"it says {', '.join(twice)} twice")
        return dict(pairs)

    try:
        row = json.loads(line, object_pairs_hook=unique)
    except RecursionError:
        raise ValueError(f"line {number}: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not an object: {line:.40}")  # noqa: TRY004  (the caller's to turn)
    return cast("dict[str, object]", row)


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet_rows(file: BinaryIO, reading: _Reading) -> Iterator[Row]:
    """How many rows it says it has is checked before anything is unpacked, what comes out of it as it comes.

    Texts are read as dictionaries: one that a page holds once and a million rows name is one text in memory. What the
    metadata says of single columns is not asked for: pyarrow 26 ends the process where that is damaged.
    """
    metadata = pq.read_metadata(file)
    kinds = {column.name: column.type for column in metadata.schema.to_arrow_schema()}
    names = reading.begin(metadata.schema.to_arrow_schema().names)
    for name in names:
        if not _holds_single_values(kinds[name]):
            raise _Refused(f"has a column {name} of {kinds[name]}; it must hold texts or numbers")
    reading.check(metadata.num_rows, 0)
    texts = [name for name in names if _is_text(kinds[name])]
    parquet = pq.ParquetFile(file, metadata=metadata, read_dictionary=texts)
    for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=names, use_threads=False):
        reading.count(batch.num_rows, 0)
        columns = [_values(batch.column(name), reading) for name in names]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _values(column: pa.Array, reading: _Reading) -> list[object]:
    if not pa.types.is_dictionary(column.type):
        reading.count(0, column.nbytes)
        return column.to_pylist()
    reading.count(0, _written_out_bytes(column))
    values = [_decoded(value) for value in column.dictionary.to_pylist()]
    return [None if place is None else values[place] for place in column.indices.to_pylist()]


def _written_out_bytes(column: pa.DictionaryArray) -> int:
    if not _is_text(column.dictionary.type):
        return column.nbytes
    lengths = pc.binary_length(column.dictionary)
    return int(pc.sum(lengths.take(column.indices), min_count=0).as_py())


def _decoded(value: object) -> object:
    """Text that is stored without being called text; what is no UTF-8 stays bytes, and costs its rows only."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    is_string = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return is_string or types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _holds_single_values(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _holds_single_values(kind.value_type)
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind)
    return _is_text(kind) or is_number or types.is_null(kind) or types.is_date(kind)


_READERS: Final[Mapping[str, Callable[[BinaryIO, _Reading], Iterator[Row]]]] = {
    ".csv": _csv_rows,
    ".parquet": _parquet_rows,
    ".jsonl": _json_rows,
}
