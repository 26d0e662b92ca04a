"""Hold what demuxing a video tells about its packets, and the errors for where it tells too little."""

from dataclasses import dataclass, field
from typing import Final

from av.packet import Packet

NO_TICK: Final = -(2**63)
"""The value of a time that the container does not give (FFmpeg's AV_NOPTS_VALUE)."""


class IndexNotTrusted(Exception):
    """The packets do not tell which frames there are. The message says why, as a sentence for `note`."""


class FrameDamaged(IndexNotTrusted):
    """Decoding gave errors. Another index would not help."""


class TableNotTrusted(IndexNotTrusted):
    """The mp4's sample table does not tell it; reading all packets may."""


@dataclass(slots=True)
class DemuxedPackets:
    """What is known of the packets that were demuxed so far, one entry per packet in each of the first four lists.

    `seek_points` are the numbers of the packets at which decoding may begin. `packets` are the packets themselves, or
    None once they took too much memory.
    """

    pts: list[int] = field(default_factory=list)
    dts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    seek_points: list[int] = field(default_factory=list)
    num_keyframes: int = 0
    has_palette: bool = False  # the colours came with a packet, beside its data
    last_duration: int = 0  # of the packet that is shown last
    packets: list[Packet] | None = field(default_factory=list)
