"""Seals: the SHA-256 of a file's bytes within the file itself, so that one flipped bit in it is found.

A file with a seal appears in one step with it, which a checksum in another file cannot. The digest is that of the file
with zeros in the digest's own place.
"""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.storage.files import NOT_THERE, write_bytes

_MARK = b"seal:"
_NUM_DIGITS = 64
OPEN_SEAL = _MARK.decode() + "0" * _NUM_DIGITS
"""What a writer puts where the seal belongs. The last one in a file counts, so texts of users come before it."""


def sealed(data: bytes) -> bytes:
    """The bytes with their seal in the place of `OPEN_SEAL`.

    Raises:
        ValueError: if there is no such place.
    """
    start = data.rindex(OPEN_SEAL.encode()) + len(_MARK)
    return b"".join((data[:start], hashlib.sha256(data).hexdigest().encode(), data[start + _NUM_DIGITS :]))


def is_seal_whole(data: bytes) -> bool | None:
    """Whether the bytes are those that were sealed; None if they have no seal."""
    mark = data.rfind(_MARK)
    if mark < 0:
        return None
    start = mark + len(_MARK)
    digest = hashlib.sha256(memoryview(data)[:start])
    digest.update(b"0" * _NUM_DIGITS)
    digest.update(memoryview(data)[start + _NUM_DIGITS :])
    return data[start : start + _NUM_DIGITS] == digest.hexdigest().encode()


def refuse_broken_seal(path: Path, data: bytes) -> None:
    """Lets pass what is whole, or was never sealed.

    Raises:
        FileDamaged: if the bytes are not those that were sealed.
    """
    if is_seal_whole(data) is False:
        raise FileDamaged(damage_sentence(path))


def damage_sentence(path: Path) -> str:
    """What people are told of a damaged file."""
    return f"{path} is damaged: its bytes are not those that were written; {DAMAGE_REMEDY}"


_SEAL = "seal"


def write_table(path: Path, frame: pd.DataFrame, schema: pa.Schema, notes: Mapping[str, str] | None = None) -> None:
    """Writes a frame's columns in the schema's order and types; `notes` go into the file's metadata.

    The same rows give the same bytes.
    """
    write_bytes(path, table_bytes(frame, schema, notes))


def rows_digest(frame: pd.DataFrame) -> str:
    """Return a hash of a table's rows, in their order, and of its columns' names."""
    digest = hashlib.sha256("\0".join(map(str, frame.columns)).encode("utf-8"))
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def table_bytes(frame: pd.DataFrame, schema: pa.Schema, notes: Mapping[str, str] | None = None) -> bytes:
    """What `write_table` writes; sealed, so that one flipped bit is found."""
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    metadata = {**(notes or {}), _SEAL: OPEN_SEAL}  # the seal comes last
    table = table.replace_schema_metadata({k: v.encode("utf-8") for k, v in metadata.items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sealed(sink.getvalue().to_pybytes())


def read_table(path: Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The file's rows, or some of its columns; an empty frame if the file is not there.

    Texts without a value are missing in pandas' sense (NaN), as numbers are.

    Raises:
        FileDamaged: if the file is not the one that was written.
    """
    return read_noted_table(path, schema, columns)[0]


def read_notes(path: Path) -> dict[str, str] | None:
    """The file's own metadata, as given to `write_table`; None if the file is not there.

    Raises:
        FileDamaged: if the file is not the one that was written.
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
    """What `read_table` and `read_notes` give, of one and the same file.

    Raises:
        FileDamaged: if the file is not the one that was written.
    """
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    try:
        source = _whole(path)
    except NOT_THERE:
        return wanted.empty_table().to_pandas(), None
    with _named_damage(path):
        # Not by `pq.read_table`: its scanner works, and lets go of what it has read, in threads that nobody waits for.
        file = pq.ParquetFile(source)
        rows = file.read(columns=wanted.names).cast(wanted).to_pandas(self_destruct=True, split_blocks=True)
        return rows, _notes(file.metadata)


def _notes(metadata: pq.FileMetaData) -> dict[str, str]:
    foreign = (b"ARROW:", b"pandas")
    found = {k.decode(): v.decode() for k, v in (metadata.metadata or {}).items() if not k.startswith(foreign)}
    return {name: text for name, text in found.items() if name != _SEAL}


def _whole(path: Path) -> pa.BufferReader:
    """The file's bytes, read once and compared with their seal.

    In memory of Arrow's own. To let go of Python's, a thread of Arrow needs the interpreter, and a process that ends
    just then is aborted ("terminate called without an active exception").
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
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # cut short, say, so that it lost its seal too
        raise FileDamaged(damage_sentence(path)) from error
