"""VP8 pictures between keyframes whose data are not read to their end are found by a decode of each by itself."""

import io

import av
import pytest
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from video_assets.domain.clips import VideoLost
from video_assets.media.decode.planes import copy_planes
from video_assets.media.decode.vp8_pictures import Vp8PictureCheck, grey_picture, last_part_bytes
from video_assets_tests.media.decode.test_damage import wanted
from video_assets_tests.media.joining import joined_video
from video_assets_tests.media.making import number_of, numbered_picture, numbered_video

NUM_FRAMES = 40
RATE = {"g": "20", "b": "2M", "deadline": "realtime", "cpu-used": "8"}


def made(options: dict[str, str] = RATE, damaged: int = -1) -> bytes:
    """A video of which one picture's data are zeros for a while: these are read as what is likely, and so less is."""
    whole = numbered_video(NUM_FRAMES, codec="libvpx", container="webm", options=options)

    def edit(data: bytes, _part: int, number: int) -> bytes:
        begin = int.from_bytes(data[:3], "little") // 32 + 30
        return data[:begin] + bytes(60) + data[begin + 60 :] if number == damaged else data

    return joined_video([whole], "webm", edit)


def wrong_ones(video: bytes) -> set[int]:
    decoder = CodecContext.create("vp8", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1  # shows each picture at once
    check = Vp8PictureCheck(decoder)
    with av.open(io.BytesIO(video), "r") as container:
        for number, packet in enumerate(packet for packet in container.demux(video=0) if packet.size):
            check.add_packet(number, packet)
    return check.take_damaged()


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        *(RATE, RATE | {"auto-alt-ref": "1", "lag-in-frames": "12", "deadline": "good"}, RATE | {"slices": "4"}),
        *(RATE | {"error-resilient": "default"}, RATE | {"error-resilient": "partitions"}, RATE | {"b": "40k"}),
        *(RATE | {"vprofile": "3"}, RATE | {"crf": "4", "b": "8M"}, RATE | {"static-thresh": "1000"}),
    ],
)
def test_sound_pictures_are_read_to_their_end(options: dict[str, str]) -> None:
    assert wrong_ones(numbered_video(NUM_FRAMES, codec="libvpx", container="webm", options=options)) == set()
    clip = wanted(made(options), [3, 17, 39])
    assert [number_of(picture) for picture in clip.frames] == [3, 17, 39] and clip.note == ""


def test_a_sound_picture_whose_data_end_with_zeros_is_not_called_damaged() -> None:
    whole = numbered_video(NUM_FRAMES, codec="libvpx", container="webm", options=RATE)
    height, width, _ = numbered_picture(0).shape
    grey = grey_picture(width, height, 0)
    video = joined_video([whole], "webm", lambda data, _part, number: grey if number == 30 else data)
    stored = wanted(video, [3, 30])
    assert number_of(stored.frames[0]) == 3 and abs(stored.frames[1].mean() - 128) < 3
    assert stored.damage == ""


def test_the_last_part_of_a_picture_follows_the_sizes_of_the_others() -> None:
    for sizes in ((90,), (20, 40), (6, 7, 8, 50), (1, 2, 3, 4, 5, 6, 7, 33)):
        parts = b"".join(size.to_bytes(3, "little") for size in sizes[:-1]) + b"\xd7" * sum(sizes)
        assert last_part_bytes(parts) == sizes[-1]
    assert last_part_bytes(b"") == 0


def test_a_picture_that_is_not_read_to_its_end_is_found() -> None:
    for damaged in (1, 5, 12):
        video = made(damaged=damaged)
        assert wrong_ones(video) == {damaged}
        with pytest.raises(VideoLost, match=r"^damaged"):
            wanted(video, [18])
        assert number_of(wanted(video, [25]).frames[0]) == 25


def test_a_grey_picture_replaces_all_references_and_no_probability() -> None:
    whole = numbered_video(8, codec="libvpx", container="webm", options=RATE)
    with av.open(io.BytesIO(whole), "r") as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    grey = grey_picture(128, 64, version=0)

    def planes(*data: bytes) -> list[bytes]:
        decoder = CodecContext.create("vp8", "r")
        assert isinstance(decoder, VideoCodecContext)
        decoder.thread_count = 1
        return [plane.tobytes() for plane in [copy_planes(decoder.decode(av.Packet(part))[0]) for part in data][-1]]

    assert len(set(planes(packets[0], grey)[0])) < 8
    assert planes(*packets[:4], grey) == planes(packets[0], grey)
    # What follows is decoded by the same probabilities, from other references.
    assert planes(*packets[:3], grey, packets[3]) == planes(*packets[:3], grey, packets[3], grey, packets[3])
    assert planes(*packets[:3], grey, packets[3]) != planes(*packets[:4])
