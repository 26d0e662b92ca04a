"""Check the codecs of this machine's FFmpeg: encode a small clip with each, and decode it."""

import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np

_SIDE_PX, _NUM_FRAMES = 64, 5


@dataclass(frozen=True, slots=True)
class CodecCheck:
    """A codec, its encoder, and the container of the clip."""

    name: str
    encoder: str
    container: str
    pixel_format: str = "yuv420p"


CODEC_CHECKS = (
    CodecCheck("H.264", "libx264", "mp4"),
    CodecCheck("HEVC", "libx265", "mp4"),
    CodecCheck("AV1", "libsvtav1", "mp4"),
    CodecCheck("VP8", "libvpx", "webm"),
    CodecCheck("VP9", "libvpx-vp9", "webm"),
    CodecCheck("MPEG-4", "mpeg4", "avi"),
    CodecCheck("MPEG-2", "mpeg2video", "matroska"),
    CodecCheck("MPEG-1", "mpeg1video", "matroska"),
    CodecCheck("MJPEG", "mjpeg", "avi", "yuvj420p"),
    CodecCheck("ProRes", "prores_ks", "mov", "yuv422p10le"),
    CodecCheck("GIF", "gif", "gif", "rgb8"),
)


@contextmanager
def usual_scheduling() -> Generator[None]:
    """Encode in here: the thread is scheduled as before once it is done.

    SVT-AV1 gives the thread that opens it real-time priority (SCHED_FIFO 99) if root runs it, and leaves it so.
    From then on the process and all that it starts come before everything else on the machine.
    """
    if not hasattr(os, "sched_getscheduler"):  # Linux alone has it, and the trouble
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, priority)


def check_codec(check: CodecCheck) -> str:
    """Encode and decode a clip whose frames grow brighter; return what is wrong, or ""."""
    try:
        levels = _decoded_levels(_encoded_clip(check))
    except (av.error.FFmpegError, ValueError) as error:
        return str(error)
    if len(levels) != _NUM_FRAMES:
        return f"{len(levels)} of {_NUM_FRAMES} frames came back"
    wanted = [_level(number) for number in range(_NUM_FRAMES)]
    worst = max(abs(level - right) for level, right in zip(levels, wanted, strict=True))
    return "" if worst < 12 else f"its frames come back with other brightness ({worst:.0f} of 255 off)"


def _level(number: int) -> int:
    return 40 + 40 * number


def _encoded_clip(check: CodecCheck) -> bytes:
    file = io.BytesIO()
    with usual_scheduling(), av.open(file, "w", format=check.container) as container:
        quiet = {"x265-params": "log-level=none"} if check.encoder == "libx265" else {}
        stream: Any = container.add_stream(check.encoder, rate=Fraction(25), options=quiet)
        stream.width = stream.height = _SIDE_PX
        stream.pix_fmt = check.pixel_format
        for number in range(_NUM_FRAMES):
            picture = np.full((_SIDE_PX, _SIDE_PX, 3), _level(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format=check.pixel_format)))
        container.mux(stream.encode())
    return file.getvalue()


def _decoded_levels(clip: bytes) -> list[float]:
    with av.open(io.BytesIO(clip), "r") as container:
        return [float(frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(video=0)]
