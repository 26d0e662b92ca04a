"""Copy a record from a superseded shard. Decoding processes load this module, so nothing here may load pandas."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import StorageFailed
from video_assets.domain.plan import PlannedClip
from video_assets.records.framing import frame_record, read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import read_part
from video_assets.storage.sidecars import StoredClip


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in the file `shard`, and what the shard's sidecar says of it and of the software that wrote it."""

    shard: Path
    clip: StoredClip
    versions: Mapping[str, str]


def copy_record(stored: StoredRecord, clip: PlannedClip, encoding: Encoding) -> bytes | None:
    """Return the framed record of a clip, made from the stored frames; None if the stored record is not whole.

    The bytes are those that encoding the clip would give. A clip whose label, name or caption changed gets the same
    frames with its new texts.

    Raises:
        StorageFailed: If the store of the dataset does not answer.
    """
    codec = layout_codec(encoding.layout)
    try:
        data = read_part(stored.shard, stored.clip.offset, stored.clip.length)
        (framed,) = read_records(io.BytesIO(data), encoding.compression)
        record = codec.decode_record(framed.data, ())
    except StorageFailed:
        raise
    except (OSError, ValueError):
        return None
    if (record.clip_id, record.num_frames) != (stored.clip.clip_id, stored.clip.num_frames):
        return None
    record = replace(
        record,
        clip_id=clip.clip_id,
        source=clip.path,
        label=clip.label,
        label_index=clip.label_index,
        other_label_indices=clip.other_label_indices,
        caption=clip.caption or "",
    )
    content = codec.encode_record(record)
    return data if content == framed.data else frame_record(content, encoding.compression)
