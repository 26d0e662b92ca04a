"""Whether the codecs in this machine's FFmpeg work: a made clip of each is encoded and decoded. Runs in a process."""

import io
import os
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np

_SIDE_PX, _NUM_FRAMES = 64, 5


@dataclass(frozen=True, slots=True)
class CodecTrial:
    """A codec, how to make a clip of it, and its container."""

    name: str
    encoder: str
    container: str
    pixel_format: str = "yuv420p"


CODEC_TRIALS = (
    CodecTrial("H.264", "libx264", "mp4"),
    CodecTrial("HEVC", "libx265", "mp4"),
    CodecTrial("AV1", "libsvtav1", "mp4"),
    CodecTrial("VP8", "libvpx", "webm"),
    CodecTrial("VP9", "libvpx-vp9", "webm"),
    CodecTrial("MPEG-4", "mpeg4", "avi"),
    CodecTrial("MPEG-2", "mpeg2video", "matroska"),
    CodecTrial("MPEG-1", "mpeg1video", "matroska"),
    CodecTrial("MJPEG", "mjpeg", "avi", "yuvj420p"),
    CodecTrial("ProRes", "prores_ks", "mov", "yuv422p10le"),
    CodecTrial("GIF", "gif", "gif", "rgb8"),
)


def try_codec(trial: CodecTrial) -> str:
    """Makes a clip whose frames grow brighter and decodes it; gives what is wrong, or nothing."""
    os.environ["SVT_LOG"] = "0"  # the AV1 encoder's page of greetings
    try:
        levels = _decoded_levels(_made_clip(trial))
    except (av.error.FFmpegError, ValueError) as error:
        return str(error)
    if len(levels) != _NUM_FRAMES:
        return f"{len(levels)} of {_NUM_FRAMES} frames came back"
    wanted = [_level(number) for number in range(_NUM_FRAMES)]
    worst = max(abs(level - right) for level, right in zip(levels, wanted, strict=True))
    return "" if worst < 12 else f"its frames come back with other brightness ({worst:.0f} of 255 off)"


def _level(number: int) -> int:
    return 40 + 40 * number


def _made_clip(trial: CodecTrial) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=trial.container) as container:
        quiet = {"x265-params": "log-level=none"} if trial.encoder == "libx265" else {}
        stream: Any = container.add_stream(trial.encoder, rate=Fraction(25), options=quiet)
        stream.width = stream.height = _SIDE_PX
        stream.pix_fmt = trial.pixel_format
        for number in range(_NUM_FRAMES):
            picture = np.full((_SIDE_PX, _SIDE_PX, 3), _level(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format=trial.pixel_format)))
        container.mux(stream.encode())
    return file.getvalue()


def _decoded_levels(clip: bytes) -> list[float]:
    with av.open(io.BytesIO(clip), "r") as container:
        return [float(frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(video=0)]
