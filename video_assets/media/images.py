"""Encode frames as JPEG or PNG and decode them, and compute the signature of a clip."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from video_assets.domain.near_duplicates import CELLS, NUM_BITS
from video_assets.setting_types import ImageFormat

LONGEST_SIDE_PX: Final = 65_500
"""The longest side that libjpeg writes; the format itself ends at 65,535."""

_PNG_PARAMETERS = [cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]


def encode_image(frame: NDArray[np.uint8], image_format: ImageFormat, jpeg_quality: int) -> bytes:
    """Encode one frame as an image; the same frame and settings always give the same bytes.

    JPEG is baseline with 4:2:0 chroma, which every reader decodes, TensorFlow and DALI included. PNG is lossless.

    Args:
        frame: (H, W, 3) uint8 RGB.
        image_format: "jpeg" or "png".
        jpeg_quality: 1..100; PNG ignores it.

    Raises:
        ValueError: the frame has another shape or type, or the quality is out of range.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"a frame is (H, W, 3) uint8, this one is {frame.shape} {frame.dtype}")
    if image_format == "jpeg" and not 1 <= jpeg_quality <= 100:
        raise ValueError(f"jpeg_quality is {jpeg_quality}; it must be from 1 to 100")
    parameters = _jpeg_parameters(jpeg_quality) if image_format == "jpeg" else _PNG_PARAMETERS
    encoded, buffer = cv2.imencode(f".{image_format}", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), parameters)
    if not encoded:
        raise ValueError(f"a frame of {frame.shape[1]}x{frame.shape[0]} pixels cannot be stored as {image_format}")
    return buffer.tobytes()


def encode_images(
    frames: NDArray[np.uint8] | Iterable[NDArray[np.uint8]], image_format: ImageFormat, jpeg_quality: int
) -> list[bytes]:
    """Encode all frames of a clip in order; a frame that equals the one before it is not encoded again.

    Short clips repeat their last frame, and still scenes repeat frames: comparing two frames of 224x224 takes 0.01 ms,
    encoding one 0.1 to 0.2 ms.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        image_format: "jpeg" or "png".
        jpeg_quality: 1..100; PNG ignores it.
    """
    images: list[bytes] = []
    previous: NDArray[np.uint8] | None = None
    for frame in frames:
        repeated = previous is not None and np.array_equal(frame, previous)
        images.append(images[-1] if repeated else encode_image(frame, image_format, jpeg_quality))
        previous = frame
    return images


class ImageCache:
    """Encodes the frames of one video, each of them once, however many clips show it."""

    def __init__(self, image_format: ImageFormat, jpeg_quality: int) -> None:
        self._image_format: ImageFormat = image_format
        self._jpeg_quality = jpeg_quality
        self._known: dict[int, tuple[NDArray[np.uint8], bytes]] = {}

    def encode(self, frames: Iterable[NDArray[np.uint8]], times_us: Iterable[int]) -> list[bytes]:
        """Return what `encode_images` returns for frames (H, W, 3) uint8 RGB that are shown at these times."""
        images: list[bytes] = []
        for frame, time_us in zip(frames, times_us, strict=True):
            known = self._known.get(time_us)
            if known is None or not np.array_equal(known[0], frame):  # two frames may have the same time
                known = self._known[time_us] = frame, encode_image(frame, self._image_format, self._jpeg_quality)
            images.append(known[1])
        return images


def decode_image(image: bytes) -> NDArray[np.uint8]:
    """Decode an image to a frame (H, W, 3) uint8 RGB.

    Raises:
        ValueError: the bytes are not an image that can be decoded.
    """
    # Frames are stored upright; an orientation tag in the image is not ours.
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        frame = cv2.imdecode(np.frombuffer(image, np.uint8), flags) if image else None
    except cv2.error as error:
        raise ValueError(f"{len(image)} bytes beginning with {image[:8]!r} cannot be decoded: {error.err}") from error
    if frame is None:
        raise ValueError(f"{len(image)} bytes beginning with {image[:8]!r} are not a JPEG or PNG image")
    return frame.astype(np.uint8, copy=False)


def decode_small_grey(image: bytes) -> NDArray[np.uint8]:
    """Decode an image to an eighth of its size, (H, W) uint8 grey; of a JPEG, only that much is decoded.

    Raises:
        ValueError: the bytes are not an image that can be decoded.
    """
    grey = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8) if image else None
    if grey is None:
        raise ValueError(f"{len(image)} bytes beginning with {image[:8]!r} are not a JPEG or PNG image")
    return grey.astype(np.uint8, copy=False)


def small_grey(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) to an eighth of its size, (H, W) uint8 grey, as `decode_small_grey` does an image."""
    size = (-(-frame.shape[1] // 8), -(-frame.shape[0] // 8))
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def grey_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert a frame (H, W, 3) RGB to grey, (H, W) uint8."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


def scaled_to_height(frame: NDArray[np.uint8], height_px: int) -> NDArray[np.uint8]:
    """Scale a frame (H, W, 3) to a height, keeping its aspect."""
    width_px = max(1, round(frame.shape[1] * height_px / frame.shape[0]))
    method = cv2.INTER_AREA if height_px < frame.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(frame, (width_px, height_px), interpolation=method).astype(np.uint8, copy=False)


def _jpeg_parameters(quality: int) -> list[int]:
    """Return every parameter of the encoder, so that no default of another OpenCV changes the bytes."""
    return [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
        *(cv2.IMWRITE_JPEG_PROGRESSIVE, 0),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, 0),
        *(cv2.IMWRITE_JPEG_RST_INTERVAL, 0),
    ]


_NUM_FRAMES = 3
_CELLS = CELLS
_MIN_GRADIENT = 1.0


def clip_signature(frames: NDArray[np.uint8], *, letterboxed: bool = False) -> bytes:
    """Return the perceptual signature of a clip, to be compared by `domain.near_duplicates`.

    Frames at 1/6, 1/2 and 5/6 of the clip are averaged to 12 x 12 cells. One bit tells whether brightness grows from a
    cell to the next one, to the right and downwards (dHash). A second bit tells whether it changes by a grey level or
    more: elsewhere, as in black frames, the first bit is noise and is not compared. Each half has
    3 x (12 x 12 + 12 x 12) bits.

    A signature hardly changes when a clip is re-encoded, scaled, cropped a little, made brighter or darker, or marked
    with a logo. Clips of one scene that share less than about 80 % of their time differ, and so do mirrored copies.

    Args:
        frames: (T, H, W, 3) uint8 RGB, at least one frame.
        letterboxed: Whether the frames were fitted with black bars, which are then left out.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise ValueError(f"the frames of a clip are (T, H, W, 3) with at least one frame, these are {frames.shape}")
    greys = np.stack([grey_frame(frames[index]) for index in signature_frames(len(frames))])
    gradients = _gradients(_without_bars(greys) if letterboxed else greys)
    assert gradients.size == NUM_BITS, "the layout of signatures is that of domain.near_duplicates"
    known = np.abs(gradients) >= _MIN_GRADIENT
    return np.packbits([(gradients > 0) & known, known], axis=1).tobytes()


_CROP_SIDES = (0.93, 0.87, 0.81, 0.75, 0.69)
_CROP_PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)


def crop_signatures(greys: NDArray[np.uint8], *, letterboxed: bool = False) -> list[bytes]:
    """Return the signatures that 125 parts of a clip would have as clips of their own.

    Parts have 93 to 69 % of the sides, at five places across and five down. Of 60 real clips that were cropped to 95 to
    68 % at random places, one of these was a near duplicate for 58; a part in the middle always was.

    Args:
        greys: (3, H, W) uint8, the frames that `clip_signature` takes.
        letterboxed: Whether the frames were fitted with black bars, which are then left out.
    """
    picture = _without_bars(greys) if letterboxed else greys
    sums = np.pad(picture.cumsum(1, np.float32).cumsum(2), ((0, 0), (1, 0), (1, 0))).transpose(1, 2, 0)
    parts = _steps_of_parts(np.ascontiguousarray(sums)).reshape(-1, NUM_BITS)
    known = np.abs(parts) >= _MIN_GRADIENT
    return [part.tobytes() for part in np.packbits(np.stack([(parts > 0) & known, known], axis=1), axis=2)]


def signature_greys(images: Sequence[bytes]) -> NDArray[np.uint8]:
    """Decode those of a clip's images that `clip_signature` looks at, (3, H, W) uint8, at half their size."""
    found: list[NDArray[np.uint8]] = []
    for index in signature_frames(len(images)):
        grey = cv2.imdecode(np.frombuffer(images[index], np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_2)
        if grey is None:
            raise ValueError(f"{len(images[index])} bytes of a clip are not a JPEG or PNG image")
        found.append(grey.astype(np.uint8, copy=False))
    return np.stack(found)


def signature_frames(num_frames: int) -> list[int]:
    """Return which frames of a clip its signature is made of."""
    return [(2 * k + 1) * num_frames // (2 * _NUM_FRAMES) for k in range(_NUM_FRAMES)]


def _steps_of_parts(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (sides, places down, places across, T, 2, 12, 12): the steps that `_gradients` finds in each part.

    `sums` (H + 1, W + 1, T) are those of all pixels above and to the left, frame by frame. All corners of cells are
    looked up at once: 12 x 13 cells with rows first, and 13 x 12 cells with columns first.
    """
    height, width, num_frames = sums.shape[0] - 1, sums.shape[1] - 1, sums.shape[2]
    sides, places = len(_CROP_SIDES), len(_CROP_PLACES)
    shape = (2, sides, places, _CELLS + 1, places, _CELLS + 2)
    corners_x, corners_y = (
        np.stack([_corners(width, is_first=False), _corners(width, is_first=True)]),
        np.stack([_corners(height, is_first=True), _corners(height, is_first=False)]),
    )
    rows = 2 * sides * places * (_CELLS + 1)
    at_corners = cv2.remap(sums, corners_x.reshape(rows, -1), corners_y.reshape(rows, -1), cv2.INTER_LINEAR)
    cells = np.diff(np.diff(at_corners.reshape(*shape, num_frames), axis=3), axis=5)
    steps = np.diff(cells, axis=5) * _cells_per_pixel(height, width)
    wide, high = steps[0], steps[1]
    return np.stack([wide.transpose(0, 1, 3, 5, 2, 4), high.transpose(0, 3, 1, 5, 4, 2)], axis=4)


@lru_cache(maxsize=16)
def _corners(length: int, *, is_first: bool) -> NDArray[np.float32]:
    """Return where the corners of cells are along one side of a picture, for each part of `_steps_of_parts`.

    The first axis of a part has 12 cells, the second one 13.
    """
    sides, starts = np.array(_CROP_SIDES), np.array(_CROP_PLACES)
    edges = np.linspace(0, 1, _CELLS + 1 if is_first else _CELLS + 2)
    found = starts[None, :, None] * (1 - sides[:, None, None]) + sides[:, None, None] * edges
    found = found[:, :, :, None, None] if is_first else found[:, None, None]
    shape = (len(sides), len(starts), _CELLS + 1, len(starts), _CELLS + 2)
    return np.broadcast_to(found * length, shape).astype(np.float32)


def _cells_per_pixel(height: int, width: int) -> NDArray[np.float32]:
    pixels = np.array(_CROP_SIDES) ** 2 * height * width / (_CELLS * (_CELLS + 1))
    return (1 / pixels).astype(np.float32).reshape(-1, 1, 1, 1, 1, 1)


def _without_bars(greys: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture (T, H, W) between its bars: squeezed into fewer cells, clips of one place would look alike.

    Bars made by fitting are exactly black, and equal on both sides. Bars that belong to the video are left alone: they
    are not black any more once the video was made brighter or encoded again.
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


def _gradients(greys: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the steps of brightness between neighbouring cells of each picture (T, H, W), in grey levels.

    Those of a picture are the ones to the right, then the ones downwards. All pictures are scaled as one of T channels,
    which takes half the time.
    """
    levels = cv2.merge(list(greys)).astype(np.float32).reshape(*greys.shape[1:], -1)
    wide = cv2.resize(levels, (_CELLS + 1, _CELLS), interpolation=cv2.INTER_AREA)
    high = cv2.resize(levels, (_CELLS, _CELLS + 1), interpolation=cv2.INTER_AREA)
    steps = np.stack([np.diff(wide, axis=1).reshape(-1, len(greys)), np.diff(high, axis=0).reshape(-1, len(greys))])
    return steps.transpose(2, 0, 1).ravel().astype(np.float32, copy=False)
