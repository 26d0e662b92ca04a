"""Sealed Parquet tables: a flipped bit anywhere in the file is found when it is read."""

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.domain.hashing import OPEN_SEAL, is_seal_whole, sealed
from video_assets.storage.files import NOT_THERE, write_bytes
from video_assets.storage.schemas import ADDED_COLUMNS

TEXT = pd.StringDtype(na_value=np.nan)
"""How columns hold texts: pandas 3 chooses this by itself, pandas 2 is told."""
_TEXTS = {pa.string(): TEXT}


def refuse_broken_seal(path: Path, data: bytes) -> None:
    """Refuse bytes that do not match their seal; bytes without a seal pass.

    Raises:
        FileDamaged: If they do not match.
    """
    if is_seal_whole(data) is False:
        raise FileDamaged(damage_sentence(path))


def damage_sentence(path: Path) -> str:
    """Return the message about a damaged file."""
    return f"{path} is damaged: its bytes are not those that were written; {DAMAGE_REMEDY}"


_SEAL = "seal"


def write_table(path: Path, frame: pd.DataFrame, schema: pa.Schema, notes: Mapping[str, str] | None = None) -> None:
    """Write a frame's columns in the schema's order and types; `notes` go into the file's metadata.

    The same rows give the same bytes.
    """
    write_bytes(path, table_bytes(frame, schema, notes))


def rows_digest(frame: pd.DataFrame) -> str:
    """Return a hash of a table's rows, in their order, and of its columns' names."""
    digest = hashlib.sha256("\0".join(map(str, frame.columns)).encode("utf-8"))
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def table_bytes(frame: pd.DataFrame, schema: pa.Schema, notes: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes that `write_table` writes, sealed."""
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    metadata = {**(notes or {}), _SEAL: OPEN_SEAL}  # the seal comes last
    table = table.replace_schema_metadata({k: v.encode("utf-8") for k, v in metadata.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sealed(sink.getvalue().to_pybytes())


def read_table(path: Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the file's rows, or some of its columns; an empty frame if the file is missing.

    Texts without a value are missing values of pandas (NaN), as numbers are. A column of `ADDED_COLUMNS` that the file
    does not have is all missing values.

    Raises:
        FileDamaged: If the file does not have the bytes that were written.
    """
    return read_noted_table(path, schema, columns)[0]


def read_notes(path: Path) -> dict[str, str] | None:
    """Return the notes that `write_table` was given; None if the file is missing.

    Raises:
        FileDamaged: If the file does not have the bytes that were written.
    """
    try:
        source = _whole(path)
    except NOT_THERE:
        return None
    with _named_damage(path):
        return _notes(pq.read_metadata(source))


def read_noted_table(
    path: Path, schema: pa.Schema, columns: Sequence[str] | None = None
) -> tuple[pd.DataFrame, dict[str, str] | None]:
    """Return rows and notes of one file, as `read_table` and `read_notes` do.

    Raises:
        FileDamaged: If the file does not have the bytes that were written.
    """
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    try:
        source = _whole(path)
    except NOT_THERE:
        return empty_table(wanted), None
    with _named_damage(path):
        # Not by `pq.read_table`: its scanner frees memory in threads that nobody waits for; see `_whole`.
        file = pq.ParquetFile(source)
        table = file.read(columns=wanted.names)
        for field in wanted:
            if field.name in ADDED_COLUMNS and field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        table = table.select(wanted.names).cast(wanted)
        rows = table.to_pandas(self_destruct=True, split_blocks=True, types_mapper=_TEXTS.get)
        return rows, _notes(file.metadata)


def are_among(texts: pd.Series, wanted: Iterable[str]) -> NDArray[np.bool_]:
    """Return (N,) whether each text is wanted: `isin` of pandas takes ten times as long for columns of texts."""
    return np.fromiter(map(set(wanted).__contains__, texts.to_numpy(object)), np.bool_, len(texts))


def empty_table(schema: pa.Schema) -> pd.DataFrame:
    """Return the columns of a schema, without rows."""
    return schema.empty_table().to_pandas(types_mapper=_TEXTS.get)


def _notes(metadata: pq.FileMetaData) -> dict[str, str]:
    foreign = (b"ARROW:", b"pandas")
    found = {k.decode(): v.decode() for k, v in (metadata.metadata or {}).items() if not k.startswith(foreign)}
    return {name: text for name, text in found.items() if name != _SEAL}


def _whole(path: Path) -> pa.BufferReader:
    """Return the file's bytes, read once and compared with their seal.

    They are in Arrow's own memory. To free Python's memory, a thread of Arrow needs the interpreter, and a process that
    ends just then is aborted ("terminate called without an active exception").
    """
    data = path.read_bytes()
    refuse_broken_seal(path, data)
    memory = pa.BufferOutputStream()
    memory.write(data)
    return pa.BufferReader(memory.getvalue())


@contextmanager
def _named_damage(path: Path) -> Generator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # a file cut short lost its seal too
        raise FileDamaged(damage_sentence(path)) from error
