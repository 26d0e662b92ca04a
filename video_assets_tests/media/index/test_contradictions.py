"""What a header says in two ways that differ is told."""

import struct

import pytest

from video_assets.media.probe import probe_video
from video_assets_tests.media.making import numbered_video

SOUND = numbered_video(60, options={"x264-params": "keyint=20:bframes=2:scenecut=0"})


def with_number(video: bytes, box: bytes, offset: int, value: int) -> bytes:
    """Return the video with another 32-bit number in the first box of a kind, so far after its name."""
    changed = bytearray(video)
    struct.pack_into(">I", changed, video.index(box) + 4 + offset, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        (
            with_number(SOUND, b"stts", 12, 5 * 512),
            "its pictures last 12.00 s by their times, and 2.44 s by its header",
        ),
        (
            with_number(SOUND, b"mdhd", 12, 4 * 12800),
            "its pictures last 0.60 s, and its edit list shows 2.40 s of them",
        ),
        (with_number(SOUND, b"tkhd", 44, 1 << 24), "its display matrix turns or mirrors no picture"),
        (with_number(SOUND, b"mvhd", 40, 1 << 24), "its display matrix turns or mirrors no picture"),
    ],
    ids=["times", "clock", "matrix", "matrix of the movie"],
)
def test_an_mp4_that_says_its_length_or_its_turn_in_two_ways(video: bytes, expected: str) -> None:
    assert probe_video(video).contradiction == expected


@pytest.mark.parametrize("container", ["mp4", "mov", "matroska", "avi", "mpegts"])
def test_sound_videos_contradict_themselves_in_nothing(container: str) -> None:
    codec = "mpeg4" if container == "avi" else "libx264"
    for num_frames in (1, 3, 50):
        assert probe_video(numbered_video(num_frames, codec=codec, container=container)).contradiction == ""


def test_a_movie_header_that_ends_early_is_no_contradiction() -> None:
    video = bytearray(SOUND)
    for box in (b"mvhd", b"moov"):
        place = video.index(box)
        struct.pack_into(">I", video, place - 4, int.from_bytes(video[place - 4 : place]) - 4)
    place = video.index(b"mvhd") + 4 + 72  # after the matrix
    assert probe_video(bytes(video[:place] + video[place + 4 :])).contradiction == ""


def test_a_matroska_whose_clock_is_another_than_its_tags_say() -> None:
    whole = numbered_video(50, codec="libvpx", container="webm")
    place = whole.index(b"\x2a\xd7\xb1") + 4  # TimestampScale
    assert int.from_bytes(whole[place : place + 3]) == 1_000_000
    video = whole[:place] + (4_000_000).to_bytes(3) + whole[place + 3 :]
    assert probe_video(video).contradiction == "its pictures last 7.88 s by its clock, and 2.00 s by its tags"


def test_an_avi_whose_header_says_another_rate_than_its_stream() -> None:
    whole = numbered_video(50, codec="mpeg4", container="avi")
    video = whole[:32] + (4_000).to_bytes(4, "little") + whole[36:]
    assert probe_video(video).contradiction == "its pictures come at 25.00 a second, and at 250.00 by its header"
