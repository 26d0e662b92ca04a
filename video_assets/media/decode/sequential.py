"""Decode a video sequentially: every frame from the first to the last, without an index, a seek or a skip."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.domain.geometry import FrameSize, round_half_up
from video_assets.domain.sampling import Timeline
from video_assets.domain.text import counted
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.decode.damage import BARE_STREAMS, DamageLog
from video_assets.media.decode.frame_stack import DecodedFrames, FrameStack
from video_assets.media.decode.sequential_pass import SequentialPass, all_frames
from video_assets.media.decode.tails import TailCheck
from video_assets.media.index.presentation_times import (
    MAX_REORDERED,
    frame_times,
    frames_shown_at,
    ticks_to_us,
    timeline_of,
    unordered_frames,
    usable_tick,
)
from video_assets.media.index.readable import SaidLength, said_length
from video_assets.media.open.formats import MP4
from video_assets.media.open.losses import check_length, check_pixels, errors_as_losses, lose
from video_assets.media.open.video import OpenVideo, VideoSource, open_video
from video_assets.settings import DEFAULT_LIMITS, Limits

BUFFERED_BYTES: Final = 32 * 2**20
"""Decoded frames up to this size stay in memory until it is known which ones are wanted."""

_COUNTS_PACKETS: Final = frozenset({"avi", "ogg"})
"""Containers in which a packet's time is how many there were before it, in the file or since the last time."""

_FRAME_BYTES: Final = 4096  # of any frame, beside its pixels


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
        seen = SequentialPass(unfinished)
        frames = _buffered_frames(all_frames(opened, seen, TailCheck(opened) if looks_for_damage else None))
        if seen.damage.damaged:  # a decoder that raises errors for damage may show fewer frames
            with open_video(video, opened.limits, opened.encoder_version) as again:
                seen = SequentialPass(unfinished, DamageLog(damaged=seen.damage.damaged))
                frames = _buffered_frames(all_frames(again, seen))
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
    if opened.container_name == MP4:
        damage = damage or _disorder_of(seen, frame_indices, opened.time_base)
    with errors_as_losses("all of it was decoded"):
        numbers = frame_indices.tolist()
        if frames is not None:
            stack = _fill(opened, frames, numbers, frame_size)
        else:
            with open_video(video, opened.limits, opened.encoder_version) as again:
                anew = SequentialPass(unfinished, DamageLog(damaged=seen.damage.damaged))
                stack = _fill(again, all_frames(again, anew), numbers, frame_size)
    return DecodedFrames(
        frames=stack.frames,
        timestamps_us=starts_us[frame_indices],
        num_frames_decoded=len(starts_us),
        num_frames_total=len(starts_us),
        note=_notes(seen, note, time_note),
        timeline=timeline,
        damage=damage,
    )


def _unfinished_packet(opened: OpenVideo, seen: SequentialPass) -> int | None:
    """Return the number of the last packet if the video ends within it: all others decoded, and no header says more.

    A recording or a transport stream that was cut has such a packet. Others have been told how long they are, so that a
    damaged end is damage.
    """
    return seen.damage.ends_unfinished if said_length(opened) == SaidLength() else None


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

    `note` is about times that were made up. `num_packets` counts those that decode. `num_missing` counts the pictures
    that a bare stream lacks.
    """

    timeline: Timeline
    note: str
    num_keyframes: int
    num_packets: int
    num_missing: int


def sequential_facts(opened: OpenVideo) -> SequentialFacts:
    """Decode everything for what it tells."""
    seen = SequentialPass()
    for _ in all_frames(opened, seen):
        pass
    timeline, note = _timeline(opened, seen)
    num_packets = len(seen.damage.times) - seen.num_errors
    return SequentialFacts(timeline, _notes(seen, note), seen.num_keyframes, num_packets, seen.damage.num_missing)


def _timeline(opened: OpenVideo, seen: SequentialPass) -> tuple[Timeline, str]:
    if not seen.pts:
        _lose_without_frames(opened, seen)
    starts_us, note = frame_times(seen.pts, seen.dts, opened.time_base, opened.frame_rate)
    timeline = timeline_of(
        starts_us, round_half_up(seen.last_duration * opened.time_base * 1_000_000), opened.time_base
    )
    check_length(timeline.num_frames, timeline.duration_us, opened.limits)
    return timeline, note


def _notes(seen: SequentialPass, *notes: str) -> str:
    """Return notes and one on what did not decode, as one text."""
    latest = ""
    if seen.unfinished is not None:
        latest = "Its last picture is unfinished, and left out."
    elif seen.num_errors:
        latest = f"{counted(seen.num_errors, 'packet')} did not decode."
    return " ".join(note for note in (*notes, latest) if note)


def _lose_without_frames(opened: OpenVideo, seen: SequentialPass) -> None:
    check_pixels(opened.codec.width, opened.codec.height, opened.limits)
    if seen.is_encrypted:
        lose("encrypted", "Its video samples are encrypted.")
    if seen.num_errors:
        lose("no_frames", f"None of its packets decoded to a frame; {seen.num_errors} gave errors.")
    lose("no_frames", "Its video stream holds no frame.")


def _first_shifted(opened: OpenVideo, seen: SequentialPass, time_note: str) -> int | None:
    """Return the number of the first packet whose frame may be shown at the time of another one; None without one.

    What damages a picture of a program or transport stream may change the times of others. Where times are made up for
    lack of others, all may be wrong there, and elsewhere all after a lost one. In a program stream, frames after it may
    bear the times of lost ones. In a bare stream a frame's time is its number, in an AVI the number of its chunk,
    and in an Ogg it counts on from the page before.
    """
    if not seen.damage.damaged:
        return None
    name = opened.container_name
    if name in ("mpeg", "mpegts") and time_note:
        return 0
    counts_on = name in BARE_STREAMS or (name in _COUNTS_PACKETS and seen.damage.has_losses)
    is_one_missing = seen.num_errors > 0 and bool(time_note)
    is_unsure = counts_on or is_one_missing or (name == "mpeg" and seen.has_jump_back)
    return min(seen.damage.damaged) if is_unsure else None


def _damage_of(seen: SequentialPass, frame_indices: NDArray[np.int64], first_shifted: int | None) -> str:
    """Return how many of the wanted frames are damaged, as a sentence; empty if none is."""
    wanted = set(frame_indices.tolist())
    seen.damage.add_times(seen.packets)
    shifted = [] if first_shifted is None else [packet >= first_shifted for packet in seen.packets]
    first = shifted.index(True) if True in shifted else len(seen.packets)  # all that is shown later is, too
    num_damaged = sum(
        frame_index >= first or seen.damage.is_damaged(seen.packets[frame_index]) for frame_index in wanted
    )
    if not num_damaged:
        return ""
    return (
        f"{num_damaged} of the {len(wanted)} wanted frames are damaged, or are decoded from a damaged one "
        f"({len(seen.damage.damaged)} of {len(seen.damage.times)} packets of the video gave errors)."
    )


def _missing_us(opened: OpenVideo, seen: SequentialPass, starts_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when frames would be shown that did not come out, since their packets are damaged."""
    shown = {*seen.packets, seen.unfinished}
    numbers = [number for number in sorted(seen.damage.damaged) if number > seen.packets[0] and number not in shown]
    ticks = [usable_tick(seen.packet_ticks[number], opened.time_base) for number in numbers]
    known = [tick for tick in ticks if tick is not None]
    missing_us = np.unique(ticks_to_us(np.array(known, np.int64), opened.time_base))
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


def _disorder_of(seen: SequentialPass, frame_indices: NDArray[np.int64], time_base: Fraction) -> str:
    """Return how many of the wanted frames may be shown at another's time, as a sentence; empty if none is.

    Where a frame's time is wrong, so may be those of all that a decoder holds back with it. A file without a table of
    display times gives all packets the times of decoding, which are sorted.
    """
    packet_ticks = [tick for tick in seen.packet_ticks if tick is not None]
    if packet_ticks == sorted(packet_ticks):
        return ""
    unordered = unordered_frames(seen.pts, seen.dts, time_base)
    wanted = np.unique(frame_indices)
    num_unsure = int((np.abs(wanted[:, None] - unordered) <= MAX_REORDERED).any(axis=1).sum())
    if not num_unsure:
        return ""
    return (
        f"{num_unsure} of the {len(wanted)} wanted frames may be shown at the time of another one "
        f"({counted(len(unordered), 'frame')} of the video would come before the one that precedes it)."
    )


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
