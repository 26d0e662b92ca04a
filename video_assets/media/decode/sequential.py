"""Decode a video sequentially: every frame from the first to the last, without an index, a seek or a skip."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.domain.geometry import FrameSize, round_half_up
from video_assets.domain.sampling import Timeline
from video_assets.domain.text import counted
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.decode.damage import DamageLog, notice_more_damage
from video_assets.media.decode.frame_stack import DecodedFrames, FrameStack
from video_assets.media.decode.tails import TailCheck
from video_assets.media.index.bitstream import min_raw_bytes
from video_assets.media.index.presentation_times import frame_times, frames_shown_at, ticks_to_us, timeline_of
from video_assets.media.index.readable import SaidLength, said_length
from video_assets.media.open.losses import check_length, check_pixels, errors_as_losses, lose
from video_assets.media.open.video import OpenVideo, VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits

BUFFERED_BYTES: Final = 32 * 2**20
"""Decoded frames up to this size stay in memory until it is known which ones are wanted."""

PACKET_ERRORS: Final = (
    av.error.InvalidDataError,
    av.error.PatchWelcomeError,
    av.error.UndefinedError,
    av.error.BugError,
    av.error.ArgumentError,
    av.error.EOFError,
)
"""What a decoder raises for a packet; the next one may decode."""
_FRAME_BYTES: Final = 4096  # of any frame, beside its pixels
_BARE_STREAMS: Final = frozenset({"h261", "h263", "h264", "hevc", "m4v", "mpegvideo", "obu"})
"""What FFmpeg calls streams without a container, which have no times."""


@dataclass(slots=True)
class _SequentialPass:
    """What is known of the frames that were decoded so far; `unfinished` is the number of a packet that is left out."""

    unfinished: int | None = None
    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)  # the number of the packet that brought each frame
    packet_ticks: list[int | None] = field(default_factory=list)  # when each packet's frame is shown, or else decoded
    damage: DamageLog = field(default_factory=DamageLog)
    last_duration: int = 0
    num_errors: int = 0
    num_keyframes: int = 0
    is_encrypted: bool = False
    latest_dts: int | None = None
    has_jump_back: bool = False  # in the packets' times

    def note_dts(self, dts: int | None) -> None:
        """Note the decoding time of the next packet."""
        self.has_jump_back |= dts is not None and self.latest_dts is not None and dts < self.latest_dts
        self.latest_dts = dts if dts is not None else self.latest_dts


def decode_sequentially(
    video: VideoSource,
    choose: Callable[[Timeline], Sequence[int]],
    frame_size: FrameSize,
    limits: Limits,
    note: str,
    *,
    looks_for_damage: bool = True,
) -> DecodedFrames:
    """Decode all of a video for its timeline, then convert the frames that `choose` wants.

    A video whose frames take more than `BUFFERED_BYTES` is decoded twice. Looking for damage that its decoder does not
    notice takes up to twice as long again.

    Raises:
        VideoLost: as `open_video`, and no_frames, encrypted, damaged, too_many_frames, too_long.
    """
    with open_video(video, limits, frame_size.encoder_version) as opened:
        return decode_opened_sequentially(opened, video, choose, frame_size, note, looks_for_damage=looks_for_damage)


def decode_opened_sequentially(
    opened: OpenVideo,
    video: VideoSource,
    choose: Callable[[Timeline], Sequence[int]],
    frame_size: FrameSize,
    note: str,
    unfinished: int | None = None,
    *,
    looks_for_damage: bool = True,
) -> DecodedFrames:
    """Do the same for an open video of which nothing was decoded yet; `video` is opened again for a second decode.

    `unfinished` is the number of a packet whose frame is left out.

    Raises:
        VideoLost: as `decode_sequentially`.
    """
    with errors_as_losses("all of it was decoded"):
        seen = _SequentialPass(unfinished)
        if looks_for_damage:
            notice_more_damage(opened)
        frames = _buffered_frames(_all_frames(opened, seen, TailCheck(opened) if looks_for_damage else None))
        if seen.damage.damaged:  # a decoder that raises errors for damage may show fewer frames
            with open_video(video, opened.limits, opened.encoder_version) as again:
                noticed, seen = seen.damage.damaged, _SequentialPass(unfinished)
                frames = _buffered_frames(_all_frames(again, seen))
            seen.damage.damaged |= noticed
        timeline, time_note = _timeline(opened, seen)
    starts_us = timeline.starts_us
    missing = "" if time_note else _missing_of(choose, timeline, _missing_us(opened, seen, starts_us))
    frame_indices = frames_shown_at(starts_us, choose(timeline))  # the last call, which a choice of spans goes by
    damage = _damage_of(seen, frame_indices, _first_shifted(opened, seen, time_note)) or missing
    if damage and unfinished is None:
        with open_video(video, opened.limits, opened.encoder_version) as again:
            unfinished = _unfinished_packet(again, seen)
            if unfinished is not None:
                return decode_opened_sequentially(
                    again, video, choose, frame_size, note, unfinished, looks_for_damage=looks_for_damage
                )
    if damage and not opened.limits.store_damaged:
        lose("damaged", damage)
    with errors_as_losses("all of it was decoded"):
        numbers = frame_indices.tolist()
        if frames is not None:
            stack = _fill(opened, frames, numbers, frame_size)
        else:
            with open_video(video, opened.limits, opened.encoder_version) as again:
                stack = _fill(again, _all_frames(again, _SequentialPass(unfinished)), numbers, frame_size)
    return DecodedFrames(
        frames=stack.frames,
        timestamps_us=starts_us[frame_indices],
        num_frames_decoded=len(starts_us),
        num_frames_total=len(starts_us),
        note=_notes(seen, note, time_note),
        timeline=timeline,
        damage=damage,
    )


def _unfinished_packet(opened: OpenVideo, seen: _SequentialPass) -> int | None:
    """Return the number of the last packet if the video ends within it: all others decoded, and no header says more.

    A recording or a transport stream that was cut has such a packet. Others have been told how long they are, so that a
    damaged end is damage.
    """
    last = len(seen.damage.times) - 1
    is_cut = last > 0 and seen.damage.damaged == {last} and said_length(opened) == SaidLength()
    return last if is_cut else None


def _buffered_frames(frames: Iterable[VideoFrame]) -> list[VideoFrame] | None:
    """Decode all frames; return them, or None where they take more than `BUFFERED_BYTES`."""
    kept: list[VideoFrame] | None = []
    num_bytes = 0
    for frame in frames:
        if kept is not None:
            num_bytes += _FRAME_BYTES + sum(plane.buffer_size for plane in frame.planes)
            kept.append(frame)
            if num_bytes > BUFFERED_BYTES:
                kept = None
    return kept


@dataclass(frozen=True, slots=True)
class SequentialFacts:
    """What decoding all of a video tells.

    `note` is about times that were made up. `num_packets` counts those that decode.
    """

    timeline: Timeline
    note: str
    num_keyframes: int
    num_packets: int


def sequential_facts(opened: OpenVideo) -> SequentialFacts:
    """Decode everything for what it tells."""
    seen = _SequentialPass()
    for _ in _all_frames(opened, seen):
        pass
    timeline, note = _timeline(opened, seen)
    return SequentialFacts(timeline, _notes(seen, note), seen.num_keyframes, len(seen.damage.times) - seen.num_errors)


def _all_frames(opened: OpenVideo, seen: _SequentialPass, tails: TailCheck | None = None) -> Iterator[VideoFrame]:
    """Yield every frame in display order; packets that do not decode are counted and left out, as ffmpeg does."""
    min_bytes = min_raw_bytes(opened.codec)
    seen.damage.prepare(opened)
    number = 0
    for packet in opened.packets():
        if packet.size:
            number = seen.damage.add(opened, packet)
            seen.note_dts(packet.dts)
            seen.packet_ticks.append(packet.dts if packet.pts is None else packet.pts)
            if tails is not None:
                tails.add_packet(number, packet)
        elif packet.pts is not None or packet.dts is not None:
            continue  # the picture before is shown on, as Theora says; a decoder would take the packet for the end
        if 0 < packet.size < min_bytes:
            seen.num_errors += 1
            continue
        seen.is_encrypted = seen.is_encrypted or packet.has_sidedata("encryption_info")
        try:
            frames = opened.codec.decode(packet)
        except PACKET_ERRORS:
            seen.num_errors += 1
            seen.damage.damaged.add(number)
            continue
        for frame in frames:
            if seen.unfinished is not None and frame.opaque == seen.unfinished:
                continue
            check_pixels(frame.width, frame.height, opened.limits)
            check_length(len(seen.pts) + 1, 0, opened.limits)
            seen.num_keyframes += frame.key_frame
            seen.pts.append(frame.pts)
            seen.dts.append(frame.dts)
            seen.packets.append(frame.opaque if isinstance(frame.opaque, int) else number)
            seen.damage.add_frame(opened, seen.packets[-1], frame)
            seen.last_duration = frame.duration or 0
            if tails is not None:
                tails.add_frame(frame)
            yield frame
    if tails is not None:
        seen.damage.damaged |= tails.finish()


def _timeline(opened: OpenVideo, seen: _SequentialPass) -> tuple[Timeline, str]:
    if not seen.pts:
        _lose_without_frames(opened, seen)
    starts_us, note = frame_times(seen.pts, seen.dts, opened.time_base, opened.frame_rate)
    timeline = timeline_of(
        starts_us, round_half_up(seen.last_duration * opened.time_base * 1_000_000), opened.time_base
    )
    check_length(timeline.num_frames, timeline.duration_us, opened.limits)
    return timeline, note


def _notes(seen: _SequentialPass, *notes: str) -> str:
    """Return notes and one on what did not decode, as one text."""
    latest = ""
    if seen.unfinished is not None:
        latest = "Its last picture is unfinished, and left out."
    elif seen.num_errors:
        latest = f"{counted(seen.num_errors, 'packet')} did not decode."
    return " ".join(note for note in (*notes, latest) if note)


def _lose_without_frames(opened: OpenVideo, seen: _SequentialPass) -> None:
    check_pixels(opened.codec.width, opened.codec.height, opened.limits)
    if seen.is_encrypted:
        lose("encrypted", "Its video samples are encrypted.")
    if seen.num_errors:
        lose("no_frames", f"None of its packets decoded to a frame; {seen.num_errors} gave errors.")
    lose("no_frames", "Its video stream holds no frame.")


def _first_shifted(opened: OpenVideo, seen: _SequentialPass, time_note: str) -> int | None:
    """Return the number of the first packet whose frame may be shown at the time of another one; None without one.

    What damages a picture of a program or transport stream may change the times of others. Where times are made up for
    lack of others, all may be wrong; in a program stream, frames after the damage may bear the times of lost ones. In a
    bare stream a frame's time is its number, and in an AVI the number of its chunk.
    """
    if not seen.damage.damaged:
        return None
    if opened.container_name in _BARE_STREAMS or (opened.container_name == "avi" and seen.damage.has_losses):
        return min(seen.damage.damaged)
    if opened.container_name not in ("mpeg", "mpegts"):
        return None
    if time_note:
        return 0
    return min(seen.damage.damaged) if seen.has_jump_back and opened.container_name == "mpeg" else None


def _damage_of(seen: _SequentialPass, frame_indices: NDArray[np.int64], first_shifted: int | None) -> str:
    """Return how many of the wanted frames are damaged, as a sentence; empty if none is."""
    wanted = set(frame_indices.tolist())
    seen.damage.add_times(seen.packets)
    packets = [seen.packets[frame_index] for frame_index in wanted]
    num_damaged = sum(
        seen.damage.is_damaged(packet) or (first_shifted is not None and packet >= first_shifted) for packet in packets
    )
    if not num_damaged:
        return ""
    return (
        f"{num_damaged} of the {len(wanted)} wanted frames are damaged, or are decoded from a damaged one "
        f"({len(seen.damage.damaged)} of {len(seen.damage.times)} packets of the video gave errors)."
    )


def _missing_us(opened: OpenVideo, seen: _SequentialPass, starts_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when frames would be shown that did not come out, since their packets are damaged."""
    shown = {*seen.packets, seen.unfinished}
    numbers = [number for number in sorted(seen.damage.damaged) if number > seen.packets[0] and number not in shown]
    ticks = [tick for number in numbers if (tick := seen.packet_ticks[number]) is not None]
    missing_us = np.unique(ticks_to_us(np.array(ticks, np.int64), opened.time_base))
    return missing_us[(missing_us > starts_us[0]) & ~np.isin(missing_us, starts_us)]


def _missing_of(choose: Callable[[Timeline], Sequence[int]], timeline: Timeline, missing_us: NDArray[np.int64]) -> str:
    """Return how many frames would be chosen of those that did not come out, as a sentence; empty if none would."""
    if not len(missing_us):
        return ""
    starts_us = np.union1d(timeline.starts_us, missing_us)
    end_us = max(timeline.end_us, int(2 * starts_us[-1] - starts_us[-2]))
    wanted_us = np.unique(np.asarray(choose(Timeline(starts_us, end_us, timeline.tick_us)), np.int64))
    num_missing = int(np.isin(wanted_us, missing_us).sum())
    return f"{num_missing} of the {len(wanted_us)} wanted frames did not decode." if num_missing else ""


def _fill(
    opened: OpenVideo, frames: Iterable[VideoFrame], frame_indices: Sequence[int], frame_size: FrameSize
) -> FrameStack:
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits, opened.crop)
    stack = FrameStack(frame_indices, converter, frame_size)
    missing = stack.missing
    if not missing:
        return stack
    for frame_index, frame in enumerate(frames):
        if frame_index in missing:
            stack.put(frame_index, frame)
            missing.remove(frame_index)
        if not missing:
            return stack
    return lose("unreadable", "Decoding it twice gave different numbers of frames.")


def decode_frames_sequentially(
    video: VideoSource,
    timestamps_us: Sequence[int],
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
    *,
    looks_for_damage: bool = True,
) -> DecodedFrames:
    """Return the frames shown at `timestamps_us`, which may repeat, by sequential decode.

    Raises:
        VideoLost: the video, or a wanted frame, cannot be decoded.
    """
    return decode_sequentially(
        video, lambda _timeline: timestamps_us, frame_size, limits, note="", looks_for_damage=looks_for_damage
    )
