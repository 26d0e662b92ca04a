"""From a decoded picture to a stored frame: colours to RGB, size, turn, crop or bars."""

from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from video_assets.domain.geometry import (
    UPRIGHT,
    Fit,
    FrameSize,
    Orientation,
    Size,
    display_size,
    fit_frame,
    orientation_from_matrix,
)
from video_assets.domain.limits import Limits
from video_assets.media.video import check_pixels


def orientation_of(frame: VideoFrame) -> Orientation:
    """How the frame has to be turned, from its display matrix."""
    for data in cast("Iterator[SideData]", iter(frame.side_data)):  # PyAV's stubs say that it gives strings
        if data.type is SideDataType.DISPLAYMATRIX:
            matrix = np.frombuffer(data, dtype=np.int32)
            return orientation_from_matrix([int(value) for value in matrix]) if len(matrix) == 9 else UPRIGHT
    return UPRIGHT


class FrameConverter:
    """Makes stored frames of one video's decoded frames; keeps the scaler from frame to frame."""

    def __init__(
        self,
        frame_size: FrameSize,
        sample_aspect_ratio: Fraction | None,
        limits: Limits,
    ) -> None:
        self._frame_size = frame_size
        self._sample_aspect_ratio = sample_aspect_ratio
        self._limits = limits
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """One stored frame (H, W, 3) uint8 RGB.

        Raises:
            VideoLost: too_many_pixels, for the decoded picture or (a ribbon of a video) for the stored one.
        """
        check_pixels(frame.width, frame.height, self._limits)
        orientation = orientation_of(frame)
        shown = display_size(Size(frame.width, frame.height), self._sample_aspect_ratio, orientation)
        fit = fit_frame(shown, self._frame_size)
        check_pixels(fit.scaled.width_px, fit.scaled.height_px, self._limits)
        return place(turn(self._scale(frame, fit, orientation), orientation), fit)

    def _scale(self, frame: VideoFrame, fit: Fit, orientation: Orientation) -> NDArray[np.uint8]:
        width_px, height_px = fit.scaled.width_px, fit.scaled.height_px
        if orientation.swaps_sides:
            width_px, height_px = height_px, width_px
        scaled = self._reformatter.reformat(
            frame,
            width=width_px,
            height=height_px,
            format="rgb24",
            interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT,
            threads=1,
        )
        return np.asarray(scaled.to_ndarray(), dtype=np.uint8)


def turn(picture: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """The picture (H, W, 3) mirrored and turned upright."""
    if orientation.is_mirrored:
        picture = picture[:, ::-1]
    return np.rot90(picture, k=-(orientation.turn_degrees // 90))


def place(picture: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """The scaled picture laid centred on the frame: its middle where it is larger, black bars where smaller."""
    if fit.scaled == fit.frame:
        return np.ascontiguousarray(picture)
    frame = np.zeros((fit.frame.height_px, fit.frame.width_px, 3), dtype=np.uint8)
    rows_to, rows_from = _overlap(fit.offset_y_px, fit.scaled.height_px, fit.frame.height_px)
    columns_to, columns_from = _overlap(fit.offset_x_px, fit.scaled.width_px, fit.frame.width_px)
    frame[rows_to, columns_to] = picture[rows_from, columns_from]
    return frame


def _overlap(offset_px: int, picture_px: int, frame_px: int) -> tuple[slice, slice]:
    start, stop = max(0, offset_px), min(frame_px, offset_px + picture_px)
    return slice(start, stop), slice(start - offset_px, stop - offset_px)
