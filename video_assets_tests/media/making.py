"""Make tiny videos whose frames show their own number as eight black or white blocks."""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from video_assets.domain.geometry import FrameSize
from video_assets.media.codec_check import usual_scheduling
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.decode.frame_stack import DecodedFrames
from video_assets.media.index import mp4_sample_table
from video_assets.media.open.video import VideoSource
from video_assets.settings import DEFAULT_LIMITS, Limits

WIDTH_PX, HEIGHT_PX = 128, 64
_NUM_BITS = 8
_TRACK_CODECS = {"mp4": "libx264", "mov": "libx264", "asf": "msmpeg4v3", "wtv": "mpeg2video"}


def numbered_picture(number: int) -> NDArray[np.uint8]:
    """Draw a picture (64, 128, 3) that shows `number` (0..255) in binary, and a gradient that moves with it."""
    picture = np.empty((HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    block_px = WIDTH_PX // 4
    for bit in range(_NUM_BITS):
        row, column = divmod(bit, 4)
        value = 230 if number >> bit & 1 else 20
        picture[row * 32 : row * 32 + 32, column * block_px : (column + 1) * block_px] = value
    picture[::8, :, 2] = (np.arange(WIDTH_PX) * 2 + number * 7) % 256
    return picture


def number_of(picture: NDArray[np.uint8]) -> int:
    """Return the number that a decoded picture shows; it may have any size, but has to be upright."""
    height_px, width_px = picture.shape[:2]
    number = 0
    for bit in range(_NUM_BITS):
        row, column = divmod(bit, 4)
        top, left = row * height_px // 2, column * width_px // 4
        block = picture[
            top + height_px // 8 : top + height_px * 3 // 8, left + width_px // 16 : left + width_px * 3 // 16
        ]
        number |= int(block[..., :2].mean() > 125) << bit
    return number


def numbered_video(
    num_frames: int,
    *,
    codec: str = "libx264",
    container: str = "mp4",
    rate: int = 25,
    pix_fmt: str = "yuv420p",
    times: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> bytes:
    """Encode a video of `num_frames` numbered frames.

    Args:
        times: presentation times in milliseconds, else evenly at `rate`.
    """
    file = io.BytesIO()
    with usual_scheduling(), av.open(file, "w", format=container, options=container_options or {}) as output:
        stream = cast("VideoStream", output.add_stream(codec, rate=rate, options=options or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, pix_fmt
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number % 256), format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, rate) if times is None else Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def video_of_tracks(container: str, tracks: Sequence[tuple[int, int, Fraction]]) -> bytes:
    """Encode tracks of (scale, number of frames, frames per second); the frames of each show their numbers."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = [
            cast("VideoStream", output.add_stream(_TRACK_CODECS.get(container, "mpeg4"), rate=25)) for _ in tracks
        ]
        for stream, (scale, _, _) in zip(streams, tracks, strict=True):
            stream.width, stream.height, stream.pix_fmt = 128 * scale, 64 * scale, "yuv420p"
        for stream, (scale, num_frames, rate) in zip(streams, tracks, strict=True):
            for number in range(num_frames):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number).repeat(scale, 0).repeat(scale, 1))
                frame.time_base = Fraction(1, 25)
                frame.pts = round(number * 25 / rate)
                output.mux(stream.encode(frame))
            if num_frames:
                output.mux(stream.encode(None))
    return file.getvalue()


def remuxed(data: bytes, container: str) -> bytes:
    """The same video stream in another container."""
    out = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as given, av.open(out, "w", format=container) as file:
        stream = file.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    return out.getvalue()


def use_tables_of_short_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the sample table of an mp4 be read even of short videos."""
    monkeypatch.setattr(mp4_sample_table, "MIN_TABLE_SAMPLES", 4)
    monkeypatch.setattr(mp4_sample_table, "_NUM_CHECKED", 8)


def decode_frames(
    video: VideoSource, timestamps_us: Sequence[int], frame_size: FrameSize, limits: Limits = DEFAULT_LIMITS
) -> DecodedFrames:
    """Decode the frames shown at `timestamps_us`, which may repeat."""
    return decode_clip(video, lambda _timeline: timestamps_us, frame_size, limits)
