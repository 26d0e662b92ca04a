"""How much of a machine one clip, or an annotation table, may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds for one video; what exceeds them is quarantined by name.

    Pixels, frames, duration and bytes are checked before anything is decoded, from the index where there
    is one, since headers lie. Time and memory are enforced on the process that decodes.
    """

    max_pixels: int = 36_000_000  # a frame of 8K UHD is 33.2 million
    max_frames: int = 2_000_000
    max_duration_seconds: float = 6 * 3600.0
    max_file_bytes: int = 64 * 2**30
    clip_seconds: float = 120.0
    memory_bytes: int = 2 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class TableLimits:
    """Upper bounds for an annotation table; one that exceeds them is refused by name.

    Bytes are those of its texts as they would be written out: Parquet may hold a text once and name it a million times.
    """

    max_rows: int = 5_000_000
    max_bytes: int = 2_000_000_000
