"""Every table on disk: its columns, how it is written and read; its seal finds a flipped bit anywhere in the file."""

import hashlib
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.domain.hashing import OPEN_SEAL, is_seal_whole, sealed
from video_assets.storage.files import NOT_THERE, write_bytes

FACTS_FIELDS = [
    ("container", pa.string()),
    ("codec", pa.string()),
    ("pixel_format", pa.string()),
    ("width_px", pa.int64()),
    ("height_px", pa.int64()),
    ("display_width_px", pa.int64()),
    ("display_height_px", pa.int64()),
    ("rotation_degrees", pa.int64()),
    ("is_mirrored", pa.bool_()),
    ("sample_aspect_ratio", pa.string()),
    ("frame_rate", pa.float64()),
    ("num_frames", pa.int64()),
    ("start_us", pa.int64()),
    ("duration_us", pa.int64()),
    ("has_audio", pa.bool_()),
    ("index_trusted", pa.bool_()),
    ("index_note", pa.string()),
    ("num_keyframes", pa.int64()),
    ("transfer", pa.string()),
    ("field_order", pa.string()),
    ("num_video_tracks", pa.int64()),
    ("readable_fraction", pa.float64()),
    ("gap_us", pa.int64()),
    ("picture_hash", pa.string()),
    ("contradiction", pa.string()),
]
CLIP_FIELDS = [
    ("clip_id", pa.string()),
    ("path", pa.string()),
    ("label", pa.string()),
    ("group", pa.string()),
    ("official_split", pa.string()),
    ("caption", pa.string()),
    ("start_seconds", pa.float64()),
    ("end_seconds", pa.float64()),
    ("size_bytes", pa.int64()),
    ("mtime_ns", pa.int64()),
    ("content_hash", pa.string()),
]
MANIFEST = pa.schema(CLIP_FIELDS + FACTS_FIELDS)
QUARANTINE = pa.schema(
    [
        ("source", pa.string()),
        ("clip_id", pa.string()),
        ("label", pa.string()),
        ("stage", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
    ]
)
ARRIVALS = pa.schema(
    [("path", pa.string()), ("size_bytes", pa.int64()), ("mtime_ns", pa.int64()), ("is_settled", pa.bool_())]
)
LEFT_OUT = pa.schema([("source", pa.string()), ("reason", pa.string())])
SPLIT = pa.schema(
    [
        ("clip_id", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("group", pa.string()),
        ("content_hash", pa.string()),
    ]
)
SPLIT_HISTORY = pa.schema([("kind", pa.string()), ("key", pa.string()), ("split", pa.string())])
PLAN = pa.schema(
    [
        ("split", pa.string()),
        ("shard_index", pa.int64()),
        ("position", pa.int64()),
        ("clip_id", pa.string()),
        ("path", pa.string()),
        ("content_hash", pa.string()),
        ("label", pa.string()),
        ("label_index", pa.int64()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("caption", pa.string()),
        ("row_digest", pa.string()),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("num_frames", pa.int64()),
        ("num_pixels", pa.int64()),
    ]
)
LABEL_INDICES = pa.field("label_indices", pa.list_(pa.int64()))
"""One more column of the index where a clip may have several labels; `label_index` is the index of the first."""
DAMAGE = pa.field("damage", pa.string())
"""One more column of the index where damaged clips are stored: how much of a clip is damaged, or nothing."""
IS_CUT = pa.field("is_cut", pa.bool_())
"""One more column of the index where the sampling is fps or all: whether max_frames left frames of the clip out.

Datasets of the first edition do not have it."""
ADDED_COLUMNS = frozenset(
    {DAMAGE.name, IS_CUT.name, "transfer", "field_order", "num_video_tracks", "readable_fraction", "gap_us"}
    | {"picture_hash", "contradiction"}
)
"""Columns that may be absent from a file: earlier versions did not write them, or there was nothing to say."""
INDEX = pa.schema(
    [
        ("clip_id", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("label", pa.string()),
        ("label_index", pa.int64()),
        ("num_frames", pa.int64()),
        ("content_hash", pa.string()),
        ("source", pa.string()),
        ("note", pa.string()),
        ("signature", pa.binary()),
    ]
)

TABLES: Final[Mapping[str, tuple[pa.Schema, str]]] = {
    "manifest.parquet": (MANIFEST, "One row per clip that can be used, with what opening its video told."),
    "quarantine.parquet": (QUARANTINE, "One row per clip that cannot be used, with the reason."),
    "left_out.parquet": (LEFT_OUT, "One row per file or folder of the source that was not taken for a video."),
    "splits/train.parquet, test.parquet, val.parquet": (SPLIT, "One row per clip of the split."),
    "splits/history.parquet": (SPLIT_HISTORY, "One row per clip, content and group that was ever assigned."),
    "plan.parquet": (PLAN, "One row per clip to store, in the order of the shards."),
    "<version>/index.parquet": (INDEX.append(LABEL_INDICES).append(DAMAGE), "One row per stored record."),
    "arrivals.parquet": (ARRIVALS, "One row per file that the new-videos sensor saw at its last look."),
}
"""Every table of a dataset, by its file, with what a row is."""
COLUMN_WORDS: Final[Mapping[str, str]] = {
    "caption": "Text of the clip, from the annotations; empty without one.",
    "clip_id": "Name of the clip: its path in the source, with #start-end for a span of a video.",
    "codec": "Codec of the video stream, as FFmpeg names it.",
    "container": "File format, as FFmpeg names it.",
    "content_hash": "SHA-256 of the video file. Equal contents are never in two splits.",
    "damage": "How much of the clip is damaged; empty for an intact one. Only with manifest.damaged_clips: store.",
    "detail": "What happened, in a sentence.",
    "display_height_px": "Height as a player shows it: rotated, and with square pixels.",
    "display_width_px": "Width as a player shows it: rotated, and with square pixels.",
    "duration_us": "Duration of the video in microseconds.",
    "end_seconds": "End of the span of the video, in seconds; empty: the end of the video.",
    "field_order": "Whether pictures are interlaced: progressive or interlaced, as the first picture says.",
    "frame_rate": "Average number of frames per second.",
    "contradiction": "What the container says of the video in two ways that differ, as a sentence; else empty.",
    "gap_us": "Longest time in the middle of the video that no frame covers, in microseconds.",
    "group": "Clips of one group are never in two splits; empty: the clip is alone.",
    "has_audio": "Whether the video has a sound track.",
    "height_px": "Height of the coded frames.",
    "index_note": "Why the packet index is not used, and the whole video is decoded instead; else empty.",
    "index_trusted": "Whether only the needed frames are decoded, found by the packet index.",
    "is_mirrored": "Whether the container asks for a mirrored picture.",
    "is_settled": "Whether the file stood still between two looks.",
    "key": "The clip's id, content hash, picture hash or group.",
    "kind": "What the key is: clip, content, picture or group.",
    "label": "Name of the class; several, sorted and joined by |, with manifest.multi_label.",
    "label_index": "Number of the class, its line in labels.txt from 0. It never changes.",
    "label_indices": "Numbers of all classes of the clip. Only with manifest.multi_label.",
    "length": "Bytes of the record in the shard's file, with its framing.",
    "mtime_ns": "Time of the file's last change, in nanoseconds since 1970; in a store a number made from its etag; "
    "-1: not known.",
    "note": "What was unusual when the clip was decoded; else empty.",
    "num_frames": "Number of frames: of the video before the index, of the record in the index.",
    "num_keyframes": "Number of frames that can be decoded without others.",
    "num_video_tracks": "Number of video tracks in the file; the one that moves is stored.",
    "num_pixels": "Pixels of one frame of the video.",
    "official_split": "Split that the annotations ask for; empty without one.",
    "offset": "Place of the record in the shard's file, in bytes.",
    "path": "Path of the video file, relative to the source.",
    "picture_hash": "SHA-256 of the coded pictures alone, the same in every container; empty: not known. "
    "Copies with equal pictures are never in two splits.",
    "pixel_format": "How pixels are stored, as FFmpeg names it.",
    "position": "Place of the clip in its shard, from 0.",
    "readable_fraction": "Share of the duration that the container states which can be read, 0 to 1.",
    "reason": "Why, as one of a fixed set of codes.",
    "rotation_degrees": "Rotation that a player applies.",
    "row_digest": "Hash of all that the clip's record depends on, but for the encoding.",
    "sample_aspect_ratio": "Width of a pixel by its height.",
    "shard": "Partition key of the shard, such as train-00007.",
    "shard_index": "Number of the shard in its split, from 0.",
    "signature": "Small fingerprint of the picture, by which near-duplicates are found.",
    "size_bytes": "Size of the file in bytes; -1: not known.",
    "source": "Path of the video in the source, or what else of it this is about.",
    "split": "train, test or val.",
    "stage": "Step that found it: manifest, refused (a refused manifest), splits or shards.",
    "start_seconds": "Begin of the span of the video, in seconds; empty: the begin of the video.",
    "start_us": "Time of the first frame on the video's own clock, in microseconds.",
    "transfer": "Transfer function of the pictures, as FFmpeg names it; smpte2084 and arib-std-b67 are HDR.",
    "width_px": "Width of the coded frames.",
}
"""What every column holds. A name means the same in every table."""

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
