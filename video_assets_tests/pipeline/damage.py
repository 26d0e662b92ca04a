"""Damage of every kind, done to a dataset on disk as bit rot, a bug or an attacker would do it."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import frame_record, read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import read_lines
from video_assets.storage.sidecars import Sidecar, read_sidecar
from video_assets.storage.tables import read_notes, read_table, write_table
from video_assets_tests.datasets import Built


def flip_byte(file: Path, offset: int) -> None:
    """Turns all bits of one byte around."""
    data = bytearray(file.read_bytes())
    data[offset] ^= 0xFF
    file.write_bytes(data)


def records_of(built: Built, key: str) -> list[ClipRecord]:
    """The records of a shard, by the writer's own code."""
    labels, encoding = read_lines(built.paths.labels), read_plan(built.paths).pinned.encoding
    decode_record = layout_codec(encoding.layout).decode_record
    with built.shard(key).open("rb") as file:
        return [decode_record(framed.data, labels) for framed in read_records(file, encoding.compression)]


def known_of(built: Built, key: str) -> Sidecar:
    """A shard's sidecar."""
    sidecar = read_sidecar(built.sidecar(key))
    assert sidecar is not None
    return sidecar


def edit_sidecar(built: Built, key: str, **changes: Any) -> None:
    """Sets fields of a sidecar."""
    values = asdict(known_of(built, key)) | changes
    built.sidecar(key).write_text(json.dumps(values))


Change = Callable[[list[ClipRecord]], Sequence[ClipRecord]]
"""What is done to a shard's records."""


def rewrite_shard(built: Built, key: str, change: Change) -> None:
    """Rewrites a shard with valid checksums, and makes its sidecar agree in all that it says about the file."""
    records, encoding = change(records_of(built, key)), read_plan(built.paths).pinned.encoding
    encode_record = layout_codec(encoding.layout).encode_record
    framed = [frame_record(encode_record(record), encoding.compression) for record in records]
    data = b"".join(framed)
    built.shard(key).write_bytes(data)
    known = {clip.clip_id: clip for clip in known_of(built, key).clips}
    clips: list[dict[str, Any]] = []
    offset = 0
    for record, part in zip(records, framed, strict=True):
        place = {"offset": offset, "length": len(part), "label_index": record.label_index}
        clips.append(asdict(known[record.clip_id]) | place)
        offset += len(part)
    digest = hashlib.sha256(data).hexdigest()
    edit_sidecar(built, key, sha256=digest, bytes=len(data), records=len(records), clips=clips)


def with_another_label(records: list[ClipRecord]) -> list[ClipRecord]:
    """The first record gets the label of another class."""
    return [replace(records[0], label_index=(records[0].label_index + 1) % 3), *records[1:]]


def without_the_second(records: list[ClipRecord]) -> list[ClipRecord]:
    """One record is gone."""
    return [records[0], *records[2:]]


def in_another_order(records: list[ClipRecord]) -> list[ClipRecord]:
    """The records themselves are whole, but two stand in each other's place."""
    return [records[1], records[0], *records[2:]]


def with_swapped_frames(records: list[ClipRecord]) -> list[ClipRecord]:
    """The second and the fourth frame of every record change places; the times stay."""
    return [replace(r, images=[r.images[i] for i in (0, 3, 2, 1, 4)]) for r in records]


def with_swapped_frames_and_times(records: list[ClipRecord]) -> list[ClipRecord]:
    """As above, and the times go along."""
    order = [0, 3, 2, 1, 4]
    return [replace(r, images=[r.images[i] for i in order], timestamps_us=r.timestamps_us[order]) for r in records]


def with_a_repeated_frame(records: list[ClipRecord]) -> list[ClipRecord]:
    """The third frame of every record stands in the place of the fourth, with its time."""
    order = [0, 1, 2, 2, 4]
    return [replace(r, images=[r.images[i] for i in order], timestamps_us=r.timestamps_us[order]) for r in records]


def with_times_between_frames(records: list[ClipRecord]) -> list[ClipRecord]:
    """Times at which no frame of the source begins."""
    return [replace(r, timestamps_us=r.timestamps_us + 1) for r in records]


def with_a_missing_frame(records: list[ClipRecord]) -> list[ClipRecord]:
    """The last frame of the first record is gone."""
    first = records[0]
    return [replace(first, images=first.images[:-1], timestamps_us=first.timestamps_us[:-1]), *records[1:]]


def with_a_broken_image(records: list[ClipRecord]) -> list[ClipRecord]:
    """An image of every record ends after some bytes."""
    return [replace(r, images=[r.images[0][:40], *r.images[1:]]) for r in records]


def edit_table(path: Path, schema: pa.Schema, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Rewrites a table, its notes kept."""
    notes = read_notes(path)
    write_table(path, change(read_table(path, schema).copy()), schema, notes)


def with_frames_turned_round(records: list[ClipRecord]) -> list[ClipRecord]:
    """The last frame stands where the first belongs."""
    return [replace(record, images=list(reversed(record.images))) for record in records]
