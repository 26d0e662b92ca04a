"""Display sizes, turns and fits."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.geometry import (
    UPRIGHT,
    FrameSize,
    Orientation,
    Size,
    display_size,
    fit_frame,
    orientation_from_matrix,
    round_half_up,
    usable_pixel_aspect,
)

ONE = 1 << 16
SIDES = st.integers(min_value=1, max_value=8192)


def matrix(a: int, b: int, c: int, d: int) -> list[int]:
    return [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize(
    ("given_matrix", "expected"),
    [
        (matrix(1, 0, 0, 1), Orientation(0)),
        (matrix(0, 1, -1, 0), Orientation(90)),
        (matrix(-1, 0, 0, -1), Orientation(180)),
        (matrix(0, -1, 1, 0), Orientation(270)),
        (matrix(-1, 0, 0, 1), Orientation(0, is_mirrored=True)),
        (matrix(1, 0, 0, -1), Orientation(180, is_mirrored=True)),  # upside down
        (matrix(0, 1, 1, 0), Orientation(270, is_mirrored=True)),  # transposed
        (matrix(0, -1, -1, 0), Orientation(90, is_mirrored=True)),
    ],
)
def test_all_eight_orientations_are_read_from_their_matrix(given_matrix: list[int], expected: Orientation) -> None:
    assert orientation_from_matrix(given_matrix) == expected


def test_an_all_zero_matrix_is_upright() -> None:
    assert orientation_from_matrix([0] * 9) == UPRIGHT


def test_a_slanted_matrix_is_read_as_the_nearest_quarter_turn() -> None:
    assert orientation_from_matrix([50_000, 42_000, 0, -42_000, 50_000, 0, 0, 0, 1 << 30]) == Orientation(0)
    assert orientation_from_matrix([20_000, 62_000, 0, -62_000, 20_000, 0, 0, 0, 1 << 30]) == Orientation(90)


def test_pixel_aspect_stretches_the_width_before_the_turn() -> None:
    assert display_size(Size(720, 576), Fraction(64, 45)) == Size(1024, 576)
    assert display_size(Size(720, 576), Fraction(64, 45), Orientation(90)) == Size(576, 1024)
    assert display_size(Size(340, 256), Fraction(1024, 765)) == Size(455, 256)


@pytest.mark.parametrize("aspect", [None, Fraction(0), Fraction(-1), Fraction(1, 1000), Fraction(21)])
def test_a_senseless_pixel_aspect_is_taken_as_square(aspect: Fraction | None) -> None:
    assert usable_pixel_aspect(aspect) == 1


def test_the_four_ways_of_resizing_a_wide_picture() -> None:
    wide = Size(640, 360)
    stretch = fit_frame(wide, FrameSize("stretch", 224))
    assert (stretch.scaled, stretch.frame) == (Size(224, 224), Size(224, 224))
    short = fit_frame(wide, FrameSize("short_side", 224))
    assert (short.scaled, short.frame) == (Size(398, 224), Size(398, 224))
    crop = fit_frame(wide, FrameSize("center_crop", 224))
    assert (crop.scaled, crop.frame, crop.offset_x_px, crop.offset_y_px) == (Size(398, 224), Size(224, 224), -87, 0)
    letter = fit_frame(wide, FrameSize("letterbox", 224))
    assert (letter.scaled, letter.frame, letter.offset_x_px, letter.offset_y_px) == (
        Size(224, 126),
        Size(224, 224),
        0,
        49,
    )


@given(SIDES, SIDES, st.integers(min_value=1, max_value=1024))
def test_letterbox_stays_inside_and_center_crop_covers(width_px: int, height_px: int, side_px: int) -> None:
    inside = fit_frame(Size(width_px, height_px), FrameSize("letterbox", side_px)).scaled
    assert max(inside.width_px, inside.height_px) == side_px
    covering = fit_frame(Size(width_px, height_px), FrameSize("center_crop", side_px)).scaled
    assert min(covering.width_px, covering.height_px) == side_px
    assert fit_frame(Size(width_px, height_px), FrameSize("short_side", side_px)).frame == covering


@given(st.fractions(min_value=-1000, max_value=1000, max_denominator=1000))
def test_rounding_gives_the_nearest_whole_number(value: Fraction) -> None:
    nearest = round_half_up(value)
    assert Fraction(-1, 2) < nearest - value <= Fraction(1, 2)
