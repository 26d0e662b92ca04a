"""Compare the pictures of two decodes."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Planes = list[NDArray[Any]]
"""Copies of a frame's planes."""


def are_same(one: VideoFrame, other: VideoFrame) -> bool:
    """Return whether two frames have the same format and pixels."""
    return one.format.name == other.format.name and all(
        np.array_equal(_plane(one, number), _plane(other, number)) for number in range(len(one.planes))
    )


def copy_planes(frame: VideoFrame) -> Planes:
    """Copy a frame's planes, so that the decoder can use its memory again."""
    return [_plane(frame, number).copy() for number in range(len(frame.planes))]


def differing_share(some: Sequence[Planes], others: Sequence[Planes]) -> float:
    """Return which share of the pictures lies between the first and the last row that differ; 0 if none does."""
    planes, other_planes = list(chain.from_iterable(some)), list(chain.from_iterable(others))
    if len(planes) != len(other_planes):
        return 1
    return max(_share_between(*pair) for pair in zip(planes, other_planes, strict=True))


def _share_between(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.shape != other.shape:
        return 1
    rows = (one != other).any(axis=1)
    return 1 - int(rows.argmax() + rows[::-1].argmax()) / len(rows) if rows.any() else 0


def _plane(frame: VideoFrame, number: int) -> NDArray[Any]:
    plane: Any = frame.planes[number]
    values = np.frombuffer(plane, np.uint8 if frame.format.components[0].bits <= 8 else np.dtype("<u2"))
    return values.reshape(plane.height, -1)[:, : plane.width]  # rows end with anything
