"""Forecast what a build takes, in bytes and seconds, from some clips that were encoded for it.

Up to 64 clips are encoded, spread evenly over all of them in the order of codec, frame size and length. Bytes are the
stored frames of all clips times the bytes of a stored frame of the tried ones. Seconds are the clips times the mean
seconds of a tried clip, divided by the number of decoding processes, plus what each build, shard and record costs
beside the decoding (`START_SECONDS`, `SHARD_SECONDS`, `RECORD_SECONDS`). The error of the bytes is the standard error
of that ratio (Cochran, Sampling Techniques, 3rd ed., 6.4). Expect bytes within 10 % and minutes within 30 % on a
machine that does nothing else. Not forecast: videos whose checks take long because all of the video is decoded again,
and spans of one video that a build decodes together, so it is faster than said here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import MODEL_WINDOWS

_BYTES_PER_PIXEL = {100: 0.80, 95: 0.36, 90: 0.26, 80: 0.18, 70: 0.145, 50: 0.105, 1: 0.03}
"""Of JPEG, 4:2:0, by quality, measured on camera footage at 224²; interpolated between two qualities."""
_PNG_BYTES_PER_PIXEL = 1.6
_GZIP_BYTES_PER_PIXEL = 2.7
"""Of float32 pixels, measured on 119 camera clips at 224²."""
_RECORD_BYTES, _FRAME_BYTES = 300, 600
_USUAL_FRAMES = 50

START_SECONDS = 5.0
"""Of every build: start the processes, write the tables, commit. As the next two, in seconds of a core of about 3 GHz,
measured by bench_estimates."""
SHARD_SECONDS = 0.35
"""Write a shard, check it, decode a few of its clips again, and report it."""
RECORD_SECONDS = 0.005
"""Store a record and read it back for the checks, in the building process."""

QUALITIES = (100, 98, 95, 92, 90, 80, 60, 30, 10, 1)
"""JPEG qualities that are tried for a size budget. Sizes between two of them are interpolated, within 6 %."""


@dataclass(frozen=True, slots=True)
class ExpectedBuild:
    """What a plan's new shards will take; `basis` says where the bytes are from, `seconds` of None: not known."""

    num_bytes: float
    basis: str
    seconds: float | None


def jpeg_bytes_per_pixel(quality: int) -> float:
    """Return about how many bytes one pixel takes as JPEG.

    >>> jpeg_bytes_per_pixel(95)
    0.36
    """
    known = sorted(_BYTES_PER_PIXEL)
    return float(np.interp(quality, known, [_BYTES_PER_PIXEL[one] for one in known]))


def expected_record_bytes(encoding: Encoding, num_frames: int) -> float:
    """Return about how many bytes a record of so many frames takes, when nothing is known of what its frames show."""
    return _RECORD_BYTES + num_frames * (encoding.resolution**2 * _bytes_per_pixel(encoding) + _FRAME_BYTES)


def _bytes_per_pixel(encoding: Encoding) -> float:
    if not encoding.stores_images:
        return _GZIP_BYTES_PER_PIXEL
    return _PNG_BYTES_PER_PIXEL if encoding.image_format == "png" else jpeg_bytes_per_pixel(encoding.jpeg_quality)


def usual_record_bytes(encoding: Encoding) -> float:
    """Return about how many bytes a record takes, when nothing is known of its clip."""
    fixed = encoding.sampling in ("uniform", "segments")
    return expected_record_bytes(encoding, encoding.num_frames if fixed else min(encoding.max_frames, _USUAL_FRAMES))


def spread_places(num_items: int, num_wanted: int) -> list[int]:
    """Return the places of so many items, spread evenly over all of them; so is every beginning of the list.

    The items are the middles of equal parts. They come in an order that goes round by the golden ratio, so that a trial
    that has to stop early has still seen all kinds.

    >>> spread_places(100, 5)
    [10, 50, 90, 30, 70]
    """
    num_wanted = min(num_items, num_wanted)
    golden = (5**0.5 - 1) / 2
    order = sorted(range(num_wanted), key=lambda part: part * golden % 1)
    return [int((part + 0.5) * num_items / num_wanted) for part in order]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedClip:
    """What one clip took under one encoding; a clip that is lost took seconds, and has no frames and no bytes.

    `seconds` are by the clock, waiting for a store included; `core_seconds` are those that a core worked.
    """

    num_frames: int
    num_bytes: int
    seconds: float
    core_seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """What a build has to do. `num_frames` are the stored frames of all clips together."""

    num_clips: int
    num_frames: int
    num_shards: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a build takes, without listing and probing; `bytes_error` is a standard error, as a share of the bytes."""

    num_bytes: float
    bytes_error: float
    seconds: float
    core_seconds: float


def forecast_build(tried: Sequence[TriedClip], work: Work, encoding: Encoding, num_processes: int) -> Forecast:
    """Return what so much work takes with so many decoding processes; without a tried clip, bytes by rule of thumb.

    >>> clip = TriedClip(num_frames=10, num_bytes=1000, seconds=0.2, core_seconds=0.1)
    >>> forecast_build([clip], Work(num_clips=100, num_frames=900, num_shards=1), Encoding(), 2).num_bytes
    90000.0
    """
    clock = float(np.mean([clip.seconds for clip in tried])) if tried else 0.0
    core = float(np.mean([clip.core_seconds for clip in tried])) if tried else 0.0
    beside = START_SECONDS + work.num_shards * SHARD_SECONDS + work.num_clips * RECORD_SECONDS
    return Forecast(
        num_bytes=work.num_frames * _bytes_per_frame(tried, encoding),
        bytes_error=_bytes_error(tried, work.num_clips),
        seconds=beside + work.num_clips * clock / max(1, min(num_processes, work.num_clips)),
        core_seconds=beside + work.num_clips * core,
    )


def _bytes_per_frame(tried: Sequence[TriedClip], encoding: Encoding) -> float:
    num_frames = sum(clip.num_frames for clip in tried)
    if not num_frames:
        return expected_record_bytes(encoding, 1)
    return sum(clip.num_bytes for clip in tried) / num_frames


def _bytes_error(tried: Sequence[TriedClip], num_clips: int) -> float:
    """Return the standard error of a forecast's bytes as a share of them: 0 if all clips were tried, 1 if none was."""
    stored = [clip for clip in tried if clip.num_frames]
    if len(stored) >= num_clips:
        return 0.0
    if len(stored) < 2:
        return 1.0
    num_bytes = np.array([clip.num_bytes for clip in stored], np.float64)
    num_frames = np.array([clip.num_frames for clip in stored], np.float64)
    off = num_bytes - num_frames * (num_bytes.sum() / num_frames.sum())
    spread = float(np.sqrt((off**2).sum() / (len(stored) - 1)))
    return spread / float(num_bytes.mean()) * float(np.sqrt((1 - len(stored) / num_clips) / len(stored)))


def seconds_per_clip(shards: Sequence[tuple[float, int]]) -> float | None:
    """Return how long a clip took in a build, from when each of its shards was finished and how many records it has.

    The first shard only begins the count: nobody knows when it was begun. None if there is no other.

    >>> seconds_per_clip([(100.0, 20), (110.0, 20), (120.0, 20)])
    0.5
    """
    ordered = sorted(shards)
    num_clips = sum(num_records for _, num_records in ordered[1:])
    seconds = sum(after - before for (before, _), (after, _) in pairwise(ordered))
    return seconds / num_clips if num_clips and seconds > 0 else None


def smaller_frames(encoding: Encoding) -> Encoding:
    """Return the encoding with the next smaller frames that a MoViNet trains on; below those, with 3/4 of the side.

    >>> smaller_frames(Encoding(resolution=224)).resolution
    172
    """
    sides = [window.resolution for window in MODEL_WINDOWS if window.resolution < encoding.resolution]
    return replace(encoding, resolution=max(sides) if sides else max(8, round(encoding.resolution * 0.75)))


def lower_quality(encoding: Encoding) -> Encoding:
    """Return the encoding with a JPEG quality ten lower; PNG becomes JPEG, and a layout of raw pixels one of images.

    >>> lower_quality(Encoding()).jpeg_quality
    85
    """
    if not encoding.stores_images:
        return replace(encoding, layout="tfds")
    if encoding.image_format == "png":
        return replace(encoding, image_format="jpeg")
    return replace(encoding, jpeg_quality=max(1, encoding.jpeg_quality - 10))


def quality_within(budget_bytes: float, bytes_of: Mapping[int, float]) -> int | None:
    """Return the highest JPEG quality whose size fits the budget, None if none does.

    `bytes_of` gives the size at some qualities.

    >>> quality_within(150.0, {80: 100.0, 90: 200.0})
    85
    """
    qualities = range(min(bytes_of), max(bytes_of) + 1)
    allowed = budget_bytes * (1 + 1e-9)  # logarithms are rounded
    return max((q for q in qualities if size_at_quality(q, bytes_of) <= allowed), default=None)


def size_at_quality(quality: int, bytes_of: Mapping[int, float]) -> float:
    """Return the size at a quality between those that are known, by its logarithm; it never falls as quality rises."""
    known = sorted(bytes_of)
    logs: NDArray[np.float64] = np.maximum.accumulate(np.log([max(1.0, bytes_of[one]) for one in known]))
    return float(np.exp(np.interp(quality, known, logs)))
