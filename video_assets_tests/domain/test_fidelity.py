"""How near stored frames are to their source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from video_assets.domain.checks import MAX_PSNR_DB, frame_mse, misplaced_frame, psnr_from_mse


def frames(*values: int) -> NDArray[np.uint8]:
    """One even frame (8, 8, 3) for each value."""
    return np.stack([np.full((8, 8, 3), value, np.uint8) for value in values])


def test_the_error_of_black_against_white_does_not_wrap_around() -> None:
    assert frame_mse(frames(0)[0], frames(255)[0]) == 255**2
    assert frame_mse(frames(255)[0], frames(0)[0]) == 255**2


def test_known_errors_have_known_ratios() -> None:
    assert psnr_from_mse(255**2) == pytest.approx(0)
    assert psnr_from_mse(1.0) == pytest.approx(48.1308, abs=1e-4)


@given(st.floats(0, 1e-12))
def test_equal_frames_have_the_highest_ratio_and_not_infinity(mse: float) -> None:
    assert psnr_from_mse(mse) == MAX_PSNR_DB


@given(st.floats(1e-6, 255**2), st.floats(1e-6, 255**2))
def test_a_larger_error_has_no_larger_ratio(one: float, other: float) -> None:
    assert (psnr_from_mse(one) >= psnr_from_mse(other)) or one > other


def test_frames_in_their_places_are_not_misplaced() -> None:
    assert misplaced_frame(frames(10, 60, 110), frames(12, 62, 108)) is None


def test_swapped_frames_are_noticed_at_the_first() -> None:
    assert misplaced_frame(frames(10, 110, 60), frames(10, 60, 110)) == 1


def test_a_frame_taken_from_its_neighbour_is_noticed() -> None:
    assert misplaced_frame(frames(10, 60, 60), frames(10, 60, 110)) == 2


def test_frames_shifted_by_one_are_noticed() -> None:
    assert misplaced_frame(frames(60, 110, 160), frames(10, 60, 110)) == 0


def test_a_still_clip_says_nothing() -> None:
    assert misplaced_frame(frames(50, 51, 50), frames(50, 50, 51)) is None


def test_repeated_frames_of_a_short_clip_are_in_their_places() -> None:
    assert misplaced_frame(frames(10, 60, 60, 60), frames(10, 60, 60, 60)) is None


def test_one_frame_cannot_be_misplaced() -> None:
    assert misplaced_frame(frames(200), frames(10)) is None


def test_loss_in_storage_is_no_misplacement() -> None:
    rng = np.random.default_rng(0)
    source = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    noise = rng.integers(-8, 9, source.shape)
    stored = np.clip(source + noise, 0, 255).astype(np.uint8)
    assert misplaced_frame(stored, source) is None
