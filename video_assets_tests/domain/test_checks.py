"""What checks compare: the records that are chosen, and how near stored frames are to their source."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from video_assets.domain.checks import (
    MAX_FRAMES_COMPARED,
    MAX_PSNR_DB,
    ShardSample,
    choose_sample,
    frame_mse,
    misplaced_frame,
    psnr_from_mse,
)

costs_lists = st.lists(st.floats(0, 1e9), min_size=1, max_size=30)


def choose(costs: list[float], max_records: int = 3, fraction: float = 1.0, seed_text: str = "x") -> list[int]:
    return choose_sample(costs, seed_text=seed_text, max_records=max_records, max_cost=fraction * sum(costs))


@pytest.mark.slow
@given(costs_lists, st.integers(1, 10), st.floats(0, 1), st.text())
def test_the_sample_keeps_to_its_limits_and_is_never_empty(
    costs: list[float], max_records: int, fraction: float, seed_text: str
) -> None:
    chosen = choose(costs, max_records, fraction, seed_text)
    assert 1 <= len(chosen) <= max_records
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(len(costs)))
    if len(chosen) > 1:
        assert sum(costs[i] for i in chosen) <= fraction * sum(costs) * (1 + 1e-9) + 1e-9


def test_if_nothing_fits_one_of_ordinary_cost_is_taken_and_each_has_its_turn() -> None:
    seen = {tuple(choose([5, 3, 9, 3], fraction=0.01, seed_text=f"day {day}")) for day in range(50)}
    assert seen == {(0,), (1,), (3,)}


def test_a_record_too_dear_is_passed_over_for_the_next() -> None:
    # Six clips of one second and one of a hundred: a tenth of the cost buys the six, never the one.
    chosen = choose([1, 1, 1, 100, 1, 1, 1], max_records=7, fraction=0.1)
    assert chosen == [0, 1, 2, 4, 5, 6]


def test_a_full_budget_takes_all_records() -> None:
    assert choose([1, 2, 3], max_records=9) == [0, 1, 2]


def test_no_records_give_no_sample() -> None:
    assert choose([]) == []


def test_another_text_gives_another_sample() -> None:
    samples = {tuple(choose([1.0] * 50, seed_text=f"day {day}")) for day in range(20)}
    assert len(samples) > 15


@pytest.mark.parametrize("num_records", [10, 50])
def test_over_many_days_every_record_is_looked_at(num_records: int) -> None:
    seen = {index for day in range(200) for index in choose([1.0] * num_records, seed_text=f"day {day}")}
    assert seen == set(range(num_records))


def test_a_sample_is_pinned() -> None:
    """Pinned: it hangs on the seed text alone, so that a check can be repeated on the very same records."""
    assert choose([1, 1, 1, 1], max_records=2) == [0, 3]


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


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.integers(1, 60), st.text())
def test_of_a_long_video_a_tenth_of_the_stored_frames_stands_for_all(
    num_frames: list[int], num_stored: int, seed_text: str
) -> None:
    some = ShardSample(seed_text, num_frames, [1] * len(num_frames), always=frozenset({0}))
    every = ShardSample(seed_text, num_frames, [1] * len(num_frames), max_records=None)
    assert 0 in some.compared
    assert len(some.compared) <= 4
    assert every.compared == set(range(len(num_frames)))
    for index, length in enumerate(num_frames):
        spots = some.spots(index, num_stored)
        assert len(spots) == (max(1, num_stored // 10) if length > MAX_FRAMES_COMPARED else 0)
        assert set(spots) <= set(every.spots(index, num_stored)) <= set(range(num_stored))


def test_every_stored_frame_of_a_long_video_has_its_turn() -> None:
    samples = [ShardSample(f"shard {number}", [1000], [1]) for number in range(200)]
    assert {spot for sample in samples for spot in sample.spots(0, 10)} == set(range(10))
