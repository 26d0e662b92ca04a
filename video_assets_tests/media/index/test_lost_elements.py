"""Bytes that are lost, doubled or replaced in a Matroska or an FLV are found by the parts that do not follow."""

import io

import pytest

from video_assets.domain.clips import VideoLost
from video_assets.media.index.lost_elements import broken_clusters, broken_tags
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.index.test_readable import losses
from video_assets_tests.media.making import number_of, numbered_video

VP9 = {"g": "20", "deadline": "realtime", "cpu-used": "8", "b": "2M"}
MADE = {
    "webm": {"codec": "libvpx-vp9", "container": "webm", "options": VP9},
    "flv": {"container": "flv", "options": {"x264-params": "keyint=20:scenecut=0:bframes=0:qp=10"}},
}


def made(kind: str) -> bytes:
    return numbered_video(60, **MADE[kind])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", MADE)
def test_sound_videos_have_no_losses(kind: str) -> None:
    whole = made(kind)
    assert losses(whole) == []
    assert losses(whole[: len(whole) // 2]) == []  # cut, which is told otherwise
    assert wanted(whole, [3, 59]).note == ""


@pytest.mark.parametrize("kind", MADE)
def test_a_doubled_piece_within_a_picture_is_noticed(kind: str) -> None:
    whole = made(kind)
    place = len(whole) // 3 - 100
    for video in (whole[:place] + whole[place - 40 :], whole[:place] + whole[place + 40 :]):
        assert len(losses(video)) >= 1
        assert number_of(wanted(video, [3]).frames[0]) == 3
        with pytest.raises(VideoLost, match=r"^damaged"):
            wanted(video, list(range(3, 40)))


def test_a_cluster_of_unknown_size_is_not_followed() -> None:
    whole = made("webm")
    place = whole.index(bytes.fromhex("1f43b675")) + 4
    assert list(broken_clusters(io.BytesIO(whole[:place] + b"\x01" + b"\xff" * 7 + whole[place + 8 :]))) == []
    assert list(broken_clusters(io.BytesIO(b""))) == list(broken_clusters(io.BytesIO(b"\x1a\x45"))) == []


def test_an_flv_whose_writer_says_no_sizes_has_no_losses() -> None:
    whole = made("flv")
    place, other = 13, bytearray(whole)
    while place < len(whole):
        place += 11 + int.from_bytes(whole[place + 1 : place + 4])
        other[place : place + 4] = bytes(4)
        place += 4
    assert broken_tags(io.BytesIO(whole)) == broken_tags(io.BytesIO(bytes(other))) == []
    assert broken_tags(io.BytesIO(b"no FLV")) == broken_tags(io.BytesIO(whole[:20])) == []
