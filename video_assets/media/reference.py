"""Frames by a plain full decode, to check stored ones against: no index, no seek, no skipped frame."""

import time
from collections.abc import Sequence

from video_assets.domain.geometry import FrameSize
from video_assets.domain.limits import Limits
from video_assets.media.plain import DecodedFrames, all_frames, decode_plainly
from video_assets.media.video import DEFAULT_LIMITS, VideoSource, lose, losses_named, open_video


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


def decode_beginning(video: VideoSource, max_seconds: float, limits: Limits = DEFAULT_LIMITS) -> int:
    """Decodes a video from its first frame to its last, or until `max_seconds` have passed; gives the frames that came.

    Raises:
        VideoLost: when the video, or its first frame, cannot be had.
    """
    until = time.monotonic() + max_seconds
    num_frames = 0
    with open_video(video, limits) as opened, losses_named("its beginning was decoded"):
        for _ in all_frames(opened):
            num_frames += 1
            if time.monotonic() > until:
                break
    return num_frames or lose("no_frames", "Its video stream holds not one frame.")
