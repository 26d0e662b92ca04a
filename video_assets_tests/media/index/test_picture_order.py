"""Pictures that are missing, or shown at another's turn, are found by the numbers that they carry."""

import io

import av
import pytest
from av.packet import Packet

from video_assets.domain.clips import VideoLost
from video_assets.media.index.picture_order import Av1Order, Mpeg4Order, MpegOrder
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.making import number_of, numbered_video

GROUP = b"\0\0\1\xb8" + bytes(4)


def picture(number: int, kind: str) -> bytes:
    return b"\0\0\1\0" + (number << 6 | "?IPB".index(kind) << 3).to_bytes(2) + b"\xff\xff"


def wrong_ones(*pictures: tuple[int, str]) -> list[int]:
    """Which pictures are said to miss another, in a group of pictures given in decode order."""
    order = MpegOrder()
    packets = [Packet(GROUP * (place == 0) + picture(*pair)) for place, pair in enumerate(pictures)]
    return [place for place, packet in enumerate(packets) if order.is_wrong(packet)]


def test_pictures_that_come_in_order_miss_none() -> None:
    assert wrong_ones((0, "I"), (1, "P"), (2, "P")) == []
    assert wrong_ones((2, "I"), (0, "B"), (1, "B"), (5, "P"), (3, "B"), (4, "B"), (6, "P")) == []
    assert wrong_ones((0, "I"), (0, "P"), (2, "P"), (2, "P"), (1, "B"), (1, "B"), (3, "P")) == []  # fields


def test_b_pictures_before_the_first_keyframe_may_be_left_out_all_together() -> None:
    assert wrong_ones((2, "I"), (5, "P"), (3, "B"), (4, "B"), (8, "P"), (6, "B"), (7, "B")) == []
    assert wrong_ones((2, "I"), (1, "B"), (5, "P"), (3, "B"), (4, "B")) == [1]
    assert wrong_ones((2, "I"), (0, "B"), (5, "P"), (3, "B"), (4, "B")) == [2]


def test_a_missing_picture_is_noticed_at_the_next_one_that_may_refer_to_it() -> None:
    assert wrong_ones((0, "I"), (3, "P"), (1, "B"), (2, "B"), (4, "B"), (5, "B")) == [4, 5]  # P 6 is missing
    assert wrong_ones((0, "I"), (3, "P"), (1, "B"), (2, "B"), (9, "P"), (7, "B"), (8, "B")) == [5]  # 4, 5 and 6


def test_a_missing_picture_at_the_end_of_a_group_is_noticed_at_the_next_group() -> None:
    order, group = MpegOrder(), [(0, "I"), (3, "P"), (1, "B"), (2, "B")]
    pictures = [Packet(GROUP * (pair[0] == 0) + picture(*pair)) for pair in group * 2]
    assert [order.is_wrong(packet) for packet in pictures] == [False] * 8
    order = MpegOrder()
    assert [order.is_wrong(packet) for packet in pictures[:3] + pictures[4:]] == [False] * 3 + [True] + [False] * 3


def test_a_group_whose_header_is_lost_is_noticed() -> None:
    assert wrong_ones((0, "I"), (1, "P"), (2, "P"), (1, "P"), (2, "P")) == [3, 4]


def test_a_group_may_be_longer_than_its_numbers() -> None:
    assert wrong_ones(*[(number % 1024, "I" if number == 0 else "P") for number in range(1100)]) == []


@pytest.mark.parametrize(("structure", "rows"), [(3, "12345"), (3, "123456"), (3, "1223345"), (1, "123"), (2, "123")])
def test_the_slices_of_an_mpeg_2_picture_cover_its_rows(structure: int, rows: str) -> None:
    sequence = b"\0\0\1\xb3" + (128 << 12 | 80).to_bytes(3) + b"\x13\xff"
    head = sequence + GROUP + picture(0, "I") + b"\0\0\1\xb5\x8f\xff" + bytes([0xF0 | structure, 0x80])

    def is_wrong(rows: str) -> bool:
        return MpegOrder().is_wrong(Packet(head + b"".join(b"\0\0\1" + bytes([int(row)]) + b"\x7f" for row in rows)))

    assert not is_wrong(rows)
    assert (
        is_wrong(rows[1:]) and is_wrong(rows[:2]) and is_wrong(rows[:1] + rows[2:].lstrip("2")) and is_wrong(rows + "1")
    )


def test_a_missing_mpeg_4_picture_is_noticed_at_the_b_pictures_before_it() -> None:
    video = numbered_video(60, codec="mpeg4", container="avi", options={"g": "15", "bf": "2"})
    with av.open(io.BytesIO(video), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        extradata = container.streams.video[0].codec_context.extradata
    kinds = {number: packet[packet.find(b"\0\0\1\xb6") + 4] >> 6 for number, packet in enumerate(map(bytes, packets))}

    def wrong_kinds(without: int) -> list[int]:
        order = Mpeg4Order(extradata)
        return [kinds[n] for n, packet in enumerate(packets) if n != without and order.is_wrong(packet)]

    assert wrong_kinds(-1) == []
    lost = [number for number, kind in kinds.items() if number and kind != 2 and kinds.get(number + 2) == 2]
    assert {kinds[number] for number in lost} == {0, 1}
    assert all(set(wrong_kinds(number)) == {2} for number in lost)


def test_an_av1_packet_that_shows_another_frame_than_the_next_one_is_wrong() -> None:
    video = bytearray(numbered_video(40, codec="libsvtav1", options={"preset": "12", "g": "40"}))
    with av.open(io.BytesIO(video), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    order = Av1Order()
    assert not any(order.is_wrong(packet) for packet in packets)
    chosen, place = next((number, packet.pos) for number, packet in enumerate(packets) if packet.size == 3)
    assert number_of(wanted(bytes(video), [chosen]).frames[0]) == chosen
    video[(place or 0) + 2] ^= 0x10  # one of the bits that say which earlier frame is shown
    assert number_of(wanted(bytes(video), [0]).frames[0]) == 0
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(bytes(video), [chosen])
