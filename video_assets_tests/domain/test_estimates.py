"""What a build will cost: right about the order, the direction and the bounds; and exact where it can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.build_time import POOL_CORE_SECONDS, ShardRun, Workers, build_core_seconds, build_seconds
from video_assets.domain.encoding import Encoding
from video_assets.domain.estimates import (
    MAX_STRATA,
    ClipSizes,
    choose_trial,
    estimated_record_bytes,
    expected_seconds,
    extrapolate,
    is_affordable,
    jpeg_bytes_per_pixel,
    lower_quality,
    merged_strata,
    pool_seconds,
    quality_within,
    relative_error,
    size_at_quality,
    smaller_frames,
)


@given(st.integers(1, 99))
def test_more_quality_takes_more_bytes(quality: int) -> None:
    assert 0 < jpeg_bytes_per_pixel(quality) < jpeg_bytes_per_pixel(quality + 1)


def test_between_two_measured_qualities_it_is_interpolated() -> None:
    assert jpeg_bytes_per_pixel(85) == pytest.approx(0.22)


def test_ten_frames_of_224_are_about_180_kilobytes() -> None:
    """As measured on camera footage: 0.18 MB a clip."""
    assert estimated_record_bytes(Encoding()) == pytest.approx(180_000, rel=0.1)


def test_png_takes_several_times_as_much_as_jpeg() -> None:
    assert estimated_record_bytes(Encoding(image_format="png")) > 3 * estimated_record_bytes(Encoding())


def test_float32_in_gzip_is_more_than_a_megabyte_and_takes_its_time() -> None:
    """As measured on camera footage: 1.34 MB and 0.13 s a clip of ten frames of 224²."""
    floats = Encoding(layout="movinets_helper")
    assert estimated_record_bytes(floats) == pytest.approx(1_340_000, rel=0.1)
    assert estimated_record_bytes(floats) == estimated_record_bytes(floats.replace(image_format="png"))
    as_images, as_floats = (float(expected_seconds(sizes(frames=100), e)[0]) for e in (Encoding(), floats))
    assert as_floats - as_images == pytest.approx(0.127, rel=0.1)
    assert estimated_record_bytes(lower_quality(floats)) < estimated_record_bytes(floats) / 5


def test_each_setting_counts_where_it_matters() -> None:
    assert estimated_record_bytes(Encoding(num_frames=20)) > estimated_record_bytes(Encoding(num_frames=10))
    assert estimated_record_bytes(Encoding(sampling="fps", max_frames=5)) < estimated_record_bytes(
        Encoding(sampling="fps")
    )
    assert estimated_record_bytes(Encoding(resolution=112)) < estimated_record_bytes(Encoding())


def sizes(*, frames: float, keyframes: float = 1, is_indexed: bool = True) -> ClipSizes:
    one = np.array([1.0])
    return ClipSizes(frames * one, 10 * one, 1280 * 720 * one, keyframes * one, np.array([is_indexed]))


def test_keyframes_that_can_be_jumped_to_make_a_long_video_cheap() -> None:
    alone, many = (float(expected_seconds(sizes(frames=7000, keyframes=k), Encoding())[0]) for k in (1, 100))
    assert alone > 5 * many
    untrusted = float(expected_seconds(sizes(frames=7000, keyframes=100, is_indexed=False), Encoding())[0])
    assert untrusted == pytest.approx(alone)


def test_the_rarest_kinds_of_very_many_share_a_stratum() -> None:
    kinds = [f"codec {number % 20}" for number in range(100)] + ["codec 0"]
    strata = merged_strata(kinds)
    assert strata.max() == MAX_STRATA
    assert (strata == MAX_STRATA).sum() == 5 * (20 - MAX_STRATA)


COSTS = st.lists(st.tuples(st.integers(0, 3), st.floats(0.001, 5.0)), min_size=1, max_size=60)


@given(COSTS, st.integers(1, 20))
def test_a_trial_is_never_more_than_it_may_be_but_never_nothing_and_begins_with_the_cheapest(
    clips: list[tuple[int, float]], max_clips: int
) -> None:
    strata, seconds = np.array([c[0] for c in clips]), np.array([c[1] for c in clips])
    names = [f"{number}.mp4" for number in range(len(clips))]
    chosen = choose_trial(strata, seconds, names, max_clips=max_clips)
    assert len(chosen) == len(set(chosen))
    assert 1 <= len(chosen) <= max_clips
    assert seconds[chosen].tolist() == sorted(seconds[chosen].tolist())


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=30), st.floats(0.05, 20.0), st.floats(0.01, 50.0))
def test_what_is_tried_fits_the_time_however_wrong_the_expectation(
    expected: list[float], factor: float, max_seconds: float
) -> None:
    """As of clips that take `factor` times what they are expected to, each tried when the one before has ended."""
    taken: list[float] = []
    for number, seconds in enumerate(expected):
        if not is_affordable(seconds, expected[:number], taken, max_seconds):
            assert sum(taken) + factor * seconds > max_seconds * (1 - 1e-9)
            break
        taken.append(factor * seconds)
    assert taken
    assert len(taken) == 1 or sum(taken) <= max_seconds * (1 + 1e-9)


def test_clips_under_way_count_as_much_as_they_are_expected_to_take() -> None:
    assert is_affordable(2.0, [2.0, 2.0], [], 6.0)
    assert not is_affordable(2.0, [2.0, 2.0, 2.0], [], 6.0)


def test_a_trial_looks_at_every_kind_and_at_cheap_and_dear_clips() -> None:
    strata = np.array([0] * 90 + [1] * 10)
    seconds = np.array([0.01 * (1 + number) for number in range(90)] + [0.1] * 10)
    chosen = choose_trial(strata, seconds, list(map(str, range(100))), max_clips=10)
    assert {int(strata[row]) for row in chosen} == {0, 1}
    tried = seconds[[row for row in chosen if strata[row] == 0]]
    assert tried.mean() == pytest.approx(seconds[:90].mean(), rel=0.1)


def test_the_order_in_which_clips_are_listed_does_not_decide_which_are_tried() -> None:
    names = [f"{number}.mp4" for number in range(40)]
    seconds = np.full(40, 0.5)
    chosen = choose_trial(np.zeros(40, int), seconds, names, max_clips=5)
    backwards = choose_trial(np.zeros(40, int), seconds, names[::-1], max_clips=5)
    assert {names[row] for row in chosen} == {names[::-1][row] for row in backwards}


@given(COSTS, st.floats(0.1, 10.0), st.data())
def test_a_rule_that_is_wrong_by_a_factor_is_put_right(
    clips: list[tuple[int, float]], factor: float, data: st.DataObject
) -> None:
    strata, expected = np.array([c[0] for c in clips]), np.array([c[1] for c in clips])
    tried = data.draw(st.lists(st.integers(0, len(clips) - 1), min_size=1, unique=True))
    found = extrapolate(expected, strata, tried, (expected[tried] * factor).tolist())
    assert found == pytest.approx(expected * factor)
    if len(tried) > 1:
        assert relative_error(expected, strata, tried, (expected[tried] * factor).tolist()) == pytest.approx(
            0, abs=1e-9
        )


def test_what_was_tried_counts_as_it_was_measured_and_each_kind_by_its_own() -> None:
    expected, strata = np.array([1.0, 1.0, 1.0, 1.0, 1.0]), np.array([0, 0, 1, 1, 2])
    assert extrapolate(expected, strata, [0, 2], [2.0, 4.0]).tolist() == [2.0, 2.0, 4.0, 4.0, 3.0]
    assert extrapolate(expected, strata, [], []).tolist() == expected.tolist()


def test_the_error_falls_with_what_is_tried_and_is_none_when_all_was() -> None:
    random = np.random.default_rng(0)
    expected, strata = np.ones(200), np.zeros(200, int)
    actual = random.uniform(0.5, 1.5, 200)
    few, many = (relative_error(expected, strata, range(n), actual[:n].tolist()) for n in (10, 100))
    assert many < few / 2
    assert few == pytest.approx(0.29 / 10**0.5, rel=0.4)  # the spread of uniform numbers, over the root of how many
    assert relative_error(expected, strata, range(200), actual.tolist()) == 0
    assert relative_error(expected, strata, [3], [1.0]) == 1.0


@given(st.lists(st.floats(0, 10), max_size=50), st.integers(1, 8))
def test_a_pool_takes_no_less_than_its_share_and_no_more_than_one_process(seconds: list[float], workers: int) -> None:
    found = pool_seconds(np.array(seconds), workers)
    assert max(sum(seconds) / workers, max(seconds, default=0)) - 1e-6 <= found <= sum(seconds) + 1e-6


def test_a_very_long_list_is_reckoned_like_a_short_one() -> None:
    seconds = np.full(20_001, 0.5)
    assert pool_seconds(seconds, 4) == pytest.approx(pool_seconds(seconds[:20_000], 4), rel=0.001)


def test_alternatives_are_smaller_and_never_nothing() -> None:
    assert [smaller_frames(Encoding(resolution=side)).resolution for side in (320, 256, 172, 8)] == [290, 224, 129, 8]
    assert lower_quality(Encoding(jpeg_quality=5)).jpeg_quality == 1
    assert lower_quality(Encoding(image_format="png")) == Encoding()


@given(st.floats(1, 1000))
def test_the_highest_quality_that_fits_is_chosen(budget: float) -> None:
    sizes_of = {1: 10.0, 50: 100.0, 100: 500.0}
    quality = quality_within(budget, sizes_of)
    if quality is None:
        assert budget < 10
    else:
        assert size_at_quality(quality, sizes_of) <= budget * (1 + 1e-8)
        assert quality == 100 or size_at_quality(quality + 1, sizes_of) > budget


def test_a_budget_of_just_a_known_size_is_enough() -> None:
    assert quality_within(10.0, {1: 10.0, 50: 100.0}) == 1


def run_of(*seconds: float) -> ShardRun:
    return ShardRun(np.array(seconds), [np.array([1.0])])


def test_a_build_of_nothing_costs_its_fixed_part_and_a_slower_machine_takes_longer() -> None:
    nothing = build_seconds([], Workers(2, 2), slowness=1.0)
    assert nothing > 0
    assert build_seconds([], Workers(2, 2), slowness=3.0) == pytest.approx(3 * nothing)
    assert build_core_seconds([], slowness=1.0) == pytest.approx(nothing + POOL_CORE_SECONDS)


def test_processes_share_the_clips_but_no_more_than_there_are_cores() -> None:
    runs = [run_of(*[1.0] * 100)]
    one, two, four = (build_seconds(runs, Workers(number, 2), slowness=1.0) for number in (1, 2, 4))
    assert one - two == pytest.approx(50, abs=5)
    assert four == two
    assert build_core_seconds(runs, slowness=1.0) > 100


def test_one_clip_that_takes_long_is_waited_for() -> None:
    even, uneven = ([run_of(*seconds)] for seconds in ([10.0] * 4, [40.0]))
    workers = Workers(4, 4)
    assert build_seconds(uneven, workers, slowness=1.0) > build_seconds(even, workers, slowness=1.0) + 25
