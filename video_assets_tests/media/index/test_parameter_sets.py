"""A video whose codec parameters change in the middle gives the frames of a sequential decode at any time."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from video_assets.domain.clips import VideoLost
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.decode.frame_stack import DecodedFrames
from video_assets.media.decode.sequential import decode_frames_sequentially
from video_assets.media.index import packet_index as index
from video_assets.media.index.parameter_sets import parameters_in_header
from video_assets.media.open.video import open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.decode.test_decode_clip import SIZE, every_start
from video_assets_tests.media.joining import (
    Edit,
    joined_video,
    with_another_matrix,
    without_repeated_layer,
    without_repeated_tables,
    without_repeated_units,
)
from video_assets_tests.media.making import (
    HEIGHT_PX,
    WIDTH_PX,
    number_of,
    numbered_picture,
    numbered_video,
    use_tables_of_short_videos,
)

H264_SETS = without_repeated_units(range(0x67, 0x69))
HEVC_SETS = without_repeated_units(range(0x40, 0x46))
HEADER = "Its codec's header changes in the middle."
REPEAT = "Its codec's parameters change, and a keyframe does not repeat them."


def h264_parts(container: str) -> list[bytes]:
    """The quantiser is in the PPS: with that of the other half, pictures are wrong without an error."""
    fixed = "keyint=10:scenecut=0:bframes=0:cabac=0:cpu-independent=1"
    return [numbered_video(40, container=container, options={"x264-params": f"{fixed}:qp={qp}"}) for qp in (18, 38)]


def hevc_parts() -> list[bytes]:
    fixed = "keyint=10:scenecut=0:bframes=0:log-level=none"
    changed = ("cbqpoffs=-10", "cbqpoffs=10:crqpoffs=10")
    options = [{"x265-params": f"{fixed}:{one}"} for one in changed]
    return [numbered_video(40, codec="libx265", container="hevc", options=one) for one in options]


def mpeg2_parts() -> list[bytes]:
    return [numbered_video(40, codec="mpeg2video", container="mpegts", options={"g": "10"})] * 2


def mpeg4_parts() -> list[bytes]:
    options = [{"g": "10"}, {"g": "10", "mpeg_quant": "1"}]
    return [numbered_video(40, codec="mpeg4", container="avi", options=one) for one in options]


def mjpeg_parts() -> list[bytes]:
    options = [{"qmin": quantiser, "qmax": quantiser, "huffman": "default"} for quantiser in ("3", "20")]
    return [numbered_video(40, codec="mjpeg", container="avi", pix_fmt="yuvj420p", options=one) for one in options]


def changed_video(kind: str) -> bytes:
    codec, container, *_ = kind.split()
    if codec == "header":
        return joined_video(h264_parts("flv"), container, new_headers=True)
    edits: dict[str, tuple[list[bytes], Edit]] = {
        "h264": (h264_parts("h264"), H264_SETS),
        "hevc": (hevc_parts(), HEVC_SETS),
        "mpeg2": (mpeg2_parts(), with_another_matrix),
        "mjpeg": (mjpeg_parts(), without_repeated_tables),
        "mpeg4": (mpeg4_parts(), without_repeated_layer),
    }
    return joined_video(edits[codec][0], container, edits[codec][1])


def assert_as_in_a_full_decode(video: bytes) -> DecodedFrames:
    """Decode the last frame, which needs the longest seek."""
    clip = decode_clip(video, every_start, SIZE)
    truth = decode_frames_sequentially(video, clip.timestamps_us.tolist(), SIZE)
    assert clip.timestamps_us.tolist() == truth.timestamps_us.tolist()
    assert (clip.frames == truth.frames).all()
    for number in (-1, -15, 41, 30):
        clip = decode_clip(video, lambda timeline, number=number: [every_start(timeline)[number]], SIZE)
        assert (clip.frames[0] == truth.frames[number]).all(), f"frame {number}"
    return decode_clip(video, lambda timeline: [timeline.end_us], SIZE)


KINDS = {
    "header flv": HEADER,
    "header mp4": HEADER,
    "header mp4 by its table": HEADER,
    "h264 matroska": REPEAT,
    "h264 mp4": REPEAT,
    "h264 mp4 by its table": REPEAT,
    "hevc matroska": REPEAT,
    "hevc mp4": REPEAT,
    "hevc mp4 by its table": REPEAT,
    "mpeg2 matroska": "",
    "mpeg2 mpegts": "",
    "mpeg2 mp4 by its table": "",
    "mpeg4 matroska": "",
    "mpeg4 avi": "",
    "mpeg4 mp4 by its table": "",
    "mjpeg avi": "",
    "mjpeg mov": "",
    "mjpeg mov by its table": "",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_frames_after_a_change_of_parameters_are_those_of_a_sequential_decode(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind.endswith("table"):
        use_tables_of_short_videos(monkeypatch)
    video = changed_video(kind)
    last = assert_as_in_a_full_decode(video)
    assert KINDS[kind] in last.note
    assert bool(last.note) == bool(KINDS[kind])
    facts = probe_video(video)
    if "table" not in kind:
        assert facts.index_trusted == (not last.note), "else a part of it would be decoded without what is before"


@pytest.mark.parametrize("container", ["matroska", "mpegts", "mp4"])
def test_keyframes_that_repeat_changed_parameters_are_where_decoding_begins(container: str) -> None:
    last = assert_as_in_a_full_decode(joined_video(h264_parts("h264"), container))
    assert last.note == ""
    assert last.num_frames_decoded == 10


def test_a_header_that_is_only_repeated_changes_nothing() -> None:
    parts = h264_parts("flv")
    headers = [header_of(part) for part in parts]
    video = joined_video(parts, "flv", new_headers=True)
    assert len(headers[0]) == len(headers[1]) and headers[1] in video
    last = assert_as_in_a_full_decode(video.replace(headers[1], headers[0]))
    assert last.note == ""
    assert last.num_frames_decoded == 10


def header_of(video: bytes) -> bytes:
    with open_video(video, DEFAULT_LIMITS) as opened:
        return opened.codec.extradata or b""


@pytest.mark.parametrize("is_long", [False, True])
def test_parameters_of_the_first_packet_that_are_not_the_headers_are_needed_by_all(
    is_long: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_long:
        use_tables_of_short_videos(monkeypatch)
    one, other = h264_parts("mp4")
    (pps,) = (unit for key, unit in parameters_in_header("h264", header_of(one)).items() if key[0] == 8)

    def carry_its_own(data: bytes, _part: int, number: int) -> bytes:
        return data if number else len(pps).to_bytes(4) + pps + data

    video = joined_video([other], "mp4", carry_its_own)
    last = decode_clip(video, lambda timeline: [timeline.end_us], SIZE)
    assert (last.frames == decode_frames_sequentially(video, [10**9], SIZE).frames).all()
    assert last.note == f"All of it was decoded. {REPEAT}"


def test_the_sets_of_a_header_are_those_of_the_packets() -> None:
    for codec, raw, encoder, container in [("h264", "h264", "libx264", "mp4"), ("hevc", "hevc", "libx265", "matroska")]:
        options = {"x265-params": "log-level=none"} if codec == "hevc" else {}
        in_packets = numbered_video(3, codec=encoder, container=raw, options=options)
        in_header = numbered_video(3, codec=encoder, container=container, options=options)
        found = [parameters_in_header(codec, header_of(video)) for video in (in_packets, in_header)]
        assert found[0] == found[1]
        assert len(found[0]) == (2 if codec == "h264" else 3)


def test_a_header_that_is_cut_short_is_no_error() -> None:
    whole = header_of(numbered_video(3))
    assert len(whole) > 30
    for codec in ("h264", "hevc", "mpeg4", "mpeg2video", "mjpeg", "vp9"):
        for length in range(len(whole)):
            parameters_in_header(codec, whole[:length])


def video_with_a_palette(container: str) -> bytes:
    """Make raw pictures with a palette, which the video holds once."""
    file = io.BytesIO()
    palette = np.stack([np.full(256, 255), *[np.arange(256)] * 3], axis=1).astype(np.uint8)
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "pal8"
        for number in range(60):
            grey = numbered_picture(number)[..., 0]
            frame = av.VideoFrame.from_ndarray((grey, palette), format="pal8")  # pyright: ignore[reportArgumentType]  (its stubs know no palette)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize("is_held", [True, False])
@pytest.mark.parametrize("container", ["avi", "mov", "mov by its table", "nut"])
def test_raw_pictures_get_the_palette_that_came_with_the_first(
    container: str, is_held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_held:
        monkeypatch.setattr(index, "MAX_BYTES_IN_MEMORY", -1)
    if container.endswith("table"):
        use_tables_of_short_videos(monkeypatch)
    last = assert_as_in_a_full_decode(video_with_a_palette(container.split(maxsplit=1)[0]))
    assert number_of(last.frames[0]) == 59
    assert last.note in ("", "All of it was decoded. Its palette comes with one packet, once.")
    assert (last.num_frames_decoded == 1) == (container == "nut"), "there each packet holds it"


def video_of_bits(container: str, pixel_format: str, num_whole: int) -> bytes:
    """Make raw pictures with a palette, or of one bit per pixel; after the first ones, each lacks its lower half."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, pixel_format
        row_bytes = WIDTH_PX if pixel_format == "pal8" else WIDTH_PX // 8
        for number in range(10):
            num_bytes = row_bytes * HEIGHT_PX if number < num_whole else row_bytes * HEIGHT_PX // 2 + 1
            packet = av.Packet(bytes([number]) * num_bytes)
            packet.stream, packet.is_keyframe, packet.time_base = stream, True, Fraction(1, 25)
            packet.pts = packet.dts = number
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("pixel_format", ["pal8", "monow"])
@pytest.mark.parametrize("container", ["avi", "nut", "mov", "mov by its table"])
def test_memory_that_nobody_wrote_to_is_no_picture(
    container: str, pixel_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if container.endswith("table"):
        use_tables_of_short_videos(monkeypatch)
    cut = video_of_bits(container.split(maxsplit=1)[0], pixel_format, num_whole=6)
    decoded = decode_clip(cut, lambda timeline: timeline.starts_us.tolist(), SIZE)
    assert decoded.num_frames_total == 6
    assert decoded.note == "All of it was decoded. A packet is cut short. 4 packets did not decode."
    assert probe_video(cut).num_frames == 6
    whole = video_of_bits(container.split(maxsplit=1)[0], pixel_format, num_whole=10)
    assert probe_video(whole).index_note == ""
    with pytest.raises(VideoLost, match="None of its packets decoded to a frame; 10 gave errors"):
        probe_video(video_of_bits(container.split(maxsplit=1)[0], pixel_format, num_whole=0))
