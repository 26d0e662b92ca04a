"""Find the frames that are damaged: their own data gave errors, or that of a frame that they are decoded from."""

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Final

import av.codec.context
import av.packet

from video_assets.media.index.bitstream import SEEKABLE, starts_cleanly
from video_assets.media.open.video import OpenVideo

_STRICT_OPTIONS: Final = {"err_detect": "explode"}


def notice_more_damage(opened: OpenVideo) -> None:
    """Let the decoder raise an error for damage that it hides by default; of damaged packets it may show no frame.

    Frames of a video without damage stay the same. This has to come before the first packet is decoded.
    """
    opened.codec.options = {**opened.codec.options, **_STRICT_OPTIONS}


@dataclass(slots=True)
class DamageLog:
    """What decoding told of each packet, in the order in which they were decoded.

    Frames name the number of their packet, since they come out later and in another order. `restarts` are the packets
    at which decoding may begin, `damaged` those that did not decode, or gave a frame that is flagged as damaged.
    """

    times: list[int | None] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)

    def prepare(self, opened: OpenVideo) -> None:
        """Let frames carry the numbers of their packets."""
        opened.codec.flags |= av.codec.context.Flags.copy_opaque

    def add(self, opened: OpenVideo, packet: av.packet.Packet) -> int:
        """Note a packet that is decoded next, and return its number."""
        number = len(self.times)
        packet.opaque = number
        self.times.append(packet.pts)
        codec = opened.codec.codec.canonical_name
        if packet.is_corrupt:
            self.damaged.add(number)
        if packet.is_keyframe and (codec not in SEEKABLE or starts_cleanly(codec, packet, opened.codec.extradata)):
            self.restarts.append(number)
        return number

    def is_damaged(self, packet_number: int) -> bool:
        """Return whether the frame of a packet is damaged, or one that it may be decoded from.

        Decoding may have begun at the last restart that is not shown later than the frame. Pictures that follow a
        restart but are shown before it are no one's reference but one another's.
        """
        place = bisect_right(self.restarts, packet_number) - 1
        while place > 0 and self._is_shown_before(packet_number, self.restarts[place]):
            place -= 1
        first = self.restarts[place] if place >= 0 else 0
        return any(
            first <= number <= packet_number and not self._is_shown_before(number, first) for number in self.damaged
        )

    def _is_shown_before(self, number: int, restart: int) -> bool:
        time, restart_time = self.times[number], self.times[restart]
        return time is not None and restart_time is not None and time < restart_time
