"""The packet index: what a video holds, frame by frame, without decoding any."""

from dataclasses import dataclass
from typing import Final

import av.packet
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from video_assets.domain.geometry import round_half_up
from video_assets.domain.sampling import Timeline
from video_assets.media.index.bitstream import (
    RESTARTABLE,
    is_bidirectional,
    is_shown,
    least_raw_bytes,
    may_be_in_packet_order,
    starts_cleanly,
)
from video_assets.media.index.clock import (
    JUMP_BACK,
    check_order,
    frames_by_dts,
    frames_by_pts,
    ticks_to_us,
    timeline_of,
)
from video_assets.media.index.mp4_table import SampleTable, read_sample_table
from video_assets.media.index.packets import NO_TICK, IndexNotTrusted, Packets, TableNotTrusted
from video_assets.media.index.parameters import ParameterKey, ParametersInForce, carried_parameters
from video_assets.media.open.video import OpenVideo, check_length, lose

OTHER_FIRST_FRAME: Final = "The first frame is not the one that its index lists."

HELD_BYTES: Final = 48 * 2**20
"""Packets of videos up to this size are kept from indexing to decoding: no second reading, no seek to get wrong."""

_EXTRADATA_CHANGES: Final = frozenset({"flv", "mov,mp4,m4a,3gp,3g2,mj2"})
"""Containers that may give another header with a packet in the middle. Asking every packet costs 0.4 us each."""

_PARTS_ARE_SOUGHT: Final = frozenset({"h264", "hevc"})
"""If a keyframe lacks parameters, not even the rest may be trusted: who decodes a part reads nothing before it."""

_PALETTE: Final = "Its palette comes with one packet, once."
_CUT_SHORT: Final = "A packet is cut short."
_PACKET_ORDER: Final = "Its times are in the order of its packets, which is not that of its pictures."


@dataclass(slots=True)
class PacketIndex:
    """The packets of one stream in decode order, and the frames that they will show.

    `pts`, `dts`, `sizes`: (N,) int64 a packet, times in ticks or NO_TICK. `restarts`: (K,) numbers of the packets
    at which decoding may begin, the first of the stream included (`is_from_table`: not yet seen, but
    flagged as keyframes; `carried_at_first`: the parameters that the first packet carries, and each of them has to). Of
    a part of a video that does not begin where the stream does (`begins_stream`), packets are numbered from the part's
    first on. `frame_ticks`: (F,) int64, when each frame appears, in display order; `frame_packets`: (F,) the number of
    the packet that brings it.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    restarts: NDArray[np.int64]
    num_keyframes: int
    frame_ticks: NDArray[np.int64]
    frame_packets: NDArray[np.int64]
    timeline: Timeline
    has_pts: bool
    held: list[av.packet.Packet] | None
    is_from_table: bool = False
    carried_at_first: frozenset[ParameterKey] = frozenset()
    begins_stream: bool = True

    @property
    def num_packets(self) -> int:
        """How many packets there are."""
        return len(self.pts)


def read_index(opened: OpenVideo, *, allow_table: bool = True) -> PacketIndex:
    """What the stream holds, decoding nothing: from a long mp4's sample table, else by demuxing all of it once.

    Raises:
        IndexNotTrusted: when frames and packets may not correspond.
        TableNotTrusted: the same, but demuxing (`allow_table=False`) may still do.
        VideoLost: no_frames (no packet at all), too_many_frames, too_long.
    """
    table = read_sample_table(opened) if allow_table else None
    if table is not None:
        return _index_of_table(opened, table)
    packets = _demux(opened)
    if not packets.pts:
        lose("no_frames", "Its video stream holds not one packet.")
    return _index_of_packets(opened, packets)


def _index_of_packets(opened: OpenVideo, packets: Packets) -> PacketIndex:
    pts, dts = np.array(packets.pts, dtype=np.int64), np.array(packets.dts, dtype=np.int64)
    if not packets.restarts or packets.restarts[0] != 0:
        raise IndexNotTrusted("Its first packet is not a keyframe.")
    shown = np.flatnonzero(np.array(packets.shown, dtype=bool))
    known_dts = dts[dts != NO_TICK]
    if (known_dts[1:] < known_dts[:-1]).any():
        raise IndexNotTrusted(JUMP_BACK)
    has_pts = bool((pts[shown] != NO_TICK).all())
    restarts = np.array(packets.restarts, dtype=np.int64)
    if packets.has_palette:  # given once: to who reads the packet again, no more
        if packets.held is None:
            raise IndexNotTrusted(_PALETTE)
        restarts = restarts[:1]
    if has_pts:
        ticks, brought_by = frames_by_pts(pts, shown, restarts)
    else:
        ticks, brought_by = frames_by_dts(opened, packets, dts)
    return PacketIndex(
        pts=pts,
        dts=dts,
        sizes=np.array(packets.sizes, dtype=np.int64),
        restarts=restarts,
        num_keyframes=packets.num_keyframes,
        frame_ticks=ticks,
        frame_packets=brought_by,
        timeline=_timeline(opened, ticks, packets.last_duration),
        has_pts=has_pts,
        held=packets.held,
    )


def _index_of_table(opened: OpenVideo, table: SampleTable) -> PacketIndex:
    """The first packet tells how far an edit list shifts all times."""
    opened.packets_read = None  # from here on the file is read at many places
    first = next(iter(opened.demux()))
    if first.pts is None or first.dts is None or first.size != int(table.sizes[0]):
        raise TableNotTrusted("Its first packet is not the one of its sample table.")
    if first.has_sidedata("palette"):
        raise TableNotTrusted(_PALETTE)
    if int(table.sizes.min()) < least_raw_bytes(opened.codec):
        raise TableNotTrusted(_CUT_SHORT)
    pts = table.pts + (first.pts - int(table.pts[0]))
    order = np.argsort(pts, kind="stable")
    if order[0] != 0:
        raise TableNotTrusted("Frames are shown before its first keyframe.")
    if (pts[order][1:] == pts[order][:-1]).any():
        raise TableNotTrusted("Its packets' times repeat.")
    codec = opened.codec.codec.canonical_name
    if may_be_in_packet_order(opened.codec) and (order[1:] > order[:-1]).all():
        raise TableNotTrusted(_PACKET_ORDER)  # unless it has no B pictures, which reading all packets will tell
    restarts = table.keyframes if codec in RESTARTABLE else table.keyframes[:1]
    try:
        _check_beginning(codec, first, opened.codec.extradata)
        check_order(pts, order, np.arange(len(pts)), restarts)
    except IndexNotTrusted as error:
        raise TableNotTrusted(str(error)) from error
    return PacketIndex(
        pts=pts,
        dts=table.dts + (first.dts - int(table.dts[0])),
        sizes=table.sizes,
        restarts=restarts,
        num_keyframes=len(table.keyframes),
        frame_ticks=pts[order],
        frame_packets=order,
        timeline=_timeline(opened, pts[order], int(table.durations[order[-1]])),
        has_pts=True,
        held=None,
        is_from_table=True,
        carried_at_first=frozenset(carried_parameters(codec, first, opened.codec.extradata)),
    )


def _timeline(opened: OpenVideo, ticks: NDArray[np.int64], last_duration: int) -> Timeline:
    try:
        starts_us = ticks_to_us(ticks, opened.time_base)
    except OverflowError as error:
        raise IndexNotTrusted("Its packets' times are beyond reason.") from error
    if not len(starts_us) or (starts_us[1:] <= starts_us[:-1]).any():
        raise IndexNotTrusted("Its packets' times repeat.")
    timeline = timeline_of(starts_us, round_half_up(last_duration * opened.time_base * 1_000_000))
    check_length(timeline.num_frames, timeline.duration_us, opened.limits)
    return timeline


def _check_beginning(codec: str, first: av.packet.Packet, extradata: bytes | None) -> None:
    """FFmpeg shows nothing of H.264 that was cut inside a refresh until the pictures are whole again."""
    if codec == "h264" and not starts_cleanly(codec, first, extradata):
        raise IndexNotTrusted("Its first packet is not a clean beginning.")


class _Beginnings:
    """Tells at which keyframes decoding may begin, looking at all of them in turn."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._extradata = extradata
        self._parameters = ParametersInForce(codec, extradata)
        self.has_palette = False

    def are_at(self, keyframe: av.packet.Packet, number: int) -> bool:
        """Whether it may at this packet; at the first it has to."""
        if number == 0 or self._codec == "rawvideo":
            self.has_palette = self.has_palette or keyframe.has_sidedata("palette")
        has_parameters = self._parameters.are_brought_by(keyframe, is_first=number == 0)
        if number == 0:
            _check_beginning(self._codec, keyframe, self._extradata)
            return True
        if self._codec not in RESTARTABLE or not starts_cleanly(self._codec, keyframe, self._extradata):
            return False
        if not has_parameters and self._codec in _PARTS_ARE_SOUGHT:
            raise IndexNotTrusted("Its codec's parameters change, and a keyframe does not repeat them.")
        return has_parameters


class _PacketOrder:
    """Finds out videos whose times say that every picture is shown in its packet's turn, while some are B pictures.

    Single frames would not show it: B pictures that nobody wants are skipped, and one alone precedes nothing.
    """

    def __init__(self, codec: VideoCodecContext) -> None:
        self._codec = codec.codec.canonical_name
        self._extradata = codec.extradata
        self._has_bidirectional = False
        self.is_kept = may_be_in_packet_order(codec)

    def look_at(self, packet: av.packet.Packet, *, is_later: bool) -> None:
        """Where pictures are reordered, the first few packets tell; `is_kept` is then false."""
        self.is_kept = is_later
        if not self._has_bidirectional:
            self._has_bidirectional = is_bidirectional(self._codec, packet, self._extradata)

    def check(self) -> None:
        if self.is_kept and self._has_bidirectional:
            raise IndexNotTrusted(_PACKET_ORDER)


def _demux(opened: OpenVideo) -> Packets:
    """Every packet of the stream; their data is kept while it is small."""
    found = Packets()
    codec = opened.codec.codec.canonical_name
    extradata = opened.codec.extradata
    beginnings = _Beginnings(codec, extradata)
    least_bytes = least_raw_bytes(opened.codec)
    may_change = opened.container_name in _EXTRADATA_CHANGES
    packet_order = _PacketOrder(opened.codec)
    held_bytes = 0
    latest = NO_TICK
    for packet in opened.demux():
        if opened.packets_read is not None:
            opened.packets_read.append(packet)
        size = packet.size
        if not size:  # what PyAV appends to empty the decoder, or an empty sample, which shows nothing
            continue
        number = len(found.pts)
        if number >= opened.limits.max_frames:
            check_length(number + 1, 0, opened.limits)
        pts, dts = packet.pts, packet.dts
        found.pts.append(NO_TICK if pts is None else pts)
        found.dts.append(NO_TICK if dts is None else dts)
        found.sizes.append(size)
        found.shown.append(not packet.is_discard and is_shown(codec, packet))
        if packet.is_corrupt or size < least_bytes:
            raise IndexNotTrusted(_CUT_SHORT)
        if may_change and number and _changes_extradata(packet, extradata):
            raise IndexNotTrusted("Its codec's header changes in the middle.")
        if packet.is_keyframe:
            found.num_keyframes += 1
            if beginnings.are_at(packet, number):
                found.restarts.append(number)
        if packet_order.is_kept:
            packet_order.look_at(packet, is_later=found.pts[-1] > latest)
        if found.pts[-1] >= latest:
            latest, found.last_duration = found.pts[-1], packet.duration or 0
        if found.held is not None:
            held_bytes += size
            found.held.append(packet)
            if held_bytes > HELD_BYTES:
                found.held = opened.packets_read = None
    opened.is_read_to_end = True
    packet_order.check()
    found.has_palette = beginnings.has_palette
    return found


def _changes_extradata(packet: av.packet.Packet, extradata: bytes | None) -> bool:
    """Whether the container gives another header with this packet; FLV may repeat the same one."""
    return packet.has_sidedata("new_extradata") and bytes(packet.get_sidedata("new_extradata")) != extradata
