"""The packet index of a part of a long Matroska video, at the cost of a seek instead of reading all packets.

Matroska has no table of samples, but it can be sought. Where an earlier look at the same bytes read all packets and
trusted them (probing did), only those from the keyframe before the wanted part to its end are read again: 0.4 ms
instead of 0.8 s in an hour of H.264. What a part cannot know, the video's bounds and its number of frames, is taken
from that look. Whenever anything is not as it should be, the whole video is indexed; also where its frames do
not come at a fixed rate, for then nobody could tell whether reading all packets had lost some of them, or their times,
to damage between the part and where reading began (in five of 11,000 spans of videos with up to three flipped bytes).
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
from video_assets.media.index.clock import MOST_REORDERED, ticks_to_us, timeline_of
from video_assets.media.index.packet_index import HELD_BYTES, PacketIndex
from video_assets.media.index.packets import NO_TICK, IndexNotTrusted
from video_assets.media.open.video import OpenVideo, check_length

_CODECS: Final = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})

_MOST_LOST: Final = 1 / 5000
"""Frames that may be missing, by the rate; recorders drop some, and damage costs at least a cluster."""

LONG_FRAMES: Final = 600
"""Reading all packets of a shorter video takes a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Part:
    """Frames of a known video that start in [start_us, end_us), or are shown at `start_us`."""

    known: KnownTimeline
    start_us: int
    end_us: int

    def holds(self, timestamps_us: list[int], index: PacketIndex) -> bool:
        """Whether all of these times are of frames of the part, as this index of it has them."""
        first_us = int(index.timeline.starts_us[0 if index.begins_stream else 1])
        return all(first_us <= time_us <= self.end_us for time_us in timestamps_us)


def read_part_index(opened: OpenVideo, part: Part) -> PacketIndex:
    """The packets that the part needs, and the first frame after it.

    In `frame_ticks` and the time line stands first the video's first frame, unless the part begins there; it cannot be
    decoded. Between it and the part all frames are left out, as are those behind the part.

    Raises:
        IndexNotTrusted: wherever the whole video has to be indexed.
        VideoLost: too_many_frames, too_long.
    """
    known, codec = part.known, opened.codec.codec.canonical_name
    if "matroska" not in opened.container_name or codec not in _CODECS:
        raise IndexNotTrusted("It is not sure that it can be sought exactly.")
    rate = opened.stream.average_rate
    num_expected = 0 if rate is None else rate * (known.end_us - known.start_us) / 1_000_000
    if abs(num_expected - known.num_frames) > 2 + known.num_frames * _MOST_LOST:
        raise IndexNotTrusted("Its frames do not come at a fixed rate.")
    check_length(known.num_frames, known.end_us - known.start_us, opened.limits)
    opened.packets_read = None  # what is read from here on is not all of it
    found = _read_packets(opened, part)
    pts = np.array([packet.pts for packet in found.packets], dtype=np.int64)
    starts_us = ticks_to_us(pts, opened.time_base)
    begins_stream = int(starts_us[0]) == known.start_us
    shown = np.flatnonzero(np.array([is_shown(codec, packet) for packet in found.packets]) & (pts >= pts[0]))
    order = shown[np.argsort(pts[shown], kind="stable")]
    if not begins_stream:
        order = np.insert(order, 0, 0)  # in the place of the video's first frame
    frame_ticks, frame_starts_us = pts[order], starts_us[order]
    if not begins_stream:
        frame_ticks[0], frame_starts_us[0] = NO_TICK + 1, known.start_us
    if (frame_starts_us[1:] <= frame_starts_us[:-1]).any() or starts_us.min() < known.start_us:
        raise IndexNotTrusted("Its packets' times are not those of before.")
    if found.is_at_end and timeline_of(frame_starts_us, found.last_duration_us(opened)).end_us != known.end_us:
        raise IndexNotTrusted("It ends elsewhere than before.")
    return PacketIndex(
        pts=pts,
        dts=pts,
        sizes=np.array([packet.size for packet in found.packets], dtype=np.int64),
        restarts=np.array(found.restarts, dtype=np.int64),
        num_keyframes=len(found.restarts),
        frame_ticks=frame_ticks,
        frame_packets=order,
        timeline=Timeline(frame_starts_us, known.end_us),
        has_pts=True,
        held=found.packets,
        begins_stream=begins_stream,
    )


@dataclass(slots=True)
class _PartPackets:
    packets: list[av.packet.Packet]
    restarts: list[int]
    is_at_end: bool

    def last_duration_us(self, opened: OpenVideo) -> int:
        """As the whole index has it: of the frame that is shown last."""
        last = max(self.packets, key=lambda packet: packet.pts or 0)
        return int(ticks_to_us(np.array([last.duration or 0]), opened.time_base)[0])


def _read_packets(opened: OpenVideo, part: Part) -> _PartPackets:
    """From a keyframe that is shown by the part's beginning to where every frame up to the one after it was seen."""
    codec, extradata = opened.codec.codec.canonical_name, opened.codec.extradata
    end_tick = part.end_us / 1_000_000 / opened.time_base
    found = _PartPackets([], [], is_at_end=False)
    num_bytes = num_after = 0
    for packet in _packets_from(opened, part):
        if packet.pts is None or packet.is_corrupt or packet.is_discard:
            raise IndexNotTrusted("A packet has no time, or is not to be shown.")
        if packet.is_keyframe and starts_cleanly(codec, packet, extradata):
            found.restarts.append(len(found.packets))
        found.packets.append(packet)
        num_bytes += packet.size
        num_after += packet.pts >= end_tick and is_shown(codec, packet)
        if num_bytes > HELD_BYTES:
            raise IndexNotTrusted("The part is too large.")
        if num_after > MOST_REORDERED + 1:
            break
    else:
        found.is_at_end = True
    if found.restarts[:1] != [0]:
        raise IndexNotTrusted("Decoding cannot begin at one of its keyframes.")
    return found


def _packets_from(opened: OpenVideo, part: Part) -> Iterator[av.packet.Packet]:
    if part.start_us > part.known.start_us:
        tick = int(part.start_us / 1_000_000 / opened.time_base)
        try:
            opened.container.seek(tick, stream=opened.stream, backward=True)
        except av.error.FFmpegError as error:
            raise IndexNotTrusted("It cannot be sought.") from error
    packets = (packet for packet in opened.demux() if packet.size)
    first = next(packets, None)
    if first is None or first.pts is None or first.pts * opened.time_base * 1_000_000 > part.start_us:
        raise IndexNotTrusted("Seeking to a keyframe did not lead there.")
    return chain([first], packets)
