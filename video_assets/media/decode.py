"""The frames of a clip, as fast as they can be had without any doubt about which frames they are."""

from collections.abc import Callable, Sequence

from video_assets.domain.geometry import FrameSize
from video_assets.domain.limits import Limits
from video_assets.domain.timeline import Timeline
from video_assets.media.clock import shown_at
from video_assets.media.convert import FrameConverter
from video_assets.media.index import IndexNotTrusted, PacketIndex, TableNotTrusted, read_index
from video_assets.media.plain import DecodedFrames, FrameStack, decode_opened_plainly, decode_plainly
from video_assets.media.skipping import decode_indexed
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
        try:
            return _decode_by_index(video, choose, frame_size, limits, allow_table=True)
        except TableNotTrusted:
            return _decode_by_index(video, choose, frame_size, limits, allow_table=False)
    except IndexNotTrusted as error:
        note = _note(error)
    return decode_plainly(video, choose, frame_size, limits, note)


def _note(error: IndexNotTrusted) -> str:
    return f"All of it was decoded. {error}"


def _decode_by_index(
    video: VideoSource,
    choose: Callable[[Timeline], Sequence[int]],
    frame_size: FrameSize,
    limits: Limits,
    *,
    allow_table: bool,
) -> DecodedFrames:
    with open_video(video, limits) as opened:
        try:
            with losses_named("its packets were indexed"):
                index = read_index(opened, allow_table=allow_table)
        except IndexNotTrusted as error:
            if isinstance(error, TableNotTrusted) or opened.packets_read is None:
                raise
            # Nothing was decoded yet and no packet is lost: no need to begin anew.
            return decode_opened_plainly(opened, video, choose, frame_size, _note(error))
        wanted_us = list(choose(index.timeline))
        with losses_named("its frames were decoded"):
            return _decode(opened, index, wanted_us, frame_size)


def _decode(opened: OpenVideo, index: PacketIndex, wanted_us: Sequence[int], frame_size: FrameSize) -> DecodedFrames:
    places = shown_at(index.timeline.starts_us, wanted_us)
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits)
    stack = FrameStack(places.tolist(), converter, frame_size)
    try:
        num_frames_decoded = decode_indexed(opened, index, stack)
    except IndexNotTrusted as error:
        raise TableNotTrusted(str(error)) if index.is_from_table else error from error
    return DecodedFrames(
        frames=stack.frames,
        timestamps_us=index.timeline.starts_us[places],
        num_frames_decoded=num_frames_decoded,
        num_frames_total=index.timeline.num_frames,
        note="",
        timeline=index.timeline,
    )
