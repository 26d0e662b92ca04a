"""Which frames version 1 of the encoder stores, on number lines: frame i of a line is shown at i steps.

Datasets of the first edition grow under it, and the layout `movinets_helper` keeps its choice for `uniform`.
"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from video_assets.domain import encoding as encodings_of_all_versions
from video_assets.domain.clips import VideoLost
from video_assets.domain.sampling import (
    Timeline,
    choose_timestamps,
    first_edition_span,
    nearest_frames,
    num_stored_frames,
)

STEP_US = 100_000


class Encoding(encodings_of_all_versions.Encoding):
    """An encoding of version 1, unless something else is said."""

    encoder_version: int = 1


def line(num_frames: int, *, start: int = 0) -> Timeline:
    """Ten frames a second: frame i is shown at start + i steps, for one step."""
    return Timeline((start + np.arange(num_frames, dtype=np.int64)) * STEP_US, (start + num_frames) * STEP_US)


def line_of(steps: list[int], end: int) -> Timeline:
    """Frames at these steps, the last one until `end`."""
    return Timeline(np.array(steps, np.int64) * STEP_US, end * STEP_US)


def steps_of(timeline: Timeline, encoding: encodings_of_all_versions.Encoding, *span: float | None) -> list[int]:
    """The chosen times, in steps."""
    return (choose_timestamps(timeline, encoding, *span) // STEP_US).tolist()


@st.composite
def timelines(draw: st.DrawFn, max_frames: int = 60) -> Timeline:
    """Any video: constant or not, with holes, beginning before, at or after zero."""
    gaps = draw(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=max_frames))
    start_us = draw(st.integers(-(10**7), 10**10))
    starts = np.cumsum([start_us, *gaps])
    return Timeline(starts[:-1].astype(np.int64), int(starts[-1]))


def encodings(*samplings: str) -> st.SearchStrategy[Encoding]:
    return st.builds(
        Encoding,
        sampling=st.sampled_from(samplings),
        num_frames=st.integers(1, 80),
        fps=st.floats(0.1, 240),
        max_frames=st.integers(1, 100),
        short_clip=st.sampled_from(["repeat_last", "loop"]),
    )


# --- uniform --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_present", "num_frames", "expected"),
    [
        (100, 10, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (10, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 4, [0, 2, 5, 8]),  # 0, 2.5, 5, 7.5
        (11, 10, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]),  # 1.1, 2.2, 3.3, 4.4, 5.5, …
        (7, 2, [0, 4]),  # 3.5
        (5, 2, [0, 2]),  # 2.5
        (50, 1, [0]),
        (1, 1, [0]),
    ],
)
def test_uniform_takes_the_frames_nearest_to_equal_steps(
    num_present: int, num_frames: int, expected: list[int]
) -> None:
    assert steps_of(line(num_present), Encoding(num_frames=num_frames)) == expected


@given(num_present=st.integers(1, 700), num_frames=st.integers(1, 80), frame_us=st.integers(5_000, 200_000))
@example(num_present=30, num_frames=50, frame_us=33_367)
def test_uniform_on_a_constant_rate_rounds_half_to_even(num_present: int, num_frames: int, frame_us: int) -> None:
    num_frames = min(num_frames, num_present)
    timeline = Timeline(np.arange(num_present, dtype=np.int64) * frame_us, num_present * frame_us)
    chosen = choose_timestamps(timeline, Encoding(num_frames=num_frames))
    assert (chosen // frame_us).tolist() == [round(Fraction(i * num_present, num_frames)) for i in range(num_frames)]


@pytest.mark.parametrize("num_frames", [8, 10, 16, 32])
def test_uniform_is_the_choice_of_the_original_helper(num_frames: int) -> None:
    """`np.arange(0, n, n / k).round()`, where the helper itself works: its float steps may give one frame more."""
    for num_present in range(num_frames, 700):
        helper = np.arange(0, num_present, num_present / num_frames).round()[:num_frames]
        exact = [Fraction(i * num_present, num_frames) for i in range(num_frames)]
        is_tie = np.array([value % 1 == Fraction(1, 2) for value in exact])
        chosen = np.array(steps_of(line(num_present), Encoding(num_frames=num_frames)))
        assert chosen[~is_tie].tolist() == helper[~is_tie].tolist(), num_present


@given(
    rate=st.sampled_from([Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60)]),
    num_present=st.integers(10, 600),
    start_us=st.integers(-(10**6), 10**10),
)
def test_times_rounded_to_microseconds_choose_as_exact_times_do(
    rate: Fraction, num_present: int, start_us: int
) -> None:
    starts = [start_us + round(Fraction(i) / rate * 10**6) for i in range(num_present + 1)]
    timeline = Timeline(np.array(starts[:-1], np.int64), starts[-1])
    chosen = choose_timestamps(timeline, Encoding(num_frames=10))
    assert [starts.index(t) for t in chosen.tolist()] == [round(Fraction(i * num_present, 10)) for i in range(10)]


@pytest.mark.parametrize("sampling", ["uniform", "segments", "fps", "all"])
@pytest.mark.parametrize("start", [-3, 7, 10_000])
def test_where_the_video_begins_changes_no_choice(sampling: str, start: int) -> None:
    encoding = Encoding(sampling=sampling, num_frames=7, fps=3, max_frames=20)  # pyright: ignore[reportArgumentType]
    moved = steps_of(line(31, start=start), encoding)
    assert [step - start for step in moved] == steps_of(line(31), encoding)


def test_the_layout_of_the_helper_chooses_so_under_any_version() -> None:
    newest = encodings_of_all_versions.Encoding(layout="movinets_helper", num_frames=4)
    assert steps_of(line(10), newest) == steps_of(line(10), Encoding(num_frames=4)) == [0, 2, 5, 8]
    assert steps_of(line(10), newest, 0.2, 0.9) == [2, 4, 6, 7]


def test_a_hole_in_a_variable_rate_repeats_no_frame() -> None:
    # Nothing new is shown from step 3 to step 20: the wanted steps 0, 6, 12 and 18 lie nearest to 0, 3, 20 and 20.
    held = line_of([0, 1, 2, 3, 20, 21, 22, 23], 24)
    assert steps_of(held, Encoding(num_frames=4)) == [0, 3, 20, 21]


def test_a_hole_at_the_end_repeats_no_frame() -> None:
    still = line_of([0, 1, 2, 3, 4], 100)
    assert steps_of(still, Encoding(num_frames=4)) == [0, 2, 3, 4]
    assert steps_of(still, Encoding(sampling="segments", num_frames=4)) == [1, 2, 3, 4]


def test_uniform_goes_by_time_and_not_by_frame_number() -> None:
    # Half of the frames lie in the first second of ten.
    burst = line_of([*range(10), *range(10, 100, 10)], 100)
    assert steps_of(burst, Encoding(num_frames=5)) == [0, 20, 40, 60, 80]


@given(timeline=timelines(), encoding=encodings("uniform", "segments"))
def test_no_frame_is_taken_twice_unless_the_clip_is_short(timeline: Timeline, encoding: Encoding) -> None:
    chosen = choose_timestamps(timeline, encoding).tolist()
    assert len(chosen) == encoding.num_frames
    assert len(set(chosen)) == min(encoding.num_frames, timeline.num_frames)


@given(timeline=timelines(), encoding=encodings("uniform", "segments", "fps", "all"))
def test_every_time_is_one_of_the_timelines_own_and_in_order(timeline: Timeline, encoding: Encoding) -> None:
    chosen = choose_timestamps(timeline, encoding)
    assert chosen.dtype == np.int64
    assert set(chosen.tolist()) <= set(timeline.starts_us.tolist())
    is_looped = encoding.short_clip == "loop" and timeline.num_frames < encoding.num_frames
    if not is_looped or encoding.sampling in ("fps", "all"):
        assert chosen.tolist() == sorted(chosen.tolist())


@given(timeline=timelines(), encoding=encodings("uniform", "fps", "all"))
def test_all_but_segments_begin_with_the_first_frame(timeline: Timeline, encoding: Encoding) -> None:
    assert choose_timestamps(timeline, encoding)[0] == timeline.start_us


# --- segments, fps, all ---------------------------------------------------------------------------


def test_segments_takes_the_frame_shown_in_the_middle_of_each_part() -> None:
    segments = Encoding(sampling="segments", num_frames=4)
    assert steps_of(line(10), segments) == [1, 3, 6, 8]  # 1.25, 3.75, 6.25, 8.75
    assert steps_of(line(100), segments) == [12, 37, 62, 87]  # 12.5, 37.5, …
    assert steps_of(line(4), segments) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("num_present", "fps", "expected"),
    [
        (10, 5, [0, 2, 4, 6, 8]),
        (10, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 1, [0]),
        (11, 1, [0, 10]),
        (25, 0.5, [0, 20]),
        (4, 20, [0, 0, 1, 2, 2, 2, 3, 3]),  # 0, 0.5, 1, 1.5, …: ties to the even frame, the last time to the last frame
        (10, 4, [0, 2, 5, 8]),
        (1, 5, [0]),
    ],
)
def test_fps_takes_the_frames_nearest_to_a_fixed_rate(num_present: int, fps: float, expected: list[int]) -> None:
    assert steps_of(line(num_present), Encoding(sampling="fps", fps=fps)) == expected


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25), Fraction(60)])
@pytest.mark.parametrize("seconds", [1, 3, 10])
def test_fps_gives_as_many_frames_as_the_duration_holds(rate: Fraction, seconds: int) -> None:
    num_present = int(rate * seconds) + (rate.denominator > 1)
    starts = [round(i / rate * 10**6) for i in range(num_present + 1)]
    timeline = Timeline(np.array(starts[:-1], np.int64), starts[-1])
    chosen = choose_timestamps(timeline, Encoding(sampling="fps", fps=5))
    assert len(chosen) == int(-(-(num_present / rate) // Fraction(1, 5)))


def test_fps_and_all_stop_at_max_frames() -> None:
    assert steps_of(line(100), Encoding(sampling="fps", fps=10, max_frames=3)) == [0, 1, 2]
    assert steps_of(line(100), Encoding(sampling="all", max_frames=3)) == [0, 1, 2]
    assert steps_of(line(5), Encoding(sampling="all", max_frames=300)) == [0, 1, 2, 3, 4]


@given(timeline=timelines(), fps=st.floats(0.1, 240), max_frames=st.integers(1, 10_000))
def test_fps_counts_the_wanted_times_in_the_duration(timeline: Timeline, fps: float, max_frames: int) -> None:
    chosen = choose_timestamps(timeline, Encoding(sampling="fps", fps=fps, max_frames=max_frames))
    in_duration = timeline.duration_us * fps / 1e6
    assert len(chosen) <= max_frames
    if len(chosen) < max_frames:
        assert in_duration - 0.01 <= len(chosen) < in_duration + 1


# --- ties -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted_us", "expected"),
    [
        (0, 0),
        (49_999, 0),
        (50_000, 0),
        (50_001, 0),
        (50_002, 1),
        (149_998, 1),
        (149_999, 2),
        (150_000, 2),
        (999_999, 2),
    ],
)
def test_a_tie_goes_to_the_even_frame_even_if_rounding_made_it_uneven(wanted_us: int, expected: int) -> None:
    starts = np.array([0, 100_000, 200_000], np.int64)
    assert nearest_frames(starts, np.array([wanted_us], np.float64)).tolist() == [expected]


def test_the_nearest_frame_of_a_single_frame_is_that_frame() -> None:
    assert nearest_frames(np.array([5], np.int64), np.array([-1e9, 5, 1e9])).tolist() == [0, 0, 0]


@given(timeline=timelines(), wanted=st.lists(st.integers(-(10**7), 2 * 10**10), min_size=1, max_size=20))
def test_no_other_frame_is_nearer_than_the_nearest(timeline: Timeline, wanted: list[int]) -> None:
    starts = timeline.starts_us
    found: NDArray[np.int64] = nearest_frames(starts, np.array(wanted, np.float64))
    for time_us, index in zip(wanted, found.tolist(), strict=True):
        distances = np.abs(starts - time_us)
        assert distances[index] <= distances.min() + 2  # a tie within two microseconds may go to the even frame


# --- short clips ----------------------------------------------------------------------------------


def test_a_short_clip_repeats_its_last_frame_by_default() -> None:
    assert steps_of(line(3), Encoding(num_frames=6)) == [0, 1, 2, 2, 2, 2]
    assert steps_of(line(3), Encoding(sampling="segments", num_frames=6)) == [0, 1, 2, 2, 2, 2]


def test_a_short_clip_can_be_looped() -> None:
    assert steps_of(line(3), Encoding(num_frames=7, short_clip="loop")) == [0, 1, 2, 0, 1, 2, 0]


def test_a_short_clip_can_be_quarantined_by_name() -> None:
    with pytest.raises(VideoLost) as lost:
        choose_timestamps(line(3), Encoding(num_frames=6, short_clip="quarantine"))
    assert lost.value.loss.reason == "too_short"
    assert lost.value.loss.detail == "the clip has 3 frames, 6 are asked for (plan.encoding.short_clip)"


def test_a_clip_of_just_enough_frames_is_not_short() -> None:
    assert steps_of(line(6), Encoding(num_frames=6, short_clip="quarantine")) == [0, 1, 2, 3, 4, 5]


# --- spans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, (0, 100)),
        (0.0, None, (0, 100)),
        (None, 1.0, (0, 10)),
        (2.0, 3.0, (20, 30)),  # the frame at 3.0 belongs to what follows
        (2.05, 3.05, (21, 31)),
        (9.9, None, (99, 100)),
        (9.95, None, (99, 100)),  # within the last frame
        (3.01, 3.02, (30, 31)),  # between two frames: the one that is shown
        (5.0, 1000.0, (50, 100)),  # an end past the video's
        (5.0, 1e15, (50, 100)),
        (5.0, 1e305, (50, 100)),  # finite, but not so in microseconds
    ],
)
@pytest.mark.parametrize("first_step", [0, -25, 1000])
def test_a_span_holds_the_frames_that_begin_in_it(
    start: float | None, end: float | None, expected: tuple[int, int], first_step: int
) -> None:
    assert first_edition_span(line(100, start=first_step), start, end) == expected


@pytest.mark.parametrize(
    ("start", "end"),
    [(-1.0, None), (2.0, 2.0), (3.0, 2.0), (10.0, None), (11.0, 12.0), (float("nan"), None), (0.0, float("nan"))],
)
def test_what_is_no_span_of_the_video_is_lost_by_name(start: float, end: float | None) -> None:
    with pytest.raises(VideoLost) as lost:
        first_edition_span(line(100), start, end)
    assert lost.value.loss.reason == "bad_span"
    shown_end = 10 if end is None else end
    assert lost.value.loss.detail == f"the span {start:g} s to {shown_end:g} s is not a part of this video of 10 s"


def test_sampling_stays_in_its_span() -> None:
    assert steps_of(line(100), Encoding(num_frames=5), 2.0, 4.0) == [20, 24, 28, 32, 36]
    assert steps_of(line(100), Encoding(sampling="fps", fps=2), 2.0, 4.0) == [20, 25, 30, 35]
    assert steps_of(line(100), Encoding(sampling="all"), 9.7, None) == [97, 98, 99]


@given(timeline=timelines(), cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_neighbouring_spans_share_no_frame_and_lose_none(timeline: Timeline, cuts: tuple[float, float]) -> None:
    duration_seconds = timeline.duration_us / 1e6
    bounds = sorted({0.0, *(round(cut * duration_seconds, 6) for cut in cuts), duration_seconds})
    covered: list[int] = []
    for start, end in itertools.pairwise(bounds):
        first, stop = first_edition_span(timeline, start, end)
        assert first < stop
        starts_within = timeline.starts_us[first] >= timeline.start_us + round(start * 1e6)
        if starts_within:  # otherwise nothing begins in the span, and it is the frame that is shown
            covered += range(first, stop)
    assert covered == list(range(timeline.num_frames))


@pytest.mark.parametrize("sampling", ["uniform", "segments", "fps", "all"])
@given(st.integers(1, 400), st.integers(1_000, 200_000), st.floats(0.5, 60))
def test_the_predicted_number_of_frames_is_what_sampling_takes(
    sampling: str, num_frames: int, frame_us: int, fps: float
) -> None:
    encoding = Encoding(sampling=sampling, num_frames=20, fps=fps, max_frames=90)  # pyright: ignore[reportArgumentType]
    timeline = Timeline(np.arange(num_frames, dtype=np.int64) * frame_us, num_frames * frame_us)
    taken = len(choose_timestamps(timeline, encoding))
    found = num_stored_frames(encoding, np.array([timeline.duration_us]), np.array([num_frames]))
    assert found.tolist() == [taken]
