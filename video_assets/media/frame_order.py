"""Which frames a video's packets show, in display order: by presentation times, or where there are none by others."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from video_assets.media.bitstream import count_vops, is_packed
from video_assets.media.clock import MOST_REORDERED
from video_assets.media.packets import NO_TICK, IndexNotTrusted, Packets
from video_assets.media.video import OpenVideo

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
