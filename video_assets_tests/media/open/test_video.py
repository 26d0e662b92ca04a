"""Which stream of a file is chosen as its video, and how a video is lost."""

import errno
import io

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.stream import Disposition

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.errors import StorageFailed
from video_assets.media.index.parameter_sets import is_told_by_header
from video_assets.media.open.losses import errors_as_losses
from video_assets.media.open.video import open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.making import HEIGHT_PX, WIDTH_PX, numbered_picture, numbered_video
from video_assets_tests.pipeline.mutations import mp4_boxes


def add_picture(output: OutputContainer, *, is_cover: bool) -> None:
    """A stream of one motion JPEG frame."""
    stream = output.add_stream("mjpeg", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
    if is_cover:
        stream.disposition = Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(numbered_picture(3), format="rgb24").reformat(width=64, height=64)
    frame.pts = 0
    output.mux([*stream.encode(frame), *stream.encode(None)])


def sound_with_a_picture(*, is_cover: bool) -> bytes:
    """A second of silence, and one picture beside it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=44_100)
        add_picture(output, is_cover=is_cover)
        silence = AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), format="fltp", layout="mono")
        silence.rate = 44_100
        output.mux([*sound.encode(silence), *sound.encode(None)])
    return file.getvalue()


def video_with_cover_art() -> bytes:
    """Five frames of H.264, and a picture."""
    file = io.BytesIO()
    with av.open(io.BytesIO(numbered_video(5)), "r") as source, av.open(file, "w", format="mp4") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        add_picture(output, is_cover=True)
        for packet in packets:
            packet.stream = stream
            output.mux(packet)
    return file.getvalue()


def two_videos(container: str, num_large_frames: int = 2) -> bytes:
    """Some frames of 256x128, and five of 128x64 beside them."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = [output.add_stream("mpeg4", rate=25) for _ in range(2)]
        for stream, scale in zip(streams, (2, 1), strict=True):
            stream.width, stream.height = WIDTH_PX * scale, HEIGHT_PX * scale
        for stream, num_frames in zip(streams, (num_large_frames, 5), strict=True):
            for number in range(num_frames):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
                frame = frame.reformat(width=stream.width, height=stream.height)
                frame.pts = number
                output.mux(stream.encode(frame))
            if num_frames:
                output.mux(stream.encode(None))
    return file.getvalue()


def without_first_samples(video: bytes) -> bytes:
    """Make an mp4 whose tables say that its first track is empty."""
    changed = bytearray(video)
    boxes = mp4_boxes(video)
    track = next(box for box in boxes if box.kind == b"trak")
    counts = {b"stts": 12, b"stss": 12, b"stsc": 12, b"stco": 12, b"ctts": 12, b"stsz": 16}
    for box in boxes:
        if track.start in box.parents and box.kind in counts:
            place = box.start + counts[box.kind]
            changed[place : place + 4] = bytes(4)
    return bytes(changed)


@pytest.mark.parametrize("container", ["mp4", "avi"])
def test_version_1_takes_the_largest_of_several_videos_unless_the_index_lists_nothing_of_it(container: str) -> None:
    larger = probe_video(two_videos(container), encoder_version=1)
    empty = without_first_samples(two_videos("mp4")) if container == "mp4" else two_videos(container, 0)
    smaller = probe_video(empty, encoder_version=1)
    assert (larger.width_px, larger.num_frames) == (2 * WIDTH_PX, 2)
    assert (smaller.width_px, smaller.num_frames) == (WIDTH_PX, 5)


@pytest.mark.parametrize("container", ["matroska", "mpegts", "nut"])
def test_version_1_takes_the_largest_of_several_videos_where_the_index_need_not_list_it(container: str) -> None:
    facts = probe_video(two_videos(container), encoder_version=1)
    assert (facts.width_px, facts.num_frames) == (2 * WIDTH_PX, 2)


def test_sound_with_cover_art_is_no_video() -> None:
    with pytest.raises(VideoLost, match="Its only pictures are cover art, or those of chapters; ") as lost:
        probe_video(sound_with_a_picture(is_cover=True))
    assert lost.value.loss.reason == "no_video"


def test_sound_with_a_video_of_one_frame_is_a_video() -> None:
    assert probe_video(sound_with_a_picture(is_cover=False)).num_frames == 1


def test_cover_art_does_not_stand_in_for_a_video_that_cannot_be_decoded() -> None:
    video = video_with_cover_art()
    assert probe_video(video).num_frames == 5
    with pytest.raises(VideoLost, match="FFmpeg has no decoder for its video stream") as lost:
        probe_video(video.replace(b"avc1\x00", b"xyz1\x00"))
    assert lost.value.loss.reason == "unsupported_codec"


@pytest.mark.parametrize(
    ("error", "reason", "sentence"),
    [
        (ValueError("bad box"), "unreadable", "An error occurred while it was tried: bad box."),
        (
            TypeError("None is no number"),
            "unreadable",
            "An error occurred while it was tried: TypeError: None is no number.",
        ),
        (AssertionError("a promise"), "unreadable", "An error occurred while it was tried: AssertionError: a promise."),
        (
            OSError(errno.EIO, "Input/output error"),
            "read_failed",
            "An error occurred while it was tried: Input/output error.",
        ),
        (
            OSError(errno.EINVAL, "Invalid argument"),
            "unreadable",
            "An error occurred while it was tried: Invalid argument.",
        ),
        (FileNotFoundError(), "missing_file", "There is no such file."),
        (MemoryError(), "out_of_memory", "Memory ran out while it was tried."),
    ],
)
def test_an_error_is_a_loss_and_bugs_of_ours_are_named_by_type(error: Exception, reason: str, sentence: str) -> None:
    with pytest.raises(VideoLost) as lost, errors_as_losses("it was tried"):
        raise error
    assert lost.value.loss == Loss(reason, sentence)  # pyright: ignore[reportArgumentType]


def test_what_is_no_fault_of_the_video_is_not_taken_for_one() -> None:
    error = StorageFailed("the store does not answer")
    with pytest.raises(StorageFailed) as raised, errors_as_losses("it was tried"):
        raise error
    assert raised.value is error


def test_an_animated_picture_is_its_film_and_not_the_still_that_stands_for_it() -> None:
    animated = numbered_video(5, codec="libsvtav1", container="avif", options={"preset": "12"})
    with av.open(io.BytesIO(animated)) as container:
        assert [stream.frames for stream in container.streams.video] == [1, 5]
    facts = probe_video(animated)
    assert (facts.num_frames, facts.duration_us) == (5, 200_000)
    still = numbered_video(1, codec="libsvtav1", container="avif", options={"preset": "12"})
    assert probe_video(still).num_frames == 1


H264 = "bframes=2:b-adapt=0"


@pytest.mark.parametrize(
    ("codec", "parameters", "is_told"),
    [
        ("libx264", H264, True),
        ("libx264", f"{H264}:sar=1/1:fullrange=on:colormatrix=bt709:videoformat=pal:chromaloc=1", True),
        ("libx264", f"{H264}:sar=4/3", False),
        ("libx264", f"{H264}:interlaced=1", False),
        ("libx264", f"{H264}:nal-hrd=vbr:vbv-maxrate=500:vbv-bufsize=500", True),
        ("mpeg4", "", True),
        ("mjpeg", "", False),
    ],
)
def test_a_header_that_tells_all_spares_the_first_frames(codec: str, parameters: str, *, is_told: bool) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    data = numbered_video(6, codec=codec, pix_fmt=pixels, options={"x264-params": parameters} if parameters else {})
    with av.open(io.BytesIO(data), options={"skip_frame": "all"}) as container:
        assert is_told_by_header(container.streams.video[0].codec_context) is is_told
    with open_video(data, DEFAULT_LIMITS) as opened, av.open(io.BytesIO(data), "r") as analysed:
        expected = analysed.streams.video[0]
        assert (opened.stream.sample_aspect_ratio or 1) == (expected.sample_aspect_ratio or 1)
        assert opened.frame_rate == expected.average_rate
        packets = [(packet.pts, packet.dts, packet.duration) for packet in opened.demux()]
        assert packets == [(packet.pts, packet.dts, packet.duration) for packet in analysed.demux(video=0)]


def test_pixels_that_only_the_codec_calls_wide_are_wide() -> None:
    facts = probe_video(numbered_video(3, options={"x264-params": "sar=4/3"}))
    assert (facts.sample_aspect_ratio, facts.display_width_px) == ("4:3", round(WIDTH_PX * 4 / 3))


def test_a_size_that_only_the_codec_has_is_the_size() -> None:
    data = numbered_video(3)
    entry = data.index(b"avc1") + 28  # the size in the header of the track's samples
    wrong = data[:entry] + (HEIGHT_PX).to_bytes(2) + (WIDTH_PX).to_bytes(2) + data[entry + 4 :]
    with open_video(wrong, DEFAULT_LIMITS) as opened:
        assert (opened.stream.width, opened.stream.height) == (WIDTH_PX, HEIGHT_PX)
