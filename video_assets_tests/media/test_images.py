"""JPEG and PNG have the right colours, simple formats and the same bytes every time; nothing is encoded twice."""

import struct
from typing import Any
from unittest import mock

import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.media import images
from video_assets.media.images import ImageCache, decode_image, encode_image, encode_images


def smooth_frame(height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """Draw a frame whose red grows to the right and green downwards; blue is constant."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 200)], axis=2).astype(np.uint8)


def jpeg_segments(image: bytes) -> dict[int, bytes]:
    """Return the payload of each marker before the scan."""
    segments, offset = {}, 2
    while image[offset + 1] != 0xDA:
        length = struct.unpack(">H", image[offset + 2 : offset + 4])[0]
        segments[image[offset + 1]] = image[offset + 4 : offset + 2 + length]
        offset += 2 + length
    return segments


def test_png_gives_back_the_very_frame() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (31, 17, 3), dtype=np.uint8)
    assert np.array_equal(decode_image(encode_image(frame, "png", 95)), frame)


def test_jpeg_gives_back_the_colours_in_rgb_order() -> None:
    frame = smooth_frame()
    decoded = decode_image(encode_image(frame, "jpeg", 95))
    assert decoded.shape == frame.shape and decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - frame).max() <= 8


def test_jpeg_is_baseline_with_420_chroma_and_without_restarts() -> None:
    segments = jpeg_segments(encode_image(smooth_frame(), "jpeg", 90))
    assert 0xC0 in segments and 0xC2 not in segments and 0xDD not in segments
    components = segments[0xC0][6:]
    assert [components[i] for i in (1, 4, 7)] == [0x22, 0x11, 0x11]


def test_quality_decides_the_size() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert len(encode_image(frame, "jpeg", 60)) < len(encode_image(frame, "jpeg", 95)) < frame.size


def test_the_same_frame_gives_the_same_bytes_whatever_its_memory_layout() -> None:
    wide = np.random.default_rng(1).integers(0, 256, (40, 80, 3), dtype=np.uint8)
    view = wide[:, ::2]
    for image_format in ("jpeg", "png"):
        assert encode_image(view, image_format, 95) == encode_image(view.copy(), image_format, 95)


def test_repeated_frames_are_encoded_once_and_stay_in_their_places() -> None:
    a, b = smooth_frame(), smooth_frame()[::-1].copy()
    with mock.patch.object(images, "encode_image", wraps=encode_image) as encode:
        encoded = encode_images(np.stack([a, a, b, b, b, a]), "jpeg", 95)
    assert encode.call_count == 3
    one, other = encode_image(a, "jpeg", 95), encode_image(b, "jpeg", 95)
    assert encoded == [one, one, other, other, other, one]


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (np.zeros((4, 4, 3), np.float32), r"\(4, 4, 3\) float32"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\) uint8"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\) uint8"),
    ],
)
def test_what_is_not_a_frame_is_refused_with_its_shape(frame: NDArray[np.uint8], found: str) -> None:
    with pytest.raises(ValueError, match=rf"a frame is \(H, W, 3\) uint8, this one is {found}"):
        encode_image(frame, "jpeg", 95)


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(ValueError, match=f"jpeg_quality is {quality}; it must be from 1 to 100"):
        encode_image(smooth_frame(), "jpeg", quality)


@pytest.mark.parametrize("image", [b"", b"not an image", b"\xff\xd8\xff\xe0 cut short"])
def test_what_is_not_an_image_is_refused_with_its_first_bytes(image: bytes) -> None:
    with pytest.raises(ValueError, match=f"{len(image)} bytes beginning with b'"):
        decode_image(image)


def test_frames_that_several_clips_show_are_encoded_once_and_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = np.random.default_rng(3).integers(0, 256, (6, 32, 48, 3), np.uint8)
    encoded: list[bytes] = []

    def counted(frame: Any, image_format: Any, jpeg_quality: int) -> bytes:
        encoded.append(encode_image(frame, image_format, jpeg_quality))
        return encoded[-1]

    monkeypatch.setattr(images, "encode_image", counted)
    known = ImageCache("jpeg", 90)
    first = known.encode(frames[:4], [0, 40, 80, 120])
    second = known.encode(frames[2:], [80, 120, 160, 200])
    other = known.encode(frames[:1], [200])  # of a video in which two frames bear one time
    assert len(encoded) == 7
    assert first + second[2:] == [encode_image(frame, "jpeg", 90) for frame in frames]
    assert second[:2] == first[2:]
    assert other == first[:1]
