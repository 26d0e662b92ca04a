"""What the manifest stores about a video: facts from its packet index, and proof that its first frame decodes."""

from fractions import Fraction

import av.error
from av.video.frame import VideoFrame

from video_assets.domain.geometry import (
    UPRIGHT,
    Size,
    display_size,
    usable_pixel_aspect,
)
from video_assets.domain.limits import Limits
from video_assets.domain.timeline import Timeline
from video_assets.media.convert import orientation_of
from video_assets.media.plain import plain_timeline
from video_assets.media.video import (
    DEFAULT_LIMITS,
    OpenVideo,
    VideoFacts,
    VideoSource,
    losses_named,
    open_video,
)


def probe_video(video: VideoSource, limits: Limits = DEFAULT_LIMITS) -> VideoFacts:
    """Open a video, decode it, and say what it holds.

    Raises:
        VideoLost: when the video cannot be used.
    """
    with open_video(video, limits) as opened, losses_named("it was probed"):
        timeline, note = plain_timeline(opened)
    with open_video(video, limits) as opened, losses_named("it was probed"):
        return _facts(opened, timeline, note)


def _facts(opened: OpenVideo, timeline: Timeline, note: str) -> VideoFacts:
    frame = _first_frame(opened)
    orientation = orientation_of(frame) if frame else UPRIGHT
    codec = opened.codec
    coded = Size(frame.width, frame.height) if frame else Size(codec.width, codec.height)
    aspect = usable_pixel_aspect(opened.stream.sample_aspect_ratio)
    shown = display_size(coded, aspect, orientation)
    return VideoFacts(
        container=opened.container_name,
        codec=codec.codec.canonical_name,
        pixel_format=frame.format.name if frame else codec.pix_fmt or "",
        width_px=coded.width_px,
        height_px=coded.height_px,
        display_width_px=shown.width_px,
        display_height_px=shown.height_px,
        rotation_degrees=orientation.turn_degrees,
        is_mirrored=orientation.is_mirrored,
        sample_aspect_ratio=f"{aspect.numerator}:{aspect.denominator}",
        frame_rate=_rate(timeline),
        num_frames=timeline.num_frames,
        start_us=timeline.start_us,
        duration_us=timeline.duration_us,
        has_audio=bool(opened.container.streams.audio),
        index_trusted=False,
        index_note=note,
        num_keyframes=0,
    )


def _rate(timeline: Timeline) -> float:
    return float(Fraction(timeline.num_frames * 1_000_000, max(1, timeline.duration_us)))


def _first_frame(opened: OpenVideo) -> VideoFrame | None:
    for packet in opened.container.demux(opened.stream):
        try:
            frames = opened.codec.decode(packet)
        except av.error.FFmpegError:
            continue
        if frames:
            return frames[0]
    return None
