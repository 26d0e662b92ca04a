"""Of several video tracks the one that moves is taken, and tracks without packets never are."""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import av
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.clips import decode_clip
from video_assets.media.open.video import open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.making import number_of, numbered_picture

CODECS = {"mp4": "libx264", "mov": "libx264", "asf": "msmpeg4v3", "wtv": "mpeg2video"}


def video_of_tracks(container: str, tracks: Sequence[tuple[int, int, Fraction]]) -> bytes:
    """Encode tracks of (scale, number of frames, frames per second); the frames of each show their numbers."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = [cast("VideoStream", output.add_stream(CODECS.get(container, "mpeg4"), rate=25)) for _ in tracks]
        for stream, (scale, _, _) in zip(streams, tracks, strict=True):
            stream.width, stream.height, stream.pix_fmt = 128 * scale, 64 * scale, "yuv420p"
        for stream, (scale, num_frames, rate) in zip(streams, tracks, strict=True):
            for number in range(num_frames):
                frame = VideoFrame.from_ndarray(numbered_picture(number).repeat(scale, 0).repeat(scale, 1))
                frame.time_base = Fraction(1, 25)
                frame.pts = round(number * 25 / rate)
                output.mux(stream.encode(frame))
            if num_frames:
                output.mux(stream.encode(None))
    return file.getvalue()


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
