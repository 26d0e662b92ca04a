"""Frames by a plain full decode, to check stored ones against: no index, no seek, no skipped frame."""

from collections.abc import Sequence

from video_assets.domain.geometry import FrameSize
from video_assets.domain.limits import Limits
from video_assets.media.plain import DecodedFrames, decode_plainly
from video_assets.media.video import DEFAULT_LIMITS, VideoSource


def reference_frames(
    video: VideoSource,
    timestamps_us: Sequence[int],
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedFrames:
    """The frames shown at `timestamps_us`, in that order, repeats allowed, from decoding the whole video.

    Raises:
        VideoLost: when the video, or a frame that was asked for, cannot be had.
    """
    return decode_plainly(video, lambda _timeline: timestamps_us, frame_size, limits, note="")
