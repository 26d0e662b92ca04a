"""Find the frames that are damaged: their own data gave errors, or that of a frame that they are decoded from."""

import io
import re
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

import av.codec.context
import av.packet
from av.video.frame import VideoFrame

from video_assets.media.index.bitstream import (
    MS_MPEG4,
    NEEDS_FIRST_PACKET,
    SEEKABLE,
    avc_length_size,
    hevc_length_size,
    is_bidirectional,
    nal_units,
    starts_cleanly,
)
from video_assets.media.index.display_numbers import DisplayNumbers
from video_assets.media.index.h264_order import H264Order
from video_assets.media.index.hevc_order import HevcOrder
from video_assets.media.index.lost_parts import places_of_losses
from video_assets.media.index.picture_order import Av1Order, Mpeg4Order, MpegOrder
from video_assets.media.open.crop import CLUSTER, NO_END, SEGMENT, matroska_elements
from video_assets.media.open.video import OpenVideo

_STRICT: Final = "explode"
_STRICT_OF: Final = {
    "hevc": "explode+crccheck",
    "h264": "explode+aggressive",
    **dict.fromkeys(MS_MPEG4, "explode+bitstream+buffer"),
}
"""An HEVC stream may carry the MD5 of each picture. H.264 without arithmetic coding has to be read to the end of its
data, and so have Microsoft's relatives of MPEG-4. Of other codecs, these flags call sound videos damaged."""
_BEGINS_WITH_KEYFRAME: Final = MS_MPEG4 | {"h263", "flv1", "theora"}
"""Codecs whose streams are nothing without a keyframe; those of others may refresh a picture part by part."""
_DECODES_FROM_NOTHING: Final = _BEGINS_WITH_KEYFRAME | NEEDS_FIRST_PACKET | {"hevc"}
"""Codecs whose pictures before the first keyframe FFmpeg shows, though those that they refer to are not there."""
_ZEROS: Final = bytes(64)
_ZEROS_WITHIN: Final = re.compile(rb"(?<!\0)\0{64,}[^\0\1]")
"""From the first zero on alone: encoders fill packets with hundreds of thousands, each of which would be tried."""
_HAS_NO_ZEROS: Final = frozenset({"vp8", "vp9", "av1"})
"""Codecs whose entropy coders never write so many zeros in a row; decoders take a block of zeros for data."""
_VP8_BLOCKS_PER_ZERO: Final = 24
"""VP8 writes zeros for what is likely, so that large pictures of still screens hold more of them: a recording of 9,216
blocks (of 16 by 16 pixels) had 79 in a row, and may have these five times as often."""
_HAS_START_CODES: Final = frozenset({"h264", "hevc", "mpeg4", "mpeg1video", "mpeg2video"})
"""Codecs whose data have two zero bytes at most, except before a start code, or at the end of a NAL unit."""
_Order = MpegOrder | Mpeg4Order | Av1Order | H264Order | HevcOrder
_ORDERS: Final[dict[str, Callable[[bytes | None, DisplayNumbers | None], _Order]]] = {
    "mpeg1video": lambda _extradata, _numbers: MpegOrder(),
    "mpeg2video": lambda _extradata, _numbers: MpegOrder(),
    "mpeg4": lambda extradata, _numbers: Mpeg4Order(extradata),
    "av1": lambda _extradata, _numbers: Av1Order(),
    "h264": H264Order,
    "hevc": HevcOrder,
}
BARE_STREAMS: Final = frozenset({"h261", "h263", "h264", "hevc", "m4v", "mpegvideo", "obu"})
"""What FFmpeg calls streams without a container, which have no times."""
_LENGTH_SIZES: Final = {"h264": avc_length_size, "hevc": hevc_length_size}
_CRC32: Final = b"\xbf\x84"  # the id of the element, and its size
_MAX_CLUSTER_BYTES: Final = 64 * 2**20
_WITHOUT_TIMES: Final = BARE_STREAMS | {"mpeg"}
"""A program stream has times, but not of each picture."""


def notice_more_damage(opened: OpenVideo) -> None:
    """Let the decoder raise an error for damage that it hides by default; of damaged packets it may show no frame.

    Frames of a video without damage stay the same. This has to come before the first packet is decoded.
    """
    codec = opened.codec.codec.canonical_name
    stricter = {"strict": "strict"} if codec == "av1" else {}  # dav1d does not go by err_detect
    opened.codec.options = {**opened.codec.options, "err_detect": _STRICT_OF.get(codec, _STRICT), **stricter}


class PacketChecks:
    """Finds damaged packets without decoding them. It has to see every packet from a keyframe on."""

    def __init__(self, opened: OpenVideo) -> None:
        self._codec, self._extradata = opened.codec.codec.canonical_name, opened.codec.extradata
        self._may_find_zeros = self._codec in _HAS_NO_ZEROS | _HAS_START_CODES
        num_blocks = opened.codec.width * opened.codec.height // 256
        self._zeros = bytes(max(len(_ZEROS), num_blocks // _VP8_BLOCKS_PER_ZERO)) if self._codec == "vp8" else _ZEROS
        length_size = _LENGTH_SIZES.get(self._codec)
        self._length_size = length_size(self._extradata) if length_size is not None else 0
        self._checksums = ClusterChecksums(opened)
        self._numbers = DisplayNumbers() if opened.container_name in BARE_STREAMS else None
        self.begin()

    def begin(self) -> None:
        """Begin with any keyframe."""
        order = _ORDERS.get(self._codec)
        self._order = order(self._extradata, self._numbers) if order is not None else None

    @property
    def ends_early(self) -> bool:
        """Whether pictures are missing before the last one, where these would have come after it in the stream."""
        return isinstance(self._order, MpegOrder) and self._order.is_incomplete

    @property
    def num_missing(self) -> int:
        """How many pictures are missing in a bare stream, where times do not show it."""
        return self._numbers.num_missing() if self._numbers is not None else 0

    def is_damaged(self, packet: av.packet.Packet) -> bool:
        """Return whether a packet's bytes cannot be as they were written, or one before it is missing."""
        if self._order is not None and self._order.is_wrong(packet):
            return True
        return self._checksums.is_damaged(packet) or (self._may_find_zeros and self._has_zeros(bytes(packet)))

    def _has_zeros(self, data: bytes) -> bool:
        """Return whether zeros lie among the data. All but AV1 allow them at the end, to reach a constant bit rate."""
        if self._zeros not in data:
            return False
        if self._codec in _HAS_NO_ZEROS:
            return self._codec == "av1" or self._zeros in data.rstrip(b"\0")
        if self._length_size:
            return any(_ZEROS in unit.rstrip(b"\0") for unit in nal_units(data, self._length_size))
        return _ZEROS_WITHIN.search(data) is not None


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
    at which decoding may begin, `damaged` those that did not decode, or gave a frame that is flagged as damaged. Where
    the codec `needs_restart`, what is shown before the first one is damaged, too; where it `needs_any`, also if none
    comes.
    """

    times: list[int | None] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    damaged: set[int] = field(default_factory=set)
    needs_restart: bool = False
    needs_any: bool = False
    _checks: PacketChecks | None = None
    _losses: list[int] = field(default_factory=list)
    _latest_place: int | None = None
    _latest_reference: int = 0

    def prepare(self, opened: OpenVideo) -> None:
        """Let frames carry the numbers of their packets."""
        opened.codec.flags |= av.codec.context.Flags.copy_opaque
        self._checks = PacketChecks(opened)
        self._losses = places_of_losses(opened)
        self.needs_restart = opened.codec.codec.canonical_name in _DECODES_FROM_NOTHING
        self.needs_any = opened.codec.codec.canonical_name in _BEGINS_WITH_KEYFRAME

    def add(self, opened: OpenVideo, packet: av.packet.Packet) -> int:
        """Note a packet that is decoded next, and return its number."""
        number = len(self.times)
        packet.opaque = number
        self.times.append(packet.pts)
        codec = opened.codec.codec.canonical_name
        is_between = codec in NEEDS_FIRST_PACKET and is_bidirectional(codec, packet, opened.codec.extradata)
        if packet.is_corrupt or (self._checks is not None and self._checks.is_damaged(packet)):
            # Where the next picture that a B picture refers to is lost, it is shown before the latest one, at its time.
            # In a program stream the same happens where a B picture is lost.
            moves_latest = is_between or opened.container_name == "mpeg"
            self.damaged |= {number, self._latest_reference} if moves_latest else {number}
        self._latest_reference = self._latest_reference if is_between else number
        if self._losses and packet.pos is not None:
            if number and self._has_loss_before(packet.pos):
                self.damaged.add(number - 1)
            self._latest_place = packet.pos
        # An mp4 that was trimmed may not list its first keyframe, which is not shown itself.
        may_start = packet.is_keyframe or (number == 0 and codec in ("h264", "hevc"))
        if may_start and (codec not in SEEKABLE or starts_cleanly(codec, packet, opened.codec.extradata)):
            self.restarts.append(number)
        return number

    def add_frame(self, opened: OpenVideo, number: int, frame: VideoFrame) -> None:
        """Note the frame of a packet. Containers call packets keyframes that are none, such as all of H.263 in AVI."""
        if frame.is_corrupt:
            self.damaged.add(number)
        if not frame.key_frame and opened.codec.codec.canonical_name not in SEEKABLE and number in self.restarts:
            self.restarts.remove(number)

    def _has_loss_before(self, place: int) -> bool:
        """Return whether bytes are lost between the latest packet's first byte and a place."""
        latest = self._latest_place
        return latest is not None and bisect_left(self._losses, latest) < bisect_left(self._losses, place)

    @property
    def has_losses(self) -> bool:
        """Whether the container has lost bytes."""
        return bool(self._losses)

    def finish(self, opened: OpenVideo) -> None:
        """Note that all packets were decoded. Without times, the last picture is shown at the time of a missing one."""
        if opened.container_name in _WITHOUT_TIMES and self._checks is not None and self._checks.ends_early:
            self.damaged.add(self._latest_reference)

    @property
    def ends_unfinished(self) -> int | None:
        """The number of the packet without which the video would be whole; None if there is none."""
        ends = ({len(self.times) - 1}, {self._latest_reference})
        return next(iter(self.damaged)) if len(self.times) > 1 and self.damaged in ends else None

    @property
    def num_missing(self) -> int:
        """How many pictures are missing in a bare stream."""
        return self._checks.num_missing if self._checks is not None else 0

    def add_times(self, shown: Iterable[int]) -> None:
        """Give packets without a time one that fits; `shown` are the numbers of all as they are displayed."""
        latest: int | None = None
        for number in shown:
            if self.times[number] is None and latest is not None:
                self.times[number] = latest + 1
            latest = self.times[number]

    def is_damaged(self, packet_number: int) -> bool:
        """Return whether the frame of a packet is damaged, or one that it may be decoded from.

        Decoding may have begun at the last restart that is not shown later than the frame. Pictures that follow a
        restart but are shown before it are no one's reference but one another's. Those before the first restart are
        decoded from pictures that are not there, which most decoders refuse.
        """
        place = bisect_right(self.restarts, packet_number) - 1
        while place >= 0 and self._is_shown_before(packet_number, self.restarts[place]):
            place -= 1
        if place < 0 and (self.restarts[0] and self.needs_restart if self.restarts else self.needs_any):
            return True
        place = max(place, 0 if self.restarts and self.restarts[0] <= packet_number else -1)
        first = self.restarts[place] if place >= 0 else 0
        return any(
            first <= number <= packet_number and not self._is_shown_before(number, first) for number in self.damaged
        )

    def _is_shown_before(self, number: int, restart: int) -> bool:
        time, restart_time = self.times[number], self.times[restart]
        return time is not None and restart_time is not None and time < restart_time
