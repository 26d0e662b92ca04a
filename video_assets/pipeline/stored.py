"""Stored clips, read back a few at a time by their places in the shards: for pictures of them."""

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding, Layout
from video_assets.records.framing import read_records
from video_assets.records.layouts import layout_codec
from video_assets.records.values import ClipRecord
from video_assets.report.contact_sheet import SampledClip, evenly
from video_assets.storage.files import read_part
from video_assets.storage.paths import VersionPaths, parse_partition_key
from video_assets.storage.sidecars import StoredClip

_MOTION_FRAMES = 16


def read_stored(
    paths: VersionPaths, layout: Layout, labels: Sequence[str], places: Iterable[tuple[str, StoredClip]]
) -> Iterator[ClipRecord]:
    """The records at these places (partition key of the shard, and the clip in it); of the shard only they are read.

    A record that cannot be read is left out: checks are there to say so, and pictures do without it.
    """
    codec, compression = layout_codec(layout), Encoding(layout=layout).compression
    for key, clip in places:
        data = read_part(paths.shard(*parse_partition_key(key)), clip.offset, clip.length)
        try:
            for framed in read_records(io.BytesIO(data), compression):
                yield codec.decode_record(framed.data, labels)
        except ValueError:
            continue


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

    At an eighth of the frame's size, of at most 16 neighbouring frames from the middle of the clip.
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
