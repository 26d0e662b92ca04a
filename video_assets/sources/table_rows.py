"""Rows of annotation tables (CSV and its kin, Parquet, JSONL), a few at a time and never more than is allowed.

A table may come from anybody. A few kilobytes of Parquet can stand for a thousand million rows, or for one long text
a million times; so rows and bytes are counted as they come, as large as they would be written out, and texts that
repeat are kept once.
"""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from video_assets.domain.clips import Loss
from video_assets.domain.errors import SettingsError
from video_assets.settings import ManifestSettings
from video_assets.sources.columns import Columns, RefusedTable
from video_assets.sources.file_names import TABLE_SUFFIXES, suffix_of
from video_assets.sources.text_lines import TextLines, separator_line

_BATCH_ROWS: Final = 1024
_FIRST_ROWS: Final = 20
"""Of a table without a header, looked at to tell its columns."""
_SEPARATORS: Final = (",", ";", "\t", " ")

Row = Mapping[str, object]
LOSS: Final = "loss"
"""The key of a row's `Loss`, where it is known already that the row cannot be used."""


def read_rows(table: Path, columns: Columns, settings: ManifestSettings) -> Iterator[Row]:
    """The rows of a table, in its order, with those of the fields that they have. Blank lines are no rows.

    Raises:
        SettingsError: when the table cannot be read as a whole, holds more than is allowed, lacks a required column
            or has one of these columns twice; at the latest after the last row.
    """
    if not table.is_file():
        raise SettingsError(f"the annotation table {table} is not there")
    suffix = suffix_of(table.name)
    if suffix not in TABLE_SUFFIXES:
        raise SettingsError(f"{table}: {suffix or 'no suffix'} is none of {', '.join(TABLE_SUFFIXES)}")
    reading = _Reading(settings, columns)
    try:
        with table.open("rb") as file:
            yield from _READERS.get(suffix, _csv_rows)(file, reading)
    except RefusedTable as refused:
        raise SettingsError(f"the annotation table {table} {refused}") from None
    except UnicodeError as error:
        raise SettingsError(f"the annotation table {table} is not in UTF-8 ({error}); save it in UTF-8") from None
    except (ValueError, OSError, OverflowError, RuntimeError, pa.ArrowException) as error:
        words = " ".join(str(error).split())[:300]
        raise SettingsError(f"the annotation table {table} cannot be read: {words}") from error


@dataclass(slots=True)
class _Reading:
    """What was read of a table so far, and what may be."""

    settings: ManifestSettings
    columns: Columns
    num_rows: int = 0
    num_bytes: int = 0
    seen: dict[str, None] = field(default_factory=dict[str, None])

    def count(self, num_rows: int, num_bytes: int) -> None:
        """Adds.

        Raises:
            RefusedTable: past a limit.
        """
        self.num_rows += num_rows
        self.num_bytes += num_bytes
        if self.num_rows > self.settings.max_table_rows or self.num_bytes > self.settings.max_table_bytes:
            self.check(self.num_rows, self.num_bytes)

    def check(self, num_rows: int, num_bytes: int) -> None:
        """Compares with the limits.

        Raises:
            RefusedTable: past one of them.
        """
        if num_rows > self.settings.max_table_rows:
            raise RefusedTable(
                f"has more than {self.settings.max_table_rows} rows, the limit (manifest.max_table_rows)"
            )
        if num_bytes > self.settings.max_table_bytes:
            megabytes = f"{self.settings.max_table_megabytes} MB"
            raise RefusedTable(f"holds more than {megabytes} of text, the limit (manifest.max_table_megabytes)")


# --- text -------------------------------------------------------------------------------------------------------------


def _csv_rows(file: BinaryIO, reading: _Reading) -> Iterator[Row]:
    """Every value as text: a class may be called NA or 007."""
    with TextLines(file, lambda size: reading.count(0, size), newline="") as lines:
        if named := separator_line(lines.peek()):
            next(lines)
        rows = _split_rows(lines, named or _separator(lines.peek(), reading.columns))
        first = next(rows, None)
        if first is None:
            raise ValueError("it is empty; its first line names the columns")
        places, rows = _begin_rows(first, rows, reading.columns)
        width = len(first)
        for row in rows:
            reading.count(1, 0)
            if isinstance(row, _TooLong):
                yield {LOSS: Loss("bad_row", f"a value has more than {csv.field_size_limit()} characters")}
                continue
            values: dict[str, object] = {name: row[place] for name, place in places.items() if place < len(row)}
            if len(row) > width:  # a separator that should have been quoted; what stands where is unknown
                detail = f"line {lines.number} has {len(row)} values, where the first line names {width}"
                values[LOSS] = Loss("bad_row", detail)
            yield values


def _begin_rows(
    first: list[str], rows: Iterator[list[str]], columns: Columns
) -> tuple[dict[str, int], Iterator[list[str]]]:
    """Where the fields are, and the rows that follow: with the first one, if it is no header."""
    header = [name.strip() for name in first]
    if columns.is_header(header):
        return columns.of_header(header), rows
    known = [first, *itertools.islice(rows, _FIRST_ROWS - 1)]
    places = columns.of_values([row for row in known if row])
    return places or columns.of_header(header), itertools.chain(known, rows)


def _separator(line: str, columns: Columns) -> str:
    """What separates the values of a table, told by its first line: what gives names that are known, or a video."""
    split = {separator: _split_line(line, separator) for separator in _SEPARATORS if separator in line}
    for separator, values in split.items():
        if columns.is_header(values):
            return separator
    for separator, values in split.items():
        if len(values) > 1 and columns.of_values_known([values]):
            return separator
    return next((separator for separator in _SEPARATORS if separator in split), ",")


def _split_line(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=separator == " "), [])
    except csv.Error:
        return []


class _TooLong(list[str]):
    """A row that has a value longer than Python's csv reads, and so none."""


def _split_rows(lines: TextLines, separator: str) -> Iterator[list[str]]:
    line = ""

    def noted() -> Iterator[str]:
        nonlocal line
        while line := next(lines, ""):
            yield line

    rows = csv.reader(noted(), strict=True, delimiter=separator, skipinitialspace=separator == " ")
    while True:
        last = lines.number
        try:
            row = next(rows, None)
        except csv.Error as error:
            # Where a quote is open, nobody knows which line begins the next row.
            is_whole = lines.number == last + 1 and line.count('"') % 2 == 0
            if not (is_whole and last and "field limit" in str(error)):
                raise ValueError(f"line {lines.number}: {error}") from error
            row = _TooLong()
        if row is None:
            return
        lines.begin_row()
        if row or isinstance(row, _TooLong):
            yield row


def _json_rows(file: BinaryIO, reading: _Reading) -> Iterator[Row]:
    """One object a line. Not by pandas, which rounds times, stumbles over a byte order mark and names no line."""
    known: dict[tuple[str, ...], dict[str, int]] = {}
    with TextLines(file, lambda size: reading.count(0, size), newline="\n") as lines:
        for line in lines:
            lines.begin_row()
            if not line.strip():
                continue
            reading.count(1, 0)
            try:
                names, values = _json_object(line.rstrip("\n"), lines.number)
            except ValueError as error:
                if not known:  # it may be something else than a table
                    lines.refuse_other_encoding()
                    raise
                yield {LOSS: Loss("bad_row", str(error))}
                continue
            places = known.get(names)
            if places is None:
                places = known[names] = _places_of_object(names, lines.number, reading)
            yield {name: values[place] for name, place in places.items()}
    if reading.num_rows:
        reading.columns.of_header(list(reading.seen))


def _places_of_object(names: tuple[str, ...], number: int, reading: _Reading) -> dict[str, int]:
    reading.seen.update(dict.fromkeys(names))
    places = reading.columns.of_keys(list(dict.fromkeys(names)))
    unique = list(dict.fromkeys(names))
    twice = [unique[place] for place in places.values() if names.count(unique[place]) > 1]
    if twice:
        raise ValueError(f"line {number}: it says {', '.join(twice)} twice")
    return {name: names.index(unique[place]) for name, place in places.items()}


def _json_object(line: str, number: int) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """Names and values of one object, in its order; a name may come twice."""
    try:
        row = json.loads(line, object_pairs_hook=_Pairs)
    except RecursionError:
        raise ValueError(f"line {number}: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    if not isinstance(row, _Pairs):
        raise ValueError(f"line {number} is not an object: {line:.40}")  # noqa: TRY004  (the caller's to turn)
    return tuple(name for name, _ in row), tuple(_plain(value) for _, value in row)


class _Pairs(list[tuple[str, object]]):
    """An object of JSON that was read without dropping a name that comes twice."""


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, _Pairs) else value


# --- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet_rows(file: BinaryIO, reading: _Reading) -> Iterator[Row]:
    """How many rows it says it has is checked before anything is unpacked, what comes out of it as it comes.

    Texts are read as dictionaries: one that a page holds once and a million rows name is one text in memory. What the
    metadata says of single columns is not asked for: pyarrow 26 ends the process where that is damaged.
    """
    metadata = pq.read_metadata(file)
    kinds = {column.name: column.type for column in metadata.schema.to_arrow_schema()}
    all_names: list[str] = metadata.schema.to_arrow_schema().names
    places = reading.columns.of_header(all_names)
    names = list(dict.fromkeys(all_names[place] for place in places.values()))
    for name in names:
        if not _holds_single_values(kinds[name]):
            raise RefusedTable(f"has a column {name} of {kinds[name]}; it must hold texts or numbers")
    reading.check(metadata.num_rows, 0)
    texts = [name for name in names if _is_text(kinds[name])]
    parquet = pq.ParquetFile(file, metadata=metadata, read_dictionary=texts)
    for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=names, use_threads=False):
        reading.count(batch.num_rows, 0)
        columns = {name: _values(batch.column(name), reading) for name in names}
        for values in zip(*(columns[all_names[place]] for place in places.values()), strict=True):
            yield dict(zip(places, values, strict=True))


def _values(column: pa.Array, reading: _Reading) -> list[object]:
    if not pa.types.is_dictionary(column.type):
        reading.count(0, column.nbytes)
        return column.to_pylist()
    reading.count(0, _written_out_bytes(column))
    texts = column.dictionary.cast(pa.large_binary())  # one of them may not be UTF-8, whatever the column's type says
    values = [_decoded(value) for value in texts.to_pylist()]
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
    ".parquet": _parquet_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
}
"""Of all other tables the values are separated by a character."""
