"""Compute when each frame of a video appears, from the times of its packets or of its decoded frames."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd
from typing import Final

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from video_assets.domain.geometry import round_half_up
from video_assets.domain.sampling import Timeline
from video_assets.media.index.bitstream import PLACEHOLDER_BYTES, count_vops, is_packed
from video_assets.media.index.packets import NO_TICK, DemuxedPackets, IndexNotTrusted
from video_assets.media.open.video import OpenVideo

_SECOND_US = 1_000_000
_MICROSECOND = Fraction(1, _SECOND_US)
_MAX_SECONDS = 2**62 // _SECOND_US
_CLOCK_RESTARTS_US = 1_000_000
"""A larger step back means that the clock started again, not that single times are wrong."""

_LONG_FRAME_US = 10_000_000
_MAX_TIMES_LONGER = 100
"""A last frame longer than 10 s, and than 100 times the longest other frame, is a wrong number. The still at the end of
a recording or of a GIF is shorter; wrong numbers mean minutes or days."""

MAX_REORDERED = 16
"""How many frames a decoder may hold back at most, in H.264 (7.4.2.1.1) and HEVC (A.4)."""


def ticks_to_us(ticks: NDArray[np.int64], time_base: Fraction) -> NDArray[np.int64]:
    """Convert ticks to microseconds by exact arithmetic, rounding halves up.

    >>> ticks_to_us(np.array([-1, 1, 3]), Fraction(1, 2_000_000)).tolist()
    [0, 1, 2]
    """
    # Not by `Fraction`: one of its operations costs more than all of a short video here.
    divisor = gcd(_SECOND_US, time_base.denominator)
    factor, denominator = time_base.numerator * (_SECOND_US // divisor), time_base.denominator // divisor
    largest = max(int(ticks.max()), -int(ticks.min())) if len(ticks) else 0
    if 2 * largest * factor + denominator < 2**62:  # no product leaves int64
        return (2 * factor * ticks + denominator) // (2 * denominator)
    return np.array([(2 * factor * int(tick) + denominator) // (2 * denominator) for tick in ticks], dtype=np.int64)


def frame_times(
    pts: Sequence[int | None],
    dts: Sequence[int | None],
    time_base: Fraction,
    frame_rate: Fraction,
) -> tuple[NDArray[np.int64], str]:
    """Compute when each decoded frame appears, in display order.

    A frame without a presentation time gets the decoding time of the packet that brought it (so does the ffmpeg program
    for AVI); frames that come out when the decoder is flushed follow at the frame rate. Some files (MXF, Matroska made
    from AVI) store the times in the order of the packets instead of the display order: these are sorted. Where there is
    no usable time, or most frames have the same one, all frames follow at the frame rate.

    Args:
        pts: Presentation time of each frame in ticks, in the order in which the decoder gave them.
        dts: Decoding time of the packet that brought each frame.
        time_base: Seconds per tick.
        frame_rate: Frames per second.

    Returns:
        (N,) int64 strictly increasing microseconds, and a sentence on what was made up, or "".
    """
    if not pts:
        return np.zeros(0, np.int64), ""
    step_us = max(1, round_half_up(_SECOND_US / frame_rate))
    known = [usable_tick(p if p is not None else d, time_base) for p, d in zip(pts, dts, strict=True)]
    if all(tick is None for tick in known):
        return _by_rate(0, len(pts), frame_rate), "The frames have no times; they are laid out by the frame rate."
    filled = _filled(known, time_base, 1 / (frame_rate * time_base))
    start_us = int(filled[0])
    num_bad = int(np.count_nonzero(np.diff(filled) <= 0))
    if num_bad and _is_in_packet_order(filled):
        return np.sort(filled), "The frames' times came in the order of their packets; they were sorted."
    if 2 * num_bad > len(filled) - 1:
        note = "Most frames have the same time; they are laid out by the frame rate."
        return _by_rate(start_us, len(pts), frame_rate), note
    if num_bad:
        return _made_increasing(filled, step_us), f"{num_bad} frame times do not increase; they were moved."
    return filled, ""


def unordered_frames(pts: Sequence[int | None], dts: Sequence[int | None], time_base: Fraction) -> NDArray[np.int64]:
    """Return the numbers of decoded frames that are not shown after the one before, according to their times.

    Nothing where most have the same time, as in some containers. A clock that starts again is none either.
    """
    ticks = [usable_tick(p if p is not None else d, time_base) for p, d in zip(pts, dts, strict=True)]
    known = [tick for tick in ticks if tick is not None]
    if len(known) < len(ticks):
        return np.zeros(0, np.int64)
    steps_us = np.diff(ticks_to_us(np.array(known, np.int64), time_base))
    found = np.flatnonzero((steps_us <= 0) & (steps_us >= -_CLOCK_RESTARTS_US)) + 1
    return found if 2 * len(found) < len(known) else found[:0]


def timeline_of(starts_us: NDArray[np.int64], last_duration_us: int, time_base: Fraction = _MICROSECOND) -> Timeline:
    """Return the timeline of frames that start at `starts_us`.

    The last frame gets the given duration. Where that is unknown, or too long to be right, it gets that of the frame
    before it: otherwise nearly all times chosen over the whole video would fall into the last frame.

    >>> timeline_of(np.array([0, 40_000]), 167_772_160_000).end_us
    80000
    """
    if last_duration_us <= 0 or _is_too_long(starts_us, last_duration_us):
        last_duration_us = int(starts_us[-1] - starts_us[-2]) if len(starts_us) > 1 else 40_000
    return Timeline(starts_us, int(starts_us[-1]) + last_duration_us, tick_us(time_base))


def tick_us(time_base: Fraction) -> int:
    """Return a tick in microseconds, rounded up."""
    return -(-_SECOND_US * time_base.numerator // time_base.denominator)


def _is_too_long(starts_us: NDArray[np.int64], last_duration_us: int) -> bool:
    # A single frame may last as long as it likes: every time shows it.
    if last_duration_us <= _LONG_FRAME_US or len(starts_us) < 2:
        return False
    return last_duration_us > _MAX_TIMES_LONGER * int(np.diff(starts_us).max())


def frames_shown_at(starts_us: NDArray[np.int64], wanted_us: Sequence[int]) -> NDArray[np.int64]:
    """Return the index of the frame shown at each wanted time: the last one that started, or else the first.

    >>> frames_shown_at(np.array([0, 40, 80]), [-5, 0, 39, 40, 500]).tolist()
    [0, 0, 0, 1, 2]
    """
    indices = np.searchsorted(starts_us, np.asarray(wanted_us, dtype=np.int64), side="right") - 1
    return np.maximum(indices, 0)


def _by_rate(start_us: int, num_frames: int, frame_rate: Fraction) -> NDArray[np.int64]:
    step = Fraction(_SECOND_US) / frame_rate
    return np.array(
        [start_us + round_half_up(step * index) for index in range(num_frames)],
        dtype=np.int64,
    )


def usable_tick(tick: int | None, time_base: Fraction) -> int | None:
    """Return None for a time that int64 microseconds cannot hold: a wrong number, as in an Ogg that was cut."""
    return tick if tick is None or abs(tick) * time_base.numerator < _MAX_SECONDS * time_base.denominator else None


def _filled(ticks: Sequence[int | None], time_base: Fraction, step_ticks: Fraction) -> NDArray[np.int64]:
    """Convert ticks to microseconds; missing ones follow the one before, or precede the first one, at `step_ticks`."""
    present = [tick for tick in ticks if tick is not None]
    if len(present) == len(ticks):
        return ticks_to_us(np.array(present, dtype=np.int64), time_base)
    num_before = next(number for number, tick in enumerate(ticks) if tick is not None)
    previous = Fraction(present[0]) - (num_before + 1) * step_ticks
    filled: list[int] = []
    for tick in ticks:
        previous = previous + step_ticks if tick is None else Fraction(tick)
        filled.append(round_half_up(previous * time_base * _SECOND_US))
    return np.array(filled, dtype=np.int64)


def _is_in_packet_order(times_us: NDArray[np.int64]) -> bool:
    """Return whether the times differ, and each is near its sorted position: after a clock restart, it is not."""
    if np.diff(times_us).min() < -_CLOCK_RESTARTS_US:
        return False
    order = np.argsort(times_us, kind="stable")
    is_near = np.abs(order - np.arange(len(order))) <= MAX_REORDERED
    return bool(is_near.all() and (np.diff(times_us[order]) > 0).all())


def _made_increasing(times_us: NDArray[np.int64], step_us: int) -> NDArray[np.int64]:
    """Turn small steps back and repeated times into steps of 1 us; shift what follows a restart of the clock."""
    increasing = times_us.copy()
    shift_us = 0
    for index in range(1, len(times_us)):
        previous_us = int(increasing[index - 1])
        time_us = int(times_us[index]) + shift_us
        if previous_us - time_us > _CLOCK_RESTARTS_US:
            shift_us += previous_us + step_us - time_us
            time_us = previous_us + step_us
        increasing[index] = max(time_us, previous_us + 1)
    return increasing


JUMP_BACK: Final = "Its packets' times jump back."


def frames_by_pts(
    pts: NDArray[np.int64], shown: NDArray[np.int64], seek_points: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return when each frame appears, (F,) in ticks, and the number of the packet that brings it: by presentation time.

    Raises:
        IndexNotTrusted: no decoder would give frames in that order.
    """
    positions = np.argsort(pts[shown], kind="stable")
    order = shown[positions]
    if len(order) and pts[order[0]] < pts[0] and shown[0] == 0:
        raise IndexNotTrusted("Frames are shown before its first keyframe.")
    check_order(pts, positions, shown, seek_points)
    return pts[order], order


def check_order(
    pts: NDArray[np.int64], positions: NDArray[np.int64], shown: NDArray[np.int64], seek_points: NDArray[np.int64]
) -> None:
    """Check that a decoder can give the frames in the order of their times.

    A decoder holds back `MAX_REORDERED` frames at most, and none across a seek point. Where the clock was set back in
    the middle of a video, sorting by time would mix frames of its two halves.

    Args:
        pts: Presentation times of all packets.
        positions: (F,) positions in `shown`, sorted by presentation time.
        shown: (F,) numbers of the packets that show a frame.
        seek_points: Numbers of the packets at which decoding may begin.

    Raises:
        IndexNotTrusted: it cannot.
    """
    is_held_too_long = positions - np.arange(len(positions)) > MAX_REORDERED
    num_before = np.searchsorted(shown, seek_points)
    seek_points, num_before = seek_points[num_before > 0], num_before[num_before > 0]
    is_passed = np.maximum.accumulate(pts[shown])[num_before - 1] > pts[seek_points]
    if is_held_too_long.any() or is_passed.any():
        raise IndexNotTrusted(JUMP_BACK)


def frames_by_dts(
    opened: OpenVideo, demuxed: DemuxedPackets, dts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Do the same for MPEG-4 with B pictures in AVI, which has decoding times only.

    The decoder holds one picture back: each frame appears with the next packet, and the last one a step after the last
    packet.

    Raises:
        IndexNotTrusted: the packets do not say which pictures they hold.
    """
    if opened.codec.codec.canonical_name != "mpeg4" or opened.codec.reorder_depth != 1 or demuxed.packets is None:
        raise IndexNotTrusted("Its packets have no presentation times.")
    if (dts == NO_TICK).any() or not all(demuxed.shown):
        raise IndexNotTrusted("Its packets have no times, or not all are shown.")
    bringing = np.array(_packets_that_bring_pictures(demuxed.packets), dtype=np.int64)
    ticks = np.append(dts[bringing[1:]], dts[bringing[-1]] + 1)
    return ticks, np.append(bringing[1:], bringing[-1])


def _packets_that_bring_pictures(packets: Sequence[Packet]) -> list[int]:
    """Return the numbers of the packets with which the decoder decodes one picture each.

    Where B pictures are packed, a packet may hold two pictures: the second one waits for the next packet, often a
    placeholder without a picture. A placeholder brings nothing if no picture waits, and neither does a packet of one
    byte. A picture that still waits after the last packet never comes out.
    """
    numbers: list[int] = []
    num_waiting = 0
    are_packed = is_packed(packets[0])
    for number, packet in enumerate(packets):
        if packet.size <= 1:
            continue
        is_placeholder = packet.size < PLACEHOLDER_BYTES
        num_waiting += 0 if is_placeholder else count_vops(packet)
        if num_waiting > 2 or (not are_packed and (is_placeholder or num_waiting != 1)):
            raise IndexNotTrusted("Its packets have no presentation times, and do not hold one frame each.")
        if num_waiting:
            num_waiting -= 1
            numbers.append(number)
    return numbers
