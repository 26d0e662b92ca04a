"""What demuxing a video tells of its packets, and that it may tell too little."""

from dataclasses import dataclass, field
from typing import Final

from av.packet import Packet

NO_TICK: Final = -(2**63)
"""A time that the container does not give (FFmpeg's AV_NOPTS_VALUE)."""


class IndexNotTrusted(Exception):
    """The packets do not tell which frames there are; the message says why, as a sentence for `note`."""


class FrameDamaged(IndexNotTrusted):
    """What was decoded has errors. Another index would not mend them."""


class TableNotTrusted(IndexNotTrusted):
    """The sample table does not; reading all packets may."""


@dataclass(slots=True)
class Packets:
    """What demuxing has collected so far."""

    pts: list[int] = field(default_factory=list)
    dts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    shown: list[bool] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    num_keyframes: int = 0
    has_palette: bool = False  # colours that came with a packet, beside its data
    last_duration: int = 0
    held: list[Packet] | None = field(default_factory=list)
