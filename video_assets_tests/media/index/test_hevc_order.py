"""HEVC pictures that are missing are found by the reference picture sets of others, and in bare streams by numbers."""

import io
from itertools import count

import av
import pytest
from av.packet import Packet

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.index.display_numbers import DisplayNumbers
from video_assets.media.index.hevc_order import HevcOrder, begins_rows_anew
from video_assets.media.probe import probe_video
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.joining import joined_video
from video_assets_tests.media.making import number_of, numbered_video

GROUPS = "crf=8:keyint=12:min-keyint=12:scenecut=0:log-level=none"
START = b"\0\0\0\1"


def encoded(options: str, container: str = "hevc", num_frames: int = 40) -> bytes:
    options = f"{GROUPS}:{options}"
    return numbered_video(
        num_frames, codec="libx265", container=container, options={"preset": "ultrafast", "x265-params": options}
    )


def packets_of(video: bytes) -> tuple[list[Packet], bytes | None]:
    with av.open(io.BytesIO(video), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        return packets, container.streams.video[0].codec_context.extradata


def kind_of(packet: Packet) -> int:
    """The kind of a picture: those below 16 and even are no one's reference."""
    units = [unit for unit in bytes(packet).split(START[1:])[1:] if unit and unit[0] >> 1 & 63 < 32]
    return units[0][0] >> 1 & 63


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        *("bframes=0", "bframes=4:b-adapt=0", "bframes=4:b-adapt=0:open-gop=0", "open-gop=0:radl=2:bframes=4"),
        *("bframes=4:ref=4:weightp=1", "slices=2:ctu=16", "temporal-layers=1:bframes=3", "intra-refresh=1"),
        *("scaling-list=default", "opt-qp-pps=1:opt-ref-list-length-pps=1", "field=1"),
    ],
)
def test_sound_streams_miss_nothing(options: str) -> None:
    for container in ("hevc", "mp4"):
        packets, extradata = packets_of(encoded(options, container))
        numbers = DisplayNumbers()
        order = HevcOrder(extradata, numbers)
        assert not any(order.is_wrong(packet) for packet in packets)
        assert numbers.num_missing() == 0
        keyframe = next((n for n, packet in enumerate(packets) if n and packet.is_keyframe), 1)
        order = HevcOrder(extradata, numbers := DisplayNumbers())
        assert not any(order.is_wrong(packet) for packet in packets[keyframe:])  # pictures before it are not there
        assert numbers.num_missing() == 0


def test_every_missing_picture_of_a_bare_stream_is_noticed() -> None:
    packets, extradata = packets_of(encoded("bframes=4:b-adapt=0"))
    for lost in range(1, len(packets) - 5):
        order = HevcOrder(extradata, numbers := DisplayNumbers())
        wrong = [order.is_wrong(packet) for number, packet in enumerate(packets) if number != lost]
        is_before_keyframe = packets[lost - 1].is_keyframe  # editors leave these out
        assert numbers.num_missing() >= (0 if is_before_keyframe else 1), lost
        if kind_of(packets[lost]) % 2 and not packets[lost].is_keyframe:
            assert any(wrong), lost


def test_a_picture_that_came_twice_and_units_that_nothing_writes_are_noticed() -> None:
    packets, extradata = packets_of(encoded("bframes=0"))
    order = HevcOrder(extradata)
    assert [order.is_wrong(packet) for packet in [*packets[:6], packets[5]]] == [False] * 6 + [True]
    garbage = Packet(bytes(packets[6]) + START + bytes([58 << 1, 1]) + b"garbage")
    assert HevcOrder(extradata, DisplayNumbers()).is_wrong(garbage)
    assert not HevcOrder(extradata).is_wrong(garbage)


def test_a_bare_stream_with_a_missing_picture_says_so() -> None:
    whole = encoded("bframes=4:b-adapt=0")
    packets, _ = packets_of(whole)
    lost = next(n for n, packet in enumerate(packets) if n > 20 and kind_of(packet) == 0)
    assert probe_video(whole).gap_us == 0
    rest = b"".join(bytes(packet) for n, packet in enumerate(packets) if n != lost)
    assert probe_video(rest).gap_us == 40_000
    cut = next(n for n, packet in enumerate(packets) if n > 20 and kind_of(packet) == 1)
    assert probe_video(b"".join(map(bytes, packets[: cut + 1]))).gap_us > 0  # pictures before the last one would follow


def test_frames_after_a_lost_reference_are_damaged_up_to_the_next_keyframe() -> None:
    numbers = count()
    whole = encoded("bframes=0", "mp4")
    video = joined_video([whole], "mp4", lambda data, _, number: b"" if next(numbers) == 15 else data)
    stored = wanted(video, [3, 14, -1])  # those between did not come out
    assert [number_of(frame) for frame in stored.frames] == [3, 14, 39]
    with pytest.raises(VideoLost, match=r"^damaged"):
        decode_clip(video, lambda _timeline: [18 * 40_000], FrameSize("stretch", 64))


def test_a_picture_parameter_set_says_whether_rows_begin_anew() -> None:
    for options, expected in (("wpp=1:pools=1", True), ("wpp=0", False)):
        (first, *_), _ = packets_of(encoded(options))
        said = [begins_rows_anew(unit) for unit in bytes(first).split(START[1:])]
        assert [one for one in said if one is not None] == [expected]


def test_what_cannot_be_read_is_left_to_the_decoder() -> None:
    packets, extradata = packets_of(encoded("bframes=0"))
    for data in (START + b"\x02\x01", START + b"\x02\x01\xff", bytes(packets[3])[:7]):
        order = HevcOrder(extradata)
        assert not order.is_wrong(packets[0]) and not order.is_wrong(Packet(data))
    assert not HevcOrder(b"").is_wrong(packets[1])
    assert not HevcOrder((extradata or b"")[:-9]).is_wrong(packets[1])
