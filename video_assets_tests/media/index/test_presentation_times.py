"""Presentation times are exact, strictly increasing, and made up only where there are none."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.geometry import round_half_up
from video_assets.media.index.presentation_times import frame_times, frames_shown_at, ticks_to_us, timeline_of

TICK = Fraction(1, 30)
RATE = Fraction(30)


@given(
    st.lists(st.integers(min_value=-(2**62), max_value=2**62), min_size=1, max_size=5),
    st.sampled_from([Fraction(1, 90_000), Fraction(1001, 30_000), Fraction(1, 1000), Fraction(1, 10_000_000)]),
)
def test_ticks_become_the_nearest_microsecond_exactly(ticks: list[int], time_base: Fraction) -> None:
    expected = [round_half_up(tick * time_base * 1_000_000) for tick in ticks]
    if max(map(abs, expected)) < 2**62:
        assert ticks_to_us(np.array(ticks, dtype=np.int64), time_base).tolist() == expected


def test_presentation_times_are_taken_as_they_are() -> None:
    times, note = frame_times([300, 301, 305], [None, None, None], TICK, RATE)
    assert times.tolist() == [10_000_000, 10_033_333, 10_166_667]
    assert note == ""


def test_decoding_times_stand_in_and_the_last_frames_follow_at_the_frame_rate() -> None:
    times, note = frame_times([None, 2, None, None], [1, 2, 3, None], TICK, RATE)
    assert times.tolist() == [33_333, 66_667, 100_000, 133_333]
    assert note == ""


def test_frames_without_any_time_are_laid_out_by_the_frame_rate() -> None:
    times, note = frame_times([None] * 3, [None] * 3, TICK, Fraction(25))
    assert times.tolist() == [0, 40_000, 80_000]
    assert note == "The frames have no times; they are laid out by the frame rate."


def test_frames_that_all_have_the_same_time_are_laid_out_by_the_frame_rate() -> None:
    times, note = frame_times([30, 30, 30], [0, 0, 0], TICK, Fraction(25))
    assert times.tolist() == [1_000_000, 1_040_000, 1_080_000]
    assert note == "Most frames have the same time; they are laid out by the frame rate."


def test_a_repeated_time_moves_by_a_microsecond_and_the_others_stay() -> None:
    times, note = frame_times([0, 1, 1, 3, 4], [0] * 5, TICK, RATE)
    assert times.tolist() == [0, 33_333, 33_334, 100_000, 133_333]
    assert note == "1 frame times do not increase; they were moved."


def test_times_in_the_order_of_the_packets_are_sorted() -> None:
    """As in MXF: the packets I P B b b bring frames that are shown as I b B b P."""
    times, note = frame_times([0, 3, 2, 4, 1, 5, 8, 7, 9, 6], [None] * 10, TICK, Fraction(30))
    assert times.tolist() == [round(number * 1e6 / 30) for number in range(10)]
    assert note == "The frames' times came in the order of their packets; they were sorted."


def test_a_clock_that_starts_again_soon_is_no_matter_of_order() -> None:
    times, _ = frame_times([90, 93, 96, 0, 3, 6], [0] * 6, TICK, RATE)
    assert times.tolist() == [3_000_000, 3_100_000, 3_200_000, 3_233_333, 3_333_333, 3_433_333]


def test_a_clock_that_starts_again_goes_on_instead() -> None:
    times, _ = frame_times([0, 30, 60, 90, 0, 30], [0] * 6, TICK, RATE)
    assert times.tolist() == [0, 1_000_000, 2_000_000, 3_000_000, 3_033_333, 4_033_333]


def test_a_time_beyond_reason_is_none() -> None:
    """As in Theora that was cut and copied to Ogg: the first keyframe's number is negative, and read as 2^58 frames."""
    broken = 2**58 - 3
    times, note = frame_times([broken, broken + 1, -1, 0, 1], [None] * 5, Fraction(1, 25), Fraction(25))
    assert times.tolist() == [-120_000, -80_000, -40_000, 0, 40_000]
    assert note == ""


@given(st.lists(st.one_of(st.none(), st.integers(-100, 100)), min_size=1, max_size=30))
def test_whatever_the_times_are_the_result_increases(pts: list[int | None]) -> None:
    times, _ = frame_times(pts, [None] * len(pts), TICK, RATE)
    assert len(times) == len(pts)
    assert (np.diff(times) > 0).all()


def test_the_last_frame_lasts_as_its_packet_says_or_as_the_one_before() -> None:
    assert timeline_of(np.array([0, 40, 90]), 25).end_us == 115
    assert timeline_of(np.array([0, 40, 90]), 0).end_us == 140
    assert timeline_of(np.array([7]), 0).end_us == 40_007


def test_a_last_frame_that_lasts_beyond_reason_lasts_as_the_one_before() -> None:
    steady, slides = np.arange(3) * 40_000, np.arange(3) * 5_000_000
    assert timeline_of(steady, 167_772_160_000).end_us == 120_000
    assert timeline_of(steady, 10_000_001).end_us == 120_000
    assert timeline_of(steady, 10_000_000).end_us == 10_080_000, "a pause at the end of a GIF"
    assert timeline_of(slides, 500_000_000).end_us == 510_000_000
    assert timeline_of(slides, 500_000_001).end_us == 15_000_000
    assert timeline_of(np.array([0]), 600_000_000).end_us == 600_000_000, "one picture with ten minutes of sound"


def test_a_frame_is_shown_from_its_start_to_the_next_one() -> None:
    assert frames_shown_at(np.array([0, 40, 80]), [-5, 0, 39, 40, 500]).tolist() == [0, 0, 0, 1, 2]
