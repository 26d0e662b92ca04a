"""How near stored frames are to their source."""

import numpy as np
from numpy.typing import NDArray

MAX_PSNR_DB = 99.0


def frame_mse(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean squared error of two frames (H, W, 3) uint8."""
    difference = first.astype(np.int32) - second.astype(np.int32)
    return float(np.mean(difference * difference))


def psnr_from_mse(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of 8-bit frames, at most 99.

    >>> round(psnr_from_mse(65.025), 6)
    30.0
    """
    return MAX_PSNR_DB if mse <= 0 else min(MAX_PSNR_DB, 10 * float(np.log10(255.0**2 / mse)))


def misplaced_frame(stored: NDArray[np.uint8], source: NDArray[np.uint8]) -> int | None:
    """Index of the first stored frame that is clearly nearer to another frame of the same clip than to its own.

    Both are (T, H, W, 3) uint8, frame i of one belonging to frame i of the other. Frames that differ from each
    other by no more than the loss of storing them say nothing.
    """
    for index, frame in enumerate(stored):
        own = frame_mse(frame, source[index])
        for other in range(len(source)):
            if other != index and frame_mse(frame, source[other]) < 0.5 * own - 0.5:
                return index
    return None
