"""Damage counts for every frame that is decoded from a damaged one, however few frames are wanted."""

import io
import random
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.damage import DamageLog, PacketChecks
from video_assets.media.decode.decode_clip import decode_clip, decode_spans
from video_assets.media.decode.frame_stack import DecodedFrames
from video_assets.media.index.bitstream import starts_cleanly
from video_assets.media.open.video import VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits
from video_assets_tests.media.joining import joined_video
from video_assets_tests.media.making import decode_frames, number_of, numbered_video

SIZE = FrameSize("stretch", 64)
STORE = replace(DEFAULT_LIMITS, store_damaged=True)
NUM_FRAMES, GROUP = 40, 12
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "mp4", {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0"}),
    "mpeg4": ("mpeg4", "avi", {"g": "12"}),
    "mpeg2": ("mpeg2video", "mpegts", {"g": "12"}),
}


def zeroed(data: bytes) -> bytes:
    """Return a packet with zeros in its last quarter, as a lost block of a disk reads."""
    return data[: len(data) * 3 // 4] + bytes(len(data) - len(data) * 3 // 4)


def damaged_video(kind: str, packet_number: int) -> bytes:
    codec, container, options = KINDS[kind]
    whole = numbered_video(NUM_FRAMES, codec=codec, container=container, options=options)
    return joined_video([whole], container, lambda data, _, number: zeroed(data) if number == packet_number else data)


def wanted(video: VideoSource, numbers: list[int], limits: Limits = DEFAULT_LIMITS) -> DecodedFrames:
    return decode_clip(video, lambda timeline: timeline.starts_us[numbers].tolist(), SIZE, limits)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_decoded_from_a_damaged_keyframe_is_damaged(kind: str) -> None:
    video = damaged_video(kind, 0)
    for numbers in ([4], [7, 8, 9], [2, 30]):
        with pytest.raises(VideoLost, match=r"^damaged: .* are damaged, or are decoded from a damaged one"):
            wanted(video, numbers)
    after = wanted(video, [GROUP + 2, GROUP + 9, 30])
    assert [number_of(picture) for picture in after.frames] == [GROUP + 2, GROUP + 9, 30]
    assert after.damage == ""


@pytest.mark.parametrize("kind", ["h264", "mpeg4", "mpeg2"])
def test_a_damaged_picture_between_keyframes_damages_what_follows_until_the_next_one(kind: str) -> None:
    video = damaged_video(kind, 16)
    assert wanted(video, [2, 11]).damage == ""
    assert wanted(video, [26, 39]).damage == ""
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [23])


def test_a_damaged_clip_is_stored_with_what_is_wrong_where_the_setting_says_so() -> None:
    stored = wanted(damaged_video("h264", 0), [2, 30], STORE)
    assert len(stored.frames) == 2
    assert stored.damage.startswith("1 of the 2 wanted frames are damaged")


def test_of_two_spans_the_damaged_one_alone_is_lost() -> None:
    video = damaged_video("h264", 0)
    with pytest.raises(VideoLost, match=r"^damaged"):
        decode_frames(video, [160_000], SIZE)
    assert number_of(decode_frames(video, [1_200_000], SIZE).frames[0]) == 30
    (sound,) = decode_spans(video, [lambda _: [1_200_000]], SIZE)
    assert isinstance(sound, DecodedFrames)


def test_a_first_keyframe_that_an_mp4_does_not_list_is_one() -> None:
    options = {"x265-params": "keyint=20:min-keyint=20:scenecut=0:bframes=0:log-level=none"}
    video = numbered_video(NUM_FRAMES, codec="libx265", options=options)
    place = video.index(b"stss") + 8
    assert video[place : place + 12] == b"\0\0\0\2\0\0\0\1\0\0\0\x15"
    clip = wanted(video[:place] + b"\0\0\0\1\0\0\0\x15" + video[place + 8 :], [3, 25])
    assert [number_of(picture) for picture in clip.frames] == [3, 25]
    assert clip.damage == ""


def test_pictures_shown_before_a_restart_are_no_reference_of_those_after_it() -> None:
    # In decode order: I0 P2 B1 | I5 B3 B4 P6, with times; the second I begins an open group.
    log = DamageLog(times=[0, 2, 1, 5, 3, 4, 6], restarts=[0, 3])
    expected = {
        0: [True, True, True, False, True, True, False],
        1: [False, True, True, False, True, True, False],
        3: [False, False, False, True, True, True, True],
        4: [False, False, False, False, True, True, False],
    }
    for damaged, are_damaged in expected.items():
        log.damaged = {damaged}
        assert [log.is_damaged(number) for number in range(7)] == are_damaged, damaged


def test_of_codecs_that_are_decoded_from_nothing_what_is_shown_before_a_later_beginning_is_damaged() -> None:
    log = DamageLog(times=[0, 5, 3, 4, 6], restarts=[1])  # a picture, then an open group
    assert [log.is_damaged(number) for number in range(5)] == [False] * 5
    log.needs_restart = True
    assert [log.is_damaged(number) for number in range(5)] == [True, False, True, True, False]


def test_frames_are_the_same_whether_damage_is_looked_for_or_not() -> None:
    for codec, container, options in KINDS.values():
        video = numbered_video(GROUP, codec=codec, container=container, options=options)
        clip = wanted(video, list(range(GROUP)))
        assert np.array_equal([number_of(picture) for picture in clip.frames], range(GROUP))
        assert (clip.note, clip.damage) == ("", "")


@pytest.mark.parametrize("container", ["mpegts", "h264"])
def test_of_a_stream_that_was_cut_the_unfinished_picture_is_left_out(container: str) -> None:
    whole = numbered_video(NUM_FRAMES, codec="libx264", container=container, options=KINDS["h264"][2])
    clip = wanted(whole[: len(whole) * 64 // 100], [0, -1])
    assert [number_of(picture) for picture in clip.frames] == [0, 23]
    assert clip.damage == "" and clip.note.endswith("Its last picture is unfinished, and left out.")


def test_in_a_bare_stream_nothing_after_damage_is_shown_at_a_sure_time() -> None:
    whole = numbered_video(NUM_FRAMES, codec="libx264", container="h264", options=KINDS["h264"][2])
    lost = joined_video([whole], "h264", lambda data, _, number: b"" if number == 16 else data)
    assert [number_of(picture) for picture in wanted(lost, [2, 15]).frames] == [2, 15]
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(lost, [30])  # decoded from a keyframe of its own, but shown as early as the one before


def test_frames_that_did_not_decode_are_wanted_too() -> None:
    codec, container, options = KINDS["h264"]
    whole = numbered_video(NUM_FRAMES, codec=codec, container=container, options=options)
    video = joined_video([whole], container, lambda data, _, number: data if number < 20 else b"\xff" * len(data))
    assert len(decode_clip(video, lambda timeline: timeline.starts_us[:20].tolist(), SIZE).frames) == 20
    with pytest.raises(VideoLost, match=r"^damaged: 4 of the 8 wanted frames did not decode"):
        decode_clip(video, lambda timeline: timeline.starts_us[::5].tolist(), SIZE)
    timelines: list[Timeline] = []
    kept = decode_clip(video, lambda timeline: timelines.append(timeline) or timeline.starts_us.tolist(), SIZE, STORE)
    assert len(kept.frames) == 20 and kept.damage == "20 of the 40 wanted frames did not decode."
    assert timelines[-1].num_frames == 20  # that of the frames which came out; earlier ones are forgotten


def test_pictures_that_a_container_calls_keyframes_are_none_where_they_refer_to_others() -> None:
    whole = numbered_video(NUM_FRAMES, codec="h263p", container="avi", options={"g": "12"})
    with av.open(io.BytesIO(whole), "r") as container:
        assert all(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    cut = joined_video([whole], "avi", lambda data, _, number: data[: len(data) // 2] if number == 13 else data)
    assert [number_of(picture) for picture in wanted(cut, [2, 11, 26]).frames] == [2, 11, 26]
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(cut, [20])


@pytest.mark.parametrize(("codec", "container"), [("wmv2", "asf"), ("msmpeg4", "avi")])
def test_random_bytes_in_pictures_of_old_windows_codecs_are_found(codec: str, container: str) -> None:
    whole = numbered_video(NUM_FRAMES, codec=codec, container=container, options={"g": "12", "b": "2M"})
    assert [number_of(picture) for picture in wanted(whole, [2, 20]).frames] == [2, 20]

    def edit(data: bytes, _part: int, number: int) -> bytes:
        half = len(data) // 2
        return data[:half] + random.Random(2).randbytes(len(data) - half) if number == 12 else data

    video = joined_video([whole], container, edit)
    assert number_of(wanted(video, [2]).frames[0]) == 2
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [20])


@pytest.mark.parametrize("group", [12, 100])
def test_a_stream_of_an_old_codec_that_does_not_begin_with_a_keyframe_is_decoded_from_nothing(group: int) -> None:
    whole = numbered_video(NUM_FRAMES, codec="wmv2", container="asf", options={"g": str(group)})
    without = joined_video([whole], "asf", lambda data, _, number: data if number else b"")
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(without, [3])
    if group < NUM_FRAMES:
        assert number_of(wanted(without, [20]).frames[0]) == 21


def test_an_mpeg_4_packet_without_a_picture_is_no_keyframe() -> None:
    packet = Packet(b"\0\0\1\xb6\x16\x23")  # an I picture that is not coded: it was packed with the one before
    assert not starts_cleanly("mpeg4", packet, None)
    assert starts_cleanly("mpeg4", Packet(bytes(packet) + bytes(20)), None)


def test_an_hevc_picture_that_is_not_the_one_of_its_hash_is_damaged() -> None:
    options = {"x265-params": "keyint=12:hash=1:log-level=none"}
    whole = numbered_video(NUM_FRAMES, codec="libx265", options=options)
    assert wanted(whole, [3, 30]).damage == ""
    other_hash = joined_video([whole], "mp4", lambda data, _, number: data[:-4] + b"\1\2\3\4" if number == 1 else data)
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(other_hash, [3])
    assert number_of(wanted(other_hash, [30]).frames[0]) == 30


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_a_flipped_bit_in_a_matroska_is_found_by_the_checksum_of_its_cluster(codec: str, tmp_path: Path) -> None:
    options = {"libx264": KINDS["h264"][2], "libvpx-vp9": {"g": "12", "cpu-used": "8"}}[codec]
    video = bytearray(numbered_video(NUM_FRAMES, codec=codec, container="matroska", options=options))
    path = tmp_path / "video.mkv"
    path.write_bytes(video)
    assert wanted(path, [3, 30]).damage == ""
    video[video.index(b"\x1f\x43\xb6\x75") + 600] ^= 1
    path.write_bytes(video)
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(path, [3])


def test_a_block_of_zeros_is_damage_where_the_decoder_reads_on() -> None:
    options = {"g": "20", "b": "2000k", "deadline": "realtime", "cpu-used": "8"}
    for codec in ("libvpx", "libvpx-vp9"):
        whole = numbered_video(12, codec=codec, container="webm", options=options)
        with_zeros = joined_video(
            [whole], "webm", lambda data, _, number: data[:300] + bytes(80) + data[380:] if number == 0 else data
        )
        assert wanted(whole, [5]).damage == ""
        with pytest.raises(VideoLost, match=r"^damaged"):
            wanted(with_zeros, [5])


def test_zeros_within_a_large_vp8_picture_may_be_data() -> None:
    """Where nothing changes on a screen, hundreds of blocks in a row are what is likely, which is written as zeros."""
    for size_px, is_damaged in (((128, 64), True), ((2048, 1152), False)):
        file = io.BytesIO()
        with av.open(file, "w", format="webm") as output:
            stream = output.add_stream("libvpx", rate=25, options={"deadline": "realtime", "cpu-used": "8"})
            (stream.width, stream.height), stream.pix_fmt = size_px, "yuv420p"
            output.mux(stream.encode(av.VideoFrame(*size_px, "yuv420p")))
            output.mux(stream.encode(None))
        with open_video(file.getvalue(), DEFAULT_LIMITS) as opened:
            checks = PacketChecks(opened)
            assert checks.is_damaged(Packet(b"\xff" * 300 + bytes(80) + b"\xff" * 300)) == is_damaged
            assert checks.is_damaged(Packet(b"\xff" * 300 + bytes(500) + b"\xff" * 300))


@pytest.mark.parametrize(
    ("kind", "container"), [("h264", "mp4"), ("h264", "mpegts"), ("mpeg4", "avi"), ("mpeg2", "mpegts")]
)
def test_zeros_are_damage_within_a_picture_and_none_between_its_parts(kind: str, container: str) -> None:
    codec, _, options = KINDS[kind]
    with open_video(numbered_video(12, codec=codec, container=container, options=options), DEFAULT_LIMITS) as opened:
        checks = PacketChecks(opened)
        data = bytes(next(iter(opened.demux())))
    begin = len(data) - 100
    assert not checks.is_damaged(Packet(data))
    assert not checks.is_damaged(Packet(data + bytes(80)))
    assert not checks.is_damaged(Packet(data + bytes(300_000)))  # as Xvid fills packets; it took minutes
    if container != "mp4":
        assert not checks.is_damaged(Packet(bytes(80) + data))
    assert checks.is_damaged(Packet(data[:begin] + bytes(80) + b"\xff" + data[begin + 81 :]))


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9", "libx264", "libx265"])
def test_zeros_that_fill_up_packets_are_no_damage_and_in_the_place_of_data_they_are(codec: str) -> None:
    options = {"g": "20", "b": "2000k", "deadline": "realtime", "cpu-used": "8"} if "vpx" in codec else {"g": "20"}
    whole = numbered_video(12, codec=codec, container="matroska", options=options)

    def filled(data: bytes, _: object, __: int) -> bytes:
        return data + bytes(100) if "vpx" in codec else _with_longer_unit(data, 100)

    with_filling = joined_video([whole], "matroska", filled)
    found = wanted(with_filling, [5])
    assert found.damage == ""
    assert np.array_equal(found.frames, wanted(whole, [5]).frames)
    without_end = joined_video(
        [whole], "matroska", lambda data, _, number: data if number else data[:-200] + bytes(200)
    )
    with pytest.raises(VideoLost, match=r"^(damaged|no_frames)"):
        wanted(without_end, [5])


def _with_longer_unit(data: bytes, num_zeros: int) -> bytes:
    """Return a packet whose last NAL unit ends with zeros."""
    start = stop = 0
    while stop < len(data):
        start, stop = stop, stop + 4 + int.from_bytes(data[stop : stop + 4])
    return data[:start] + (stop - start - 4 + num_zeros).to_bytes(4) + data[start + 4 :] + bytes(num_zeros)


@pytest.mark.parametrize("lost", ["a picture", "zeros"])
def test_bytes_that_a_transport_stream_lost_damage_what_follows_until_the_next_keyframe(lost: str) -> None:
    codec, container, options = KINDS["mpeg2"]
    whole = numbered_video(NUM_FRAMES, codec=codec, container=container, options=options)
    starts = [at for at in range(0, len(whole), 188) if whole[at : at + 3] == b"\x47\x41\0"]  # of the pictures
    begin, stop = starts[15], starts[17]
    video = whole[:begin] + (b"" if lost == "a picture" else bytes(stop - begin)) + whole[stop:]
    assert [number_of(picture) for picture in wanted(video, [2, -1]).frames] == [2, NUM_FRAMES - 1]
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [19])


@pytest.mark.parametrize("container", ["mpeg", "mpegts"])
def test_pictures_before_the_first_keyframe_are_decoded_from_nothing(container: str) -> None:
    whole = numbered_video(NUM_FRAMES, codec="mpeg2video", container=container, options={"g": "12"})
    without = joined_video(
        [whole], container, lambda data, _, number: data if number else data[: data.index(b"\0\0\1\0")]
    )
    assert number_of(wanted(without, [-1]).frames[0]) == NUM_FRAMES - 1
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(without, [0])


@pytest.mark.parametrize(
    ("container", "is_exact"), [("mpegts", True), ("h264", True), ("matroska", True), ("h264", False)]
)
def test_a_stream_that_was_cut_at_a_keyframe_of_an_open_group_is_not_damaged(container: str, *, is_exact: bool) -> None:
    """Cameras say of some keyframes that pictures are only nearly as they should be from there on."""
    options = {"x264-params": "keyint=20:min-keyint=20:scenecut=0:open-gop=1:bframes=3:b-adapt=0"}
    whole, file = numbered_video(60, container=container, options=options), io.BytesIO()
    with av.open(io.BytesIO(whole), "r") as source, av.open(file, "w", format=container) as output:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        keyframe = next(number for number, packet in enumerate(packets) if number and packet.is_keyframe)
        written = output.add_stream_from_template(source.streams.video[0])
        for packet in packets[keyframe:]:
            packet.stream = written
            output.mux(packet)
    video = file.getvalue()
    assert b"\6\6\1\xc4" in video
    clip = wanted(video if is_exact else video.replace(b"\6\6\1\xc4", b"\6\6\1\x84"), list(range(4, 36)))
    numbers = [number_of(picture) for picture in clip.frames]
    assert numbers == list(range(numbers[0], numbers[0] + 32))
    assert clip.damage == ""
