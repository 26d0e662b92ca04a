"""Which clips a model's training window loops or cuts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import (
    MODEL_WINDOWS,
    WindowMatch,
    frames_to_read,
    match_models,
    match_window,
    nearest_model,
)
from video_assets.domain.sampling import num_stored_frames


def lengths(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_the_published_windows_are_pinned() -> None:
    found = {w.model_id: (w.num_frames, w.stride, w.resolution) for w in MODEL_WINDOWS}
    assert found == {
        "a0": (50, 5, 172),
        "a1": (50, 5, 172),
        "a2": (50, 5, 224),
        "a3": (64, 2, 256),
        "a4": (32, 3, 290),
        "a5": (32, 2, 320),
    }
    assert (MODEL_WINDOWS[0].frames_per_second, MODEL_WINDOWS[0].seconds) == (5.0, 10.0)


def test_ten_frames_are_looped_by_a_window_of_fifty_and_three_hundred_are_cut() -> None:
    assert match_window(lengths(10, 50, 300), 50) == WindowMatch(3, 1, 1)


@given(st.integers(1, 200), st.integers(1, 60), st.integers(1, 6))
def test_a_clip_counts_as_looped_exactly_where_model_garden_takes_an_index_beyond_it(
    length: int, num_frames: int, stride: int
) -> None:
    """Model Garden's middle window: offset (length - n * stride) // 2, not below 0; indices modulo the length."""
    offset = max(0, (length - num_frames * stride) // 2)
    indices = offset + np.arange(num_frames) * stride
    found = match_window(lengths(length), num_frames, stride)
    assert bool(found.num_looped) == bool((indices >= length).any())
    assert found.num_looped + found.num_cut <= 1


def test_the_models_own_rate_is_proposed_first_with_what_it_would_still_loop_and_cut() -> None:
    durations, frames = lengths(2_000_000, 10_000_000, 30_000_000), lengths(60, 300, 900)
    match = match_models(Encoding(), lengths(10, 10, 10), durations, frames)[0]
    assert match.match == WindowMatch(3, 3, 0)
    assert [proposal.settings_text for proposal in match.proposals] == [
        "plan.encoding.sampling=fps",  # 5 a second is the setting's default
        "plan.encoding.num_frames=50",
    ]
    rate, whole = match.proposals
    assert (rate.match, rate.num_native, rate.num_padded) == (WindowMatch(3, 1, 1), 3, 0)
    assert (whole.match, whole.num_native, whole.num_padded) == (WindowMatch(3, 0, 0), 1, 0)


def test_clips_that_are_mostly_too_short_for_the_models_rate_are_better_taken_whole() -> None:
    durations, frames = lengths(2_000_000, 1_000_000), lengths(60, 30)
    whole = match_models(Encoding(), lengths(10, 10), durations, frames)[0].proposals[0]
    assert whole.settings_text == "plan.encoding.num_frames=50"
    assert (whole.match, whole.num_padded) == (WindowMatch(2, 0, 0), 1)  # 50 frames of a video of 30


def test_a_dataset_that_fits_is_left_alone() -> None:
    ten_seconds = lengths(10_000_000, 10_000_000)
    match = match_models(Encoding(num_frames=50), lengths(50, 50), ten_seconds, lengths(300, 300))[0]
    assert match.match.is_perfect
    assert match.is_native
    assert match.proposals == ()


def test_as_many_frames_as_a_window_at_another_rate_do_not_fit() -> None:
    """Fifty frames of a minute are a model's number, and a sixth of its rate."""
    minute = lengths(60_000_000)
    match = match_models(Encoding(num_frames=50), lengths(50), minute, lengths(1800))[0]
    assert match.match.is_perfect
    assert not match.is_native
    assert match.proposals[0].settings_text == "plan.encoding.sampling=fps"


@pytest.mark.parametrize(
    ("stored_per_second", "strides", "are_native"),
    [
        (25.0, [5, 5, 5, 2, 3, 2], [True, True, True, True, True, True]),
        (30.0, [6, 6, 6, 2, 4, 2], [True, True, True, False, True, False]),
        (12.5, [2, 2, 2, 1, 2, 1], [False, False, False, True, False, True]),
        (5.0, [1, 1, 1, 1, 1, 1], [True, True, True, False, False, False]),
        (1.0, [1, 1, 1, 1, 1, 1], [False] * 6),
    ],
)
def test_stored_frames_per_second_say_whose_windows_a_dataset_feeds(
    stored_per_second: float, strides: list[int], are_native: list[bool]
) -> None:
    encoding = Encoding(sampling="fps", fps=stored_per_second, max_frames=1000)
    durations, frames = lengths(12_000_000), lengths(360)
    found = match_models(encoding, num_stored_frames(encoding, durations, frames), durations, frames)
    assert [match.rate.stride for match in found] == strides
    assert [match.is_native for match in found] == are_native


def test_the_nearest_model_has_frames_of_the_nearest_size() -> None:
    assert [nearest_model(size).model_id for size in (64, 172, 224, 256, 300, 1080)] == [
        "a0", "a0", "a2", "a3", "a4", "a5",
    ]  # fmt: skip


def test_model_garden_is_asked_for_no_more_frames_than_there_are() -> None:
    assert frames_to_read(lengths(10, 10), MODEL_WINDOWS[0]) == 10
    assert frames_to_read(lengths(3, 300), MODEL_WINDOWS[0]) == 50
    assert frames_to_read(lengths(), MODEL_WINDOWS[0]) == 50
    assert [frames_to_read(lengths(n), MODEL_WINDOWS[0], stride=5) for n in (246, 245, 1)] == [50, 49, 1]
