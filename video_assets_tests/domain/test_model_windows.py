"""Which clips a model's training window loops or cuts."""

import numpy as np
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


def test_the_first_proposal_loops_and_cuts_nothing() -> None:
    durations, frames = lengths(2_000_000, 30_000_000), lengths(60, 900)
    matches = match_models(Encoding(), lengths(10, 10), durations, frames)
    for match in matches:
        proposal = match.proposals[0]
        values = dict(proposal.settings)
        assert values == {"plan.encoding.num_frames": match.window.num_frames}
        encoding = Encoding(num_frames=match.window.num_frames)
        assert match_window(num_stored_frames(encoding, durations, frames), match.window.num_frames).is_perfect
    assert matches[0].match == WindowMatch(2, 2, 0)
    assert [p.num_padded for p in (matches[0].proposals[0], matches[3].proposals[0])] == [0, 1]  # 64 of a video of 60


def test_the_models_own_rate_is_proposed_with_what_it_would_still_loop_and_cut() -> None:
    durations, frames = lengths(2_000_000, 10_000_000, 30_000_000), lengths(60, 300, 900)
    proposal = match_models(Encoding(), lengths(10, 10, 10), durations, frames)[0].proposals[1]
    assert proposal.settings_text == "plan.encoding.sampling=fps plan.encoding.fps=5.0"
    assert proposal.match == WindowMatch(3, 1, 1)


def test_a_dataset_that_fits_is_left_alone() -> None:
    match = match_models(Encoding(num_frames=50), lengths(50, 50), lengths(1, 1), lengths(50, 50))[0]
    assert match.match.is_perfect
    assert match.proposals == ()


def test_the_nearest_model_has_frames_of_the_nearest_size() -> None:
    assert [nearest_model(size).model_id for size in (64, 172, 224, 256, 300, 1080)] == [
        "a0", "a0", "a2", "a3", "a4", "a5",
    ]  # fmt: skip


def test_model_garden_is_asked_for_no_more_frames_than_there_are() -> None:
    assert frames_to_read(lengths(10, 10), MODEL_WINDOWS[0]) == 10
    assert frames_to_read(lengths(3, 300), MODEL_WINDOWS[0]) == 50
    assert frames_to_read(lengths(), MODEL_WINDOWS[0]) == 50
