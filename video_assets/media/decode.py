"""The frames of a clip, as fast as they can be had without any doubt about which frames they are."""

from collections.abc import Callable, Sequence

import numpy as np

from video_assets.domain.geometry import FrameSize
from video_assets.domain.limits import Limits
from video_assets.domain.timeline import Timeline
from video_assets.media.clock import shown_at
from video_assets.media.index import IndexNotTrusted, PacketIndex, read_index
from video_assets.media.plain import DecodedFrames, decode_plainly, stack_frames
from video_assets.media.skipping import Indexed, decode_indexed
from video_assets.media.video import DEFAULT_LIMITS, OpenVideo, VideoSource, losses_named, open_video

__all__ = ["DecodedFrames", "decode_clip", "decode_frames"]


def decode_frames(
    video: VideoSource, timestamps_us: Sequence[int], frame_size: FrameSize, limits: Limits = DEFAULT_LIMITS
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
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedFrames:
    """Open the video once, let `choose` pick times from its time line, and give the frames shown then.

    `choose` may be called a second time: when the packet index turns out to be wrong, everything is decoded and the
    time line comes from the decoded frames; `note` then says so.

    Raises:
        VideoLost: when the video, or a frame that was asked for, cannot be had; and what `choose` raises.
    """
    try:
        with open_video(video, limits) as opened:
            with losses_named("its packets were indexed"):
                index = read_index(opened)
            wanted_us = list(choose(index.timeline))
            with losses_named("its frames were decoded"):
                return _decode(opened, index, wanted_us, frame_size)
    except IndexNotTrusted as error:
        note = f"All of it was decoded. {error}"
    return decode_plainly(video, choose, frame_size, limits, note)


def _decode(opened: OpenVideo, index: PacketIndex, wanted_us: Sequence[int], frame_size: FrameSize) -> DecodedFrames:
    places = [int(place) for place in shown_at(index.timeline.starts_us, wanted_us)]
    indexed = decode_indexed(opened, index, places, frame_size) if places else Indexed({}, 0)
    return DecodedFrames(
        frames=stack_frames([indexed.pictures[place] for place in places], frame_size),
        timestamps_us=index.timeline.starts_us[np.array(places, dtype=np.int64)],
        num_frames_decoded=indexed.num_frames_decoded,
        num_frames_total=index.timeline.num_frames,
        note=index.note,
    )
