"""Decode every packet of a video once, in order, and note what that tells of its frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import av.error
import av.packet
from av.video.frame import VideoFrame

from video_assets.media.decode.damage import DamageLog, notice_more_damage
from video_assets.media.decode.tails import TailCheck
from video_assets.media.index.bitstream import may_keep_others, min_raw_bytes
from video_assets.media.open.losses import check_length, check_pixels
from video_assets.media.open.video import OpenVideo

PACKET_ERRORS: Final = (
    av.error.InvalidDataError,
    av.error.PatchWelcomeError,
    av.error.UndefinedError,
    av.error.BugError,
    av.error.ArgumentError,
    av.error.EOFError,
)
"""What a decoder raises for a packet; the next one may decode."""


@dataclass(slots=True)
class SequentialPass:
    """What is known of the frames that were decoded so far; `unfinished` is the number of a packet that is left out."""

    unfinished: int | None = None
    damage: DamageLog = field(default_factory=DamageLog)
    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    packets: list[int] = field(default_factory=list)  # the number of the packet that brought each frame
    packet_ticks: list[int | None] = field(default_factory=list)  # when each packet's frame is shown, or else decoded
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


def leaves_room(ticks: Sequence[int | None]) -> bool:
    """Return whether a frame is missing between the last two of some times, by the step before them."""
    latest = ticks[-3:]
    if len(latest) < 3 or None in latest:
        return False
    first, second, third = (tick or 0 for tick in latest)
    return 2 * (third - second) >= 3 * (second - first)


def all_frames(opened: OpenVideo, seen: SequentialPass, tails: TailCheck | None = None) -> Iterator[VideoFrame]:
    """Yield every frame in display order; packets that do not decode are counted and left out, as ffmpeg does.

    With `tails` damage is looked for.
    """
    min_bytes = min_raw_bytes(opened.codec)
    seen.damage.prepare(opened)
    number, is_past_end = 0, False
    for packet in opened.packets():
        if packet.size:
            number = seen.damage.add(opened, packet)
            seen.note_dts(packet.dts)
            seen.packet_ticks.append(packet.dts if packet.pts is None else packet.pts)
            if tails is not None:
                _look_for_damage(opened, tails, number, packet)
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
                is_past_end = True
                continue
            if is_past_end and not leaves_room([*seen.pts[-2:], frame.pts]):
                continue  # it was sent earlier, and would now be shown at the time of the unfinished one
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
    if not leaves_room(seen.pts):
        seen.damage.finish(opened)
    if tails is not None:
        seen.damage.damaged |= tails.finish()


def _look_for_damage(opened: OpenVideo, tails: TailCheck, number: int, packet: av.packet.Packet) -> None:
    """Try a packet that is decoded next. The first one says whether every error is damage.

    A stream may be cut at an H.264 keyframe that keeps pictures before it: references to these are no damage.
    """
    if number == 0:
        codec, extradata = opened.codec.codec.canonical_name, opened.codec.extradata
        tails.is_strict = not may_keep_others(codec, packet, extradata)
        if tails.is_strict:
            notice_more_damage(opened)
    tails.add_packet(number, packet)
