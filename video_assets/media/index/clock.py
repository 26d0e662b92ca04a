"""Presentation times and display order of the frames that a video's packets show."""

from collections.abc import Sequence
from fractions import Fraction
from math import gcd
from typing import Final

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from video_assets.domain.geometry import round_half_up
from video_assets.domain.sampling import Timeline
from video_assets.media.index.bitstream import count_vops, is_packed
from video_assets.media.index.packets import NO_TICK, IndexNotTrusted, Packets
from video_assets.media.open.video import OpenVideo

_SECOND_US = 1_000_000
_MOST_SECONDS = 2**62 // _SECOND_US
_CLOCK_RESTARTS_US = 1_000_000
"""A step back that is greater is a clock that starts again, and no fault of single times."""

_LONG_FRAME_US = 10_000_000
_MOST_TIMES_LONGER = 100
"""A last frame that is longer than both, this many times the longest other one, is a broken number. A picture that
stands for a while at the end of a recording or a GIF is no longer; a number that went wrong means minutes or days."""

MOST_REORDERED = 16
"""Pictures that may come before one that is shown earlier: the most in H.264 (7.4.2.1.1) and HEVC (A.4)."""


def ticks_to_us(ticks: NDArray[np.int64], time_base: Fraction) -> NDArray[np.int64]:
    """Ticks in microseconds by exact arithmetic, halves rounded up.

    >>> ticks_to_us(np.array([-1, 1, 3]), Fraction(1, 2_000_000)).tolist()
    [0, 1, 2]
    """
    # Without `Fraction`, whose every operation costs more than the whole sum over a short video.
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
    """When each decoded frame appears, in display order, and a note on what had to be made up.

    Where a frame has no presentation time, the decoding time of the packet that brought it out stands in (this is
    what the ffmpeg program shows for AVI); frames that come out only when the decoder is emptied follow at the frame
    rate. Some files (MXF, Matroska made from AVI) give the times in the order of the packets, which is not the order in
    which frames are shown: these are sorted. A stream without any usable time, or whose frames mostly have the same
    one, is laid out by its frame rate.

    Returns:
        (N,) int64 strictly increasing microseconds, and "" or a sentence.
    """
    if not pts:
        return np.zeros(0, np.int64), ""
    step_us = max(1, round_half_up(_SECOND_US / frame_rate))
    known = [_within_reason(p if p is not None else d, time_base) for p, d in zip(pts, dts, strict=True)]
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


def timeline_of(starts_us: NDArray[np.int64], last_duration_us: int) -> Timeline:
    """The time line of frames that start at `starts_us`.

    The last one lasts as given. Where that is unknown, or so long that it must be wrong, it lasts as long as the one
    before: else times chosen over the whole video would nearly all fall into its last frame.

    >>> timeline_of(np.array([0, 40_000]), 167_772_160_000).end_us
    80000
    """
    if last_duration_us <= 0 or _is_beyond_reason(starts_us, last_duration_us):
        last_duration_us = int(starts_us[-1] - starts_us[-2]) if len(starts_us) > 1 else 40_000
    return Timeline(starts_us, int(starts_us[-1]) + last_duration_us)


def _is_beyond_reason(starts_us: NDArray[np.int64], last_duration_us: int) -> bool:
    """Never of a single frame: nothing says how long it may be, and it is what every time shows."""
    if last_duration_us <= _LONG_FRAME_US or len(starts_us) < 2:
        return False
    return last_duration_us > _MOST_TIMES_LONGER * int(np.diff(starts_us).max())


def shown_at(starts_us: NDArray[np.int64], wanted_us: Sequence[int]) -> NDArray[np.int64]:
    """Which frame is on screen at each wanted time: the last that started; before the first one, the first.

    >>> shown_at(np.array([0, 40, 80]), [-5, 0, 39, 40, 500]).tolist()
    [0, 0, 0, 1, 2]
    """
    places = np.searchsorted(starts_us, np.asarray(wanted_us, dtype=np.int64), side="right") - 1
    return np.maximum(places, 0)


def _by_rate(start_us: int, num_frames: int, frame_rate: Fraction) -> NDArray[np.int64]:
    step = Fraction(_SECOND_US) / frame_rate
    return np.array(
        [start_us + round_half_up(step * index) for index in range(num_frames)],
        dtype=np.int64,
    )


def _within_reason(tick: int | None, time_base: Fraction) -> int | None:
    """None for a time that int64 microseconds could not hold: a broken number, as Ogg gets where it is cut."""
    return tick if tick is None or abs(tick) * time_base.numerator < _MOST_SECONDS * time_base.denominator else None


def _filled(ticks: Sequence[int | None], time_base: Fraction, step_ticks: Fraction) -> NDArray[np.int64]:
    """Ticks in microseconds; missing ones follow the one before, or precede the first known one, at `step_ticks`."""
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
    """Whether the times differ, and each is near its place: a clock that starts again would be far from it."""
    if np.diff(times_us).min() < -_CLOCK_RESTARTS_US:
        return False
    order = np.argsort(times_us, kind="stable")
    is_near = np.abs(order - np.arange(len(order))) <= MOST_REORDERED
    return bool(is_near.all() and (np.diff(times_us[order]) > 0).all())


def _made_increasing(times_us: NDArray[np.int64], step_us: int) -> NDArray[np.int64]:
    """Small steps back or repeated times become one microsecond; a jump back (a restarted clock) shifts the rest."""
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

_NOT_CODED_BYTES: Final = 8  # an MPEG-4 packet that small codes nothing: a placeholder after packed pictures


def frames_by_pts(
    pts: NDArray[np.int64], shown: NDArray[np.int64], restarts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """When each frame appears, (F,) in ticks, and the packet that brings it: those that are shown, by their times.

    Raises:
        IndexNotTrusted: if no decoder would give frames in that order.
    """
    places = np.argsort(pts[shown], kind="stable")
    order = shown[places]
    if len(order) and pts[order[0]] < pts[0] and shown[0] == 0:
        raise IndexNotTrusted("Frames are shown before its first keyframe.")
    check_order(pts, places, shown, restarts)
    return pts[order], order


def check_order(
    pts: NDArray[np.int64], places: NDArray[np.int64], shown: NDArray[np.int64], restarts: NDArray[np.int64]
) -> None:
    """A decoder holds back so many pictures, and none at a keyframe: frames of more distant packets come in turn.

    Where a clock went back in the middle, frames of two parts would stand among one another.

    Raises:
        IndexNotTrusted: if they do. `places` are those of the packets of `shown`, (F,), in the order of `pts`.
    """
    is_held_too_long = places - np.arange(len(places)) > MOST_REORDERED
    num_before = np.searchsorted(shown, restarts)
    restarts, num_before = restarts[num_before > 0], num_before[num_before > 0]
    is_passed = np.maximum.accumulate(pts[shown])[num_before - 1] > pts[restarts]
    if is_held_too_long.any() or is_passed.any():
        raise IndexNotTrusted(JUMP_BACK)


def frames_by_dts(
    opened: OpenVideo, packets: Packets, dts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """MPEG-4 with B pictures in AVI has decoding times only; a frame is shown when the next packet brings it out.

    The decoder holds one picture back, so the first packet brings out none, and the last frame comes out at the end,
    one step after the last packet.

    Raises:
        IndexNotTrusted: if the packets do not say which pictures they hold.
    """
    if opened.codec.codec.canonical_name != "mpeg4" or opened.codec.reorder_depth != 1 or packets.held is None:
        raise IndexNotTrusted("Its packets have no presentation times.")
    if (dts == NO_TICK).any() or not all(packets.shown):
        raise IndexNotTrusted("Its packets have no times, or not all are shown.")
    bringing = np.array(_packets_that_bring_pictures(packets.held), dtype=np.int64)
    ticks = np.append(dts[bringing[1:]], dts[bringing[-1]] + 1)
    return ticks, np.append(bringing[1:], bringing[-1])


def _packets_that_bring_pictures(packets: Sequence[Packet]) -> list[int]:
    """Numbers of the packets that let the decoder work out one picture.

    Where B pictures are packed, a packet may hold two: the second waits for the next packet, often a placeholder that
    codes nothing. A placeholder that nothing waits for brings nothing, like one of a single byte; a picture that waits
    behind the very last packet never comes out.
    """
    numbers: list[int] = []
    num_waiting = 0
    are_packed = is_packed(packets[0])
    for number, packet in enumerate(packets):
        if packet.size <= 1:
            continue
        is_placeholder = packet.size < _NOT_CODED_BYTES
        num_waiting += 0 if is_placeholder else count_vops(packet)
        if num_waiting > 2 or (not are_packed and (is_placeholder or num_waiting != 1)):
            raise IndexNotTrusted("Its packets have no presentation times, and do not hold one frame each.")
        if num_waiting:
            num_waiting -= 1
            numbers.append(number)
    return numbers
