"""What is committed, and a bounded sample of its records: what the card and the statistics are made of."""

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import Split
from video_assets.domain.statistics import channel_sums
from video_assets.pipeline.commit.changes import CommitNotes
from video_assets.pipeline.manifest.manifest_table import ReadManifest
from video_assets.pipeline.plan.plan_table import ReadPlan
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import read_records
from video_assets.records.layouts import layout_codec
from video_assets.report.contact_sheet import SampledClip, evenly
from video_assets.setting_types import Layout
from video_assets.storage.addresses import ask_each
from video_assets.storage.files import read_part, read_parts
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar, StoredClip

_MOTION_FRAMES = 6
_BATCH_BYTES = 32 << 20
"""So many bytes of records are read before they are decoded: those that lie side by side by one request."""

Place = tuple[str, StoredClip]
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What is committed, as the card tells it. `index` has a row per record; numbers are by split.

    `folder` is the commit's own, relative to the version directory; empty without one.
    """

    paths: DatasetPaths
    manifest: ReadManifest
    plan: ReadPlan
    notes: CommitNotes
    sidecars: Mapping[str, Sidecar]
    index: pd.DataFrame
    records: Mapping[Split, int]
    shards: Mapping[Split, int]
    num_bytes: Mapping[Split, int]
    outcomes: Sequence[CheckOutcome]
    folder: str = ""

    @property
    def version_paths(self) -> VersionPaths:
        """Where it lies."""
        return self.paths.version(self.plan.pinned.version)

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """The `clip_lengths` of its records, in the order of the index; NaN for a clip that the manifest lacks."""
        return self.manifest.lengths.reindex(self.index["clip_id"])

    def places(self) -> Iterator[Place]:
        """Yield all stored clips by the hash of their content: an order that looks random and stays the same."""
        keys = [key for key, sidecar in self.sidecars.items() for _ in sidecar.clips]
        clips = [clip for sidecar in self.sidecars.values() for clip in sidecar.clips]
        return ((keys[row], clips[row]) for row in self._order)

    @cached_property
    def _order(self) -> Sequence[int]:
        return rows_by_content(self.index)


def rows_by_content(index: pd.DataFrame) -> list[int]:
    """Return the rows of an index by the hash of the clips' content, then by name."""
    columns = (index[name].to_numpy(object) for name in ("content_hash", "clip_id"))
    # By texts: Python's garbage collector would look at a tuple for each clip again and again.
    texts = [f"{content}\0{name}" for content, name in zip(*columns, strict=True)]
    return sorted(range(len(texts)), key=texts.__getitem__)


def read_stored(
    paths: VersionPaths, layout: Layout, labels: Sequence[str], places: Iterable[Place]
) -> Iterator[ClipRecord]:
    """The records at these places (partition key of the shard, and the clip in it); of the shard only they are read.

    A record that cannot be read is left out: checks are there to say so, and pictures do without it.
    """
    for key, clip in places:
        data = read_part(paths.shard(*parse_partition_key(key)), clip.offset, clip.length)
        yield from _decoded(data, layout, labels)


def _decoded(data: bytes, layout: Layout, labels: Sequence[str]) -> Iterator[ClipRecord]:
    """The records in some bytes of a shard, as far as they can be read."""
    codec, compression = layout_codec(layout), Encoding(layout=layout).compression
    with suppress(ValueError):
        for framed in read_records(io.BytesIO(data), compression):
            yield codec.decode_record(framed.data, labels)


def sampled_clip(record: ClipRecord, num_frames: int) -> SampledClip:
    """Some of a record's frames, from its first to its last."""
    from video_assets.media.images import decode_image

    chosen = evenly(record.num_frames, num_frames)
    if record.frames is None:
        frames = np.stack([decode_image(record.images[index]) for index in chosen])
    else:
        frames = record.frames[chosen]
    times = [int(record.timestamps_us[index]) for index in chosen]
    return SampledClip(record.clip_id, record.label, frames, times)


def motion_of(record: ClipRecord) -> float | None:
    """Mean change of brightness from one stored frame to the next, in grey levels; None for a single frame.

    At an eighth of the frame's size, of at most 6 neighbouring frames from the middle of the clip.
    """
    from video_assets.media.images import decode_small_grey, small_grey

    first = max(0, (record.num_frames - _MOTION_FRAMES) // 2)
    middle = slice(first, first + _MOTION_FRAMES)
    if record.num_frames < 2:
        return None
    if record.frames is None:
        small = map(decode_small_grey, record.images[middle])
    else:
        small = map(small_grey, record.frames[middle])
    greys: list[NDArray[np.int16]] = [grey.astype(np.int16) for grey in small]
    return float(np.mean([np.abs(b - a).mean() for a, b in pairwise(greys)]))


def middle_frame_sums(record: ClipRecord) -> NDArray[np.float64]:
    """The `channel_sums` of a record's middle frame."""
    from video_assets.media.images import decode_image

    middle = record.num_frames // 2
    return channel_sums(decode_image(record.images[middle]) if record.frames is None else record.frames[middle])


def of_each(committed: Committed, places: Iterable[Place], what: Callable[[ClipRecord], Found]) -> list[Found]:
    """What is found in the records at these places that can be read, in their order."""
    layout, labels = committed.plan.pinned.encoding.layout, committed.plan.labels
    batches = _stored_bytes(committed.version_paths, places)
    return [what(record) for batch in batches for data in batch for record in _decoded(data, layout, labels)]


def _stored_bytes(paths: VersionPaths, places: Iterable[Place]) -> Iterator[list[bytes]]:
    """The bytes of the records at these places, in their order, about 32 MiB at a time."""
    batch: list[Place] = []
    num_bytes = 0
    for key, clip in places:
        batch.append((key, clip))
        num_bytes += clip.length
        if num_bytes >= _BATCH_BYTES:
            yield _read_batch(paths, batch)
            batch, num_bytes = [], 0
    yield _read_batch(paths, batch)


def _read_batch(paths: VersionPaths, places: Sequence[Place]) -> list[bytes]:
    parts: dict[str, dict[tuple[int, int], bytes]] = {key: {} for key, _ in places}
    for key, clip in places:
        parts[key][clip.offset, clip.length] = b""

    def read(key: str) -> None:
        wanted = list(parts[key])
        parts[key] = dict(zip(wanted, read_parts(paths.shard(*parse_partition_key(key)), wanted), strict=True))

    ask_each(paths.directory, read, list(parts))
    return [parts[key][clip.offset, clip.length] for key, clip in places]
