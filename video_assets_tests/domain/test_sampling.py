"""Which frames of a clip are stored, on number lines: frame i of a line is shown at i steps."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.sampling import Timeline, choose_timestamps, num_stored_frames, span_of
from video_assets_tests.domain.test_first_sampling import STEP_US, line, line_of, steps_of, timelines

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]
CLOCKS = [Fraction(1, 12_800), Fraction(1, 90_000), Fraction(1, 1000)]
"""Of mp4 files, of transport streams and of Matroska."""


def constant(rate: Fraction, num_frames: int, clock: Fraction = Fraction(1, 1_000_000)) -> Timeline:
    """A video of a constant rate, as a container of that clock gives its times."""
    starts = [round(round(number / rate / clock) * clock * 10**6) for number in range(num_frames + 1)]
    tick_us = -(-clock.numerator * 10**6 // clock.denominator)
    return Timeline(np.array(starts[:-1], np.int64), starts[-1], tick_us)


def frames_of(timeline: Timeline, encoding: Encoding, *span: float | None) -> list[int]:
    """The chosen frames, by number."""
    return np.searchsorted(timeline.starts_us, choose_timestamps(timeline, encoding, *span)).tolist()


def shown_at(timeline: Timeline, time_us: float) -> int:
    """The number of the frame that a player shows at a time."""
    begun = [number for number, start_us in enumerate(timeline.starts_us.tolist()) if start_us <= time_us]
    return begun[-1] if begun else 0


# --- the frame that is shown ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("num_present", "num_frames", "expected"),
    [
        (100, 10, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]),
        (10, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (10, 4, [0, 2, 5, 7]),  # 0, 2.5, 5, 7.5
        (11, 10, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),  # 1.1, 2.2, 3.3, …
        (7, 2, [0, 3]),  # 3.5
        (50, 1, [0]),
        (1, 1, [0]),
    ],
)
def test_uniform_takes_the_frames_shown_at_equal_steps(num_present: int, num_frames: int, expected: list[int]) -> None:
    assert steps_of(line(num_present), Encoding(num_frames=num_frames)) == expected


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
        (4, 20, [0, 0, 1, 1, 2, 2, 3, 3]),
        (10, 4, [0, 2, 5, 7]),
        (1, 5, [0]),
    ],
)
def test_fps_takes_the_frames_shown_at_a_fixed_rate(num_present: int, fps: float, expected: list[int]) -> None:
    assert steps_of(line(num_present), Encoding(sampling="fps", fps=fps)) == expected


def test_a_frame_that_is_still_shown_is_taken_again() -> None:
    held = line_of([0, 1, 2, 3, 20, 21, 22, 23], 24)  # nothing new from step 3 to step 20
    assert steps_of(held, Encoding(num_frames=4)) == [0, 3, 3, 3]
    still = line_of([0, 1, 2, 3, 4], 100)
    assert steps_of(still, Encoding(num_frames=4)) == [0, 4, 4, 4]
    assert steps_of(still, Encoding(sampling="segments", num_frames=4)) == [4, 4, 4, 4]
    assert steps_of(still, Encoding(sampling="all")) == [0, 1, 2, 3, 4]


@given(
    timeline=timelines(),
    sampling=st.sampled_from(["uniform", "segments", "fps"]),
    num_frames=st.integers(1, 40),
    fps=st.floats(0.1, 60),
)
def test_each_frame_is_the_one_that_a_player_shows_at_the_wanted_time(
    timeline: Timeline, sampling: str, num_frames: int, fps: float
) -> None:
    encoding = Encoding(sampling=sampling, num_frames=num_frames, fps=fps, max_frames=50)  # pyright: ignore[reportArgumentType]
    chosen = choose_timestamps(timeline, encoding).tolist()
    if sampling != "fps" and timeline.num_frames < num_frames:
        return
    step_us = 1e6 / fps if sampling == "fps" else timeline.duration_us / num_frames
    for number, time_us in enumerate(chosen):
        wanted_us = timeline.start_us + (number + (0.5 if sampling == "segments" else 0)) * step_us
        shown = {int(timeline.starts_us[shown_at(timeline, wanted_us + early)]) for early in (0, 2)}
        assert time_us in shown


@pytest.mark.parametrize(("before_us", "expected"), [(0, 1), (900, 1), (1000, 1), (1001, 0), (20_000, 0)])
def test_a_time_within_a_tick_before_a_frame_means_that_frame(before_us: int, expected: int) -> None:
    starts = np.array([0, 500_000 + before_us], np.int64)  # the second frame is wanted at 0.5 s
    timeline = Timeline(starts, 1_000_000, tick_us=1000)
    assert frames_of(timeline, Encoding(num_frames=2)) == [0, expected]
    exact = Timeline(starts, 1_000_000, tick_us=12)
    assert frames_of(exact, Encoding(num_frames=2)) == [0, int(before_us <= 12)]


def test_a_clock_whose_tick_is_a_frame_moves_no_choice() -> None:
    """As in AVI, whose clock ticks once a frame: then times are exact, and a tick is no measure of rounding."""
    timeline = Timeline(np.arange(25, dtype=np.int64) * 40_000, 1_000_000, tick_us=40_000)
    assert frames_of(timeline, Encoding(num_frames=10)) == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]


@given(rate=st.sampled_from(RATES), clock=st.sampled_from(CLOCKS), num_present=st.integers(10, 400))
def test_the_clock_of_the_container_changes_no_choice_at_whole_frames(
    rate: Fraction, clock: Fraction, num_present: int
) -> None:
    """Every wanted time is exactly the start of a frame, and rounding moves both a little."""
    timeline = constant(rate, num_present, clock)
    assert frames_of(timeline, Encoding(num_frames=num_present)) == list(range(num_present))
    fps = Encoding(sampling="fps", fps=float(rate) / 5, max_frames=1000)
    assert frames_of(timeline, fps) == list(range(0, num_present, 5))


@pytest.mark.parametrize("sampling", ["uniform", "segments", "fps", "all"])
@pytest.mark.parametrize("start", [-3, 7, 10_000])
def test_where_the_video_begins_changes_no_choice(sampling: str, start: int) -> None:
    encoding = Encoding(sampling=sampling, num_frames=7, fps=3, max_frames=20)  # pyright: ignore[reportArgumentType]
    moved = steps_of(line(31, start=start), encoding)
    assert [step - start for step in moved] == steps_of(line(31), encoding)


# --- numbers of frames ----------------------------------------------------------------------------


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [1, 3, 10])
def test_fps_gives_as_many_frames_as_the_duration_holds(rate: Fraction, seconds: int, clock: Fraction) -> None:
    num_present = int(rate * seconds)
    wanted = -(-(num_present / rate) // Fraction(1, 5))
    assert len(frames_of(constant(rate, num_present, clock), Encoding(sampling="fps", fps=5))) == wanted


def test_a_fast_rate_loses_no_frame_to_rounding() -> None:
    thousand = constant(Fraction(1000), 200)
    assert frames_of(thousand, Encoding(sampling="fps", fps=1000)) == list(range(200))


def test_fps_and_all_stop_at_max_frames() -> None:
    assert steps_of(line(100), Encoding(sampling="fps", fps=10, max_frames=3)) == [0, 1, 2]
    assert steps_of(line(100), Encoding(sampling="all", max_frames=3)) == [0, 1, 2]
    assert steps_of(line(5), Encoding(sampling="all", max_frames=300)) == [0, 1, 2, 3, 4]


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


# --- short clips ----------------------------------------------------------------------------------


def test_a_short_clip_repeats_its_last_frame_by_default_or_is_looped_or_quarantined() -> None:
    assert steps_of(line(3), Encoding(num_frames=6)) == [0, 1, 2, 2, 2, 2]
    assert steps_of(line(3), Encoding(num_frames=7, short_clip="loop")) == [0, 1, 2, 0, 1, 2, 0]
    assert steps_of(line(9), Encoding(num_frames=4, short_clip="loop"), 0.5, 0.8) == [5, 6, 7, 5]
    with pytest.raises(VideoLost) as lost:
        choose_timestamps(line(3), Encoding(num_frames=6, short_clip="quarantine"))
    assert lost.value.loss.reason == "too_short"
    assert lost.value.loss.detail == "the clip has 3 frames, 6 are asked for (plan.encoding.short_clip)"
    assert steps_of(line(6), Encoding(num_frames=6, short_clip="quarantine")) == [0, 1, 2, 3, 4, 5]


# --- spans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, (0, 100, 0)),
        (None, 1.0, (0, 10, 0)),
        (2.0, 3.0, (20, 30, 20)),  # the frame at 3.0 belongs to what follows
        (2.05, 3.05, (21, 31, 20)),  # frame 20 is shown at 2.05, and began before
        (9.95, None, (99, 100, 99)),  # within the last frame
        (3.01, 3.02, (30, 31, 30)),  # between two frames: the one that is shown
        (5.0, 1e305, (50, 100, 50)),  # finite, but not so in microseconds
        (2.0004, 3.0009, (20, 30, 20)),  # rounded times
        (1.9992, 2.9996, (20, 30, 20)),
        (1.998, 2.998, (20, 30, 19)),
    ],
)
@pytest.mark.parametrize("first_step", [0, -25, 1000])
def test_a_span_holds_the_frames_that_begin_in_it(
    start: float | None, end: float | None, expected: tuple[int, int, int], first_step: int
) -> None:
    span = span_of(line(100, start=first_step), start, end)
    assert (span.first, span.stop, span.shown) == expected


@pytest.mark.parametrize(
    ("start", "end"),
    [(-1.0, None), (2.0, 2.0), (3.0, 2.0), (10.0, None), (11.0, 12.0), (float("nan"), None), (0.0, float("nan"))],
)
def test_what_is_no_span_of_the_video_is_lost_by_name(start: float, end: float | None) -> None:
    with pytest.raises(VideoLost) as lost:
        span_of(line(100), start, end)
    assert lost.value.loss.reason == "bad_span"
    shown_end = 10 if end is None else end
    assert lost.value.loss.detail == f"the span {start:g} s to {shown_end:g} s is not a part of this video of 10 s"


def test_sampling_stays_in_its_span_and_begins_with_what_is_shown_at_its_start() -> None:
    assert steps_of(line(100), Encoding(num_frames=5), 2.0, 4.0) == [20, 24, 28, 32, 36]
    assert steps_of(line(100), Encoding(num_frames=2), 2.06, 3.06) == [20, 25]  # at 2.06 and 2.56
    assert steps_of(line(100), Encoding(sampling="fps", fps=2), 2.0, 4.0) == [20, 25, 30, 35]
    assert steps_of(line(100), Encoding(sampling="all"), 9.7, None) == [97, 98, 99]
    assert steps_of(line(100), Encoding(sampling="all"), 9.65, None) == [97, 98, 99]


@given(
    rate=st.sampled_from(RATES),
    clock=st.sampled_from(CLOCKS),
    frames=st.tuples(st.integers(0, 299), st.integers(1, 100)),
    to_milliseconds=st.sampled_from([round, np.floor, np.ceil]),
)
@example(rate=Fraction(30000, 1001), clock=Fraction(1, 12_800), frames=(30, 1), to_milliseconds=np.floor)
def test_times_rounded_to_milliseconds_neither_lose_nor_gain_a_frame(
    rate: Fraction, clock: Fraction, frames: tuple[int, int], to_milliseconds: type[float]
) -> None:
    first, stop = frames[0], min(300, sum(frames))
    timeline = constant(rate, 300, clock)
    start, end = (float(to_milliseconds(float(frame / rate) * 1000)) / 1000 for frame in (first, stop))
    for sampling in ("all", "uniform", "segments"):
        encoding = Encoding(sampling=sampling, num_frames=stop - first)
        assert frames_of(timeline, encoding, start, end) == list(range(first, stop))


def test_a_clock_that_ticks_once_a_frame_rounds_nothing() -> None:
    """As in AVI: the frame at 2.002 s is not the one that a table calls 2 s."""
    rate = Fraction(30_000, 1001)
    assert span_of(constant(rate, 300, 1 / rate), 0.4, 2.0).end_us == 2_000_000


@given(timeline=timelines(), cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_neighbouring_spans_share_no_frame_and_lose_none(timeline: Timeline, cuts: tuple[float, float]) -> None:
    duration_seconds = timeline.duration_us / 1e6
    bounds = sorted({0.0, *(round(cut * duration_seconds, 6) for cut in cuts), duration_seconds})
    covered: list[int] = []
    for start, end in itertools.pairwise(bounds):
        if start >= duration_seconds:
            continue
        span = span_of(timeline, start, end)
        assert span.first < span.stop
        if timeline.starts_us[span.first] >= span.start_us and timeline.starts_us[span.first] < span.end_us:
            covered += range(span.first, span.stop)
    assert sorted(set(covered)) == list(range(timeline.num_frames))


def test_a_chosen_time_is_one_of_the_timelines_own() -> None:
    assert choose_timestamps(line(3), Encoding(num_frames=2)).dtype == np.int64
    assert choose_timestamps(line(10, start=7), Encoding(num_frames=3)).tolist() == [
        7 * STEP_US,
        10 * STEP_US,
        13 * STEP_US,
    ]
