"""What a trainer needs to know of a dataset: clips and weight of each class, lengths, and levels of the channels."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Spread:
    """The least, the middle, the mean and the greatest of some numbers."""

    min: float
    median: float
    mean: float
    max: float

    @classmethod
    def of(cls, numbers: ArrayLike) -> Self | None:
        """Return the spread of some numbers; None without any."""
        values = np.asarray(numbers, np.float64)
        if not values.size:
            return None
        found = (values.min(), np.median(values), values.mean(), values.max())
        return cls(*(round(float(number), _DIGITS) for number in found))


@dataclass(frozen=True, slots=True)
class ChannelLevels:
    """Mean and standard deviation of red, green and blue, from 0 to 1, over the pixels of `num_frames` frames."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    num_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetStatistics:
    """The numbers of one commit. `clips` counts by split and class; the weights are those of train.

    `frames` are stored frames of a clip, `seconds` its length in the video. `levels` is None where no frame was read.
    """

    clips: Mapping[str, Mapping[str, int]]
    class_weights: Mapping[str, float]
    frames: Spread | None
    seconds: Spread | None
    levels: ChannelLevels | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return asdict(self)


def class_weights(counts: Mapping[str, int], num_clips: int, *, multi_label: bool = False) -> dict[str, float]:
    """Return the weight of each class for a loss, so that rare classes count as much as frequent ones.

    With one label per clip: clips / (classes * clips of the class), over the classes that have clips, whose mean over
    all clips is 1. With several: clips without the label for each clip with it, as `pos_weight` of a loss takes it. A
    class without clips has the weight 0.

    >>> class_weights({"run": 30, "walk": 10, "jump": 0}, 40)
    {'run': 0.666667, 'walk': 2.0, 'jump': 0.0}
    >>> class_weights({"run": 30, "walk": 20}, 40, multi_label=True)
    {'run': 0.333333, 'walk': 1.0}
    """
    num_classes = sum(count > 0 for count in counts.values())

    def weight(count: int) -> float:
        if not count:
            return 0.0
        return (num_clips - count) / count if multi_label else num_clips / (num_classes * count)

    return {name: round(weight(count), _DIGITS) for name, count in counts.items()}


def channel_sums(frame: NDArray[Any]) -> NDArray[np.float64]:
    """Return (3, 3) float64: pixels, sum and sum of squares of each channel of a frame (H, W, 3) with levels 0 to 255.

    >>> channel_sums(np.array([[[0, 1, 2], [2, 1, 0]]], np.uint8))
    array([[2., 2., 2.],
           [2., 2., 2.],
           [4., 2., 4.]])
    """
    pixels = frame.reshape(-1, 3)
    if pixels.dtype == np.uint8:  # through counts of the 256 levels: a fifth of the time of squaring every pixel
        counts = np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)], axis=1)
        levels = np.arange(256, dtype=np.float64)
        return np.stack([counts.sum(axis=0), levels @ counts, levels**2 @ counts]).astype(np.float64)
    values = pixels.astype(np.float64)
    return np.stack([np.full(3, float(len(values))), values.sum(axis=0), (values**2).sum(axis=0)])


def channel_levels(sums: Sequence[NDArray[np.float64]]) -> ChannelLevels | None:
    """Return mean and standard deviation of frames by their `channel_sums`; None without any frame."""
    if not sums:
        return None
    pixels, total, squares = np.sum(sums, axis=0)
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return ChannelLevels(_rounded(mean / 255), _rounded(std / 255), len(sums))


def _rounded(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), _DIGITS) for value in values)
    return red, green, blue
