"""When each frame of a video is shown."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class KnownTimeline:
    """What reading all packets of a video told, and was trusted: its frames are shown in [start_us, end_us)."""

    start_us: int
    end_us: int
    num_frames: int


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The frames that a full decode of a video shows, in display order.

    `starts_us` (N,) int64, strictly increasing: when frame i appears, in microseconds on the video's own
    time line, as the container gives it (it may begin below or above zero). `end_us` is when the last frame
    stops being shown (exclusive): frame i is shown during [starts_us[i], starts_us[i + 1]).
    """

    starts_us: NDArray[np.int64]
    end_us: int

    @property
    def num_frames(self) -> int:
        """How many frames there are."""
        return len(self.starts_us)

    @property
    def start_us(self) -> int:
        """When the first frame appears."""
        return int(self.starts_us[0])

    @property
    def duration_us(self) -> int:
        """From the first frame's appearance to the last one's end."""
        return self.end_us - self.start_us
