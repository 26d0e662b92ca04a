"""Damage that decoders of HEVC, VP8 and VP9 hide is found by the length to which their data are read."""

import io
import random
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from video_assets.domain.clips import VideoLost
from video_assets.media.codec_check import usual_scheduling
from video_assets.media.decode.other_bytes import ends_of_data, packet_frames
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.joining import joined_video
from video_assets_tests.media.making import number_of, numbered_picture, numbered_video

GROUP, NUM_FRAMES = 20, 40
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "hevc": ("libx265", "mp4", {"x265-params": "keyint=20:min-keyint=20:scenecut=0:bframes=0:log-level=none:crf=8"}),
    "vp8": ("libvpx", "webm", {"g": "20", "deadline": "realtime", "cpu-used": "8", "b": "2000k"}),
    "vp9": ("libvpx-vp9", "webm", {"g": "20", "deadline": "realtime", "cpu-used": "8", "b": "2000k"}),
}


def made(kind: str, damaged_packet: int = -1, keep: int = 4) -> bytes:
    codec, container, options = KINDS[kind]
    whole = numbered_video(NUM_FRAMES, codec=codec, container=container, options=options)

    def edit(data: bytes, _part: int, number: int) -> bytes:
        if number != damaged_packet:
            return data
        begin = len(data) // 3
        return data[:begin] + random.Random(5).randbytes(len(data) - begin - keep) + data[-keep:]

    return joined_video([whole], container, edit)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_video_is_not_called_damaged(kind: str) -> None:
    clip = wanted(made(kind), [3, 17, 25, 39])
    assert [number_of(picture) for picture in clip.frames] == [3, 17, 25, 39]
    assert (clip.note, clip.damage) == ("", "")


@pytest.mark.parametrize("seed", [3, 4])
def test_sound_hevc_of_few_bytes_that_fades_is_not_called_damaged(seed: int) -> None:
    """Its pictures have weights, and few of their last bytes show when they are decoded alone."""
    assert wanted(fading_video(seed), [*range(NUM_FRAMES)]).damage == ""


def fading_video(seed: int) -> bytes:
    """Return a scene that a camera pans over, now darker and now brighter, by x265 at a low bit rate."""
    chance = np.random.default_rng(seed)
    scene = cv2.resize(
        chance.integers(20, 220, (12, 16, 3), dtype=np.uint8), (320, 224), interpolation=cv2.INTER_CUBIC
    ).astype(np.float64)
    file = io.BytesIO()
    options = {"x265-params": "keyint=250:crf=38:log-level=none:pools=1:frame-threads=1"}
    with usual_scheduling(), av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx265", rate=25, options={"preset": "medium", **options})
        stream.width, stream.height, stream.pix_fmt = 160, 112, "yuv420p"
        for number in range(NUM_FRAMES):
            left, top = int(80 + 70 * np.sin(number / 11)), int(50 + 45 * np.cos(number / 9))
            view = scene[top : top + 112, left : left + 160] * (0.4 + 0.6 * abs(np.sin(number / 8)))
            view += chance.normal(0, 3, view.shape)
            frame = av.VideoFrame.from_ndarray(np.clip(view, 0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_random_bytes_in_a_keyframe_are_found(kind: str) -> None:
    video = made(kind, 0)
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [5])
    assert number_of(wanted(video, [GROUP + 5]).frames[0]) == GROUP + 5


@pytest.mark.parametrize("kind", KINDS)
def test_random_bytes_in_a_picture_between_keyframes_are_found(kind: str) -> None:
    for packet in (7, 12):
        video = made(kind, packet)
        assert number_of(wanted(video, [3]).frames[0]) == 3
        with pytest.raises(VideoLost, match=r"^damaged"):
            wanted(video, [GROUP - 1])


def test_a_second_view_in_hevc_that_is_not_shown_is_not_called_damaged() -> None:
    """As in spatial videos of phones: units of another layer, which FFmpeg leaves out."""
    codec, container, options = KINDS["hevc"]

    def edit(data: bytes, _part: int, _number: int) -> bytes:
        start, stop = slices_of(data)[-1]
        of_other_view = bytes([data[start], 1 << 3 | data[start + 1]]) + data[start + 2 : stop]
        return data + len(of_other_view).to_bytes(4) + of_other_view

    whole = numbered_video(NUM_FRAMES, codec=codec, container=container, options=options)
    video = joined_video([whole], container, edit)
    of_two_layers = video.replace(b"\x40\1\x0c\1", b"\x40\1\x0c\x11")  # vps_max_layers_minus1: 1
    assert of_two_layers != video
    clip = wanted(of_two_layers, [3, 17, 25])
    assert [number_of(picture) for picture in clip.frames] == [3, 17, 25]
    assert (clip.note, clip.damage) == ("", "")


def test_a_slice_that_looks_as_if_it_were_of_another_view_is_found() -> None:
    options = {"x265-params": "keyint=20:min-keyint=20:scenecut=0:bframes=0:log-level=none:crf=8:ctu=16:slices=2"}

    def edit(data: bytes, _part: int, number: int) -> bytes:
        start, _ = slices_of(data)[-1]
        return data if number != 12 else data[: start + 1] + bytes([data[start + 1] | 1 << 3]) + data[start + 2 :]

    whole = numbered_video(NUM_FRAMES, codec="libx265", options=options)
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(joined_video([whole], "mp4", edit), [12])


def test_random_bytes_in_one_slice_of_an_hevc_picture_are_found() -> None:
    options = {"x265-params": "keyint=20:min-keyint=20:scenecut=0:bframes=0:log-level=none:crf=8:ctu=16:slices=2"}
    whole = numbered_video(NUM_FRAMES, codec="libx265", options=options)

    def edit(data: bytes, _part: int, number: int) -> bytes:
        places = slices_of(data)
        assert len(places) == 2
        if number != 12:
            return data
        start, stop = places[0]
        begin = start + (stop - start) // 3
        return data[:begin] + random.Random(1).randbytes(stop - begin) + data[stop:]

    video = joined_video([whole], "mp4", edit)
    assert number_of(wanted(video, [3]).frames[0]) == 3
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [GROUP - 1])
    clip = wanted(whole, [3, 17, 25, 39])
    assert [number_of(picture) for picture in clip.frames] == [3, 17, 25, 39]
    assert (clip.note, clip.damage) == ("", "")


def slices_of(data: bytes) -> list[tuple[int, int]]:
    """Where the slices of an HEVC packet lie, each of which follows its length."""
    places: list[tuple[int, int]] = []
    start = stop = 0
    while stop < len(data):
        start, stop = stop + 4, stop + 4 + int.from_bytes(data[stop : stop + 4])
        places += [(start, stop)] if data[start] >> 1 & 63 < 32 else []
    return places


def test_random_bytes_in_one_tile_of_a_vp9_keyframe_are_found() -> None:
    video = wide_video()
    with av.open(io.BytesIO(video), "r") as container:
        keyframe = next(bytes(packet) for packet in container.demux(video=0))
    assert number_of(wanted(video, [3]).frames[0]) == 3
    first, last = ends_of_data("vp9", [keyframe])
    assert last == (0, len(keyframe)) and 0 < first[1] < len(keyframe)
    start, stop = video.index(keyframe) + first[1] // 4, video.index(keyframe) + first[1]
    for seed in range(6):
        other = random.Random(seed).randbytes(stop - start)
        with pytest.raises(VideoLost, match=r"^damaged"):
            wanted(video[:start] + other + video[stop:], [3])


def wide_video() -> bytes:
    """Five frames that are wide enough for two tiles."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        options = {"deadline": "realtime", "cpu-used": "8", "tile-columns": "1", "b": "4M"}
        stream = output.add_stream("libvpx-vp9", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 512, 256, "yuv420p"
        for number in range(5):
            picture = numbered_picture(number).repeat(4, 0).repeat(4, 1)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return file.getvalue()


def test_frames_of_ten_bits_which_libvpx_does_not_know_are_not_called_damaged() -> None:
    options = {"x265-params": "keyint=20:log-level=none:open-gop=1"}
    video = numbered_video(NUM_FRAMES, codec="libx265", pix_fmt="yuv420p10le", options=options)
    clip = wanted(video, [3, 17, 25, 39])
    assert [number_of(picture) for picture in clip.frames] == [3, 17, 25, 39]
    assert (clip.note, clip.damage) == ("", "")


def test_a_superframe_is_taken_apart() -> None:
    index = bytes([0xC1, 3, 2, 0xC1])  # two frames, of 3 and 2 bytes
    assert packet_frames("vp9", b"abcde" + index) == [b"abc", b"de"]
    assert packet_frames("vp9", b"abcde") == [b"abcde"]
    assert packet_frames("vp8", b"abcde" + index) == [b"abcde" + index]
