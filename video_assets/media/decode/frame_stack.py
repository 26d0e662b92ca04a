"""Collect decoded frames as stored frames, in any order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.open.losses import lose

_MAX_WAITING_PIXELS: Final = 1 << 20


@dataclass(slots=True)
class DecodedFrames:
    """The frames that were wanted.

    `frames`: (T, H, W, 3) uint8 RGB. `timestamps_us`: (T,) int64, when each frame appears on the video's own timeline,
    which is not the wanted time. `num_frames_decoded`: how many of the `num_frames_total` were decoded for them.
    `note`: "", or why the whole video was decoded sequentially. `timeline`: that of the whole video. `damage`: "", or
    how many of the frames are damaged, as a sentence.
    """

    frames: NDArray[np.uint8]
    timestamps_us: NDArray[np.int64]
    num_frames_decoded: int
    num_frames_total: int
    note: str
    timeline: Timeline
    damage: str = ""


class FrameStack:
    """Stored frames for a list of frame indices, which may repeat. Decoded frames are put in any order.

    Small frames wait and are converted together: converting each one in turn costs 4 % of the time of a small clip,
    since decoder and scaler push each other's code and tables out of the processor's caches.
    """

    def __init__(self, frame_indices: Sequence[int], converter: FrameConverter, frame_size: FrameSize) -> None:
        self._slots: dict[int, list[int]] = {}
        for slot, frame_index in enumerate(frame_indices):
            self._slots.setdefault(frame_index, []).append(slot)
        self._converter = converter
        side_px = frame_size.resolution
        self.frames: NDArray[np.uint8] = np.empty((0, side_px, side_px, 3), dtype=np.uint8)
        self._num_slots = len(frame_indices)
        self._waiting: dict[int, VideoFrame] = {}
        self._num_waiting_pixels = 0

    @property
    def missing(self) -> set[int]:
        """The indices of frames that have not been put yet."""
        return self._slots.keys() - self._waiting.keys()

    def put(self, frame_index: int, frame: VideoFrame) -> None:
        """Put the decoded frame of an index. Once the last one was put, `frames` is complete.

        Raises:
            VideoLost: too_many_pixels; unreadable, where stored frames would differ in shape.
        """
        self._waiting[frame_index] = frame
        self._num_waiting_pixels += frame.width * frame.height
        if self._num_waiting_pixels > _MAX_WAITING_PIXELS or len(self._waiting) == len(self._slots):
            for number, waiting in self._waiting.items():
                self._convert(number, waiting)
            self._waiting.clear()
            self._num_waiting_pixels = 0

    def _convert(self, frame_index: int, frame: VideoFrame) -> None:
        shape = self._converter.frame_shape(frame)
        if not len(self.frames):
            self.frames = np.empty((self._num_slots, *shape), dtype=np.uint8)
        if self.frames.shape[1:] != shape:
            lose("unreadable", f"Its frames change their shape in the middle: {self.frames.shape[1:]}, {shape}.")
        first, *others = self._slots.pop(frame_index)
        picture = self._converter.convert(frame, self.frames[first])
        if picture.base is not self.frames:
            self.frames[first] = picture
        for other in others:
            self.frames[other] = self.frames[first]
