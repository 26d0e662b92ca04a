"""Parquet tables: read with a schema, written atomically."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from video_assets.storage.files import AtomicFile


def write_table(path: Path, frame: pd.DataFrame, schema: pa.Schema, notes: Mapping[str, str] | None = None) -> None:
    """Writes a frame's columns in the schema's order and types; `notes` go into the file's metadata.

    The same rows give the same bytes.
    """
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    table = table.replace_schema_metadata({k: v.encode("utf-8") for k, v in (notes or {}).items()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    with AtomicFile(path) as file:
        file.write(sink.getvalue().to_pybytes())


def read_table(path: Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """The file's rows, or some of its columns; an empty frame if the file is not there.

    Texts without a value are missing in pandas' sense (NaN), as numbers are.
    """
    wanted = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    if not path.exists():
        return wanted.empty_table().to_pandas()
    return pq.read_table(path, columns=wanted.names).cast(wanted).to_pandas(self_destruct=True, split_blocks=True)


def read_notes(path: Path) -> dict[str, str]:
    """The file's own metadata, as given to `write_table`."""
    metadata = pq.read_metadata(path).metadata or {}
    return {k.decode(): v.decode("utf-8") for k, v in metadata.items() if not k.startswith((b"ARROW:", b"pandas"))}
