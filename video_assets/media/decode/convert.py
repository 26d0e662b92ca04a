"""Convert a decoded frame to a stored one: colours to RGB, size, orientation, crop or bars.

Measured on one core, to 224x224: ms per frame, and PSNR in dB against exact chroma upsampling, matrix and area average
in float64 (camera 640x360; test pattern bt709 full range 1280x720; HLG 10-bit 1920x1080):

    method                                               640x360        1280x720       1080p 10-bit
    swscale AREA to planar RGB, accurate (chosen)        0.13  58.8     0.25  47.0     0.50  58.3
    swscale AREA to rgb24, accurate                      0.55  58.8     0.66  47.0     0.92  58.3
    swscale BICUBIC to rgb24, PyAV's flags               0.48  42.5     0.89  26.1     1.49  35.6
    swscale full size to rgb24, cv2.resize INTER_AREA    2.79  57.6     10.2  50.0     22.0  57.9
    cv2.resize of the planes, matrix by cv2.transform    0.57  54.4     2.69  38.9     6.27  53.8

Planar RGB (gbrp) is fast because swscale writes it with SIMD; cv2.merge interleaves it. Without ACCURATE_RND and
FULL_CHR_H_INT, colours come out up to 2.7 levels too dark. BITEXACT costs nothing and gives the same bytes on every
processor. Matrix and range are the frame's own; without a matrix it is BT.601, as in the ffmpeg program. PQ and HLG get
their matrix, but are tone mapped only if the encoding asks for it: frames look flat, and keep the values of the signal.
"""

import math
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final, cast

import av.error
import cv2
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData, SideDataContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from video_assets.domain.encoding import ENCODER_VERSION
from video_assets.domain.geometry import (
    UPRIGHT,
    Crop,
    Fit,
    FrameSize,
    Orientation,
    Size,
    display_size,
    fit_frame,
    orientation_from_matrix,
    tilt_from_matrix,
)
from video_assets.media.decode.tone_map import is_hdr, tone_mapped
from video_assets.media.images import LONGEST_SIDE_PX
from video_assets.media.open.losses import check_pixels, lose
from video_assets.settings import Limits

_EXACT: Final = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
_AREA: Final = int(Interpolation.AREA | _EXACT)  # when enlarging, swscale's AREA is bilinear
_SAME_SIZE: Final = int(Interpolation.BILINEAR | _EXACT)

_TURNS: Final = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}

_ANY_CLOCK: Final = Fraction(1, 1_000_000)  # filters of single pictures do not look at it
_NUM_SIDE_DATA_KINDS: Final = 48  # more than FFmpeg has (libavutil/frame.h)
_UNSPECIFIED_MATRIX: Final = 2
_KNOWN_MATRICES: Final = frozenset({0, 1, 2, 4, 5, 6, 7, 9})  # AVCOL_SPC: RGB, 709, none, FCC, 470BG, 170M, 240M, 2020
_BT2020_CONSTANT: Final = 10
_BT2020: Final = 9
_ONE_FIELD: Final = "estdif=mode=frame:deint=all"  # looks at one frame alone, where yadif and bwdif need three


def orientation_of(frame: VideoFrame, encoder_version: int = ENCODER_VERSION) -> Orientation:
    """Return how a frame has to be turned, from its display matrix; version 1 of the encoder knows quarter turns."""
    for data in _side_data(frame):
        if data.type is SideDataType.DISPLAYMATRIX:
            matrix = [int(value) for value in np.frombuffer(memoryview(data), dtype=np.int32)]
            if len(matrix) != 9:
                return UPRIGHT
            tilt = tilt_from_matrix(matrix) if encoder_version >= 2 else 0
            return Orientation(tilt_degrees=tilt) if tilt else orientation_from_matrix(matrix)
    return UPRIGHT


class _Filter:
    """A chain of FFmpeg's filters that gives one frame for each; it is set up anew for frames of another form."""

    def __init__(self) -> None:
        self._form: tuple[str, int, int, str] | None = None
        self._graph = Graph()

    def apply(self, chain: str, frame: VideoFrame) -> VideoFrame:
        """Return the filtered frame; `chain` is in FFmpeg's syntax, with commas."""
        form = (chain, frame.width, frame.height, frame.format.name)
        if form != self._form:
            self._graph, self._form = _graph_of(chain, frame), form
        self._graph.push(frame)
        try:
            return cast("VideoFrame", self._graph.pull())
        except av.error.BlockingIOError:  # a filter that waits for the next frame, which may be any other
            self._graph.push(None)
            self._form = None
            return cast("VideoFrame", self._graph.pull())


def _graph_of(chain: str, frame: VideoFrame) -> Graph:
    graph = Graph()
    last = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_ANY_CLOCK)
    for part in chain.split(","):
        name, _, arguments = part.partition("=")
        following = graph.add(name, arguments)
        last.link_to(following)
        last = following
    last.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def _side_data(frame: VideoFrame) -> Iterator[SideData]:
    """Return the side data that FFmpeg attached to a frame."""
    # Not by `frame.side_data`: frame and container would refer to each other, and megabytes would wait for Python's
    # garbage collector.
    try:
        return iter(_side_data_container(frame))
    except ValueError:  # PyAV has no name for one of its kinds, and then reads none of them
        return iter(_side_data_container(_without_unnamed_side_data(frame)))


_side_data_container = cast("Callable[[VideoFrame], SideDataContainer]", SideDataContainer)  # its stub takes no frame


def _without_unnamed_side_data(frame: VideoFrame) -> VideoFrame:
    """Return the frame without side data that PyAV has no name for, such as EXIF (31) or that of spatial video (29)."""
    graph = Graph()
    source = last = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    for kind in sorted(set(range(_NUM_SIDE_DATA_KINDS)) - {kind.value for kind in SideDataType}):
        removal = graph.add("sidedata", f"mode=delete:type={kind}")
        last.link_to(removal)
        last = removal
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    source.push(frame)
    return cast("VideoFrame", sink.pull())


_of_thread = threading.local()


def _scalers() -> tuple[VideoReformatter, VideoReformatter]:
    """Return this thread's scalers. A scaler is set up again (35 us) only for a frame of another size or format."""
    scalers: tuple[VideoReformatter, VideoReformatter] | None = getattr(_of_thread, "scalers", None)
    if scalers is None:
        scalers = _of_thread.scalers = VideoReformatter(), VideoReformatter()
    return scalers


class FrameConverter:
    """Converts the decoded frames of one video; computes the fit again only where size or orientation change."""

    def __init__(
        self,
        frame_size: FrameSize,
        sample_aspect_ratio: Fraction | None,
        limits: Limits,
        crop: Crop | None = None,
    ) -> None:
        self._frame_size = frame_size
        self._crop = crop
        self._filter = _Filter()
        self._filters: list[str] = []
        self._sample_aspect_ratio = sample_aspect_ratio
        self._limits = limits
        self._reformatter, self._same_size = _scalers()
        self._coded = Size(0, 0)
        self._orientation = UPRIGHT
        self._fit = Fit(self._coded, self._coded)
        self._is_direct = False

    def convert(self, frame: VideoFrame, into: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Return the stored frame (H, W, 3) uint8 RGB; it is written to `into` where that saves a copy.

        Raises:
            VideoLost: too_many_pixels, of the decoded frame, or of the stored one (of a very long or high video).
        """
        self._measure(frame)
        if self._is_direct and into is not None:
            return self._scale(frame, into)
        picture = self._scale(frame, None)
        if self._orientation is not UPRIGHT:
            picture = turn(picture, self._orientation)
        return fit_picture(picture, self._fit)

    def frame_shape(self, frame: VideoFrame) -> tuple[int, int, int]:
        """Return the shape of the stored frame.

        Raises:
            VideoLost: too_many_pixels.
        """
        self._measure(frame)
        return (self._fit.frame.height_px, self._fit.frame.width_px, 3)

    def _measure(self, frame: VideoFrame) -> None:
        """Find out how to convert this frame, unless it is like the one before; orientation may change with any."""
        width_px, height_px = frame.width, frame.height
        orientation = orientation_of(frame, self._frame_size.encoder_version)
        is_same_size = width_px == self._coded.width_px and height_px == self._coded.height_px
        if is_same_size and (orientation is self._orientation or orientation == self._orientation):
            return
        check_pixels(width_px, height_px, self._limits)
        is_first, was_tilted = not self._coded.width_px, self._orientation.tilt_degrees
        if not is_first and orientation.tilt_degrees != was_tilted and not self._limits.store_damaged:
            # Random bytes in a message before a picture (SEI) are read as any angle.
            lose("damaged", f"From one frame on it is tilted by {orientation.tilt_degrees:g} degrees.")
        coded = Size(width_px, height_px)
        crop = self._crop if self._crop is not None and self._crop.fits(coded) else None
        seen = coded if crop is None else crop.of(coded)
        self._filters = _filters(crop, seen, orientation)
        fit = fit_frame(display_size(seen, self._sample_aspect_ratio, orientation), self._frame_size)
        check_pixels(fit.scaled.width_px, fit.scaled.height_px, self._limits)
        _check_sides(fit.frame)
        self._coded, self._fit = coded, fit
        self._orientation = orientation if orientation != UPRIGHT else UPRIGHT
        self._is_direct = self._orientation is UPRIGHT and fit.scaled == fit.frame

    def _scale(self, frame: VideoFrame, into: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
        width_px, height_px = self._fit.scaled.width_px, self._fit.scaled.height_px
        if self._orientation.swaps_sides:
            width_px, height_px = height_px, width_px
        deinterlace = [_ONE_FIELD] if self._frame_size.deinterlace and frame.interlaced_frame else []
        if chain := ",".join([*deinterlace, *self._filters]):
            frame = self._filter.apply(chain, frame)
        if frame.colorspace not in _KNOWN_MATRICES:  # swscale refuses what it does not know
            frame.colorspace = _BT2020 if frame.colorspace == _BT2020_CONSTANT else _UNSPECIFIED_MATRIX
        if frame.interlaced_frame:
            # swscale scales fields apart: right for chroma, but it leaves combs in a smaller frame. So it only brings
            # chroma to full size, and the whole frame is scaled afterwards.
            full = self._same_size.reformat(frame, format="gbrp", interpolation=_SAME_SIZE, threads=1)
            return self._resized(_interleaved(full, None), width_px, height_px)
        is_mapped = self._frame_size.hdr == "tonemap" and is_hdr(frame)
        scaled = self._reformatter.reformat(
            frame,
            width=width_px,
            height=height_px,
            format="gbrp16le" if is_mapped else "gbrp",
            interpolation=_AREA,
            threads=1,
        )
        return tone_mapped(scaled, frame) if is_mapped else _interleaved(scaled, into)

    @staticmethod
    def _resized(picture: NDArray[np.uint8], width_px: int, height_px: int) -> NDArray[np.uint8]:
        is_smaller = width_px <= picture.shape[1] and height_px <= picture.shape[0]
        method = cv2.INTER_AREA if is_smaller else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(picture, (width_px, height_px), interpolation=method), dtype=np.uint8)


def _filters(crop: Crop | None, seen: Size, orientation: Orientation) -> list[str]:
    """Return the filters that a frame passes before it is scaled, in FFmpeg's syntax; mostly none."""
    parts: list[str] = []
    if crop is not None:
        parts.append(f"crop=w={seen.width_px}:h={seen.height_px}:x={crop.left_px}:y={crop.top_px}")
    if orientation.tilt_degrees:
        parts.append(f"rotate=a={math.radians(orientation.tilt_degrees):.9f}")
    return parts


def _check_sides(stored: Size) -> None:
    """Refuse a stored frame with a side that no JPEG can have, however few pixels it has."""
    if max(stored.width_px, stored.height_px) > LONGEST_SIDE_PX:
        lose(
            "too_many_pixels",
            f"Its stored frames would be {stored.width_px}x{stored.height_px}; "
            f"the longest side of a JPEG is {LONGEST_SIDE_PX:,} pixels.",
        )


def turn(picture: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """Return the picture (H, W, 3) mirrored and turned upright."""
    if orientation.is_mirrored:
        picture = cast("NDArray[np.uint8]", cv2.flip(picture, 1))
    code = _TURNS.get(orientation.turn_degrees)  # OpenCV: numpy takes twelve times as long
    return picture if code is None else cast("NDArray[np.uint8]", cv2.rotate(picture, code))


def fit_picture(picture: NDArray[np.uint8], fit: Fit) -> NDArray[np.uint8]:
    """Centre the scaled picture on the frame: crop it where it is larger, add black bars where it is smaller."""
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
    """Return a gbrp frame as (H, W, 3) RGB."""
    width_px = planar.width
    green, blue, red = [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, :width_px] for plane in planar.planes
    ]
    return cast("NDArray[np.uint8]", cv2.merge([red, green, blue], into))
