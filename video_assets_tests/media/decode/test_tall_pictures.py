"""H.264 slices whose data end elsewhere than they should are found by a decode with higher pictures."""

import io

import av
import numpy as np
import pytest
from av.codec.context import CodecContext

from video_assets.domain.clips import VideoLost
from video_assets.media.decode.tall_pictures import CONCEALMENT, TallDecode, can_be_tall, is_worth_its_time
from video_assets.media.open.video import open_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.making import number_of, numbered_video

NUM_FRAMES = 40


def encoded(options: str, container: str = "mpegts", pix_fmt: str = "yuv420p") -> bytes:
    return numbered_video(
        NUM_FRAMES, container=container, pix_fmt=pix_fmt, options={"x264-params": f"keyint=15:{options}"}
    )


def wrong_ones(video: bytes, damaged: bytes = b"") -> set[int]:
    """The packets that are said to be read to another length; the 7th is replaced if others are given."""
    with open_video(video, DEFAULT_LIMITS) as opened:
        decoder = CodecContext.create("h264", "r")
        decoder.thread_count = 1
        usual = {"flags": "+output_corrupt", "flags2": "+showall", "err_detect": "explode"}
        decoder.options = {**usual, **CONCEALMENT}
        tall = TallDecode(opened, decoder)
        for number, packet in enumerate(packet for packet in opened.demux() if packet.size):
            tall.add_packet(number, av.Packet(damaged) if damaged and number == 7 else packet)
        tall.finish()
        return tall.take_damaged()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        *("bframes=0", "bframes=5:b-pyramid=normal:ref=6:weightp=2", "bframes=3:open-gop=1", "slices=4:bframes=2"),
        *("intra-refresh=1", "qp=50:bframes=3", "qp=0", "fake-interlaced=1", "slice-max-size=200", "direct=temporal"),
        "nal-hrd=cbr:vbv-maxrate=900:vbv-bufsize=900:bitrate=900:filler=1",
    ],
)
def test_sound_slices_end_where_they_should(options: str) -> None:
    for container, pix_fmt in (("mpegts", "yuv420p"), ("flv", "yuv420p"), ("h264", "yuv422p")):
        video = encoded(options, container, pix_fmt)
        assert wrong_ones(video) == set()
        for numbers in ([3, 17, 31], [39], list(range(NUM_FRAMES))):
            clip = wanted(video, numbers)
            assert [number_of(picture) for picture in clip.frames] == numbers
            assert clip.damage == "" and "length" not in clip.note


def test_a_slice_that_is_read_to_another_length_is_found() -> None:
    video = encoded("bframes=2:b-adapt=0:scenecut=0")
    with av.open(io.BytesIO(video), "r") as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    num_found = 0
    for flipped in range(24):
        data = bytearray(packets[7])
        data[-len(data) // 3 + flipped // 8] ^= 1 << flipped % 8
        num_found += bool(wrong_ones(video, bytes(data)))
    assert num_found >= 20


def test_hidden_damage_of_small_pictures_is_found() -> None:
    video = encoded("bframes=2:b-adapt=0:scenecut=0", "mp4")
    numbers = list(range(15))
    clean = wanted(video, numbers).frames.astype(np.int16)
    with av.open(io.BytesIO(video), "r") as opened:
        packet = [packet for packet in opened.demux(video=0) if packet.size][7]
    assert packet.pos is not None
    num_hidden = 0
    for flipped in range(24):
        data = bytearray(video)
        data[packet.pos + packet.size * 2 // 3 + flipped // 8] ^= 1 << flipped % 8
        try:
            stored = wanted(bytes(data), numbers).frames
        except VideoLost:
            continue
        num_hidden += bool((((stored - clean) ** 2).mean(axis=(1, 2, 3)) > 65).any())  # below 30 dB
    assert num_hidden == 0


@pytest.mark.parametrize(
    ("container", "size", "twice"),
    [("mp4", "128x64", True), ("mp4", "320x240", False), ("matroska", "224x224", True), ("mpegts", "320x240", True)],
)
def test_streams_and_small_pictures_are_worth_a_second_decode(container: str, size: str, twice: bool) -> None:
    width, height = map(int, size.split("x"))
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        output.mux(stream.encode(av.VideoFrame(width, height, "yuv420p")))
        output.mux(stream.encode(None))
    with open_video(file.getvalue(), DEFAULT_LIMITS) as opened:
        assert is_worth_its_time(opened) == twice


def test_only_whole_frames_with_arithmetic_coding_can_be_made_taller() -> None:
    def tells(options: str) -> bool:
        with av.open(io.BytesIO(encoded(options, "mp4")), "r") as container:
            return can_be_tall(container.streams.video[0].codec_context.extradata)

    assert tells("cabac=1")
    assert not tells("cabac=0") and not tells("interlaced=1")
    assert not can_be_tall(None) and not can_be_tall(b"") and not can_be_tall(b"\0\0\0\1\x67\x4d")
