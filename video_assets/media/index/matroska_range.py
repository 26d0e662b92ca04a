"""Index a time range of a long Matroska video, at the cost of a seek instead of reading all packets.

Matroska has no sample table, but it can be sought. Probing has read all packets of the video once and trusted them, so
only the packets from the keyframe before the range to the end of the range are read again: in an hour of H.264, 0.4 ms
instead of 0.8 s. What a range cannot tell, the video's bounds and its number of frames, comes from probing.

The whole video is indexed wherever anything differs, and where frames do not come at a fixed rate: damage before the
range could then have cost frames or times without anybody noticing (it did in five of 11,000 spans of videos with up
to three flipped bytes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

import av.error
import av.packet
import numpy as np

from video_assets.domain.sampling import KnownTimeline, Timeline
from video_assets.media.index.bitstream import is_shown, starts_cleanly
from video_assets.media.index.packet_index import MAX_BYTES_IN_MEMORY, PacketIndex
from video_assets.media.index.packets import NO_TICK, IndexNotTrusted
from video_assets.media.index.presentation_times import MAX_REORDERED, tick_us, ticks_to_us, timeline_of
from video_assets.media.open.losses import check_length
from video_assets.media.open.video import OpenVideo

_CODECS: Final = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})

_MAX_MISSING: Final = 1 / 5000
"""The share of frames that may be missing at a fixed rate. Recorders drop some; damage costs at least a cluster."""

MIN_RANGE_FRAMES: Final = 600
"""For a shorter video, reading all packets takes only a few milliseconds."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The frames of a probed video that start in [start_us, end_us), and the one shown at `start_us`."""

    known: KnownTimeline
    start_us: int
    end_us: int

    def holds(self, timestamps_us: list[int], index: PacketIndex) -> bool:
        """Return whether the frames shown at all these times are in the range, according to its index."""
        first_us = int(index.timeline.starts_us[0 if index.has_first_packet else 1])
        return all(first_us <= time_us <= self.end_us for time_us in timestamps_us)


def read_range_index(opened: OpenVideo, time_range: TimeRange) -> PacketIndex:
    """Index the packets that a range needs, and those up to the first frame after it.

    Unless the range begins with the video's first frame, that frame comes first in `frame_ticks` and in the timeline,
    and cannot be decoded. All other frames outside of the range are left out.

    Raises:
        IndexNotTrusted: the whole video has to be indexed.
        VideoLost: too_many_frames, too_long.
    """
    known, codec = time_range.known, opened.codec.codec.canonical_name
    _check_can_be_sought(opened, known)
    check_length(known.num_frames, known.end_us - known.start_us, opened.limits)
    opened.packets_read = None  # from here on, not all packets are read
    found = _read_packets(opened, time_range)
    pts = np.array([packet.pts for packet in found.packets], dtype=np.int64)
    starts_us = ticks_to_us(pts, opened.time_base)
    has_first_packet = int(starts_us[0]) == known.start_us
    shown = np.flatnonzero(np.array([is_shown(codec, packet) for packet in found.packets]) & (pts >= pts[0]))
    order = shown[np.argsort(pts[shown], kind="stable")]
    if not has_first_packet:
        order = np.insert(order, 0, 0)  # stands for the video's first frame
    frame_ticks, frame_starts_us = pts[order], starts_us[order]
    if not has_first_packet:
        frame_ticks[0], frame_starts_us[0] = NO_TICK + 1, known.start_us
    if (frame_starts_us[1:] <= frame_starts_us[:-1]).any() or starts_us.min() < known.start_us:
        raise IndexNotTrusted("Its packets' times are not those that probing found.")
    if (
        found.is_at_end
        and timeline_of(frame_starts_us, found.last_duration_us(opened), opened.time_base).end_us != known.end_us
    ):
        raise IndexNotTrusted("It does not end where probing found its end.")
    return PacketIndex(
        pts=pts,
        dts=pts,
        sizes=np.array([packet.size for packet in found.packets], dtype=np.int64),
        seek_points=np.array(found.seek_points, dtype=np.int64),
        num_keyframes=len(found.seek_points),
        frame_ticks=frame_ticks,
        frame_packets=order,
        timeline=Timeline(frame_starts_us, known.end_us, tick_us(opened.time_base)),
        has_pts=True,
        packets=found.packets,
        has_first_packet=has_first_packet,
    )


def _check_can_be_sought(opened: OpenVideo, known: KnownTimeline) -> None:
    if "matroska" not in opened.container_name or opened.codec.codec.canonical_name not in _CODECS:
        raise IndexNotTrusted("Its container or codec may not allow exact seeking.")
    rate = opened.stream.average_rate
    num_expected = 0 if rate is None else rate * (known.end_us - known.start_us) / 1_000_000
    if abs(num_expected - known.num_frames) > 2 + known.num_frames * _MAX_MISSING:
        raise IndexNotTrusted("Its frames do not come at a fixed rate.")


@dataclass(slots=True)
class _RangePackets:
    packets: list[av.packet.Packet]
    seek_points: list[int]
    is_at_end: bool

    def last_duration_us(self, opened: OpenVideo) -> int:
        """Return the duration of the packet that is shown last, which the index of the whole video uses too."""
        last = max(self.packets, key=lambda packet: packet.pts or 0)
        return int(ticks_to_us(np.array([last.duration or 0]), opened.time_base)[0])


def _read_packets(opened: OpenVideo, time_range: TimeRange) -> _RangePackets:
    """Read from the keyframe before the range until the frame after the range, and all shown before it, have come."""
    codec, extradata = opened.codec.codec.canonical_name, opened.codec.extradata
    end_tick = time_range.end_us / 1_000_000 / opened.time_base
    found = _RangePackets([], [], is_at_end=False)
    num_bytes = num_after = 0
    for packet in _packets_from(opened, time_range):
        if packet.pts is None or packet.is_corrupt or packet.is_discard:
            raise IndexNotTrusted("A packet has no time, or is not to be shown.")
        if packet.is_keyframe and starts_cleanly(codec, packet, extradata):
            found.seek_points.append(len(found.packets))
        found.packets.append(packet)
        num_bytes += packet.size
        num_after += packet.pts >= end_tick and is_shown(codec, packet)
        if num_bytes > MAX_BYTES_IN_MEMORY:
            raise IndexNotTrusted("The range is too large.")
        if num_after > MAX_REORDERED + 1:
            break
    else:
        found.is_at_end = True
    if found.seek_points[:1] != [0]:
        raise IndexNotTrusted("Decoding cannot begin at one of its keyframes.")
    return found


def _packets_from(opened: OpenVideo, time_range: TimeRange) -> Iterator[av.packet.Packet]:
    if time_range.start_us > time_range.known.start_us:
        tick = int(time_range.start_us / 1_000_000 / opened.time_base)
        try:
            opened.container.seek(tick, stream=opened.stream, backward=True)
        except av.error.FFmpegError as error:
            raise IndexNotTrusted("It cannot be sought.") from error
    packets = (packet for packet in opened.demux() if packet.size)
    first = next(packets, None)
    if first is None or first.pts is None or first.pts * opened.time_base * 1_000_000 > time_range.start_us:
        raise IndexNotTrusted("Seeking to a keyframe did not lead there.")
    return chain([first], packets)
