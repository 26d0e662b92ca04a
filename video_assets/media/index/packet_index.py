"""Index a video: find out which frames its packets show, and when, without decoding any."""

from dataclasses import dataclass
from typing import Final

import av.packet
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from video_assets.domain.geometry import round_half_up
from video_assets.domain.sampling import Timeline
from video_assets.media.index.bitstream import (
    SEEKABLE,
    is_bidirectional,
    is_shown,
    may_be_reordered,
    min_raw_bytes,
    starts_cleanly,
)
from video_assets.media.index.lost_parts import places_of_losses
from video_assets.media.index.mp4_sample_table import SampleTable, read_sample_table
from video_assets.media.index.packets import NO_TICK, DemuxedPackets, IndexNotTrusted, TableNotTrusted
from video_assets.media.index.parameter_sets import ActiveParameters, ParameterKey, parameters_in_packet
from video_assets.media.index.presentation_times import (
    JUMP_BACK,
    check_order,
    frames_by_dts,
    frames_by_pts,
    ticks_to_us,
    timeline_of,
)
from video_assets.media.open.losses import check_length, lose
from video_assets.media.open.video import OpenVideo

OTHER_FIRST_FRAME: Final = "The first frame is not the one that its index lists."

MAX_BYTES_IN_MEMORY: Final = 48 * 2**20
"""Packets of videos up to this size stay in memory for decoding, which then neither reads nor seeks."""

_EXTRADATA_CHANGES: Final = frozenset({"flv", "mov,mp4,m4a,3gp,3g2,mj2"})
"""Containers that may give a new header with a packet in the middle. Asking costs 0.4 us per packet."""

_RANGE_CODECS: Final = frozenset({"h264", "hevc"})
"""Codecs of which a time range may be indexed alone. Nothing before the range is then read, so every keyframe has to
bring the active parameters; where one does not, no keyframe of the video is trusted."""

_PALETTE: Final = "Its palette comes with one packet, once."
_CUT_SHORT: Final = "A packet is cut short."
_PACKET_ORDER: Final = "Its times are in the order of its packets, which is not that of its pictures."


@dataclass(slots=True)
class PacketIndex:
    """The packets of one stream in decode order, and the frames that they show in display order.

    `pts`, `dts`, `sizes`: (N,) int64, one per packet; times in ticks, or NO_TICK.
    `seek_points`: (K,) numbers of the packets at which decoding may begin, the first one included.
    `frame_ticks`: (F,) int64, when each frame appears. `frame_packets`: (F,) the number of the packet that brings it.
    `packets`: the packets themselves where they take little memory.
    `is_from_table`: the index comes from an mp4's sample table. Its seek points are flagged as keyframes but were not
    looked at; each has to carry the `first_packet_parameters`, those that the first packet carries.
    `has_first_packet`: False for a time range that begins later; packets are then numbered from the range's first.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    seek_points: NDArray[np.int64]
    num_keyframes: int
    frame_ticks: NDArray[np.int64]
    frame_packets: NDArray[np.int64]
    timeline: Timeline
    has_pts: bool
    packets: list[av.packet.Packet] | None
    is_from_table: bool = False
    first_packet_parameters: frozenset[ParameterKey] = frozenset()
    has_first_packet: bool = True

    @property
    def num_packets(self) -> int:
        """The number of packets."""
        return len(self.pts)


def read_index(opened: OpenVideo, *, allow_table: bool = True) -> PacketIndex:
    """Index the stream by the sample table of a long mp4, and otherwise by demuxing all packets once.

    Raises:
        IndexNotTrusted: frames and packets may not correspond.
        TableNotTrusted: the sample table is not reliable; demuxing (`allow_table=False`) may be.
        VideoLost: no_frames (no packet at all), too_many_frames, too_long.
    """
    table = read_sample_table(opened) if allow_table else None
    if table is not None:
        return _index_of_table(opened, table)
    demuxed = _demux(opened)
    if not demuxed.pts:
        lose("no_frames", "Its video stream holds no packet.")
    if places_of_losses(opened):
        raise IndexNotTrusted("Bytes are lost between its packets.")
    return _index_of_packets(opened, demuxed)


def _index_of_packets(opened: OpenVideo, demuxed: DemuxedPackets) -> PacketIndex:
    pts, dts = np.array(demuxed.pts, dtype=np.int64), np.array(demuxed.dts, dtype=np.int64)
    if not demuxed.seek_points or demuxed.seek_points[0] != 0:
        raise IndexNotTrusted("Its first packet is not a keyframe.")
    shown = np.flatnonzero(np.array(demuxed.shown, dtype=bool))
    known_dts = dts[dts != NO_TICK]
    if (known_dts[1:] < known_dts[:-1]).any():
        raise IndexNotTrusted(JUMP_BACK)
    has_pts = bool((pts[shown] != NO_TICK).all())
    seek_points = np.array(demuxed.seek_points, dtype=np.int64)
    if demuxed.has_palette:  # it comes once, and not again when the packet is read again
        if demuxed.packets is None:
            raise IndexNotTrusted(_PALETTE)
        seek_points = seek_points[:1]
    if has_pts:
        ticks, frame_packets = frames_by_pts(pts, shown, seek_points)
    else:
        ticks, frame_packets = frames_by_dts(opened, demuxed, dts)
    return PacketIndex(
        pts=pts,
        dts=dts,
        sizes=np.array(demuxed.sizes, dtype=np.int64),
        seek_points=seek_points,
        num_keyframes=demuxed.num_keyframes,
        frame_ticks=ticks,
        frame_packets=frame_packets,
        timeline=_timeline(opened, ticks, demuxed.last_duration),
        has_pts=has_pts,
        packets=demuxed.packets,
    )


def _index_of_table(opened: OpenVideo, table: SampleTable) -> PacketIndex:
    opened.packets_read = None  # only parts of the file are read from here on
    first = next(iter(opened.demux()))  # its times tell how far an edit list shifts all times
    if first.pts is None or first.dts is None or first.size != int(table.sizes[0]):
        raise TableNotTrusted("Its first packet is not the one of its sample table.")
    pts = table.pts + (first.pts - int(table.pts[0]))
    order = np.argsort(pts, kind="stable")
    _check_table(opened, table, first, order)
    codec = opened.codec.codec.canonical_name
    seek_points = table.keyframes if codec in SEEKABLE else table.keyframes[:1]
    try:
        _check_first_packet(codec, first, opened.codec.extradata)
        check_order(pts, order, np.arange(len(pts)), seek_points)
    except IndexNotTrusted as error:
        raise TableNotTrusted(str(error)) from error
    return PacketIndex(
        pts=pts,
        dts=table.dts + (first.dts - int(table.dts[0])),
        sizes=table.sizes,
        seek_points=seek_points,
        num_keyframes=len(table.keyframes),
        frame_ticks=pts[order],
        frame_packets=order,
        timeline=_timeline(opened, pts[order], int(table.durations[order[-1]])),
        has_pts=True,
        packets=None,
        is_from_table=True,
        first_packet_parameters=frozenset(parameters_in_packet(codec, first, opened.codec.extradata)),
    )


def _check_table(opened: OpenVideo, table: SampleTable, first: av.packet.Packet, order: NDArray[np.int64]) -> None:
    if first.has_sidedata("palette"):
        raise TableNotTrusted(_PALETTE)
    if int(table.sizes.min()) < min_raw_bytes(opened.codec):
        raise TableNotTrusted(_CUT_SHORT)
    if order[0] != 0:
        raise TableNotTrusted("Frames are shown before its first keyframe.")
    if (np.diff(table.pts[order]) == 0).any():
        raise TableNotTrusted("Its packets' times repeat.")
    if may_be_reordered(opened.codec) and (order[1:] > order[:-1]).all():
        raise TableNotTrusted(_PACKET_ORDER)  # right only without B pictures, which only reading all packets tells


def _timeline(opened: OpenVideo, ticks: NDArray[np.int64], last_duration: int) -> Timeline:
    try:
        starts_us = ticks_to_us(ticks, opened.time_base)
    except OverflowError as error:
        raise IndexNotTrusted("Its packets' times are beyond reason.") from error
    if not len(starts_us) or (starts_us[1:] <= starts_us[:-1]).any():
        raise IndexNotTrusted("Its packets' times repeat.")
    timeline = timeline_of(starts_us, round_half_up(last_duration * opened.time_base * 1_000_000), opened.time_base)
    check_length(timeline.num_frames, timeline.duration_us, opened.limits)
    return timeline


def _check_first_packet(codec: str, first: av.packet.Packet, extradata: bytes | None) -> None:
    """Refuse H.264 that was cut in the middle of a refresh: FFmpeg shows no frame until the refresh is complete."""
    if codec == "h264" and not starts_cleanly(codec, first, extradata):
        raise IndexNotTrusted("Its first packet is not a clean beginning.")


class _SeekPointFinder:
    """Finds the keyframes at which decoding may begin. It has to see every keyframe, in order."""

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._codec = codec
        self._extradata = extradata
        self._parameters = ActiveParameters(codec, extradata)
        self.has_palette = False

    def is_seek_point(self, keyframe: av.packet.Packet, number: int) -> bool:
        """Return whether decoding may begin at this packet; at the first one it has to."""
        if number == 0 or self._codec == "rawvideo":
            self.has_palette = self.has_palette or keyframe.has_sidedata("palette")
        has_parameters = self._parameters.are_in(keyframe, is_first=number == 0)
        if number == 0:
            _check_first_packet(self._codec, keyframe, self._extradata)
            return True
        if self._codec not in SEEKABLE or not starts_cleanly(self._codec, keyframe, self._extradata):
            return False
        if not has_parameters and self._codec in _RANGE_CODECS:
            raise IndexNotTrusted("Its codec's parameters change, and a keyframe does not repeat them.")
        return has_parameters


class _PacketOrderCheck:
    """Refuses a video that has B pictures although its times are in the order of its packets: its times are wrong.

    Decoding single frames would not reveal it: unwanted B pictures are skipped, and a single one precedes nothing.
    """

    def __init__(self, codec: VideoCodecContext) -> None:
        self._codec = codec.codec.canonical_name
        self._extradata = codec.extradata
        self._has_bidirectional = False
        self.may_fail = may_be_reordered(codec)

    def look_at(self, packet: av.packet.Packet, *, is_later: bool) -> None:
        """Look at the next packet. `may_fail` turns false once its time shows that frames are reordered."""
        self.may_fail = is_later
        if not self._has_bidirectional:
            self._has_bidirectional = is_bidirectional(self._codec, packet, self._extradata)

    def check(self) -> None:
        """Raise an `IndexNotTrusted` if the packets that were looked at have wrong times."""
        if self.may_fail and self._has_bidirectional:
            raise IndexNotTrusted(_PACKET_ORDER)


def _demux(opened: OpenVideo) -> DemuxedPackets:
    """Read every packet of the stream; the packets stay in memory while they are small."""
    found = DemuxedPackets()
    codec = opened.codec.codec.canonical_name
    extradata = opened.codec.extradata
    finder = _SeekPointFinder(codec, extradata)
    min_bytes = min_raw_bytes(opened.codec)
    may_change = opened.container_name in _EXTRADATA_CHANGES
    packet_order = _PacketOrderCheck(opened.codec)
    num_bytes = 0
    latest = NO_TICK
    for packet in opened.demux():
        if opened.packets_read is not None:
            opened.packets_read.append(packet)
        size = packet.size
        if not size:  # PyAV's last packet, which flushes the decoder, or an empty sample, which shows nothing
            continue
        number = len(found.pts)
        if number >= opened.limits.max_frames:
            check_length(number + 1, 0, opened.limits)
        pts, dts = packet.pts, packet.dts
        found.pts.append(NO_TICK if pts is None else pts)
        found.dts.append(NO_TICK if dts is None else dts)
        found.sizes.append(size)
        found.shown.append(not packet.is_discard and is_shown(codec, packet))
        if packet.is_corrupt or size < min_bytes:
            raise IndexNotTrusted(_CUT_SHORT)
        if may_change and number and _changes_extradata(packet, extradata):
            raise IndexNotTrusted("Its codec's header changes in the middle.")
        if packet.is_keyframe:
            found.num_keyframes += 1
            if finder.is_seek_point(packet, number):
                found.seek_points.append(number)
        if packet_order.may_fail:
            packet_order.look_at(packet, is_later=found.pts[-1] > latest)
        if found.pts[-1] >= latest:
            latest, found.last_duration = found.pts[-1], packet.duration or 0
        if found.packets is not None:
            num_bytes += size
            found.packets.append(packet)
            if num_bytes > MAX_BYTES_IN_MEMORY:
                found.packets = opened.packets_read = None
    opened.is_read_to_end = True
    packet_order.check()
    found.has_palette = finder.has_palette
    return found


def _changes_extradata(packet: av.packet.Packet, extradata: bytes | None) -> bool:
    """Return whether a packet brings another header; FLV may repeat the same one."""
    return packet.has_sidedata("new_extradata") and bytes(packet.get_sidedata("new_extradata")) != extradata
