"""Sizes and rotation: how large a decoded picture is displayed, and how it becomes a stored frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

from video_assets.domain.encoding import ENCODER_VERSION, Encoding
from video_assets.setting_types import Hdr, Resize

Turn = Literal[0, 90, 180, 270]

MAX_PIXEL_ASPECT = 20
"""A pixel aspect beyond 20:1 (or 1:20) comes from a broken header, so it is taken as unknown."""


@dataclass(frozen=True, slots=True)
class FrameSize:
    """What decides how a decoded picture becomes a stored frame: its size, and the encoding's other settings.

    `resolution` is the side of the square, or the short side.
    """

    resize: Resize
    resolution: int
    encoder_version: int = ENCODER_VERSION
    deinterlace: bool = False
    hdr: Hdr = "clip"

    @classmethod
    def of(cls, encoding: Encoding) -> Self:
        """Return the size that an encoding asks for."""
        return cls(encoding.resize, encoding.resolution, encoding.encoder_version, encoding.deinterlace, encoding.hdr)


@dataclass(frozen=True, slots=True)
class Size:
    """A picture's width and height in pixels."""

    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Crop:
    """Pixels that a container takes off the edges of the coded picture."""

    left_px: int
    top_px: int
    right_px: int
    bottom_px: int

    def fits(self, coded: Size) -> bool:
        """Return whether it takes something off, and leaves something."""
        sides = (self.left_px, self.top_px, self.right_px, self.bottom_px)
        rest = self.of(coded)
        return min(sides) >= 0 and max(sides) > 0 and rest.width_px > 0 and rest.height_px > 0

    def of(self, coded: Size) -> Size:
        """Return the size of what is left."""
        width_px = coded.width_px - self.left_px - self.right_px
        return Size(width_px, coded.height_px - self.top_px - self.bottom_px)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to bring a decoded picture upright: mirror it left to right first, then turn it clockwise.

    `tilt_degrees` is a turn by something else than quarters. The picture keeps its size then, and its corners are cut,
    as the ffmpeg program does it.
    """

    turn_degrees: Turn = 0
    is_mirrored: bool = False
    tilt_degrees: int = 0

    @property
    def swaps_sides(self) -> bool:
        """Return whether the upright picture's width is the decoded picture's height."""
        return self.turn_degrees in (90, 270)


UPRIGHT = Orientation()


def orientation_from_matrix(matrix: Sequence[int]) -> Orientation:
    """Return the quarter turn and mirroring nearest to a display matrix.

    Args:
        matrix: The nine numbers of a QuickTime display matrix, (a b u, c d v, x y w). A point (x, y) of the
            decoded picture is shown at (a x + c y, b x + d y). Only signs and relative sizes of a, b, c, d count.

    >>> orientation_from_matrix([0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30])
    Orientation(turn_degrees=90, is_mirrored=False)
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    is_mirrored = a * d - b * c < 0
    if is_mirrored:  # undo the mirroring, which comes first: the x column changes its sign
        a, b = -a, -b
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(180 if a + d < 0 else 0, is_mirrored)
    return Orientation(90 if b - c > 0 else 270, is_mirrored)


def tilt_from_matrix(matrix: Sequence[int]) -> int:
    """Return by how many degrees clockwise a display matrix turns a picture; 0 for quarter turns, and for mirroring.

    >>> tilt_from_matrix([56756, 32768, 0, -32768, 56756, 0, 0, 0, 1 << 30])
    30
    """
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    widths = math.hypot(a, c), math.hypot(b, d)
    if min(widths) == 0 or a * d - b * c < 0:
        return 0
    degrees = round(math.degrees(math.atan2(b / widths[1], a / widths[0]))) % 360
    return 0 if min(degrees % 90, 90 - degrees % 90) < 2 else degrees


def usable_pixel_aspect(sample_aspect_ratio: Fraction | None) -> Fraction:
    """Return width over height of one pixel; 1 where it is unknown, not positive, or beyond 20:1."""
    if sample_aspect_ratio is None or sample_aspect_ratio <= 0:
        return Fraction(1)
    if not Fraction(1, MAX_PIXEL_ASPECT) <= sample_aspect_ratio <= MAX_PIXEL_ASPECT:
        return Fraction(1)
    return sample_aspect_ratio


def display_size(
    coded: Size,
    sample_aspect_ratio: Fraction | None,
    orientation: Orientation = UPRIGHT,
) -> Size:
    """Return the size at which the picture is displayed: its width times the pixel aspect, then turned.

    >>> display_size(Size(720, 576), Fraction(64, 45), Orientation(90))
    Size(width_px=576, height_px=1024)
    """
    width_px = max(1, round_half_up(coded.width_px * usable_pixel_aspect(sample_aspect_ratio)))
    if orientation.swaps_sides:
        return Size(coded.height_px, width_px)
    return Size(width_px, coded.height_px)


@dataclass(frozen=True, slots=True)
class Fit:
    """How an upright picture becomes a stored frame: scale it to `scaled`, then centre it on `frame`.

    Where `scaled` is larger than `frame` it is cropped; where it is smaller, black bars are left.
    """

    scaled: Size
    frame: Size

    @property
    def offset_x_px(self) -> int:
        """Return the x of the scaled picture's left edge on the frame; negative where it is cropped."""
        return (self.frame.width_px - self.scaled.width_px) // 2

    @property
    def offset_y_px(self) -> int:
        """Return the y of the scaled picture's top edge on the frame; negative where it is cropped."""
        return (self.frame.height_px - self.scaled.height_px) // 2


def fit_frame(shown: Size, frame_size: FrameSize) -> Fit:
    """Return how a picture that is displayed at size `shown` becomes a stored frame.

    >>> fit_frame(Size(320, 240), FrameSize("short_side", 120))
    Fit(scaled=Size(width_px=160, height_px=120), frame=Size(width_px=160, height_px=120))
    >>> fit_frame(Size(320, 240), FrameSize("letterbox", 120))
    Fit(scaled=Size(width_px=120, height_px=90), frame=Size(width_px=120, height_px=120))
    """
    side_px = frame_size.resolution
    square = Size(side_px, side_px)
    if frame_size.resize == "stretch":
        return Fit(square, square)
    sides = (shown.width_px, shown.height_px)
    reference_px = max(sides) if frame_size.resize == "letterbox" else min(sides)
    scaled = Size(*(max(1, round_half_up(Fraction(side * side_px, reference_px))) for side in sides))
    return Fit(scaled, scaled if frame_size.resize == "short_side" else square)


def round_half_up(value: Fraction) -> int:
    """Return the nearest whole number; halves go up, below zero too.

    >>> [round_half_up(Fraction(n, 2)) for n in (-3, -1, 1, 3)]
    [-1, 0, 1, 2]
    """
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
