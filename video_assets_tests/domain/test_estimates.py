"""What a build will cost: right about the order, the direction and the bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.encoding import Encoding
from video_assets.domain.estimates import estimated_record_bytes, estimated_seconds, jpeg_bytes_per_pixel


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


def test_each_setting_counts_where_it_matters() -> None:
    assert estimated_record_bytes(Encoding(num_frames=20)) > estimated_record_bytes(Encoding(num_frames=10))
    assert estimated_record_bytes(Encoding(sampling="fps", max_frames=5)) < estimated_record_bytes(
        Encoding(sampling="fps")
    )
    assert estimated_record_bytes(Encoding(resolution=112)) < estimated_record_bytes(Encoding())


def test_decoding_time_grows_with_frames_and_pixels() -> None:
    # A minute of 720p at 25 frames a second takes some seconds of one core, not minutes and not milliseconds.
    seconds = estimated_seconds(1500, 1500 * 1280 * 720)
    assert 0.5 < seconds < 30
    assert estimated_seconds(3000, 3000 * 1280 * 720) == pytest.approx(2 * seconds)
    assert estimated_seconds(0, 0) == 0
