"""Frames that are found by FFmpeg's seek are those of a sequential decode; what is not found is not guessed."""

import pytest

from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.sequential import decode_frames_sequentially
from video_assets.media.decode.spots import decode_spots
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.making import numbered_video

SIZE = FrameSize("stretch", 64)
NUM_FRAMES = 60
X264 = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-pyramid=normal"}
KINDS: dict[str, dict[str, object]] = {
    "h264 mp4": {"options": X264},
    "h264 mkv": {"container": "matroska", "options": X264},
    "hevc mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:bframes=3:log-level=none"}},
    "mpeg4 avi": {"codec": "mpeg4", "container": "avi", "options": {"g": "12"}},
    "mpeg2 ts": {"codec": "mpeg2video", "container": "mpegts", "options": {"g": "12", "bf": "2"}},
    "vp8 webm": {"codec": "libvpx", "container": "webm", "options": {"g": "12"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_found_at_its_time_by_one_of_two_seeks(kind: str) -> None:
    video = numbered_video(NUM_FRAMES, **KINDS[kind])  # pyright: ignore[reportArgumentType]
    truth = decode_frames_sequentially(video, [40_000 * number for number in range(NUM_FRAMES)], SIZE)
    for number in (0, 5, 12, 37, NUM_FRAMES - 1):
        time_us = int(truth.timestamps_us[number])
        found = [decode_spots(video, [time_us], SIZE, DEFAULT_LIMITS, earlier_us=s) for s in (0, 10_000_000)]
        assert any(frames is not None and (frames[0] == truth.frames[number]).all() for frames in found)


def test_a_time_at_which_no_frame_begins_finds_nothing() -> None:
    video = numbered_video(NUM_FRAMES, options=X264)
    found = decode_spots(video, [400_000, 1_200_000], SIZE, DEFAULT_LIMITS)
    assert found is not None
    assert found.shape == (2, 64, 64, 3)
    assert decode_spots(video, [400_000, 1_200_001], SIZE, DEFAULT_LIMITS) is None
    assert decode_spots(video, [10**8], SIZE, DEFAULT_LIMITS) is None
