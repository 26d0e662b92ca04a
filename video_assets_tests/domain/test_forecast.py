"""A forecast is exact where everything is known, and moves the right way where it is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.encoding import Encoding
from video_assets.domain.forecast import (
    START_SECONDS,
    Forecast,
    TriedClip,
    Work,
    expected_record_bytes,
    forecast_build,
    jpeg_bytes_per_pixel,
    lower_quality,
    quality_within,
    seconds_per_clip,
    size_at_quality,
    smaller_frames,
    spread_places,
    usual_record_bytes,
)


@given(st.integers(1, 99))
def test_more_quality_takes_more_bytes(quality: int) -> None:
    assert 0 < jpeg_bytes_per_pixel(quality) < jpeg_bytes_per_pixel(quality + 1)


def test_between_two_measured_qualities_it_is_interpolated() -> None:
    assert jpeg_bytes_per_pixel(85) == pytest.approx(0.22)


def test_ten_frames_of_224_are_about_180_kilobytes() -> None:
    """As measured on camera footage: 0.18 MB a clip."""
    assert usual_record_bytes(Encoding()) == pytest.approx(180_000, rel=0.1)


def test_png_takes_several_times_as_much_as_jpeg() -> None:
    assert usual_record_bytes(Encoding(image_format="png")) > 3 * usual_record_bytes(Encoding())


def test_float32_in_gzip_is_more_than_a_megabyte() -> None:
    """As measured on camera footage: 1.34 MB a clip of ten frames of 224²."""
    floats = Encoding(layout="movinets_helper")
    assert usual_record_bytes(floats) == pytest.approx(1_340_000, rel=0.1)
    assert usual_record_bytes(floats) == usual_record_bytes(floats.replace(image_format="png"))
    assert usual_record_bytes(lower_quality(floats)) < usual_record_bytes(floats) / 5


def test_each_setting_counts_where_it_matters() -> None:
    assert usual_record_bytes(Encoding(num_frames=20)) > usual_record_bytes(Encoding(num_frames=10))
    assert usual_record_bytes(Encoding(sampling="fps", max_frames=5)) < usual_record_bytes(Encoding(sampling="fps"))
    assert usual_record_bytes(Encoding(resolution=112)) < usual_record_bytes(Encoding())


@given(st.integers(0, 2000), st.integers(1, 64))
def test_tried_clips_are_one_of_each_equal_part(num_items: int, num_wanted: int) -> None:
    places = spread_places(num_items, num_wanted)
    assert len(set(places)) == len(places) == min(num_items, num_wanted)
    for part, place in enumerate(sorted(places)):
        assert part * num_items // len(places) <= place < (part + 1) * num_items / len(places)


@given(st.integers(64, 2000), st.integers(8, 64))
def test_a_trial_that_stops_early_has_seen_every_third_of_the_clips(num_items: int, num_seen: int) -> None:
    seen = spread_places(num_items, 64)[:num_seen]
    assert {3 * place // num_items for place in seen} == {0, 1, 2}


def clip(num_bytes: int, *, num_frames: int = 10, seconds: float = 0.2) -> TriedClip:
    return TriedClip(num_frames=num_frames, num_bytes=num_bytes, seconds=seconds, core_seconds=seconds / 2)


LOST = TriedClip(num_frames=0, num_bytes=0, seconds=3.0, core_seconds=3.0)
CLIPS = st.lists(st.tuples(st.integers(1, 300), st.integers(1, 10**6)), min_size=1, max_size=64)


def forecast(tried: list[TriedClip], num_clips: int, num_frames: int, *, processes: int = 2) -> Forecast:
    work = Work(num_clips=num_clips, num_frames=num_frames, num_shards=3)
    return forecast_build(tried, work, Encoding(), processes)


@given(CLIPS)
def test_when_all_clips_were_tried_the_bytes_are_theirs(sizes: list[tuple[int, int]]) -> None:
    tried = [clip(num_bytes, num_frames=num_frames) for num_frames, num_bytes in sizes]
    found = forecast(tried, len(tried), sum(num_frames for num_frames, _ in sizes))
    assert found.num_bytes == pytest.approx(sum(num_bytes for _, num_bytes in sizes))
    assert found.bytes_error == 0


@given(CLIPS, st.integers(1, 5000), st.integers(1, 10_000))
def test_where_every_frame_takes_the_same_the_bytes_are_exact(
    sizes: list[tuple[int, int]], frame_bytes: int, num_frames: int
) -> None:
    tried = [clip(n * frame_bytes, num_frames=n) for n, _ in sizes]
    found = forecast(tried, 10_000, num_frames)
    assert found.num_bytes == pytest.approx(num_frames * frame_bytes)
    assert found.bytes_error == (pytest.approx(0, abs=1e-9) if len(tried) > 1 else 1.0)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=64), st.integers(100, 10**6), st.integers(1, 64))
def test_more_processes_never_take_longer_and_the_core_works_as_long(
    seconds: list[float], num_clips: int, processes: int
) -> None:
    tried = [clip(1000, seconds=one) for one in seconds]
    some, more = (forecast(tried, num_clips, num_clips, processes=n) for n in (processes, processes + 1))
    assert START_SECONDS < more.seconds < some.seconds
    assert more.core_seconds == some.core_seconds
    one = forecast(tried, num_clips, num_clips, processes=1)
    assert one.seconds == pytest.approx(one.core_seconds + num_clips * np.mean(seconds) / 2)


def test_the_error_is_the_spread_over_the_root_of_the_number_of_tried_clips() -> None:
    random = np.random.default_rng(0)
    sizes = random.uniform(500, 1500, 100).astype(int).tolist()
    few, many = (forecast([clip(n) for n in sizes[:number]], 10_000, 100_000) for number in (25, 100))
    assert many.bytes_error == pytest.approx(0.29 / 100**0.5, rel=0.1)  # uniform numbers spread by 1/√12
    assert few.bytes_error == pytest.approx(2 * many.bytes_error, rel=0.2)


def test_a_lost_clip_costs_time_and_says_nothing_of_bytes() -> None:
    with_lost, without = forecast([clip(1000), clip(1200), LOST], 9, 90), forecast([clip(1000), clip(1200)], 9, 90)
    assert (with_lost.num_bytes, with_lost.bytes_error) == (without.num_bytes, without.bytes_error)
    assert with_lost.seconds > without.seconds


def test_without_a_tried_clip_the_bytes_are_the_rule_of_thumb_and_uncertain() -> None:
    found = forecast([], 100, 1000)
    assert found.num_bytes == pytest.approx(100 * expected_record_bytes(Encoding(), 10), rel=0.05)
    assert found.bytes_error == 1.0
    assert forecast([LOST], 100, 1000).num_bytes == found.num_bytes


def test_a_build_of_nothing_takes_no_bytes_but_has_to_start() -> None:
    found = forecast_build([], Work(num_clips=0, num_frames=0, num_shards=0), Encoding(), 2)
    assert (found.num_bytes, found.bytes_error, found.seconds) == (0, 0, START_SECONDS)


@given(st.lists(st.integers(1, 500), min_size=2, max_size=20), st.floats(0.01, 10), st.floats(0, 1e9))
def test_the_pace_of_a_build_is_read_from_the_times_of_its_shards(
    records: list[int], seconds: float, begun: float
) -> None:
    finished = begun + np.cumsum(records) * seconds
    shards = list(zip(finished.tolist(), records, strict=True))
    assert seconds_per_clip(shards) == pytest.approx(seconds, rel=1e-3)
    assert seconds_per_clip(shards[::-1]) == seconds_per_clip(shards)


def test_one_shard_or_two_of_the_same_time_tell_no_pace() -> None:
    assert seconds_per_clip([]) is None
    assert seconds_per_clip([(5.0, 10)]) is None
    assert seconds_per_clip([(5.0, 10), (5.0, 10)]) is None


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
