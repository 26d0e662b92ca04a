"""Of several video tracks the one that moves is taken, and tracks without packets never are."""

from fractions import Fraction

import pytest

from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.open.video import open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.making import number_of, video_of_tracks

SECOND = Fraction(1)
MOVING = (1, 30, Fraction(25))


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", "nut"])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_larger_still_beside_a_video_is_not_taken(container: str, *, is_first: bool) -> None:
    """As in a phone's motion photo."""
    tracks = [(2, 2, SECOND), MOVING]
    video = video_of_tracks(container, tracks if is_first else tracks[::-1])
    facts = probe_video(video)
    assert (facts.num_frames, facts.width_px) == (30, 128)
    decoded = decode_clip(video, lambda timeline: timeline.starts_us.tolist(), FrameSize("short_side", 64))
    assert [number_of(frame) for frame in decoded.frames] == list(range(30))
    if is_first:
        assert probe_video(video, encoder_version=1).num_frames == 2, "datasets of version 1 go on as they were"


@pytest.mark.parametrize("container", ["matroska", "asf", "wtv", "nut"])
def test_an_empty_track_is_not_taken(container: str) -> None:
    video = video_of_tracks(container, [(2, 0, SECOND), MOVING])
    assert (probe_video(video).num_frames, probe_video(video).width_px) == (30, 128)


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_of_tracks_that_move_alike_the_larger_is_taken(container: str) -> None:
    video = video_of_tracks(container, [MOVING, (2, 29, Fraction(25)), MOVING])
    assert probe_video(video).width_px == 256


def test_a_track_of_as_many_frames_over_a_longer_time_is_taken() -> None:
    video = video_of_tracks("mp4", [(2, 10, Fraction(25)), (1, 10, Fraction(5))])
    assert probe_video(video).width_px == 128


def test_the_number_of_tracks_is_known() -> None:
    for tracks in ([MOVING], [MOVING, MOVING]):
        with open_video(video_of_tracks("mp4", tracks), DEFAULT_LIMITS) as opened:
            assert opened.num_video_tracks == len(tracks)
