"""The frames of a clip, as fast as they can be had without any doubt about which frames they are."""

from collections.abc import Callable, Sequence

from video_assets.domain.geometry import FrameSize
from video_assets.domain.limits import Limits
from video_assets.domain.timeline import Timeline
from video_assets.media.plain import DecodedFrames, decode_plainly
from video_assets.media.video import VideoSource

__all__ = ["DecodedFrames", "decode_clip", "decode_frames"]


def decode_frames(
    video: VideoSource,
    timestamps_us: Sequence[int],
    frame_size: FrameSize,
    limits: Limits = Limits(),
) -> DecodedFrames:
    """The frames shown at `timestamps_us` (on the video's own time line), in that order, repeats allowed.

    Raises:
        VideoLost: when the video, or a frame that was asked for, cannot be had.
    """
    return decode_clip(video, lambda _timeline: timestamps_us, frame_size, limits)


def decode_clip(
    video: VideoSource,
    choose: Callable[[Timeline], Sequence[int]],
    frame_size: FrameSize,
    limits: Limits = Limits(),
) -> DecodedFrames:
    """Open the video once, let `choose` pick times from its time line, and give the frames shown then.

    `choose` may be called a second time: when the packet index turns out to be wrong, everything is decoded and the
    time line comes from the decoded frames; `note` then says so.

    Raises:
        VideoLost: when the video, or a frame that was asked for, cannot be had; and what `choose` raises.
    """
    return decode_plainly(video, choose, frame_size, limits, note="")
