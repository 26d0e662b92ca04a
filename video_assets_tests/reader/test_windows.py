"""Which frames a window, segments and crops choose, read on number lines; no video and no framework."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.errors import SettingsError
from video_assets.reader import Segments, Window
from video_assets.reader.windows import Views, draw_for_clip


def frames(chosen: Window | Segments, num_stored: int, *, clip: str = "a.mp4", seed: int = 1, epoch: int = 0) -> Any:
    """The chosen frames of a clip whose frames are numbered."""
    draws = draw_for_clip(clip.encode(), seed, epoch, chosen.num_draws)
    return chosen.frame_indices(num_stored, draws, np).tolist()


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(4, 1, "first"), [[0, 1, 2, 3]]),
        (Window(4, 3, "first"), [[0, 3, 6, 9]]),
        (Window(4, 3, "center"), [[5, 8, 11, 14]]),
        (Window(4, 3, "even"), [[5, 8, 11, 14]]),
        (Window(4, 3, "even", 2), [[0, 3, 6, 9], [10, 13, 16, 19]]),
        (Window(4, 3, "even", 4), [[0, 3, 6, 9], [3, 6, 9, 12], [6, 9, 12, 15], [10, 13, 16, 19]]),
        (Window(1, 7, "center"), [[9]]),
        (Window(20, 1, "random"), [list(range(20))]),
    ],
)
def test_a_window_of_twenty_frames(window: Window, expected: list[list[int]]) -> None:
    assert frames(window, 20) == expected


@pytest.mark.parametrize("position", ["random", "center", "first", "even"])
def test_a_clip_shorter_than_its_window_repeats_its_last_frame_or_loops(position: Any) -> None:
    assert frames(Window(6, 2, position), 7) == [[0, 2, 4, 6, 6, 6]]
    assert frames(Window(6, 2, position, short_clip="loop"), 7) == [[0, 2, 4, 6, 1, 3]]
    assert frames(Window(5, 1, position, short_clip="loop"), 2) == [[0, 1, 0, 1, 0]]
    assert frames(Window(3, 4, position), 1) == [[0, 0, 0]]


def test_random_windows_start_everywhere_where_they_fit_and_nowhere_else() -> None:
    starts = [frames(Window(4, 3), 20, epoch=epoch)[0][0] for epoch in range(2000)]
    counts = np.bincount(starts, minlength=11)
    assert len(counts) == 11  # 0 to 10: the last one ends at frame 19
    assert counts.min() > 130 and counts.max() < 235  # 182 expected, more than 4 standard deviations either way


def test_a_stride_is_drawn_from_its_range_as_far_as_windows_fit() -> None:
    def strides(num_stored: int) -> set[int]:
        chosen = [frames(Window(5, (2, 6)), num_stored, epoch=epoch)[0] for epoch in range(200)]
        return {second - first for first, second, *_ in chosen}

    assert strides(100) == {2, 3, 4, 5, 6}
    assert strides(17) == {2, 3, 4}  # 4 spans 17 frames
    assert strides(3) == {2}  # none fits: the least one


def test_draws_depend_on_clip_seed_and_epoch_and_on_nothing_else() -> None:
    window = Window(8, 2, num_windows=3)
    cases: list[dict[str, Any]] = [{}, {"clip": "b.mp4"}, {"seed": 2}, {"epoch": 1}, {"seed": -1}, {"seed": 2**63 - 1}]
    drawn = [frames(window, 10_000, **case) for case in cases]
    assert [frames(window, 10_000, **case) for case in cases] == drawn
    assert len({str(chosen) for chosen in drawn}) == len(cases)
    assert len({first for chosen in drawn for first, *_ in chosen}) == 3 * len(cases)


def test_draws_are_pinned() -> None:
    """A job that is resumed after an update must draw the same windows: say so in the changelog if this changes."""
    assert draw_for_clip(b"run/v_01.mp4#t=1,2", 1, 3, 4).tolist() == PINNED
    assert draw_for_clip("ü".encode(), -5, 0, 1).tolist() == [PINNED_NEGATIVE]


def test_neighbouring_epochs_and_clips_draw_independently() -> None:
    draws = np.array(
        [[draw_for_clip(f"{clip}.mp4".encode(), 0, epoch, 1)[0] for epoch in range(60)] for clip in range(60)]
    )
    values = draws / 2**31
    for one, other in ((values[1:], values[:-1]), (values[:, 1:], values[:, :-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.07  # 4 standard errors
    assert abs(values.mean() - 0.5) < 0.02


@pytest.mark.parametrize(
    ("num_stored", "expected"),
    [(24, [1, 4, 7, 10, 13, 16, 19, 22]), (8, list(range(8))), (3, [0, 0, 0, 1, 1, 2, 2, 2])],
)
def test_segments_without_jitter_are_the_middles_of_equal_parts(num_stored: int, expected: list[int]) -> None:
    assert frames(Segments(8, jitter=False), num_stored) == [expected]


def test_jittered_segments_come_from_every_place_of_their_own_part() -> None:
    drawn = np.array([frames(Segments(4), 22, epoch=epoch)[0] for epoch in range(300)])
    parts = [range(5), range(5, 11), range(11, 16), range(16, 22)]
    assert [sorted(set(drawn[:, part].tolist())) for part in range(4)] == [list(part) for part in parts]


CHOSEN = st.one_of(
    st.builds(
        Window,
        num_frames=st.integers(1, 70),
        stride=st.integers(1, 9),
        position=st.sampled_from(["random", "even"]),
        num_windows=st.integers(1, 5),
    ),
    st.builds(Segments, num_frames=st.integers(1, 70), jitter=st.booleans()),
)


@given(chosen=CHOSEN, num_stored=st.integers(1, 300), epoch=st.integers(0, 2**40))
def test_frames_exist_are_in_order_and_as_many_as_asked(chosen: Window | Segments, num_stored: int, epoch: int) -> None:
    for of_view in (found := frames(chosen, num_stored, epoch=epoch)):
        assert len(of_view) == chosen.num_frames
        assert of_view == sorted(of_view)
        assert of_view[0] >= 0 and of_view[-1] < num_stored
    assert len(found) == chosen.num_windows


@given(
    window=st.builds(Window, num_frames=st.integers(1, 30), stride=st.integers(1, 9)), num_stored=st.integers(1, 300)
)
def test_a_window_that_fits_has_its_stride_everywhere(window: Window, num_stored: int) -> None:
    (chosen,) = frames(window, num_stored)
    if (window.num_frames - 1) * int(window.stride) < num_stored:  # type: ignore[arg-type]
        assert set(np.diff(chosen).tolist()) <= {window.stride}


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (100, 180, [[0, 0, 100, 100], [0, 40, 100, 100], [0, 80, 100, 100]]),
        (180, 100, [[0, 0, 100, 100], [40, 0, 100, 100], [80, 0, 100, 100]]),
        (100, 100, [[0, 0, 100, 100]] * 3),
    ],
)
def test_three_crops_lie_along_the_longer_side(height: int, width: int, expected: list[list[int]]) -> None:
    assert Views(num_crops=3).boxes(height, width, np).tolist() == expected
    assert Views(num_crops=1).boxes(height, width, np).tolist() == [expected[1]]


def test_crops_of_a_given_side() -> None:
    assert Views(num_crops=3, crop_px=60).boxes(100, 100, np).tolist() == [
        [20, 0, 60, 60],
        [20, 20, 60, 60],
        [20, 40, 60, 60],
    ]
    assert Views(num_crops=1, crop_px=50).boxes(61, 90, np).tolist() == [[5, 20, 50, 50]]
    assert Views().boxes(61, 90, np).tolist() == [[0, 0, 61, 90]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Window(0), "window.num_frames is 0; it must be at least 1"),
        (lambda: Window(4, 0), "window.stride is 0; it must be at least 1, or a range such as (1, 4)"),
        (lambda: Window(4, (3, 2)), "window.stride is (3, 2); it must be at least 1, or a range such as (1, 4)"),
        (lambda: Window(4, 1, "end"), "window.position is 'end'; it must be one of random, center, first, even"),  # type: ignore[arg-type]
        (lambda: Window(4, num_windows=0), "window.num_windows is 0; it must be at least 1"),
        (lambda: Window(4, short_clip="cut"), "window.short_clip is 'cut'; it must be one of repeat_last, loop"),  # type: ignore[arg-type]
        (
            lambda: Window(4, position="first", num_windows=2),
            (
                "window.num_windows is 2, but position='first' is one place; "
                "for several windows use position='even' or 'random'"
            ),
        ),
        (
            lambda: Window(4, (1, 2), "even"),
            (
                "window.stride is (1, 2), a range to draw from, but position='even' draws nothing; "
                "give one stride, or position='random'"
            ),
        ),
        (lambda: Segments(0), "segments.num_frames is 0; it must be at least 1"),
        (
            lambda: chosen_views(window=Window(4), segments=Segments(4)),
            "window and segments both choose the frames; give one of them",
        ),
        (lambda: chosen_views(num_crops=2), "num_crops is 2; it must be 1 or 3, or None for whole frames"),
        (
            lambda: chosen_views(crop_px=65),
            "crop_px is 65; it must be from 1 to 64, the short side of the stored frames",
        ),
    ],
)
def test_what_cannot_be_is_named(make: Any, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make()
    assert str(caught.value) == message


def chosen_views(**options: Any) -> Views:
    """Views of frames whose short side is 64."""
    nothing: dict[str, Any] = {"window": None, "segments": None, "num_crops": None, "crop_px": None}
    return Views.chosen(**nothing | options, short_side_px=64)


PINNED = [1292233224, 1098429571, 1447756265, 20482121]
PINNED_NEGATIVE = 1320455964
