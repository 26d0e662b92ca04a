"""What a file's first bytes give away is what FFmpeg finds by asking every demuxer."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.clips import decode_frames
from video_assets.media.open.formats import evident_format
from video_assets.media.probe import probe_video
from video_assets_tests.corpus import corpus_files, require_corpus
from video_assets_tests.media.making import HEIGHT_PX, WIDTH_PX, number_of, numbered_picture


@pytest.mark.corpus
def test_every_named_format_of_real_videos_is_ffmpegs_own_choice() -> None:
    root = require_corpus()
    num_named = 0
    for name in corpus_files("labelled/", "formats/", "long/"):
        with (root / name).open("rb") as file:
            evident = evident_format(file)
            assert file.tell() == 0
            if evident is None:
                continue
            num_named += 1
            with av.open(file) as container:
                assert evident == container.format.name, name
    assert num_named > 50


def motion_jpeg(num_pictures: int) -> list[bytes]:
    """Numbered pictures with a JFIF header, and with noise: FFmpeg's first look (2 kB) takes the first for a photo."""
    noise = np.random.default_rng(1).integers(0, 20, (2 * HEIGHT_PX, 2 * WIDTH_PX, 3), dtype=np.uint8)
    file = io.BytesIO()
    with av.open(file, "w", format="mjpeg") as output:
        stream = output.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 2 * WIDTH_PX, 2 * HEIGHT_PX, "yuvj420p"
        for number in range(num_pictures):
            picture = numbered_picture(number).repeat(2, axis=0).repeat(2, axis=1) + noise
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    header = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00"
    return [header + picture for picture in file.getvalue().split(b"\xff\xd8")[1:]]


@pytest.mark.parametrize("name", ["a.mjpeg", "A.MJPG", "a.avi", "a"])
def test_pictures_in_a_row_are_a_video_whatever_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"".join(motion_jpeg(5)))
    assert probe_video(tmp_path / name).num_frames == 5


@pytest.mark.parametrize(("name", "num_pictures"), [("a.jpeg", 5), ("a.jpg", 3), ("a.MPO", 2), ("a.avi", 1), ("a", 2)])
def test_a_photo_is_no_video_though_it_may_hold_several_pictures(name: str, num_pictures: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"".join(motion_jpeg(num_pictures)))
    with pytest.raises(VideoLost, match="or a still picture"):
        probe_video(tmp_path / name)


@pytest.mark.parametrize("padding", [b"", bytes(3), bytes(64)], ids=["none", "3 bytes", "64 bytes"])
def test_pictures_may_be_padded_with_zeros(padding: bytes) -> None:
    assert probe_video(padding.join(motion_jpeg(4))).num_frames == 4


@pytest.mark.parametrize("begin", ["--a", "\r\n--a"])
@pytest.mark.parametrize("end", ["", "--a\r\n", "--a--\r\n"])
def test_what_a_camera_sends_over_http_is_a_video_to_its_last_boundary(begin: str, end: str) -> None:
    parts = [
        f"--a\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n".encode() + picture + b"\r\n"
        for picture in motion_jpeg(5)
    ]
    video = begin.encode() + b"".join(parts).removeprefix(b"--a") + end.encode()
    clip = decode_frames(video, [0, 160_000], FrameSize("stretch", 64))
    assert [number_of(picture) for picture in clip.frames] == [0, 4]
    assert clip.num_frames_total == 5


def cine(num_frames: int, frames_per_second: int) -> bytes:
    """What Phantom's high-speed cameras write: a header, a bitmap's header, their settings, places, raw pictures."""
    num_bytes = WIDTH_PX * HEIGHT_PX * 3
    bitmap = struct.pack("<IiiHHIIiiII", 40, WIDTH_PX, HEIGHT_PX, 1, 24, 0, num_bytes, 0, 0, 0, 0)
    settings = bytearray(8192)
    struct.pack_into("<HH", settings, 140, 0x5453, 0x163C)
    struct.pack_into("<I", settings, 768, frames_per_second)
    off_settings, off_places = 44 + len(bitmap), 44 + len(bitmap) + len(settings)
    begin = off_places + 8 * num_frames
    places = [begin + number * (8 + num_bytes) for number in range(num_frames)]
    head = struct.pack("<2sHHHiIiIIIIQ", b"CI", 44, 0, 1, 0, num_frames, 0, num_frames, 44, off_settings, off_places, 0)
    pictures = [numbered_picture(number)[::-1, :, ::-1].tobytes() for number in range(num_frames)]
    data = b"".join(struct.pack("<II", 8, num_bytes) + picture for picture in pictures)
    return head + bitmap + bytes(settings) + struct.pack(f"<{num_frames}Q", *places) + data


def test_a_high_speed_cameras_recording_is_a_video() -> None:
    video = cine(8, 1000)
    clip = decode_frames(video, [0, 3_000, 6_500], FrameSize("stretch", 64))
    assert [number_of(picture) for picture in clip.frames] == [0, 3, 6]
    assert clip.timestamps_us.tolist() == [0, 3_000, 6_000]
    assert (probe_video(video).container, clip.num_frames_total) == ("cine", 8)


@pytest.mark.parametrize("head", [b"", b"RIFF", b"RIFF\x00\x00\x00\x00WEBP", b"\x1aE\xdf\xa3\x93", b"#EXTM3U\nftyp"])
def test_what_is_not_evident_is_left_to_ffmpeg(head: bytes) -> None:
    assert evident_format(io.BytesIO(head)) is None
