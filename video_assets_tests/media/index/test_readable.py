"""How much of a video can be read is told against what its container says, in all containers by one rule."""

import io
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.index.lost_parts import places_of_losses
from video_assets.media.index.readable import longest_gap_us
from video_assets.media.open.video import open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.making import decode_frames, number_of, numbered_video

SIZE = FrameSize("stretch", 64)
OPTIONS = {"x264-params": "keyint=10:bframes=2"}
KINDS: dict[str, dict[str, object]] = {
    "mp4": {"container_options": {"moov_size": "9000"}},
    "mov": {"container": "mov", "container_options": {"moov_size": "9000"}},
    "fragmented mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "codec": "libvpx-vp9", "options": {"g": "10", "cpu-used": "8"}},
    "avi": {"container": "avi", "codec": "mpeg4", "options": {"g": "10"}},
    "flv": {"container": "flv"},
    "ivf": {"container": "ivf", "codec": "libvpx", "options": {"g": "10"}},
    "mxf": {"container": "mxf", "codec": "mpeg2video", "options": {"g": "10"}},
    "asf": {"container": "asf", "codec": "mpeg4", "options": {"g": "10"}},
}


def made(kind: str, num_frames: int = 60) -> bytes:
    return numbered_video(num_frames, **{"options": OPTIONS, **KINDS[kind]})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_video_says_how_much_of_it_can_be_read(kind: str, tmp_path: Path) -> None:
    whole = made(kind)
    assert probe_video(whole).readable_fraction == 1.0
    path = tmp_path / "a file of the same name"
    path.write_bytes(whole[: len(whole) * 6 // 10])
    cut = probe_video(path)
    assert 0 < cut.num_frames < 50
    if kind == "fragmented mp4":  # it says only how long its last fragment is
        assert cut.readable_fraction < 1
    else:
        assert cut.readable_fraction == pytest.approx(cut.num_frames / 60, abs=0.05)


def test_a_damaged_block_at_which_the_demuxer_stops_takes_the_rest() -> None:
    whole = bytearray(made("webm"))
    middle = len(whole) // 2
    whole[middle : middle + 600] = b"\xff" * 600
    facts = probe_video(bytes(whole))
    assert facts.readable_fraction < 0.9 or facts.gap_us > 0


def test_a_single_frame_that_is_left_of_a_webm_is_a_small_part_of_it() -> None:
    whole = made("webm")
    with av.open(io.BytesIO(whole), "r") as container:
        second = [packet for packet in container.demux(video=0) if packet.size][1]
    assert second.pos is not None
    facts = probe_video(whole[: second.pos] + b"\xff" * (len(whole) - second.pos))
    assert facts.num_frames == 1 and facts.readable_fraction < 0.1


@pytest.mark.parametrize("kind", ["avi", "mkv", "webm"])
def test_a_file_with_a_hole_is_shorter_than_it_says(kind: str) -> None:
    whole = made(kind)
    middle = len(whole) // 2
    facts = probe_video(whole[:middle] + whole[middle + 200 :])
    assert facts.readable_fraction < 1


def test_fragments_that_are_not_read_after_a_hole_are_missing() -> None:
    whole = made("fragmented mp4")
    middle = whole.index(b"moof", len(whole) // 2) - 200
    with_hole = whole[: middle - 300] + whole[middle:]
    assert probe_video(with_hole).readable_fraction < 0.9
    assert probe_video(whole + b"\xff" * 500).readable_fraction == 1.0


def test_fragments_whose_header_counts_from_zero_are_whole() -> None:
    whole = bytearray(made("fragmented mp4"))
    rate, place = whole.index(b"mdhd") + 16, -1
    while (place := whole.find(b"tfdt", place + 1)) >= 0:  # when each fragment begins: two seconds later
        later = int.from_bytes(whole[place + 8 : place + 16]) + 2 * int.from_bytes(whole[rate : rate + 4])
        whole[place + 8 : place + 16] = later.to_bytes(8)
    for end_ms, fraction in ((4480, 1.0), (8000, 0.44)):
        said = bytearray(whole)
        for name in (b"mdhd", b"mvhd", b"tkhd"):
            place = whole.index(name) + 4
            begin = place + (20 if name == b"tkhd" else 16)
            ticks = end_ms if name != b"mdhd" else end_ms * int.from_bytes(whole[begin - 4 : begin]) // 1000
            said[begin : begin + 4] = ticks.to_bytes(4)
        assert probe_video(bytes(said)).readable_fraction == pytest.approx(fraction, abs=0.01)


@pytest.mark.parametrize(("container", "codec"), [("matroska", "libx264"), ("flv", "flv")])
def test_a_video_that_ends_before_its_sound_is_whole(container: str, codec: str) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        pictures = cast("VideoStream", output.add_stream(codec, rate=25))
        sound = output.add_stream("pcm_s16le", rate=11025)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number + 10, Fraction(1, 25)  # FLV cannot be sought before the first one
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        for number in range(30):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1102), np.int16), format="s16", layout="mono")
            samples.sample_rate, samples.pts = 11025, number * 1102
            output.mux(sound.encode(samples))
        output.mux(sound.encode(None))
    assert probe_video(file.getvalue()).readable_fraction == 1.0


def test_a_picture_that_is_shown_for_a_while_is_whole() -> None:
    file = io.BytesIO()
    with av.open(io.BytesIO(made("webm", 1)), "r") as source, av.open(file, "w", format="webm") as output:
        written = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.duration, packet.stream = 5000, written
                output.mux(packet)
    assert probe_video(file.getvalue()).readable_fraction == 1.0


def test_frames_that_are_lost_in_the_middle_of_a_steady_video_are_a_gap() -> None:
    starts_us = np.arange(50) * 40_000
    assert longest_gap_us(Timeline(starts_us, 2_000_000)) == 0
    assert longest_gap_us(Timeline(np.delete(starts_us, slice(20, 32)), 2_000_000)) == 480_000
    assert longest_gap_us(Timeline(np.delete(starts_us, slice(20, 23)), 2_000_000)) == 0
    unsteady_us = np.cumsum(np.arange(50) * 7_000)
    assert longest_gap_us(Timeline(np.append(unsteady_us, 99_000_000), 99_100_000)) == 0


@pytest.mark.parametrize(
    ("codec", "container"),
    [("mpeg4", "avi"), ("mpeg4", "mp4"), ("libvpx", "webm"), ("libvpx-vp9", "webm"), ("wmv2", "asf"), ("wmv2", "avi")],
)
def test_a_lost_picture_of_a_codec_without_numbers_is_a_gap(codec: str, container: str) -> None:
    options = {"g": "20", "deadline": "realtime", "cpu-used": "8"}
    times = [40 * number for number in range(30)]

    def gap_us(times: list[int]) -> int:
        made = numbered_video(len(times), codec=codec, container=container, options=options, times=times)
        return probe_video(made).gap_us

    assert gap_us(times) == gap_us(times[:20] + times[21:24] + times[25:]) == 0
    assert gap_us(times[:20] + times[21:]) == pytest.approx(40_000, abs=1000)
    # Where a video in AVI begins later, its first frame is shown for longer.
    expected_us = 0 if container == "avi" else 40_000
    assert gap_us([0, *times[2:]]) == pytest.approx(expected_us, abs=1000)


def losses(video: bytes) -> list[int]:
    with open_video(video, DEFAULT_LIMITS) as opened:
        return places_of_losses(opened)


def test_frames_of_an_avi_after_a_doubled_piece_are_not_shown_at_anothers_time() -> None:
    whole = made("avi")
    assert losses(whole) == []
    place = len(whole) * 4 // 5
    doubled = whole[:place] + whole[place - 1000 :]
    assert len(losses(doubled)) == 1
    clip = decode_clip(doubled, lambda timeline: timeline.starts_us[[3, 12]].tolist(), SIZE)
    assert [number_of(picture) for picture in clip.frames] == [3, 12]
    with pytest.raises(VideoLost, match=r"^damaged"):  # it is decoded without an error, from a keyframe of its own
        decode_clip(doubled, lambda timeline: timeline.starts_us[[-2]].tolist(), SIZE)


def test_pictures_of_an_asf_that_are_lost_in_part_are_noticed() -> None:
    whole = numbered_video(60, codec="wmv2", container="asf", options={"g": "20", "b": "2M"})
    assert losses(whole) == []
    start = whole.index(bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")) + 50
    place = start + 3200 * 3  # of a packet, none of which FFmpeg makes larger
    for video in (
        whole[:place] + bytes(3200) + whole[place + 3200 :],
        whole[:place] + whole[place + 3200 :],
        whole[:place] + whole[place - 3200 :],
        whole[: place + 100] + whole[place + 1600 :],
    ):
        assert losses(video)
        assert number_of(decode_clip(video, lambda timeline: timeline.starts_us[[1]].tolist(), SIZE).frames[0]) == 1
        with pytest.raises(VideoLost, match=r"^damaged"):
            decode_clip(video, lambda timeline: timeline.starts_us.tolist(), SIZE)


def test_pages_of_an_ogg_that_are_not_as_written_are_noticed() -> None:
    options = {"g": "20", "b": "1M", "deadline": "realtime", "cpu-used": "8"}
    whole = numbered_video(60, codec="libvpx", container="ogg", options=options)
    assert losses(whole) == []
    place = whole.index(b"OggS", len(whole) // 3)
    assert whole.find(b"OggS", place + 3000) > 0
    flipped = bytes([whole[place + 100] ^ 1])
    for video in (whole[: place + 100] + flipped + whole[place + 101 :], whole[:place] + whole[place + 3000 :]):
        assert losses(video)
        with pytest.raises(VideoLost, match=r"^damaged"):
            decode_clip(video, lambda timeline: timeline.starts_us.tolist(), SIZE)


def test_chunks_of_an_avi_may_be_of_an_odd_number_of_bytes() -> None:
    whole = made("avi")
    start = whole.index(b"movi")
    place, frames = start + 4, b"movi"
    while whole[place : place + 4] == b"00dc":
        size = int.from_bytes(whole[place + 4 : place + 8], "little")
        frames += whole[place : place + 8 + size]
        place += 8 + size + size % 2
    assert len(frames) < place - start
    assert losses(whole[: start - 4] + len(frames).to_bytes(4, "little") + frames + whole[place:]) == []


def test_a_transport_stream_that_lost_a_packet_within_a_picture_shows_it_by_its_counters() -> None:
    whole = numbered_video(20, container="mpegts", options={"x264-params": "keyint=10:qp=4"})
    packets = [whole[start : start + 188] for start in range(0, len(whole), 188)]
    of_video = [number for number, packet in enumerate(packets) if packet[1] & 31 == 1 and packet[2] == 0]
    within = next(number for number in of_video if not packets[number][1] & 0x40 and number + 1 in of_video)
    after = [packet[:3] + bytes([packet[3] & 0xF0]) + packet[4:] for packet in packets]  # all counters are 0
    assert losses(whole) == losses(whole + whole) == losses(b"".join(after)) == []
    assert losses(b"".join(packets[: within + 1] + packets[within:])) == []  # sent twice
    assert losses(b"".join(packets[:within] + packets[within + 1 :])) == [within * 188]
    with pytest.raises(VideoLost, match=r"^damaged"):
        decode_frames(b"".join(packets[:within] + packets[within + 1 :]), [200_000], FrameSize("stretch", 64))
