"""The frames of a clip, as fast as they can be had without any doubt about which frames they are."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.by_index import decode_indexed
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.decode.sequential import DecodedFrames, FrameStack, decode_opened_plainly, decode_plainly
from video_assets.media.index.clock import shown_at
from video_assets.media.index.matroska_part import Part, read_part_index
from video_assets.media.index.packet_index import PacketIndex, read_index
from video_assets.media.index.packets import FrameDamaged, IndexNotTrusted, TableNotTrusted
from video_assets.media.open.video import OpenVideo, VideoSource, losses_named, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits

__all__ = ["Choose", "DecodedFrames", "NotTogether", "decode_clip", "decode_frames", "decode_spans"]

Choose = Callable[[Timeline], Sequence[int]]
"""Picks times from a video's time line; what it raises passes unchanged."""


class NotTogether(Exception):
    """Spans of one video did not decode smoothly together. It says nothing of any of them: decode each by itself."""


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
    choose: Choose,
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
    part: Part | None = None,
) -> DecodedFrames:
    """Open the video once, let `choose` pick times from its time line, and give the frames shown then.

    `part` says where all times lie that `choose` will pick, and what is known of the video: then only that part may be
    indexed, and `timeline`, also the one that is given to `choose`, lacks frames elsewhere.

    `choose` may be called a second time: when the packet index turns out to be wrong, everything is decoded and the
    time line comes from the decoded frames; `note` then says so.

    Raises:
        VideoLost: when the video, or a frame that was asked for, cannot be had; and what `choose` raises.
    """
    return _decode_video(video, choose, frame_size, limits, _decode, part)


def decode_spans(
    video: VideoSource,
    choices: Sequence[Choose],
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
    part: Part | None = None,
) -> list[DecodedFrames | Loss]:
    """What `decode_clip` gives for each of the choices, or the loss that a choice raises, in their order.

    The video is opened and indexed once, and what several spans need is decoded once. All frames are in memory
    together. `num_frames_decoded` counts all for the first span that has frames, so that the sum is true.

    Of a video with damage that its decoder does not notice, a span may come out otherwise than by itself, for what a
    decoder makes of damage depends on what it decoded before; such a span is not by itself what a full decode gives.

    Raises:
        NotTogether: any trouble in decoding, whose bounds only decoding each span by itself can tell.
        VideoLost: as `decode_clip` of one of the choices.
    """
    choice = _JointChoice(choices)
    decoded = _decode_video(video, choice, frame_size, limits, partial(_decode_jointly, choice), part)
    return choice.split(decoded)


class _JointChoice:
    """The choices of several spans, one after another, as one."""

    def __init__(self, choices: Sequence[Choose]) -> None:
        self._choices = choices
        self._parts: list[Loss | slice] = []

    def __call__(self, timeline: Timeline) -> list[int]:
        wanted_us: list[int] = []
        self._parts.clear()
        for choose in self._choices:
            begin = len(wanted_us)
            try:
                wanted_us += choose(timeline)
            except VideoLost as lost:
                self._parts.append(lost.loss)
            else:
                self._parts.append(slice(begin, len(wanted_us)))
        return wanted_us

    @property
    def spans(self) -> list[slice]:
        """Which of the wanted times each span wants, without those that are lost."""
        return [part for part in self._parts if isinstance(part, slice)]

    def split(self, decoded: DecodedFrames) -> list[DecodedFrames | Loss]:
        """A part of the frames for each choice."""
        found: list[DecodedFrames | Loss] = []
        num_frames_decoded = decoded.num_frames_decoded
        for part in self._parts:
            if isinstance(part, Loss):
                found.append(part)
                continue
            mine = replace(
                decoded,
                frames=decoded.frames[part],
                timestamps_us=decoded.timestamps_us[part],
                num_frames_decoded=num_frames_decoded,
            )
            found.append(mine)
            num_frames_decoded = 0
        return found


_Decode = Callable[[OpenVideo, PacketIndex, Sequence[int], FrameSize], DecodedFrames]


def _decode_video(
    video: VideoSource, choose: Choose, frame_size: FrameSize, limits: Limits, decode: _Decode, part: Part | None
) -> DecodedFrames:
    if part is not None:
        decoded = _decode_part(video, choose, frame_size, limits, decode, part)
        if decoded is not None:
            return decoded
    try:
        try:
            return _decode_by_index(video, choose, frame_size, limits, decode, allow_table=True)
        except TableNotTrusted:
            return _decode_by_index(video, choose, frame_size, limits, decode, allow_table=False)
    except IndexNotTrusted as error:
        note = _note(error)
    return decode_plainly(video, choose, frame_size, limits, note)


def _note(error: IndexNotTrusted) -> str:
    return f"All of it was decoded. {error}"


def _decode_part(
    video: VideoSource, choose: Choose, frame_size: FrameSize, limits: Limits, decode: _Decode, part: Part
) -> DecodedFrames | None:
    """By an index of the part alone; None where that does not do, whatever the reason: the whole one will tell."""
    with open_video(video, limits) as opened:
        try:
            with losses_named("its packets were indexed"):
                index = read_part_index(opened, part)
        except (IndexNotTrusted, VideoLost):
            return None
        wanted_us = list(choose(index.timeline))
        if not part.holds(wanted_us, index):
            return None
        try:
            with losses_named("its frames were decoded"):
                decoded = decode(opened, index, wanted_us, frame_size)
        except (IndexNotTrusted, NotTogether, VideoLost):
            return None
        return replace(decoded, num_frames_total=part.known.num_frames)


def _decode_by_index(
    video: VideoSource,
    choose: Choose,
    frame_size: FrameSize,
    limits: Limits,
    decode: _Decode,
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
            return decode(opened, index, wanted_us, frame_size)


def _decode(opened: OpenVideo, index: PacketIndex, wanted_us: Sequence[int], frame_size: FrameSize) -> DecodedFrames:
    places = shown_at(index.timeline.starts_us, wanted_us).tolist()
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits)
    try:
        return _decoded(opened, index, FrameStack(places, converter, frame_size), places, [places])
    except IndexNotTrusted as error:
        if index.is_from_table and not isinstance(error, FrameDamaged):
            raise TableNotTrusted(str(error)) from error
        raise


def _decode_jointly(
    choice: _JointChoice, opened: OpenVideo, index: PacketIndex, wanted_us: Sequence[int], frame_size: FrameSize
) -> DecodedFrames:
    """What is wrong for one span may not be so for another: no conclusion is drawn from it here."""
    places = shown_at(index.timeline.starts_us, wanted_us).tolist()
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits)
    spans = [places[part] for part in choice.spans]
    try:
        return _decoded(opened, index, FrameStack(places, converter, frame_size), places, spans)
    except IndexNotTrusted as error:
        raise NotTogether(str(error)) from error


def _decoded(
    opened: OpenVideo, index: PacketIndex, stack: FrameStack, places: list[int], spans: Sequence[Sequence[int]]
) -> DecodedFrames:
    num_frames_decoded = decode_indexed(opened, index, stack, spans)
    return DecodedFrames(
        frames=stack.frames,
        timestamps_us=index.timeline.starts_us[places],
        num_frames_decoded=num_frames_decoded,
        num_frames_total=index.timeline.num_frames,
        note="",
        timeline=index.timeline,
    )
