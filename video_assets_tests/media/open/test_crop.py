"""What a container takes off the edges of the picture, and its turn by any angle, are applied as ffmpeg does."""

import math
import struct

import numpy as np
import pytest

from video_assets.domain.geometry import Crop, FrameSize, Size
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.probe import probe_video
from video_assets_tests.media.making import numbered_video

CROP = Crop(left_px=32, top_px=8, right_px=16, bottom_px=24)  # of 128x64: 80x32 are left
WHOLE, SEEN = FrameSize("short_side", 64), FrameSize("short_side", 32)


def with_clean_aperture(mp4: bytes, crop: Crop) -> bytes:
    """Add the box `clap` to the sample entry of an mp4 whose index comes last."""
    seen = crop.of(Size(128, 64))
    right, down = crop.left_px - crop.right_px, crop.top_px - crop.bottom_px  # of the centres, in half pixels
    numbers = (seen.width_px, 1, seen.height_px, 1, right, 2, down, 2)
    box = struct.pack(">I4sIIIIiIiI", 40, b"clap", *numbers)
    entry = mp4.index(b"avc1", mp4.index(b"stsd")) - 4
    data = bytearray(mp4)
    (entry_bytes,) = struct.unpack_from(">I", data, entry)
    data[entry + entry_bytes : entry + entry_bytes] = box
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        place = data.index(kind, entry if kind == b"avc1" else data.index(b"moov")) - 4
        struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + len(box))
    return bytes(data)


def with_pixel_crop(mkv: bytes, crop: Crop) -> bytes:
    """Put PixelCrop elements into the first track of a Matroska; elements around them grow."""
    sides = ((0x54CC, crop.left_px), (0x54BB, crop.top_px), (0x54DD, crop.right_px), (0x54AA, crop.bottom_px))
    elements = b"".join(struct.pack(">HBB", kind, 0x81, value) for kind, value in sides)
    data, start = bytearray(mkv), 0
    for wanted in (b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae", b"\xe0"):
        while bytes(data[start : start + len(wanted)]) != wanted:  # the next element of the same level
            size_at = start + 9 - data[start].bit_length()
            length = 9 - data[size_at].bit_length()
            start = size_at + length + (int.from_bytes(data[size_at : size_at + length]) & ((1 << 7 * length) - 1))
        size_at = start + len(wanted)
        length = 9 - data[size_at].bit_length()
        size = int.from_bytes(data[size_at : size_at + length]) + len(elements)
        data[size_at : size_at + length] = size.to_bytes(length)
        start = size_at + length
    data[start:start] = elements
    return bytes(data)


def cropped_videos() -> dict[str, bytes]:
    return {
        "clap": with_clean_aperture(numbered_video(8, options={"crf": "5"}), CROP),
        "PixelCrop": with_pixel_crop(numbered_video(8, container="matroska", options={"crf": "5"}), CROP),
    }


@pytest.mark.parametrize("kind", ["clap", "PixelCrop"])
def test_the_crop_of_the_container_is_applied(kind: str) -> None:
    video = cropped_videos()[kind]
    facts = probe_video(video)
    assert (facts.width_px, facts.height_px) == (128, 64)
    assert (facts.display_width_px, facts.display_height_px) == (80, 32)

    def frame(size: FrameSize) -> np.ndarray:
        return decode_clip(video, lambda _: [120_000], size).frames[0].astype(int)

    whole = frame(FrameSize("short_side", 64, encoder_version=1))
    assert whole.shape == (64, 128, 3), "datasets of version 1 go on as they were"
    cropped = frame(SEEN)
    assert cropped.shape == (32, 80, 3)
    assert np.abs(cropped - whole[8:40, 32:112]).mean() < 4


def test_a_crop_that_leaves_nothing_is_not_applied() -> None:
    for crop in (Crop(100, 0, 100, 0), Crop(0, 0, 0, 0)):
        assert not crop.fits(Size(128, 64))


def test_a_broken_box_of_the_crop_is_no_crop() -> None:
    video = with_clean_aperture(numbered_video(4), CROP)
    start = video.index(b"clap") + 4
    broken = video[:start] + bytes(32) + video[start + 32 :]  # denominators of zero
    assert probe_video(broken).display_width_px == 128


def turned(mp4: bytes, degrees: float) -> bytes:
    """Write a display matrix into the header of the track of an mp4."""
    cosine, sine = (round(f(math.radians(degrees)) * 65536) for f in (math.cos, math.sin))
    place = mp4.index(b"tkhd") + 4 + 40
    return mp4[:place] + struct.pack(">9i", cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 30) + mp4[place + 36 :]


@pytest.mark.parametrize(("degrees", "expected"), [(0, 0), (30, 30), (200, 200), (89.6, 90), (271, 270)])
def test_a_video_is_turned_by_what_its_header_says(degrees: float, expected: int) -> None:
    video = turned(numbered_video(4), degrees)
    facts = probe_video(video)
    assert facts.rotation_degrees == expected
    is_on_its_side = expected in (90, 270)
    assert (facts.display_width_px, facts.display_height_px) == ((64, 128) if is_on_its_side else (128, 64))
    frame = decode_clip(video, lambda _: [0], WHOLE).frames[0]
    has_cut_corners = bool((frame[0, 0] < 8).all() and (frame[-1, -1] < 8).all())
    assert has_cut_corners == (expected % 90 != 0)
    assert probe_video(video, encoder_version=1).rotation_degrees % 90 == 0
