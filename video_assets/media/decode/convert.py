"""From a decoded picture to a stored frame: colours to RGB, size, turn, crop or bars.

Ways that were measured, one core, to 224x224; ms a frame, and PSNR in dB against exact chroma upsampling, matrix and
area average in float64 (camera 640x360; test pattern bt709 full range 1280x720; HLG 10-bit 1920x1080):

    way                                                  640x360        1280x720       1080p 10-bit
    swscale AREA to planar RGB, accurate (chosen)        0.13  58.8     0.25  47.0     0.50  58.3
    swscale AREA to rgb24, accurate                      0.55  58.8     0.66  47.0     0.92  58.3
    swscale BICUBIC to rgb24, PyAV's flags               0.48  42.5     0.89  26.1     1.49  35.6
    swscale full size to rgb24, cv2.resize INTER_AREA    2.79  57.6     10.2  50.0     22.0  57.9
    cv2.resize of the planes, matrix by cv2.transform    0.57  54.4     2.69  38.9     6.27  53.8

Planar RGB (gbrp) is what makes it cheap: swscale has SIMD for writing it, and cv2.merge interleaves it. Without
ACCURATE_RND and FULL_CHR_H_INT, colours come out up to 2.7 levels too dark. BITEXACT costs nothing and gives the same
bytes on every processor. The matrix and range are the frame's own; where the file names no matrix, BT.601, as the
ffmpeg program does. PQ and HLG get their matrix and no tone mapping: pictures look flat, numbers are the signal's.
"""

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final, cast

import cv2
import numpy as np
from av.sidedata.sidedata import SideData, SideDataContainer
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
from video_assets.media.images import LONGEST_SIDE_PX
from video_assets.media.open.video import check_pixels, lose
from video_assets.settings import Limits

_EXACT: Final = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
_AREA: Final = int(Interpolation.AREA | _EXACT)  # when enlarging, swscale's AREA is bilinear
_SAME_SIZE: Final = int(Interpolation.BILINEAR | _EXACT)

_TURNS: Final = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}

_UNSPECIFIED_MATRIX: Final = 2
_KNOWN_MATRICES: Final = frozenset({0, 1, 2, 4, 5, 6, 7, 9})  # AVCOL_SPC: RGB, 709, none, FCC, 470BG, 170M, 240M, 2020
_BT2020_CONSTANT: Final = 10
_BT2020: Final = 9


def orientation_of(frame: VideoFrame) -> Orientation:
    """How the frame has to be turned, from its display matrix."""
    for data in _side_data(frame):
        if data.type is SideDataType.DISPLAYMATRIX:
            matrix = np.frombuffer(memoryview(data), dtype=np.int32)
            return orientation_from_matrix([int(value) for value in matrix]) if len(matrix) == 9 else UPRIGHT
    return UPRIGHT


def _side_data(frame: VideoFrame) -> Iterator[SideData]:
    """What FFmpeg attached to the frame. Kinds that PyAV has no name for have a `type` named after their number.

    PyAV names all kinds of a frame before it gives any, and gives none where it knows no name: pictures with EXIF
    (31), spatial video (29). There is no other way to a mirroring display matrix. Not by `frame.side_data`: frame and
    container would hold each other, and pictures of megabytes wait for Python to look for garbage.
    """
    try:
        found = _side_data_container(frame)
    except ValueError:
        _name_every_kind()
        found = _side_data_container(frame)
    return iter(found)


_side_data_container = cast("Callable[[VideoFrame], SideDataContainer]", SideDataContainer)  # its stub takes no frame


def _name_every_kind() -> None:
    """Let PyAV's enumeration make up a member for a number that it does not know, instead of raising."""

    def unknown(value: object) -> SideDataType:
        kind = object.__new__(SideDataType)
        kind._name_, kind._value_ = f"UNKNOWN_{value}", value
        return kind

    SideDataType._missing_ = unknown


_kept = threading.local()


def _scalers() -> tuple[VideoReformatter, VideoReformatter]:
    """This thread's scalers; they set themselves up anew (35 us) only when a picture differs from the one before."""
    scalers: tuple[VideoReformatter, VideoReformatter] | None = getattr(_kept, "scalers", None)
    if scalers is None:
        scalers = _kept.scalers = VideoReformatter(), VideoReformatter()
    return scalers


class FrameConverter:
    """Makes stored frames of one video's decoded frames; keeps its sums while size and turn stay the same."""

    def __init__(self, frame_size: FrameSize, sample_aspect_ratio: Fraction | None, limits: Limits) -> None:
        self._frame_size = frame_size
        self._sample_aspect_ratio = sample_aspect_ratio
        self._limits = limits
        self._reformatter, self._same_size = _scalers()
        self._coded = Size(0, 0)
        self._orientation = UPRIGHT
        self._fit = Fit(self._coded, self._coded)
        self._is_direct = False

    def convert(self, frame: VideoFrame, into: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """One stored frame (H, W, 3) uint8 RGB; written to `into` where that has the right shape, to save a copy.

        Raises:
            VideoLost: too_many_pixels, for the decoded picture or (a ribbon of a video) for the stored one.
        """
        self._measure(frame)
        if self._is_direct and into is not None:
            return self._scale(frame, into)
        picture = self._scale(frame, None)
        if self._orientation is not UPRIGHT:
            picture = turn(picture, self._orientation)
        return place(picture, self._fit)

    def frame_shape(self, frame: VideoFrame) -> tuple[int, int, int]:
        """What shape the stored frame of this one will have.

        Raises:
            VideoLost: too_many_pixels.
        """
        self._measure(frame)
        return (self._fit.frame.height_px, self._fit.frame.width_px, 3)

    def _measure(self, frame: VideoFrame) -> None:
        """What has to be done to this frame, unless it is what was done to the one before; each tells its own turn."""
        width_px, height_px, orientation = frame.width, frame.height, orientation_of(frame)
        is_same_size = width_px == self._coded.width_px and height_px == self._coded.height_px
        if is_same_size and (orientation is self._orientation or orientation == self._orientation):
            return
        check_pixels(width_px, height_px, self._limits)
        coded = Size(width_px, height_px)
        fit = fit_frame(display_size(coded, self._sample_aspect_ratio, orientation), self._frame_size)
        check_pixels(fit.scaled.width_px, fit.scaled.height_px, self._limits)
        _check_sides(fit.frame)
        self._coded, self._fit = coded, fit
        self._orientation = orientation if orientation != UPRIGHT else UPRIGHT
        self._is_direct = self._orientation is UPRIGHT and fit.scaled == fit.frame

    def _scale(self, frame: VideoFrame, into: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        width_px, height_px = self._fit.scaled.width_px, self._fit.scaled.height_px
        if self._orientation.swaps_sides:
            width_px, height_px = height_px, width_px
        if frame.colorspace not in _KNOWN_MATRICES:  # swscale refuses what it does not know
            frame.colorspace = _BT2020 if frame.colorspace == _BT2020_CONSTANT else _UNSPECIFIED_MATRIX
        if frame.interlaced_frame:
            # swscale keeps fields apart: right for chroma, but it would leave combs in a small picture. So chroma
            # is brought to full size field by field, and the whole picture averaged.
            full = self._same_size.reformat(frame, format="gbrp", interpolation=_SAME_SIZE, threads=1)
            return self._resized(_interleaved(full, None), width_px, height_px)
        return _interleaved(
            self._reformatter.reformat(
                frame, width=width_px, height=height_px, format="gbrp", interpolation=_AREA, threads=1
            ),
            into,
        )

    @staticmethod
    def _resized(picture: NDArray[np.uint8], width_px: int, height_px: int) -> NDArray[np.uint8]:
        is_smaller = width_px <= picture.shape[1] and height_px <= picture.shape[0]
        method = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, (width_px, height_px), interpolation=method), dtype=np.uint8)


def _check_sides(stored: Size) -> None:
    """Refuse the stored frame of a ribbon of a video that no image could hold, however few its pixels are."""
    if max(stored.width_px, stored.height_px) > LONGEST_SIDE_PX:
        lose(
            "too_many_pixels",
            f"Its stored frames would be {stored.width_px}x{stored.height_px}; "
            f"the longest side of a JPEG is {LONGEST_SIDE_PX:,} pixels.",
        )


def turn(picture: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """The picture (H, W, 3) mirrored and turned upright; by OpenCV, for numpy takes twelve times as long."""
    if orientation.is_mirrored:
        picture = cast("NDArray[np.uint8]", cv2.flip(picture, 1))
    code = _TURNS.get(orientation.turn_degrees)
    return picture if code is None else cast("NDArray[np.uint8]", cv2.rotate(picture, code))


def place(picture: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """The scaled picture laid centred on the frame: its middle where it is larger, black bars where smaller."""
    if fit.scaled == fit.frame:
        return picture
    frame = np.zeros((fit.frame.height_px, fit.frame.width_px, 3), dtype=np.uint8)
    rows_to, rows_from = _overlap(fit.offset_y_px, fit.scaled.height_px, fit.frame.height_px)
    columns_to, columns_from = _overlap(fit.offset_x_px, fit.scaled.width_px, fit.frame.width_px)
    frame[rows_to, columns_to] = picture[rows_from, columns_from]
    return frame


def _overlap(offset_px: int, picture_px: int, frame_px: int) -> tuple[slice, slice]:
    start, stop = max(0, offset_px), min(frame_px, offset_px + picture_px)
    return slice(start, stop), slice(start - offset_px, stop - offset_px)


def _interleaved(planar: VideoFrame, into: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """A gbrp frame as (H, W, 3) RGB."""
    width_px = planar.width
    green, blue, red = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, :width_px] for plane in planar.planes
    ]
    return cast("NDArray[np.uint8]", cv2.merge([red, green, blue], into))
