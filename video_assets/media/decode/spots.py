"""Decode single frames of a long video by FFmpeg's own seek, without the index that decoding for a record goes by."""

from collections.abc import Iterator, Sequence
from typing import Final

import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.domain.geometry import FrameSize
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.decode.sequential_pass import PACKET_ERRORS
from video_assets.media.index.presentation_times import ticks_to_us
from video_assets.media.open.losses import errors_as_losses
from video_assets.media.open.video import OpenVideo, VideoSource, open_video
from video_assets.settings import Limits

_MAX_FRAMES: Final = 3_000
"""Where a seek goes to, a keyframe is mostly within 10 s; an hour of frames without one is not worth the time."""


def decode_spots(
    video: VideoSource, timestamps_us: Sequence[int], frame_size: FrameSize, limits: Limits, *, earlier_us: int = 0
) -> NDArray[np.uint8] | None:
    """Return the frames that begin at exactly these times, (T, H, W, 3) uint8 RGB, or None where one is not found.

    FFmpeg seeks to a keyframe before each time, less `earlier_us`, and every frame from there on is decoded. Not every
    container can be sought in, and after some keyframes the first pictures come out wrong: what is found is right if it
    is what was looked for, and proves nothing otherwise.

    Raises:
        VideoLost: the video cannot be opened.
    """
    with open_video(video, limits, frame_size.encoder_version) as opened, errors_as_losses("a frame was looked for"):
        converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, limits, opened.crop)
        found: list[NDArray[np.uint8]] = []
        for time_us in timestamps_us:
            frame = _frame_at(opened, time_us, time_us - earlier_us)
            if frame is None:
                return None
            found.append(converter.convert(frame))
        return np.stack(found)


def _frame_at(opened: OpenVideo, time_us: int, seek_us: int) -> VideoFrame | None:
    try:
        opened.container.seek(int(seek_us / (opened.time_base * 1_000_000)), stream=opened.stream, backward=True)
    except av.error.FFmpegError:  # some containers refuse a time before the first, or have no index
        return None
    opened.codec.flush_buffers()
    for number, frame in enumerate(_frames(opened)):
        tick = frame.dts if frame.pts is None else frame.pts  # as `frame_times` has it
        if tick is None or number == _MAX_FRAMES:
            return None
        begin_us = int(ticks_to_us(np.array([tick], np.int64), opened.time_base)[0])
        if begin_us >= time_us:
            return frame if begin_us == time_us else None
    return None


def _frames(opened: OpenVideo) -> Iterator[VideoFrame]:
    for packet in opened.demux():
        try:
            yield from opened.codec.decode(packet)
        except PACKET_ERRORS:
            continue
