"""Read a shard for its checks, by TensorFlow. `read_shard` is a job for a process that does nothing else.

What a check compares comes back: of every record what it says of its clip, and of some their frames.
"""

import os
from collections.abc import Generator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Compression
from video_assets.domain.errors import BuildRefused
from video_assets.reader.parsing import ReadingError, decode_frames, load_tensorflow, parsed_records
from video_assets.settings import Layout


@dataclass(frozen=True, slots=True)
class ShardToRead:
    """A local TFRecord file, how its records are stored, and which of them are decoded, and which given whole."""

    file: Path
    layout: Layout
    compression: Compression
    multi_label: bool
    decoded: Set[int]
    whole: Set[int]


@dataclass(frozen=True, slots=True)
class RecordFacts:
    """What a record says of its clip. `labels` are ascending."""

    clip_id: str
    labels: Sequence[int]
    num_images: int
    num_times: int


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """The frames of a record: their type and shape (T, H, W, C), or why they cannot be decoded.

    `are_as_stored` is false if stored pixels are not the whole numbers from 0 to 255 that they are read as.
    """

    dtype: str = ""
    shape: tuple[int, ...] = ()
    are_as_stored: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True)
class WholeRecord:
    """The frames of a record, encoded, or of a layout that stores pixels uint8 [T, H, W, 3]."""

    images: tuple[bytes, ...] | NDArray[np.uint8]
    timestamps_us: tuple[int, ...]


@dataclass(slots=True)
class ShardReading:
    """What was read: the records in their order, up to one that cannot be read, if there is one (`error`)."""

    records: list[RecordFacts] = field(default_factory=list[RecordFacts])
    decoded: dict[int, FrameFacts] = field(default_factory=dict[int, FrameFacts])
    whole: dict[int, WholeRecord] = field(default_factory=dict[int, WholeRecord])
    error: str = ""
    unreadable_index: int | None = None


def prepare_to_read(_job: None) -> None:
    """Import TensorFlow, which takes three seconds of a core, while the program does other things."""
    with _silent():
        load_tensorflow().constant(0)  # looks for devices, and says so


def read_shard(shard: ShardToRead | None) -> ShardReading | None:
    """Read all of a shard, and compare the checksums of its records; nothing of one that is not there.

    Raises:
        BuildRefused: If TensorFlow cannot be imported.
    """
    if shard is None:
        return None
    with _silent():
        try:
            load_tensorflow()
        except ImportError as error:
            raise BuildRefused(
                f"no shard can be checked, for TensorFlow cannot be imported: {error}. Shards that are written stay. "
                "Install it again: pip install --force-reinstall tensorflow"
            ) from error
        return _read(shard)


@contextmanager
def _silent() -> Generator[None]:
    """Drop what is written to descriptor 2.

    TensorFlow says there which devices it has and how large its buffers are, in part before its log is set up, so that
    no setting of it holds that back.
    """
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _read(shard: ShardToRead) -> ShardReading:
    reading = ShardReading()
    records = parsed_records(shard.file, shard.layout, shard.compression, multi_label=shard.multi_label)
    try:
        for index, record in records:
            reading.records.append(_facts_of(record))
            if index in shard.decoded:
                reading.decoded[index] = _decoded(record["images"])
            if index in shard.whole:
                reading.whole[index] = _whole(record)
    except ReadingError as error:
        reading.error, reading.unreadable_index = str(error), error.record_index
    return reading


def _facts_of(record: Mapping[str, Any]) -> RecordFacts:
    return RecordFacts(
        clip_id=record["id"].decode("utf-8", "replace"),
        labels=sorted(np.atleast_1d(record["label"]).tolist()),
        num_images=len(record["images"]),
        num_times=len(record["timestamps_us"]),
    )


def _decoded(images: Any) -> FrameFacts:
    try:
        frames = decode_frames(images)
    except ReadingError as error:
        return FrameFacts(error=str(error))
    are_as_stored = isinstance(images[0], bytes) or np.array_equal(images, frames)
    return FrameFacts(str(frames.dtype), frames.shape, are_as_stored)


def _whole(record: Mapping[str, Any]) -> WholeRecord:
    images, times_us = record["images"], tuple(record["timestamps_us"].tolist())
    if not len(images) or isinstance(images[0], bytes):
        return WholeRecord(tuple(images), times_us)
    return WholeRecord(decode_frames(images), times_us)
