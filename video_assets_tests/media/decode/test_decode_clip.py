"""Indexed decode gives the frames of a sequential decode, bit for bit, and they are the right ones."""

import io
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode import decode_clip as decode
from video_assets.media.decode import sequential as plain
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.decode.indexed import PacketReader
from video_assets.media.decode.sequential import decode_frames_sequentially
from video_assets.media.index import packet_index as index
from video_assets.media.index.packets import DemuxedPackets, IndexNotTrusted
from video_assets.media.open.video import OpenVideo, open_video
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS, Limits
from video_assets_tests.media.joining import joined_video
from video_assets_tests.media.making import decode_frames, number_of, numbered_video, use_tables_of_short_videos

SIZE = FrameSize("stretch", 64)
X264 = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=3:b-pyramid=normal"}

OPEN_GOP = {"x264-params": "keyint=10:open-gop=1:bframes=3:scenecut=0"}
VP8 = {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16"}
VP9 = {"g": "12", "lag-in-frames": "16", "cpu-used": "8"}

KINDS: dict[str, dict[str, object]] = {
    "h264 b-frames mp4": {"options": X264},
    "h264 fragmented mp4": {"options": X264, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "h264 no b-frames mp4": {"options": {"x264-params": "keyint=9:bframes=0"}},
    "h264 open gop mkv": {
        "container": "matroska",
        "options": {"x264-params": "keyint=10:open-gop=1:bframes=3:scenecut=0"},
    },
    "h264 intra refresh mkv": {"container": "matroska", "options": {"x264-params": "keyint=10:intra-refresh=1"}},
    "h264 ts": {"container": "mpegts", "options": X264},
    "h264 flv": {"container": "flv", "options": X264},
    "h264 raw": {"container": "h264", "options": X264},
    "h264 10 bit": {"pix_fmt": "yuv420p10le", "options": X264},
    "h264 4:4:4": {"pix_fmt": "yuv444p", "options": X264},
    "hevc mp4": {"codec": "libx265", "options": {"x265-params": "keyint=12:bframes=3:log-level=none"}},
    "hevc open gop": {"codec": "libx265", "options": {"x265-params": "keyint=10:open-gop=1:bframes=4:log-level=none"}},
    "hevc two layers": {
        "codec": "libx265",
        "options": {"x265-params": "keyint=12:bframes=3:temporal-layers=2:log-level=none"},
    },
    "mpeg4 mp4": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "mpeg4 avi": {"codec": "mpeg4", "container": "avi", "options": {"g": "12"}},
    "mpeg4 avi b-frames": {"codec": "mpeg4", "container": "avi", "options": {"g": "12", "bf": "2"}},
    "mpeg2 ts": {"codec": "mpeg2video", "container": "mpegts", "options": {"g": "12", "bf": "2"}},
    "mpeg1 ps": {"codec": "mpeg1video", "container": "mpeg", "options": {"g": "12", "bf": "2"}},
    "vp8 webm": {
        "codec": "libvpx",
        "container": "webm",
        "options": VP8,
    },
    "vp9 webm": {
        "codec": "libvpx-vp9",
        "container": "webm",
        "options": VP9,
    },
    "mjpeg avi": {"codec": "mjpeg", "container": "avi", "pix_fmt": "yuvj420p"},
    "variable rate": {"options": X264, "times": [number * number * 3 + number * 20 for number in range(40)]},
}
NUM_FRAMES = 40


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {}


def video_of(kind: str, made: dict[str, bytes]) -> bytes:
    if kind not in made:
        made[kind] = numbered_video(NUM_FRAMES, **KINDS[kind])  # pyright: ignore[reportArgumentType]
    return made[kind]


def every_start(timeline: Timeline) -> list[int]:
    return [int(start) for start in timeline.starts_us]


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "read again"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_each_single_frame_is_that_of_a_sequential_decode(
    kind: str, in_memory: bool, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.setattr(index, "MAX_BYTES_IN_MEMORY", -1)
        use_tables_of_short_videos(monkeypatch)
    video = video_of(kind, made)
    everything = decode_clip(video, every_start, SIZE)
    truth = decode_frames_sequentially(video, everything.timestamps_us.tolist(), SIZE)
    assert everything.timestamps_us.tolist() == truth.timestamps_us.tolist()
    assert [number_of(picture) for picture in truth.frames] == list(range(NUM_FRAMES))
    assert (everything.frames == truth.frames).all()
    for number, start_us in enumerate(truth.timestamps_us.tolist()):
        one = decode_frames(video, [start_us], SIZE)
        assert one.timestamps_us.tolist() == [start_us]
        assert number_of(one.frames[0]) == number
        assert (one.frames[0] == truth.frames[number]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_any_choice_gives_the_same_bytes_in_the_order_asked_for(kind: str, made: dict[str, bytes]) -> None:
    video = video_of(kind, made)
    chance = random.Random(kind)
    for _ in range(4):
        starts: list[int] = []

        def choose(timeline: Timeline, starts: list[int] = starts) -> list[int]:
            starts[:] = [chance.randrange(timeline.start_us, timeline.end_us) for _ in range(5)]
            return starts

        clip = decode_clip(video, choose, SIZE)
        truth = decode_frames_sequentially(video, starts, SIZE)
        assert clip.timestamps_us.tolist() == truth.timestamps_us.tolist()
        assert (clip.frames == truth.frames).all()


@pytest.mark.parametrize("kind", ["h264 b-frames mp4", "hevc mp4", "mpeg4 mp4", "mpeg2 ts", "h264 ts", "mjpeg avi"])
def test_the_index_is_trusted_and_spares_frames(kind: str, made: dict[str, bytes]) -> None:
    clip = decode_clip(video_of(kind, made), lambda timeline: every_start(timeline)[::13], SIZE)
    assert clip.note == ""
    assert clip.num_frames_total == NUM_FRAMES
    assert clip.num_frames_decoded < NUM_FRAMES * 0.8


@pytest.mark.parametrize("kind", ["h264 b-frames mp4", "hevc mp4", "mpeg4 mp4"])
def test_a_long_mp4_is_indexed_by_its_table_and_sought_without_a_packet_too_many(
    kind: str, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tables_of_short_videos(monkeypatch)
    read: list[int] = []
    compare = vars(PacketReader)["_is"]

    def note(reader: PacketReader, packet: Packet, number: int) -> bool:
        read.append(number)
        return compare(reader, packet, number)

    monkeypatch.setattr(PacketReader, "_is", note)
    with open_video(video_of(kind, made), DEFAULT_LIMITS) as opened:
        table = index.read_index(opened)
        assert table.is_from_table
        assert len(table.seek_points) > 2
        for number in reversed(table.seek_points.tolist()):
            read.clear()
            assert len(list(PacketReader(opened, table).packets(number, number + 1))) == 1
            assert read == [number], "the file was read from another keyframe than the one asked for"


def test_intra_refresh_is_never_entered_in_the_middle(made: dict[str, bytes]) -> None:
    clip = decode_clip(video_of("h264 intra refresh mkv", made), lambda timeline: [every_start(timeline)[-1]], SIZE)
    assert number_of(clip.frames[0]) == NUM_FRAMES - 1


@pytest.mark.parametrize("is_seen_by", ["beginning", "frames"])
@pytest.mark.parametrize("container", ["matroska", "mp4 by its table"])
def test_frames_that_a_cut_inside_a_refresh_took_are_not_counted(
    container: str, is_seen_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if container.endswith("table"):
        use_tables_of_short_videos(monkeypatch)
    if is_seen_by == "frames":
        monkeypatch.setattr(index, "_check_first_packet", lambda *_: None)
    options = {"x264-params": "keyint=10:intra-refresh=1:bframes=0:cpu-independent=1"}
    whole = numbered_video(60, options=options, container="h264")
    video = joined_video([whole], container.split(maxsplit=1)[0], lambda data, _, number: data if number >= 20 else b"")
    truth = decode_frames_sequentially(video, [0], SIZE)
    assert 0 < truth.num_frames_total < 40
    clip = decode_clip(video, every_start, SIZE)
    assert clip.timeline.starts_us.tolist() == truth.timeline.starts_us.tolist()
    assert "clean beginning" in clip.note if is_seen_by == "beginning" else "first frame is not" in clip.note
    assert probe_video(video).num_frames == truth.num_frames_total
    if is_seen_by == "beginning":
        last = decode_clip(video, lambda timeline: [timeline.end_us], SIZE)
        assert last.num_frames_total == truth.num_frames_total


def test_repeats_are_allowed_and_the_order_is_kept(made: dict[str, bytes]) -> None:
    clip = decode_frames(video_of("h264 b-frames mp4", made), [800_000, 0, 0, 1_560_000, 40_000], SIZE)
    assert [number_of(picture) for picture in clip.frames] == [20, 0, 0, 39, 1]
    assert clip.timestamps_us.tolist() == [800_000, 0, 0, 1_560_000, 40_000]


def test_times_between_and_outside_frames_give_the_frame_on_screen(made: dict[str, bytes]) -> None:
    clip = decode_frames(video_of("h264 b-frames mp4", made), [-5, 39_999, 40_000, 10**12], SIZE)
    assert [number_of(picture) for picture in clip.frames] == [0, 0, 1, 39]


def test_no_times_give_no_frames(made: dict[str, bytes]) -> None:
    clip = decode_frames(video_of("h264 b-frames mp4", made), [], SIZE)
    assert clip.frames.shape == (0, 64, 64, 3)


def test_a_path_and_its_bytes_give_the_same(made: dict[str, bytes], tmp_path: Path) -> None:
    video = video_of("h264 b-frames mp4", made)
    path = tmp_path / "-odd 'name' [%d].bin"
    path.write_bytes(video)
    by_path, by_bytes = (decode_clip(source, every_start, SIZE) for source in (path, video))
    assert (by_path.frames == by_bytes.frames).all()


def test_a_wrong_index_leads_to_a_sequential_decode_that_chooses_again(
    made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubted(*_arguments: object) -> int:
        raise IndexNotTrusted("A frame came out damaged.")

    monkeypatch.setattr(decode, "decode_indexed", doubted)
    calls: list[Timeline] = []

    def choose(timeline: Timeline) -> list[int]:
        calls.append(timeline)
        return [400_000]

    clip = decode_clip(video_of("h264 b-frames mp4", made), choose, SIZE)
    assert len(calls) == 2
    assert clip.note == "All of it was decoded. A frame came out damaged."
    assert number_of(clip.frames[0]) == 10


def test_a_damaged_frame_of_a_long_mp4_is_no_reason_to_index_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tables_of_short_videos(monkeypatch)
    video = bytearray(numbered_video(40, options={"x264-params": "keyint=40:bframes=0:cpu-independent=1"}))
    with open_video(bytes(video), DEFAULT_LIMITS) as opened:
        place, size = opened.stream.index_entries[30].pos, opened.stream.index_entries[30].size
    video[place + size // 2 : place + size // 2 + 8] = bytes(8)
    readings: list[bool] = []
    read_index = decode.read_index

    def read(opened: OpenVideo, *, allow_table: bool) -> index.PacketIndex:
        readings.append(allow_table)
        return read_index(opened, allow_table=allow_table)

    monkeypatch.setattr(decode, "read_index", read)
    clip = decode_frames(bytes(video), [400_000], SIZE)
    assert (clip.note, readings) == ("", [True])
    with pytest.raises(VideoLost, match="damaged"):
        decode_frames(bytes(video), [1_200_000], SIZE)
    assert readings == [True, True]


@pytest.mark.parametrize("kept_bytes", [0, plain.BUFFERED_BYTES], ids=["decoded twice", "kept"])
@pytest.mark.parametrize("doubted_at", [0, 7, NUM_FRAMES - 1])
@pytest.mark.parametrize("kind", ["h264 b-frames mp4", "h264 ts", "mpeg4 avi b-frames"])
def test_a_sequential_decode_uses_the_packets_that_indexing_has_read(
    kind: str, doubted_at: int, kept_bytes: int, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    video = video_of(kind, made)
    truth = decode_frames_sequentially(video, [0, 520_000, 10**9, 0], SIZE)
    numbers = itertools.count()

    def doubt(*_arguments: object) -> bool:
        if next(numbers) == doubted_at:
            raise IndexNotTrusted("A packet is odd.")
        return True

    monkeypatch.setattr(index, "is_shown", doubt)
    monkeypatch.setattr(plain, "BUFFERED_BYTES", kept_bytes)
    clip = decode_frames(video, [0, 520_000, 10**9, 0], SIZE)
    assert clip.note == f"All of it was decoded. A packet is odd. {truth.note}".strip()
    assert clip.timestamps_us.tolist() == truth.timestamps_us.tolist()
    assert (clip.frames == truth.frames).all()
    assert clip.num_frames_total == truth.num_frames_total


def in_packet_order(video: bytes, container: str) -> bytes:
    """Give the packets presentation times in packet order, as some writers do."""
    file = io.BytesIO()
    with av.open(io.BytesIO(video), "r") as source, av.open(file, "w", format=container) as output:
        stream = source.streams.video[0]
        written = output.add_stream_from_template(stream)
        for number, packet in enumerate(packet for packet in source.demux(stream) if packet.size):
            packet.pts = packet.dts = number * 512
            packet.time_base = Fraction(1, 25 * 512)
            packet.stream = written
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("container", ["matroska", "nut"])
def test_times_in_the_order_of_the_packets_give_each_frame_its_own(container: str, made: dict[str, bytes]) -> None:
    video = in_packet_order(video_of("h264 b-frames mp4", made), container)
    everything = decode_clip(video, every_start, SIZE)
    assert [number_of(picture) for picture in everything.frames] == list(range(NUM_FRAMES))
    assert everything.timestamps_us.tolist() == [40_000 * number for number in range(NUM_FRAMES)]
    assert everything.note.endswith("The frames' times came in the order of their packets; they were sorted.")


@pytest.mark.parametrize("container", ["matroska", "nut", "mp4", "mp4 by its table"])
@pytest.mark.parametrize("kind", ["h264 b-frames mp4", "h264 open gop mkv", "hevc mp4", "mpeg4 mp4", "mpeg2 ts"])
def test_a_single_frame_is_right_where_times_are_in_the_order_of_the_packets(
    kind: str, container: str, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An AVI copied to mp4. B pictures that are skipped, or decoded alone, do not reveal the wrong order."""
    if container.endswith("table"):
        use_tables_of_short_videos(monkeypatch)
    video = in_packet_order(video_of(kind, made), container.split(maxsplit=1)[0])
    assert probe_video(video).index_note.startswith("Its times are in the order of its packets, which is not")
    for number in range(0, NUM_FRAMES, 3):
        alone = decode_clip(video, lambda timeline, number=number: [int(timeline.starts_us[number])], SIZE)
        assert number_of(alone.frames[0]) == number


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])  # libx265 gives so few pictures any times
def test_times_in_the_order_of_the_packets_are_right_where_no_picture_is_shown_before_one_that_precedes_it(
    codec: str,
) -> None:
    options = {"g": "12", "bf": "2"}
    with_room_for_them = numbered_video(2, codec=codec, options=options)  # so few that none became a B picture
    assert probe_video(with_room_for_them).index_note == ""


def test_times_that_no_clock_could_show_are_laid_out_by_the_frame_rate(
    made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ogg has such times in a video cut from a longer one; no encoder here writes them."""
    demux = index._demux

    def demux_far_away(opened: OpenVideo) -> DemuxedPackets:
        found = demux(opened)
        found.pts = [2**58 + number for number in range(len(found.pts))]
        found.dts = list(found.pts)
        return found

    monkeypatch.setattr(index, "_demux", demux_far_away)
    everything = decode_clip(video_of("mpeg4 avi", made), every_start, SIZE)
    assert [number_of(picture) for picture in everything.frames] == list(range(NUM_FRAMES))
    assert everything.note.startswith("All of it was decoded. Its packets' times are beyond reason.")


def test_a_stream_that_appears_in_the_middle_is_no_fault_of_the_video() -> None:
    """A program stream whose sound begins after the part that FFmpeg analyses, and not in its last 250 kB."""
    video = numbered_video(300, codec="mpeg1video", container="mpeg", options={"g": "12"})
    middle = video.index(b"\0\0\1\xba", len(video) * 9 // 10)
    sound = b"\0\0\1\xc0" + (107).to_bytes(2) + b"\x80\0\0" + b"\xff\xfd\x84\0" + bytes(100)
    padding = b"\0\0\1\xbe" + (60_000).to_bytes(2) + b"\xff" * 60_000
    late = video[:middle] + sound * 4 + padding * 10 + video[middle:]
    with av.open(io.BytesIO(late)) as container:
        assert len(container.streams) == 1
    assert probe_video(late).num_frames == 300
    assert number_of(decode_clip(late, lambda timeline: [timeline.end_us - 1], SIZE).frames[0]) == 299 % 256
    assert decode_frames_sequentially(late, [0], SIZE).num_frames_total == 300


def with_last_duration(video: bytes, ticks: int) -> bytes:
    """Set the duration of the last packet."""
    file = io.BytesIO()
    with av.open(io.BytesIO(video), "r") as source, av.open(file, "w", format="mp4") as output:
        stream = source.streams.video[0]
        written = output.add_stream_from_template(stream)
        packets = [packet for packet in source.demux(stream) if packet.size]
        packets[-1].duration = ticks
        for packet in packets:
            packet.stream = written
            output.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("by_table", [False, True], ids=["by packets", "by the table"])
def test_a_broken_last_duration_does_not_stretch_the_clip(
    by_table: bool, made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_table:
        use_tables_of_short_videos(monkeypatch)
    video = with_last_duration(video_of("h264 no b-frames mp4", made), 0x7FFFFFFF)
    with open_video(video, DEFAULT_LIMITS) as opened:
        assert list(opened.container.demux(video=0))[NUM_FRAMES - 1].duration == 0x7FFFFFFF
    clip = decode_clip(video, lambda timeline: every_start(timeline)[::13], SIZE)
    truth = decode_frames_sequentially(video, [0], SIZE)
    assert (clip.note, clip.timeline.end_us, truth.timeline.end_us) == ("", 1_600_000, 1_600_000)
    assert probe_video(video).duration_us == 1_600_000


@pytest.mark.parametrize("look", [probe_video, lambda v, limits: decode_frames_sequentially(v, [0], SIZE, limits)])
def test_the_limit_of_length_counts_how_long_the_last_frame_lasts(
    look: Callable[[bytes, Limits], object], made: dict[str, bytes]
) -> None:
    video = with_last_duration(video_of("h264 no b-frames mp4", made), 9 * 12_800)
    look(video, replace(DEFAULT_LIMITS, max_duration_seconds=10.6))
    with pytest.raises(VideoLost, match=r"Its frames span 10\.6 s; the limit \(max_duration_seconds\) is 10 s"):
        look(video, replace(DEFAULT_LIMITS, max_duration_seconds=10))


def test_what_choose_raises_comes_through(made: dict[str, bytes]) -> None:
    def choose(_timeline: Timeline) -> list[int]:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        decode_clip(video_of("h264 b-frames mp4", made), choose, SIZE)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(DEFAULT_LIMITS, max_pixels=8191), "too_many_pixels"),
        (replace(DEFAULT_LIMITS, max_frames=39), "too_many_frames"),
        (replace(DEFAULT_LIMITS, max_duration_seconds=1.5), "too_long"),
        (replace(DEFAULT_LIMITS, max_file_bytes=1000), "too_large"),
    ],
)
@pytest.mark.parametrize("kind", ["h264 b-frames mp4", "h264 ts", "h264 raw"])
def test_a_video_above_a_limit_is_lost_and_the_limit_named(
    kind: str, limits: Limits, reason: str, made: dict[str, bytes]
) -> None:
    for look in (lambda v: decode_clip(v, every_start, SIZE, limits), lambda v: probe_video(v, limits)):
        with pytest.raises(VideoLost) as lost:
            look(video_of(kind, made))
        assert lost.value.loss.reason == reason


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["h264 ts", "h264 open gop mkv", "mpeg4 avi b-frames", "h264 fragmented mp4"])
def test_a_truncated_file_gives_right_frames_or_a_reason(kind: str, share: float, made: dict[str, bytes]) -> None:
    video = video_of(kind, made)
    video = video[: int(len(video) * share)]
    try:
        clip = decode_clip(video, lambda timeline: every_start(timeline)[:-3:4], SIZE)
    except VideoLost:
        return
    truth = decode_frames_sequentially(video, clip.timestamps_us.tolist(), SIZE)
    assert (clip.frames == truth.frames).all()


def test_probing_says_what_is_there(made: dict[str, bytes]) -> None:
    facts = probe_video(video_of("h264 b-frames mp4", made))
    assert (facts.codec, facts.pixel_format, facts.width_px, facts.height_px) == ("h264", "yuv420p", 128, 64)
    assert (facts.num_frames, facts.start_us, facts.duration_us, facts.frame_rate) == (40, 0, 1_600_000, 25.0)
    assert (facts.rotation_degrees, facts.is_mirrored, facts.has_audio) == (0, False, False)
    assert (facts.index_trusted, facts.index_note, facts.num_keyframes) == (True, "", 4)
    assert np.isclose(facts.frame_rate, 25)


@pytest.mark.parametrize("container", ["matroska", "mp4", "mp4 by its table", "mpegts"])
@pytest.mark.parametrize("late", [5, 25, 38])
def test_two_halves_whose_times_overlap_are_not_mixed(
    late: int, container: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two halves of 40 frames each; the second one begins after frame `late` of the first."""
    if container.endswith("table"):
        use_tables_of_short_videos(monkeypatch)
    part = numbered_video(40, options={"x264-params": "keyint=10:bframes=0:cpu-independent=1"}, container="h264")
    video = joined_video([part, part], container.split(maxsplit=1)[0], starts=[0, 2 * late + 1])
    for choose in (every_start, lambda timeline: [timeline.end_us], lambda timeline: every_start(timeline)[-30:]):
        clip = decode_clip(video, choose, SIZE)
        truth = decode_frames_sequentially(video, clip.timestamps_us.tolist(), SIZE)
        assert clip.timeline.starts_us.tolist() == truth.timeline.starts_us.tolist()
        assert (clip.frames == truth.frames).all()
        assert clip.note.startswith("All of it was decoded. Its packets' times jump back.")


def test_a_frame_that_comes_later_than_any_decoder_holds_one_back_is_of_another_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = numbered_video(40, options={"x264-params": "keyint=40:bframes=0:cpu-independent=1"}, container="h264")
    monkeypatch.setattr(index, "SEEKABLE", frozenset())  # as where the second part begins with no keyframe
    for late, is_seen in [(24, False), (22, True)]:  # 15 and 17 frames of the first part are shown behind it
        video = joined_video([part, part], "mp4", starts=[0, 2 * late + 1])
        with open_video(video, DEFAULT_LIMITS) as opened:
            if is_seen:
                with pytest.raises(IndexNotTrusted, match="times jump back"):
                    index.read_index(opened)
            else:
                assert index.read_index(opened).timeline.num_frames == 80


def test_decoding_times_that_jump_back_are_a_clock_that_restarts(made: dict[str, bytes]) -> None:
    video = bytearray(video_of("h264 flv", made))
    tags = list(flv_video_tags(video))
    assert len(tags) > NUM_FRAMES
    for place in tags[-15:]:  # time stamps in milliseconds: three bytes, then their highest one
        time_ms = int.from_bytes(video[place + 4 : place + 7]) - 330
        video[place + 4 : place + 7] = time_ms.to_bytes(3)
    clip = decode_clip(bytes(video), every_start, SIZE)
    assert clip.note.startswith("All of it was decoded. Its packets' times jump back.")
    assert clip.num_frames_total == NUM_FRAMES


def flv_video_tags(video: bytes | bytearray) -> Iterator[int]:
    place = 13
    while place + 11 < len(video):
        if video[place] == 9:
            yield place
        place += 11 + int.from_bytes(video[place + 1 : place + 4]) + 4
