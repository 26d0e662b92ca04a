"""What a clip looks like, in 216 bytes: near duplicates have similar ones."""

import cv2
import numpy as np
from numpy.typing import NDArray

from video_assets.domain.near_duplicates import NUM_BITS

_NUM_FRAMES = 3
_CELLS = 12
_MIN_GRADIENT = 1.0


def clip_signature(frames: NDArray[np.uint8], *, letterboxed: bool = False) -> bytes:
    """The perceptual signature of a clip, to be compared by `domain.near_duplicates`.

    Frames at 1/6, 1/2 and 5/6 of the clip are averaged to 12 x 12 cells; a bit tells whether it gets brighter
    from one cell to the next, to the right and downwards (dHash). A second bit tells whether it changes by a
    grey level at all: plain backgrounds and black frames say nothing, and what they say by chance is not
    compared. Both halves hold 3 x (12 x 12 + 12 x 12) bits.

    It hardly changes when a clip is re-encoded, scaled, cropped a little, made brighter or darker, or marked with
    a logo. It changes with the moment: clips of one scene that share less than about 80 % of their time differ.
    Mirrored copies are not recognised.

    Args:
        frames: (T, H, W, 3) uint8 RGB, at least one frame.
        letterboxed: The frames were fitted with black bars, which are then left out.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(f"the frames of a clip are (T, H, W, 3) with at least one frame, these are {frames.shape}")
    chosen = [(2 * k + 1) * len(frames) // (2 * _NUM_FRAMES) for k in range(_NUM_FRAMES)]
    greys = np.stack([cv2.cvtColor(frames[index], cv2.COLOR_RGB2GRAY) for index in chosen])
    gradients = np.concatenate([_gradients(grey) for grey in (_without_bars(greys) if letterboxed else greys)])
    assert gradients.size == NUM_BITS, "the layout of signatures is that of domain.near_duplicates"
    known = np.abs(gradients) >= _MIN_GRADIENT
    return np.packbits([(gradients > 0) & known, known], axis=1).tobytes()


def _without_bars(greys: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture (T, H, W) inside of bars: squeezed into fewer cells, clips of one place would look alike.

    Bars made by fitting are exactly black and even on both sides. It is not done for all frames, since bars
    that belong to the video are not black any more once it was made brighter or encoded again.
    """
    for axis in (1, 2):
        lit = np.flatnonzero(greys.any(axis=(0, 3 - axis)))
        length = greys.shape[axis]
        if not len(lit):
            return greys
        before, after = int(lit[0]), length - 1 - int(lit[-1])
        if abs(before - after) <= 1:
            greys = greys.take(range(before, length - after), axis=axis)
    return greys


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Steps of brightness between neighbouring cells, in grey levels: to the right, then downwards."""
    levels = grey.astype(np.float32)
    wide = cv2.resize(levels, (_CELLS + 1, _CELLS), interpolation=cv2.INTER_AREA)
    high = cv2.resize(levels, (_CELLS, _CELLS + 1), interpolation=cv2.INTER_AREA)
    return np.concatenate([np.diff(wide, axis=1).ravel(), np.diff(high, axis=0).ravel()]).astype(np.float32)
