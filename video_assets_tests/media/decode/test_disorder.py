"""Frames that may be shown at another's time: where a file is damaged, and where only its times are."""

import struct
from fractions import Fraction

import pytest

from video_assets.domain.clips import VideoLost
from video_assets.media.index.presentation_times import unordered_frames
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.making import number_of, numbered_video

TICKS = Fraction(1, 1000)


def test_frames_of_an_ogg_after_a_damaged_page_are_damaged() -> None:
    """Times count on from the page before, so that frames after lost ones come too early."""
    whole = numbered_video(60, codec="libvpx", container="ogg", options={"g": "10", "deadline": "realtime"})
    pages = [place for place in range(len(whole)) if whole[place : place + 4] == b"OggS"]
    begin = pages[5] + 240
    video = whole[:begin] + bytes(400) + whole[begin + 400 :]
    assert number_of(wanted(video, [3]).frames[0]) == 3
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [35])


def test_a_frame_whose_time_an_mp4_says_wrongly_is_said_aloud() -> None:
    whole = numbered_video(60, options={"x264-params": "keyint=20:bframes=2:b-adapt=0:scenecut=0"})
    assert wanted(whole, [3, 30, 59]).damage == ""
    place = whole.index(b"ctts") + 8
    (count,) = struct.unpack_from(">I", whole, place)
    entry = place + 4 + 8 * (count // 2)
    number, offset = struct.unpack_from(">II", whole, entry)
    wrong = bytearray(whole)
    struct.pack_into(">II", wrong, entry, number, offset + 3000)
    stored = wanted(bytes(wrong), [*range(60)])
    assert "may be shown at the time of another one" in stored.damage


def test_frames_that_come_before_the_one_that_precedes_them_are_counted() -> None:
    def numbers(*times: int | None) -> list[int]:
        return unordered_frames(times, [None] * len(times), TICKS).tolist()

    assert numbers(0, 40, 80, 120) == numbers(0, 40, None, 20) == []
    assert numbers(0, 40, 80, 60, 120, 120, 160) == [3, 5]
    assert numbers(5000, 5040, 5080, 0, 40, 80) == []  # the clock starts again
    assert numbers(0, 0, 0, 0) == []
