"""Decode the frames of a clip: by an index where it can be trusted, and otherwise sequentially."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.decode.indexed import decode_indexed
from video_assets.media.decode.sequential import (
    DecodedFrames,
    FrameStack,
    decode_opened_sequentially,
    decode_sequentially,
)
from video_assets.media.index.matroska_range import TimeRange, read_range_index
from video_assets.media.index.packet_index import PacketIndex, read_index
from video_assets.media.index.packets import FrameDamaged, IndexNotTrusted, TableNotTrusted
from video_assets.media.index.presentation_times import frames_shown_at
from video_assets.media.open.losses import errors_as_losses
from video_assets.media.open.video import OpenVideo, VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits

Choose = Callable[[Timeline], Sequence[int]]
"""Chooses times on a video's timeline. Errors that it raises pass unchanged."""


class JointDecodeFailed(Exception):
    """Decoding spans of one video together failed. It says nothing about any of them: decode each by itself."""


def decode_clip(
    video: VideoSource,
    choose: Choose,
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
    time_range: TimeRange | None = None,
) -> DecodedFrames:
    """Return the frames shown at the times that `choose` chooses on the video's timeline.

    `choose` is called again where the packet index turns out to be wrong: all frames are then decoded, the timeline
    comes from them, and `note` says why.

    Args:
        video: The video, which is opened once.
        choose: Chooses the times.
        frame_size: Size and shape of stored frames.
        limits: What is refused.
        time_range: Where all chosen times lie, if the video was probed. It may be indexed alone, and the timelines then
            lack the frames outside of it.

    Raises:
        VideoLost: the video, or a wanted frame, cannot be decoded.
    """
    return _decode_video(video, choose, frame_size, limits, _decode, time_range)


def decode_spans(
    video: VideoSource,
    choices: Sequence[Choose],
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
    time_range: TimeRange | None = None,
) -> list[DecodedFrames | Loss]:
    """Return what `decode_clip` returns for each choice, or the loss that the choice raises.

    The video is opened and indexed once, and frames that several spans need are decoded once. All frames are in memory
    together. The first span with frames counts all of `num_frames_decoded`, so that the sum is right.

    Where a video has damage that its decoder does not notice, a span may differ from the span decoded by itself: what a
    decoder makes of damage depends on the frames before. By itself, such a span differs from a sequential decode too.

    Raises:
        JointDecodeFailed: decoding failed; decode each span by itself.
        VideoLost: as `decode_clip` of one of the choices.
    """
    choice = _JointChoice(choices)
    decoded = _decode_video(video, choice, frame_size, limits, partial(_decode_jointly, choice), time_range)
    return choice.split(decoded)


class _JointChoice:
    """The choices of several spans as one, in their order."""

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
        """Which of the chosen times each span wants, without the spans that are lost."""
        return [part for part in self._parts if isinstance(part, slice)]

    def split(self, decoded: DecodedFrames) -> list[DecodedFrames | Loss]:
        """Split the frames by choice."""
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
    video: VideoSource,
    choose: Choose,
    frame_size: FrameSize,
    limits: Limits,
    decode: _Decode,
    time_range: TimeRange | None,
) -> DecodedFrames:
    if time_range is not None:
        decoded = _decode_range(video, choose, frame_size, limits, decode, time_range)
        if decoded is not None:
            return decoded
    try:
        try:
            return _decode_by_index(video, choose, frame_size, limits, decode, allow_table=True)
        except TableNotTrusted:
            return _decode_by_index(video, choose, frame_size, limits, decode, allow_table=False)
    except IndexNotTrusted as error:
        note = _note(error)
    return decode_sequentially(video, choose, frame_size, limits, note)


def _note(error: IndexNotTrusted) -> str:
    return f"All of it was decoded. {error}"


def _decode_range(
    video: VideoSource, choose: Choose, frame_size: FrameSize, limits: Limits, decode: _Decode, time_range: TimeRange
) -> DecodedFrames | None:
    """Decode by an index of the time range alone; return None where that fails: indexing the whole video tells why."""
    with open_video(video, limits, frame_size.encoder_version) as opened:
        try:
            with errors_as_losses("its packets were indexed"):
                index = read_range_index(opened, time_range)
        except (IndexNotTrusted, VideoLost):
            return None
        wanted_us = list(choose(index.timeline))
        if not time_range.holds(wanted_us, index):
            return None
        try:
            with errors_as_losses("its frames were decoded"):
                decoded = decode(opened, index, wanted_us, frame_size)
        except (IndexNotTrusted, JointDecodeFailed, VideoLost):
            return None
        return replace(decoded, num_frames_total=time_range.known.num_frames)


def _decode_by_index(
    video: VideoSource,
    choose: Choose,
    frame_size: FrameSize,
    limits: Limits,
    decode: _Decode,
    *,
    allow_table: bool,
) -> DecodedFrames:
    with open_video(video, limits, frame_size.encoder_version) as opened:
        try:
            with errors_as_losses("its packets were indexed"):
                index = read_index(opened, allow_table=allow_table)
        except IndexNotTrusted as error:
            if isinstance(error, TableNotTrusted) or opened.packets_read is None:
                raise
            # Nothing was decoded yet, and all packets that were read are in memory: no need to open it again.
            return decode_opened_sequentially(opened, video, choose, frame_size, _note(error))
        wanted_us = list(choose(index.timeline))
        with errors_as_losses("its frames were decoded"):
            return decode(opened, index, wanted_us, frame_size)


def _decode(opened: OpenVideo, index: PacketIndex, wanted_us: Sequence[int], frame_size: FrameSize) -> DecodedFrames:
    frame_indices = frames_shown_at(index.timeline.starts_us, wanted_us).tolist()
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits, opened.crop)
    try:
        return _decoded(opened, index, FrameStack(frame_indices, converter, frame_size), frame_indices, [frame_indices])
    except IndexNotTrusted as error:
        if index.is_from_table and not isinstance(error, FrameDamaged):
            raise TableNotTrusted(str(error)) from error
        raise


def _decode_jointly(
    choice: _JointChoice, opened: OpenVideo, index: PacketIndex, wanted_us: Sequence[int], frame_size: FrameSize
) -> DecodedFrames:
    """Decode several spans; an error that concerns one of them says nothing about the others."""
    frame_indices = frames_shown_at(index.timeline.starts_us, wanted_us).tolist()
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits, opened.crop)
    spans = [frame_indices[part] for part in choice.spans]
    try:
        return _decoded(opened, index, FrameStack(frame_indices, converter, frame_size), frame_indices, spans)
    except IndexNotTrusted as error:
        raise JointDecodeFailed(str(error)) from error


def _decoded(
    opened: OpenVideo, index: PacketIndex, stack: FrameStack, frame_indices: list[int], spans: Sequence[Sequence[int]]
) -> DecodedFrames:
    num_frames_decoded = decode_indexed(opened, index, stack, spans)
    return DecodedFrames(
        frames=stack.frames,
        timestamps_us=index.timeline.starts_us[frame_indices],
        num_frames_decoded=num_frames_decoded,
        num_frames_total=index.timeline.num_frames,
        note="",
        timeline=index.timeline,
    )
