"""H.264 pictures that are missing are found by the numbers of reference pictures."""

import io
from itertools import count

import av
import pytest
from av.packet import Packet

from video_assets.domain.clips import VideoLost
from video_assets.media.index.h264_order import H264Order
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.joining import joined_video
from video_assets_tests.media.making import number_of, numbered_video

START = b"\0\0\0\1"


def ue(value: int) -> str:
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def unit(head: int, *fields: str) -> bytes:
    bits = "".join(fields) + "1"
    return START + bytes([head]) + int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes((len(bits) + 7) // 8)


def parameters(*, may_have_gaps: bool = False, has_fields: bool = False) -> bytes:
    """An SPS of the main profile whose numbers have 4 bits, pictures in the order of decoding, and a PPS."""
    sequence = [f"{77:08b}", f"{30:016b}", ue(0), ue(0), ue(2), ue(4), f"{may_have_gaps:b}", ue(7), ue(3)]
    picture = [ue(0), ue(0), "0", "0", ue(0), ue(0), ue(0), "0", "00", ue(0), ue(0), ue(0), "000"]
    return unit(0x67, *sequence, f"{not has_fields:b}", "0" * has_fields, "100") + unit(0x68, *picture)


def picture(number: int, kind: str, operations: str = "0", field: str = "") -> bytes:
    """A slice header of an IDR ("K"), a P or an unreferenced B picture; `operations` are those of its references."""
    head, slice_type = {"K": (0x65, 7), "P": (0x61, 5), "B": (0x01, 6)}[kind]
    rest = {"K": ue(0) + "00", "P": "00" + operations, "B": "10" + "00"}[kind]
    return unit(head, ue(0), ue(slice_type), ue(0), f"{number:04b}", field, rest)


def wrong_ones(pictures: list[bytes], sets: bytes = parameters()) -> list[int]:
    order = H264Order(sets)
    return [place for place, data in enumerate(pictures) if order.is_wrong(Packet(data))]


def test_pictures_that_come_in_order_miss_none() -> None:
    numbers = [picture(number % 16, "P") for number in range(1, 40)]
    assert wrong_ones([picture(0, "K"), *numbers, picture(0, "K"), picture(1, "P")]) == []
    group = [picture(0, "K"), picture(1, "P"), picture(2, "B"), picture(2, "B"), picture(2, "P"), picture(3, "B")]
    assert wrong_ones(group) == []


def test_a_missing_reference_picture_is_noticed_once_at_the_next_picture() -> None:
    group = [picture(0, "K"), picture(1, "P"), picture(2, "P"), picture(3, "B"), picture(3, "P"), picture(4, "P")]
    assert wrong_ones([*group[:2], *group[3:]]) == [2]
    assert wrong_ones(group[:3] + group[5:]) == [3]
    assert wrong_ones([*group[:3], *group[4:]]) == []  # nothing refers to the B picture
    assert wrong_ones(group * 2) == []
    keyframe_is_lost = [picture(0, "K"), *(picture(number, "P") for number in (1, 2, 3)), picture(1, "P")]
    assert wrong_ones(keyframe_is_lost) == [4]


def test_fields_of_one_picture_have_the_same_number() -> None:
    fields = [picture(number, "P", field=f"1{bottom}") for number in (4, 5, 6, 8) for bottom in "01"]
    assert wrong_ones(fields, parameters(has_fields=True)) == [6]


def test_as_many_missing_pictures_as_there_are_numbers_are_noticed() -> None:
    group = [picture(0, "K"), *(picture(number % 16, "P") for number in range(1, 18))]
    assert wrong_ones([*group, picture(1, "P"), picture(2, "P")]) == [18]  # an IDR picture is missing: 17 is 1 as well
    assert wrong_ones([*group[:-1], picture(1, "B"), picture(1, "P")]) == []


def test_numbers_may_be_left_out_where_the_parameters_say_so() -> None:
    layers = [picture(0, "K"), picture(2, "P"), picture(4, "P")]
    assert wrong_ones(layers, parameters(may_have_gaps=True)) == []
    assert wrong_ones(layers) == [1, 2]


def test_a_picture_may_say_that_the_next_one_is_counted_anew() -> None:
    marks_all_unused = "1" + ue(1) + ue(0) + ue(5) + ue(0)
    before = [picture(0, "K"), picture(1, "P"), picture(2, "P")]
    assert wrong_ones([*before, picture(3, "P", marks_all_unused), picture(1, "P"), picture(2, "P")]) == []
    assert wrong_ones([*before, picture(3, "P", "1" + ue(1) + ue(0) + ue(0)), picture(1, "P")]) == [4]


def test_a_parameter_set_that_has_swallowed_a_picture_is_damage() -> None:
    swallowed = picture(0, "K") + parameters() + bytes(range(1, 200)) * 6
    assert wrong_ones([picture(0, "K"), parameters() + bytes(range(1, 200)) * 6, picture(1, "P")])[0] == 1
    assert wrong_ones([swallowed, picture(1, "P")]) == []  # what follows a picture is another one's
    assert wrong_ones([parameters() + bytes(2000) + picture(0, "K"), picture(1, "P")]) == []


def test_what_cannot_be_read_is_left_to_the_decoder() -> None:
    assert wrong_ones([picture(0, "K"), START + b"\x61\x01", picture(9, "P"), b"", START, b"\0"]) == []
    assert wrong_ones([picture(0, "K"), picture(9, "P")], b"") == []
    assert wrong_ones([picture(0, "K"), picture(9, "P")], parameters()[:-2]) == []


@pytest.mark.parametrize(
    "options", ["bframes=3:b-pyramid=normal:weightp=2", "interlaced=1:ref=4", "bframes=2:open-gop=1"]
)
def test_encoders_count_on_from_reference_to_reference(options: str) -> None:
    video = numbered_video(40, options={"x264-params": f"keyint=10:{options}"})
    with av.open(io.BytesIO(video), "r") as container:
        order = H264Order(container.streams.video[0].codec_context.extradata)
        assert not any(order.is_wrong(packet) for packet in container.demux(video=0) if packet.size)


@pytest.mark.parametrize("container", ["flv", "matroska"])
def test_frames_after_a_lost_picture_are_damaged_up_to_the_next_keyframe(container: str) -> None:
    whole = numbered_video(40, container=container, options={"x264-params": "keyint=12:scenecut=0:bframes=0"})
    numbers = count()
    video = joined_video([whole], container, lambda data, _, number: b"" if next(numbers) == 15 else data)
    stored = wanted(video, [3, 14, 24])  # one fewer, so that the keyframe 24 is shown as the 23rd
    assert [number_of(frame) for frame in stored.frames] == [3, 14, 25]
    with pytest.raises(VideoLost, match=r"^damaged"):
        wanted(video, [18])
