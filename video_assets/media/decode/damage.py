"""Find the frames that are damaged: their own data gave errors, or that of a frame that they are decoded from."""

import io
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import av.codec.context
import av.packet

from video_assets.media.index.bitstream import SEEKABLE, starts_cleanly
from video_assets.media.open.crop import CLUSTER, NO_END, SEGMENT, matroska_elements
from video_assets.media.open.video import OpenVideo

_STRICT: Final = "explode"
_STRICT_OF: Final = {"hevc": "explode+crccheck"}
"""An HEVC stream may carry the MD5 of each picture. Of other codecs, `crccheck` calls sound videos damaged."""
_CRC32: Final = b"\xbf\x84"  # the id of the element, and its size
_MAX_CLUSTER_BYTES: Final = 64 * 2**20


def notice_more_damage(opened: OpenVideo) -> None:
    """Let the decoder raise an error for damage that it hides by default; of damaged packets it may show no frame.

    Frames of a video without damage stay the same. This has to come before the first packet is decoded.
    """
    strict = _STRICT_OF.get(opened.codec.codec.canonical_name, _STRICT)
    opened.codec.options = {**opened.codec.options, "err_detect": strict}


class ClusterChecksums:
    """Compares the clusters of a Matroska file on this machine with their CRC-32, which FFmpeg writes but never reads.

    It finds any damage, and not just where a decoder notices it; but not which packet of the cluster is damaged.
    """

    def __init__(self, opened: OpenVideo) -> None:
        is_here = isinstance(opened.file, io.FileIO | io.BytesIO) and "matroska" in opened.container_name
        self._file: BinaryIO | None = opened.file if is_here else None
        self._size_bytes = opened.size_bytes
        self._clusters: Iterator[tuple[int, int]] = iter(())
        self._latest = (0, 0)
        self._is_damaged = False

    def is_damaged(self, packet: av.packet.Packet) -> bool:
        """Return whether the cluster that a packet lies in is not as it was written."""
        file = self._file
        if file is None or packet.pos is None:
            return False
        if not self._latest[0] <= packet.pos < self._latest[1]:
            position = file.tell()
            try:
                self._go_to(file, packet.pos)
            except (IndexError, StopIteration):  # not as the format requires: there is nothing to compare with
                self._file = None
                return False
            finally:
                file.seek(position)
        return self._is_damaged

    def _go_to(self, file: BinaryIO, position: int) -> None:
        if position < self._latest[1] or self._latest == (0, 0):
            self._clusters = _clusters(file)
        while not self._latest[0] <= position < self._latest[1]:
            self._latest = next(self._clusters)
        start, stop = self._latest
        file.seek(start)
        head = file.read(6)
        self._is_damaged = (
            head.startswith(_CRC32)
            and stop <= self._size_bytes  # one that was cut short is whole up to its end
            and stop - start <= _MAX_CLUSTER_BYTES
            and zlib.crc32(file.read(stop - start - 6)) != int.from_bytes(head[2:], "little")
        )


def _clusters(file: BinaryIO) -> Iterator[tuple[int, int]]:
    for kind, start, stop in matroska_elements(file, 0, NO_END):
        if kind == SEGMENT:
            for inner, begin, end in matroska_elements(file, start, stop):
                if inner == CLUSTER:
                    yield begin, end


@dataclass(slots=True)
class DamageLog:
    """What decoding told of each packet, in the order in which they were decoded.

    Frames name the number of their packet, since they come out later and in another order. `restarts` are the packets
    at which decoding may begin, `damaged` those that did not decode, or gave a frame that is flagged as damaged.
    """

    times: list[int | None] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    _checksums: ClusterChecksums | None = None

    def prepare(self, opened: OpenVideo) -> None:
        """Let frames carry the numbers of their packets."""
        opened.codec.flags |= av.codec.context.Flags.copy_opaque
        self._checksums = ClusterChecksums(opened)

    def add(self, opened: OpenVideo, packet: av.packet.Packet) -> int:
        """Note a packet that is decoded next, and return its number."""
        number = len(self.times)
        packet.opaque = number
        self.times.append(packet.pts)
        codec = opened.codec.codec.canonical_name
        if packet.is_corrupt or (self._checksums is not None and self._checksums.is_damaged(packet)):
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
