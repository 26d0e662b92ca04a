"""Colours, sizes and orientation of stored frames."""

import gc
import io
import itertools
import struct

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from video_assets.domain.clips import VideoLost
from video_assets.domain.geometry import FrameSize, Orientation
from video_assets.media.decode.convert import FrameConverter, turn
from video_assets.media.images import LONGEST_SIDE_PX, decode_image, encode_image
from video_assets.media.probe import probe_video
from video_assets.settings import DEFAULT_LIMITS
from video_assets_tests.media.making import decode_frames, number_of, numbered_video

MATRICES = {2: (0.299, 0.114), 1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
LIMITED, FULL = 1, 2
SMALL = FrameSize("stretch", 48)
COLOURS = [(200, 30, 60), (20, 180, 90), (40, 60, 220), (128, 128, 128), (10, 10, 10), (240, 240, 240)]


def as_yuv(rgb: tuple[int, int, int], matrix: int, colour_range: int, bits: int) -> tuple[int, int, int]:
    """Return Y'CbCr of 8-bit R'G'B' by the formula of the standard."""
    kr, kb = MATRICES[matrix]
    red, green, blue = rgb
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    if colour_range == LIMITED:
        luma, cb, cr = 16 + luma * 219 / 255, cb * 224 / 255, cr * 224 / 255
    scale = 1 << (bits - 8)
    return round(luma * scale), round((cb + 128) * scale), round((cr + 128) * scale)


def flat_frame(yuv: tuple[int, int, int], pix_fmt: str, width_px: int = 96, height_px: int = 64) -> VideoFrame:
    frame = VideoFrame(width_px, height_px, pix_fmt)
    dtype = np.uint16 if "10" in pix_fmt else np.uint8
    for plane, value in zip(frame.planes, yuv, strict=True):
        plane.update(np.full(plane.buffer_size // np.dtype(dtype).itemsize, value, dtype=dtype).tobytes())
    return frame


def converted(frame: VideoFrame, size: FrameSize = SMALL) -> NDArray[np.uint8]:
    return FrameConverter(size, None, DEFAULT_LIMITS).convert(frame)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"])
@pytest.mark.parametrize(("matrix", "colour_range"), list(itertools.product(MATRICES, (LIMITED, FULL))))
def test_colours_follow_the_files_matrix_and_range(pix_fmt: str, matrix: int, colour_range: int) -> None:
    for rgb in COLOURS:
        frame = flat_frame(as_yuv(rgb, matrix, colour_range, 10 if "10" in pix_fmt else 8), pix_fmt)
        frame.colorspace, frame.color_range = matrix, colour_range
        difference = np.abs(converted(frame).astype(int) - rgb)
        assert difference.max() <= 2, f"{rgb} came out as {converted(frame)[0, 0]}"


def test_an_unnamed_range_is_limited_and_the_old_j_formats_are_full() -> None:
    rgb = (200, 30, 60)
    assert np.abs(converted(flat_frame(as_yuv(rgb, 2, LIMITED, 8), "yuv420p")).astype(int) - rgb).max() <= 2
    assert np.abs(converted(flat_frame(as_yuv(rgb, 2, FULL, 8), "yuvj420p")).astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("matrix", [3, 8, 10, 14, 200])
def test_a_matrix_that_the_scaler_does_not_know_is_no_error(matrix: int) -> None:
    frame = flat_frame((128, 128, 128), "yuv420p")
    frame.colorspace = matrix
    assert converted(frame).shape == (48, 48, 3)


@pytest.mark.parametrize(
    "pix_fmt", ["gbrp", "rgb24", "bgra", "gray", "gray10le", "nv12", "yuyv422", "rgb555le", "p010le"]
)
def test_other_pixel_formats_come_out_as_rgb(pix_fmt: str) -> None:
    frame = VideoFrame.from_ndarray(np.full((64, 96, 3), 120, dtype=np.uint8), format="rgb24").reformat(format=pix_fmt)
    assert np.abs(converted(frame).astype(int) - 120).max() <= 5


def test_transparency_is_dropped_and_shows_the_colours_that_the_decoder_put_there() -> None:
    picture = np.full((64, 96, 4), 255, dtype=np.uint8)  # as FFmpeg's GIF decoder does: white
    picture[:, 48:, 3] = 0
    frame = converted(VideoFrame.from_ndarray(picture, format="rgba"))
    assert (frame == 255).all()


def test_shrinking_averages_instead_of_picking() -> None:
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    frame = converted(VideoFrame.from_ndarray(stripes, format="rgb24"), FrameSize("stretch", 64))
    assert np.abs(frame.astype(int) - 127).max() <= 2


def test_an_area_average_is_what_numpy_says() -> None:
    chance = np.random.default_rng(3)
    picture = chance.integers(0, 256, (256, 512, 3), dtype=np.uint8)
    frame = converted(VideoFrame.from_ndarray(picture, format="rgb24"), FrameSize("stretch", 64))
    exact = picture.reshape(64, 4, 64, 8, 3).mean(axis=(1, 3))
    assert np.abs(frame - exact).max() <= 1.01


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (FrameSize("stretch", 40), (40, 40, 3)),
        (FrameSize("short_side", 40), (40, 60, 3)),
        (FrameSize("center_crop", 40), (40, 40, 3)),
        (FrameSize("letterbox", 40), (40, 40, 3)),
    ],
)
def test_the_ways_of_resizing_give_their_shapes(size: FrameSize, shape: tuple[int, int, int]) -> None:
    assert converted(flat_frame((128, 128, 128), "yuv420p"), size).shape == shape


def test_letterbox_leaves_black_bars_and_center_crop_cuts_the_sides() -> None:
    picture = np.zeros((64, 96, 3), dtype=np.uint8)
    picture[:] = (200, 0, 0)
    picture[:, 16:80] = (0, 200, 0)
    letter = converted(VideoFrame.from_ndarray(picture, format="rgb24"), FrameSize("letterbox", 48))
    assert (letter[:8] == 0).all()
    assert (letter[-8:] == 0).all()
    assert letter[24, 24].tolist() == [0, 200, 0]
    assert letter[24, 2].tolist() == [200, 0, 0]
    crop = converted(VideoFrame.from_ndarray(picture, format="rgb24"), FrameSize("center_crop", 64))
    assert (crop == [0, 200, 0]).all()


def test_turning_and_mirroring_put_the_corners_where_they_belong() -> None:
    corners = np.array([[[1], [2]], [[3], [4]]], dtype=np.uint8)
    assert turn(corners, Orientation(0)).ravel().tolist() == [1, 2, 3, 4]
    assert turn(corners, Orientation(90)).ravel().tolist() == [3, 1, 4, 2]
    assert turn(corners, Orientation(180)).ravel().tolist() == [4, 3, 2, 1]
    assert turn(corners, Orientation(270)).ravel().tolist() == [2, 4, 1, 3]
    assert turn(corners, Orientation(0, is_mirrored=True)).ravel().tolist() == [2, 1, 4, 3]
    assert turn(corners, Orientation(90, is_mirrored=True)).ravel().tolist() == [4, 2, 3, 1]


def with_exif_orientation(video: bytes, orientation: int) -> bytes:
    """Put an EXIF segment with an orientation into each picture of a motion JPEG video."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    file = io.BytesIO()
    with av.open(io.BytesIO(video), "r") as source, av.open(file, "w", format="avi") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                data = bytes(packet)
                changed = Packet(data[:2] + segment + data[2:])
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.stream, changed.is_keyframe = stream, True
                output.mux(changed)
    return file.getvalue()


@pytest.mark.parametrize(
    ("exif", "orientation"),
    [
        (1, Orientation(0)),
        (2, Orientation(0, is_mirrored=True)),
        (3, Orientation(180)),
        (5, Orientation(270, is_mirrored=True)),
        (6, Orientation(90)),
        (8, Orientation(270)),
    ],
)
def test_pictures_with_side_data_that_pyav_has_no_name_for_are_turned_as_exif_says(
    exif: int, orientation: Orientation
) -> None:
    plain = numbered_video(4, codec="mjpeg", container="avi", pix_fmt="yuvj420p")
    video = with_exif_orientation(plain, exif)
    facts = probe_video(video)
    assert (facts.rotation_degrees, facts.is_mirrored) == (orientation.turn_degrees, orientation.is_mirrored)
    size = FrameSize("short_side", 64)
    picture, upright = (decode_frames(one, [80_000], size).frames[0] for one in (video, plain))
    assert number_of(upright) == 2
    assert np.abs(picture.astype(int) - turn(upright, orientation)).max() <= 1


@pytest.mark.slow
def test_converted_frames_are_freed_at_once() -> None:
    """Megabytes of frames may not wait for Python's garbage collector."""
    converter = FrameConverter(FrameSize("stretch", 16), None, DEFAULT_LIMITS)
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            converter.convert(VideoFrame(32, 32, "yuv420p"))
        assert not any(isinstance(kept, VideoFrame) and kept.width == 32 for kept in gc.get_objects())
    finally:
        gc.enable()


def test_a_very_long_stored_frame_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(VideoLost) as lost:
        FrameConverter(FrameSize("short_side", 1024), None, DEFAULT_LIMITS).convert(av.VideoFrame(4000, 2, "yuv420p"))
    assert lost.value.loss.reason == "too_many_pixels"


@pytest.mark.parametrize(("width_px", "height_px"), [(2000, 4), (4, 2000)])
def test_a_side_that_no_jpeg_can_have_is_refused_however_few_the_pixels(width_px: int, height_px: int) -> None:
    frame = av.VideoFrame(width_px, height_px, "yuv420p")
    sides = f"{width_px * 56}x{height_px * 56}"
    with pytest.raises(VideoLost, match=f"would be {sides}; the longest side of a JPEG is 65,500 pixels") as lost:
        FrameConverter(FrameSize("short_side", 224), None, DEFAULT_LIMITS).frame_shape(frame)
    assert lost.value.loss.reason == "too_many_pixels"
    assert converted(frame, FrameSize("center_crop", 224)).shape == (224, 224, 3)


def test_the_longest_side_that_is_not_refused_can_be_stored() -> None:
    frame = np.zeros((2, LONGEST_SIDE_PX, 3), np.uint8)
    assert decode_image(encode_image(frame, "jpeg", 90)).shape == frame.shape


def test_scalers_that_are_used_again_give_the_same_pixels_as_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(5)
    sizes = [(112, 80), (640, 360), (112, 80), (224, 224), (30, 500)]
    pictures = [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for width, height in sizes]

    def stored() -> list[bytes]:
        return [
            FrameConverter(FrameSize("stretch", 224), None, DEFAULT_LIMITS)
            .convert(VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixel_format))
            .tobytes()
            for picture in pictures
            for pixel_format in ("yuv420p", "rgba", "yuv444p")
        ]

    kept = stored()
    monkeypatch.setattr("video_assets.media.decode.convert._scalers", lambda: (VideoReformatter(), VideoReformatter()))
    assert stored() == kept
