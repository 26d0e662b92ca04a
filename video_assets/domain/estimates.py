"""What a build will cost, before it is done: from rules of thumb, and from a few clips that were really encoded.

A rule of thumb (`expected_seconds`, `expected_record_bytes`) knows how clips compare with one another, not how fast
this machine is nor how much detail these videos have. A trial on some of them says how far off the rule is for clips of
their kind; `extrapolate` applies that to all (a ratio estimate in each stratum: Cochran, Sampling Techniques, 3rd ed.,
6.11).
"""

import heapq
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.hashing import seeded_hash
from video_assets.domain.model_windows import MODEL_WINDOWS

_BYTES_PER_PIXEL = {100: 0.80, 95: 0.36, 90: 0.26, 80: 0.18, 70: 0.145, 50: 0.105, 1: 0.03}
"""Of JPEG, 4:2:0, by quality, measured on camera footage at 224²; between two qualities it is interpolated."""
_PNG_BYTES_PER_PIXEL = 1.6
_GZIP_BYTES_PER_PIXEL, _GZIP_SECONDS_PER_PIXEL = 2.7, 2.5e-7
"""Of float32 pixels, measured on 119 camera clips at 224²."""
_RECORD_BYTES, _FRAME_BYTES = 300, 600
_SECONDS_PER_CLIP, _SECONDS_PER_SOURCE_FRAME = 4e-3, 1.2e-5
_SECONDS_PER_DECODED_PIXEL, _SECONDS_PER_STORED_PIXEL = 1.5e-9, 1.2e-8
MAX_STRATA = 12
QUALITIES = (100, 98, 95, 92, 90, 85, 80, 70, 60, 50, 40, 30, 20, 10, 1)
"""JPEG qualities that a trial for a size budget encodes with; between two of them bytes are interpolated."""
_SCHEDULED_ONE_BY_ONE = 20_000

Floats = NDArray[np.float64]


def jpeg_bytes_per_pixel(quality: int) -> float:
    """Bytes that one pixel takes, about.

    >>> jpeg_bytes_per_pixel(95)
    0.36
    """
    above = min(q for q in _BYTES_PER_PIXEL if q >= quality)
    below = max(q for q in _BYTES_PER_PIXEL if q <= quality)
    if above == below:
        return _BYTES_PER_PIXEL[quality]
    share = (quality - below) / (above - below)
    return _BYTES_PER_PIXEL[below] + share * (_BYTES_PER_PIXEL[above] - _BYTES_PER_PIXEL[below])


def expected_record_bytes(encoding: Encoding, stored_frames: Floats) -> Floats:
    """Bytes of records of so many frames, (N,): pixels and image format decide; content may halve or double it."""
    return _RECORD_BYTES + stored_frames * (encoding.resolution**2 * _bytes_per_pixel(encoding) + _FRAME_BYTES)


def _bytes_per_pixel(encoding: Encoding) -> float:
    if not encoding.stores_images:
        return _GZIP_BYTES_PER_PIXEL
    return _PNG_BYTES_PER_PIXEL if encoding.image_format == "png" else jpeg_bytes_per_pixel(encoding.jpeg_quality)


def estimated_record_bytes(encoding: Encoding) -> float:
    """Bytes of one record, about, when nothing is known of its clip."""
    fixed = encoding.sampling in ("uniform", "segments")
    num_frames = encoding.num_frames if fixed else min(encoding.max_frames, 50)
    return float(expected_record_bytes(encoding, np.array([num_frames], np.float64))[0])


@dataclass(frozen=True, slots=True)
class ClipSizes:
    """What decides the work on clips: (N,) arrays. A clip that is a span counts its own frames."""

    source_frames: Floats
    stored_frames: Floats
    frame_pixels: Floats
    keyframes: Floats
    is_indexed: NDArray[np.bool_]


def expected_seconds(sizes: ClipSizes, encoding: Encoding) -> Floats:
    """Seconds of one core to encode each clip, (N,), on a machine like any other.

    Of a video whose index is trusted, a stored frame costs half of the frames from one keyframe to the next.
    """
    gop_frames = sizes.source_frames / np.maximum(1.0, sizes.keyframes)
    needed = np.minimum(sizes.source_frames, sizes.stored_frames * (0.5 * gop_frames + 1))
    decoded = np.where(sizes.is_indexed, needed, sizes.source_frames)
    pixels = decoded * sizes.frame_pixels
    stored_pixels = sizes.stored_frames * encoding.resolution**2
    per_clip = _SECONDS_PER_CLIP + sizes.source_frames * _SECONDS_PER_SOURCE_FRAME
    storing = _SECONDS_PER_STORED_PIXEL + (0 if encoding.stores_images else _GZIP_SECONDS_PER_PIXEL)
    return per_clip + pixels * _SECONDS_PER_DECODED_PIXEL + stored_pixels * storing


def merged_strata(kinds: Sequence[Hashable]) -> NDArray[np.int64]:
    """A number for each clip's stratum, (N,): one for each of the commonest kinds, and one for all others.

    >>> merged_strata(["h264", "vp9", "h264"]).tolist()
    [0, 1, 0]
    """
    number_of = {kind: number for number, (kind, _) in enumerate(Counter(kinds).most_common(MAX_STRATA))}
    return np.array([number_of.get(kind, MAX_STRATA) for kind in kinds], np.int64)


def choose_trial(strata: NDArray[np.int64], seconds: Floats, names: Sequence[str], *, max_clips: int) -> list[int]:
    """Indices of the clips to try, the cheapest first: spread over strata, and in each over cheap and dear clips.

    A stratum gets a share by its clips and its expected `seconds`, and one clip at least while there is room. Of equal
    clips the hash of their name decides, so that one class, or the beginning of a list, is not preferred.
    """
    if not len(strata):
        return []
    chosen: list[int] = []
    weights = 0.5 * seconds / seconds.sum() + 0.5 / len(seconds)
    members = {int(number): np.flatnonzero(strata == number) for number in np.unique(strata)}
    shares = {number: float(weights[rows].sum()) for number, rows in members.items()}
    for number in sorted(members, key=lambda n: -shares[n]):
        wanted = min(len(members[number]), max(1, round(max_clips * shares[number])), max_clips - len(chosen))
        chosen += _spread(members[number], seconds, names, wanted)
    return sorted(chosen, key=lambda row: (float(seconds[row]), row))


def _spread(rows: NDArray[np.int64], seconds: Floats, names: Sequence[str], wanted: int) -> list[int]:
    """Of clips in the order of their cost, those in the middle of `wanted` equal parts."""

    def place(row: int) -> tuple[float, int]:
        return round(float(seconds[row]), 3), seeded_hash(0, names[row])

    ordered: list[int] = sorted(rows.tolist(), key=place)
    return [ordered[int((part + 0.5) * len(ordered) / wanted)] for part in range(wanted)]


def is_affordable(next_seconds: float, expected: Sequence[float], taken: Sequence[float], max_seconds: float) -> bool:
    """Whether there is time for one more clip, when the first `len(taken)` of those `expected` took that long.

    Expectations are scaled by what was seen so far. The first clip is always affordable.

    >>> is_affordable(8.0, [2.0, 4.0], [1.0], 7.0), is_affordable(8.0, [2.0, 4.0], [2.0], 7.0)
    (True, False)
    """
    if not expected:
        return True
    known = sum(expected[: len(taken)])
    scale = sum(taken) / known if known > 0 else 1.0
    return sum(taken) + scale * (sum(expected[len(taken) :]) + next_seconds) <= max_seconds


def extrapolate(expected: Floats, strata: NDArray[np.int64], tried: Sequence[int], measured: Sequence[float]) -> Floats:
    """What all clips will take, (N,), when those that were tried took `measured`.

    Each stratum's expectation is scaled by what its tried clips took; one without any, by what all of them took.

    >>> extrapolate(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), [0], [3.0]).tolist()
    [3.0, 6.0, 15.0]
    """
    if not tried:
        return expected.copy()
    rows, values = np.asarray(tried), np.asarray(measured, np.float64)
    found = expected * (values.sum() / expected[rows].sum())
    for number in np.unique(strata[rows]):
        mine = strata[rows] == number
        found[strata == number] = expected[strata == number] * (values[mine].sum() / expected[rows[mine]].sum())
    found[rows] = values
    return found


def relative_error(
    expected: Floats, strata: NDArray[np.int64], tried: Sequence[int], measured: Sequence[float]
) -> float:
    """Standard error of the sum that `extrapolate` gives, as a share of it; 0 if all were tried.

    Strata of one tried clip are given the spread of all of them together.
    """
    total = float(extrapolate(expected, strata, tried, measured).sum())
    if len(tried) < 2 or total <= 0:
        return 0.0 if len(tried) == len(expected) else 1.0
    rows, values = np.asarray(tried), np.asarray(measured, np.float64)
    predicted = expected[rows] * (values.sum() / expected[rows].sum())
    for number in np.unique(strata[rows]):
        mine = strata[rows] == number
        if mine.sum() > 1:
            predicted[mine] = expected[rows[mine]] * (values[mine].sum() / expected[rows[mine]].sum())
    spread = float(np.sqrt(((values - predicted) ** 2).sum() / (len(rows) - 1)))
    num_rest = len(expected) - len(rows)
    return num_rest * spread * float(np.sqrt(1 / len(rows) + 1 / max(1, num_rest))) / total


def pool_seconds(seconds: Floats, num_workers: int) -> float:
    """How long a pool takes for clips of so many seconds each, taken in their order by whoever is free.

    >>> pool_seconds(np.array([1.0, 1.0, 4.0]), 2)
    5.0
    """
    if not len(seconds):
        return 0.0
    if len(seconds) > _SCHEDULED_ONE_BY_ONE:
        return float(seconds.sum()) / num_workers + float(seconds.max()) * (1 - 1 / num_workers)
    free = [0.0] * num_workers
    for one in seconds.tolist():
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def smaller_frames(encoding: Encoding) -> Encoding:
    """The same with the next smaller frames that a MoViNet trains on; below those, three quarters of the side.

    >>> smaller_frames(Encoding(resolution=224)).resolution
    172
    """
    sides = [window.resolution for window in MODEL_WINDOWS if window.resolution < encoding.resolution]
    return encoding.replace(resolution=max(sides) if sides else max(8, round(encoding.resolution * 0.75)))


def lower_quality(encoding: Encoding) -> Encoding:
    """The same with the JPEG quality ten lower; of PNG, as JPEG; of a layout that stores pixels, as images.

    >>> lower_quality(Encoding()).jpeg_quality
    85
    """
    if not encoding.stores_images:
        return encoding.replace(layout="tfds")
    if encoding.image_format == "png":
        return encoding.replace(image_format="jpeg")
    return encoding.replace(jpeg_quality=max(1, encoding.jpeg_quality - 10))


def quality_within(budget_bytes: float, bytes_of: Mapping[int, float]) -> int | None:
    """The highest JPEG quality whose size fits the budget, None if none does.

    `bytes_of` gives the size at some qualities; between two of them the logarithm of the size is interpolated.

    >>> quality_within(150.0, {80: 100.0, 90: 200.0})
    85
    """
    qualities = range(min(bytes_of), max(bytes_of) + 1)
    allowed = budget_bytes * (1 + 1e-9)  # logarithms are rounded
    return max((q for q in qualities if size_at_quality(q, bytes_of) <= allowed), default=None)


def size_at_quality(quality: int, bytes_of: Mapping[int, float]) -> float:
    """The size at a quality between those that are known; it never falls as quality rises."""
    known = sorted(bytes_of)
    logs = np.maximum.accumulate(np.log([max(1.0, bytes_of[one]) for one in known]))
    return float(np.exp(np.interp(quality, known, logs)))
