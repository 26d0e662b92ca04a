"""Columns of every table on disk."""

import pyarrow as pa

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
    ("readable_fraction", pa.float64()),
    ("gap_us", pa.int64()),
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
ADDED_COLUMNS = frozenset({DAMAGE.name, "readable_fraction", "gap_us"})
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
