"""Encode the clips of the sample: H.264 in the containers, and with the quirks, that real sets have."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

Container = Literal["mp4", "mkv", "mov"]
_FORMATS: dict[Container, str] = {"mp4": "mp4", "mkv": "matroska", "mov": "mov"}
_CLOCK_HZ = 30_000


@dataclass(frozen=True, slots=True)
class ClipFormat:
    """How a clip is encoded. `size_px` is (width, height) as displayed, both even; `rate` in frames a second.

    With `turned` the pixels are stored lying on their side, as phones do, and the container says how to turn
    them. Without `has_fixed_rate` frames come one, two or three beats of `rate` apart.
    """

    container: Container
    size_px: tuple[int, int]
    rate: Fraction
    duration_seconds: float
    keyframe_interval: int
    turned: bool = False
    has_fixed_rate: bool = True


def frame_times(clip: ClipFormat, random: np.random.Generator) -> list[Fraction]:
    """When each frame is shown, in seconds from 0 on; the last is shown for one beat."""
    num_beats = max(2, round(clip.duration_seconds * clip.rate))
    if clip.has_fixed_rate:
        return [index / clip.rate for index in range(num_beats)]
    beats = np.cumsum([0, *random.choice([1, 1, 1, 2, 3], num_beats)])
    return [int(beat) / clip.rate for beat in beats[beats < num_beats]]


def encode_clip(frames: Iterable[NDArray[np.uint8]], times: Iterable[Fraction], clip: ClipFormat) -> bytes:
    """The file of a clip; the same frames and settings give the same bytes.

    Args:
        frames: (H, W, 3) uint8 RGB as displayed.
        times: When each is shown, in seconds.
        clip: Its format.
    """
    file = io.BytesIO()
    with av.open(file, "w", format=_FORMATS[clip.container], container_options={"fflags": "+bitexact"}) as container:
        # With mbtree, this build of x264 gave other bytes in one run of eight for the very same frames; and left to
        # itself, it takes other algorithms on other processors.
        options = {"crf": "23", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0:cpu-independent=1"}
        options["g"] = str(clip.keyframe_interval)
        stream = container.add_stream("libx264", rate=clip.rate, options=options)
        width, height = clip.size_px
        stream.width, stream.height = (height, width) if clip.turned else (width, height)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, _CLOCK_HZ)
        if clip.turned:
            stream.set_display_rotation(-90)
        for picture, time in zip(frames, times, strict=True):
            stored = np.ascontiguousarray(np.rot90(picture)) if clip.turned else picture
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24")
            frame.pts, frame.time_base = round(time * _CLOCK_HZ), Fraction(1, _CLOCK_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def without_index(mp4: bytes) -> bytes:
    """An MP4 as a recorder leaves it that lost power: the frames without the index that says where they are.

    Raises:
        ValueError: the index does not follow the frames.
    """
    index = mp4.rfind(b"moov") - 4
    if index < mp4.find(b"mdat"):
        raise ValueError("the index of this MP4 does not come last, so nothing can be cut off")
    return mp4[:index]
