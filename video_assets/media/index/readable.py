"""Compare what can be read of a video with what its container says: interrupted downloads, damaged blocks, holes."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import av.error
import av.stream
import numpy as np

from video_assets.domain.sampling import Timeline
from video_assets.media.index.bitstream import MS_MPEG4
from video_assets.media.index.lost_parts import ASF_FILE_PROPERTIES, place_of
from video_assets.media.open.crop import NO_END, SEGMENT, matroska_elements
from video_assets.media.open.formats import MP4
from video_assets.media.open.video import OpenVideo

_SAYS_DURATION: Final = frozenset({MP4, "matroska,webm", "flv", "ivf", "mxf", "rm", "wtv"})
"""Containers whose header says a duration. Of others FFmpeg estimates one from what can be read, or from bit rates."""

_TAG: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_MISSING_FRAMES: Final = 2
"""Headers of sound files say up to two frames more than there are."""
_MISSING_FRACTION: Final = 0.02
_GAP_INTERVALS, _GAP_US = 8, 250_000
_STEADY_SHARE: Final = 0.9
_UNNUMBERED: Final = MS_MPEG4 | {"mpeg4", "vp8", "vp9", "h263", "flv1", "svq1"}
"""Codecs whose pictures carry no number, by which a lost one would be noticed."""
_HEADER_BYTES: Final = 4096
_MISSING_BYTES: Final = 64
_UNKNOWN_RIFF_BYTES: Final = 0xFFFF0000


@dataclass(frozen=True, slots=True)
class SaidLength:
    """What a container says before any packet is read: how many there are, or when the last frame ends; 0: nothing.

    `duration_us` is when it ends if the writer counted from zero, and not from the first frame.
    """

    num_packets: int = 0
    end_us: int = 0
    duration_us: int = 0


def said_length(opened: OpenVideo) -> SaidLength:
    """Return what the container of an open video says. Some containers say something else once packets were read."""
    stream, name = opened.stream, opened.container_name
    if name == "avi":  # its own duration, which FFmpeg corrects where the index is lost
        return SaidLength(end_us=_us(stream.frames * opened.time_base))
    if name == MP4 and stream.frames and stream.frames == len(stream.index_entries):
        return SaidLength(num_packets=stream.frames)  # frames may be hidden by an edit list; packets are not
    if name == "asf":
        return SaidLength(end_us=_asf_us(opened))
    if name not in _SAYS_DURATION:
        return SaidLength()
    if name in (MP4, "ivf"):  # a bare ivf's number is of ticks (FFmpeg) or of frames (libvpx), which are fewer
        start, duration = stream.start_time or 0, stream.duration or 0
        end_us, duration_us = _us((start + duration) * opened.time_base), _us(duration * opened.time_base)
        return SaidLength(end_us=end_us, duration_us=duration_us) if duration else SaidLength()
    ends = [opened.container.duration or 0, *tagged_us(stream.metadata)]
    return SaidLength(end_us=min(ends))


def readable_fraction(opened: OpenVideo, said: SaidLength, timeline: Timeline, num_packets: int) -> float:
    """Return how much of the video can be read, of what its container says; 1.0 if all, or if it says nothing.

    An AVI or a Matroska also says how many bytes it has. Of frames, less than two or 2 % are not counted. A gap at the
    end that is no longer than one before is the video's own way, and so is a video that ends before its sound.
    """
    return min(_fraction_of_frames(opened, said, timeline, num_packets), _fraction_of_bytes(opened))


def _fraction_of_frames(opened: OpenVideo, said: SaidLength, timeline: Timeline, num_packets: int) -> float:
    # The last fragment of a fragmented mp4 names its packets before they come; all others are named at the beginning.
    num_said = said.num_packets or (len(opened.stream.index_entries) if opened.container_name == MP4 else 0)
    if num_said - num_packets > _MISSING_FRAMES and num_packets < num_said * (1 - _MISSING_FRACTION):
        return num_packets / num_said
    if opened.container_name == "avi":  # its frames have no times: after a hole, all are shown too early
        num_listed = sum(entry.size > 0 for entry in opened.stream.index_entries)
        if num_listed > num_packets:
            return num_packets / num_listed
    if said.num_packets:
        return 1.0
    if timeline.num_frames == 1 and _is_all_there_is(opened):
        return 1.0
    fraction = min(1.0, max(0, timeline.end_us) / said.end_us) if said.end_us > 0 else 1.0
    intervals = np.diff(timeline.starts_us)
    interval_us = int(intervals.max()) if len(intervals) else timeline.duration_us
    missing_us = said.end_us - timeline.end_us
    if said.duration_us and abs(said.duration_us - timeline.end_us) <= interval_us:
        return 1.0
    if fraction < 1 - _MISSING_FRACTION and missing_us > _MISSING_FRAMES * interval_us:
        return fraction if len(opened.container.streams) == 1 or not _others_reach(opened, said.end_us) else 1.0
    return 1.0


def _fraction_of_bytes(opened: OpenVideo) -> float:
    """Return how much there is of an AVI, a Matroska or a fragmented mp4; one with a hole is shorter than it says."""
    size_bytes, position = opened.size_bytes, opened.file.tell()
    try:
        if opened.container_name == "avi":
            opened.file.seek(0)
            riff, said, _kind = struct.unpack("<4sI4s", opened.file.read(12))
            said_bytes = said + 8 if riff == b"RIFF" and said < _UNKNOWN_RIFF_BYTES else 0
        elif "matroska" in opened.container_name:
            ends = (end for kind, _, end in matroska_elements(opened.file, 0, NO_END) if kind == SEGMENT)
            said_bytes = next(ends, 0) % NO_END
        elif opened.container_name == MP4:
            return _fraction_of_boxes(opened.file, size_bytes)
        else:
            return 1.0
    except (IndexError, struct.error):
        return 1.0
    finally:
        opened.file.seek(position)
    return size_bytes / said_bytes if size_bytes + _MISSING_BYTES < said_bytes else 1.0


def _fraction_of_boxes(file: BinaryIO, size_bytes: int) -> float:
    """Return where the fragments of an mp4 break off though others follow: FFmpeg reads none of these."""
    place, is_fragmented = 0, False
    while place + 8 <= size_bytes:
        file.seek(place)
        length, kind, long_length = struct.unpack(">I4sQ", file.read(16).ljust(16, b"\0"))
        length = long_length if length == 1 else length
        if length < 8 or not kind.isalnum():
            break
        is_fragmented = is_fragmented or kind == b"moof"
        place += length
    if not is_fragmented or place + 8 > size_bytes:
        return 1.0
    return place / size_bytes if place_of(b"moof", file, place) >= 0 else 1.0


def longest_gap_us(timeline: Timeline) -> int:
    """Return the longest time in which a video of a steady rate has no frame; 0 if there is none."""
    intervals = np.diff(timeline.starts_us)
    if len(intervals) < 10:
        return 0
    usual = float(np.median(intervals))
    is_steady = float((np.abs(intervals - usual) <= usual / 5 + 2000).mean()) >= _STEADY_SHARE
    place = int(intervals.argmax())
    if not is_steady or intervals[place] < max(_GAP_INTERVALS * usual, _GAP_US):
        return 0
    return int(intervals[place] - usual)


def lost_frame_us(opened: OpenVideo, timeline: Timeline) -> int:
    """Return for how long one frame is missing in the middle of a video whose pictures do not say that they follow it.

    All other frames come at one rate, to within two ticks: encoders that drop frames hardly ever drop a single one. In
    an AVI the first interval does not count, since that is how a video is delayed, and the last one of MPEG-4 neither,
    since writers lengthen it for B pictures.
    """
    codec, intervals = opened.codec, np.diff(timeline.starts_us)
    if opened.container_name == "avi":
        intervals = intervals[1:-1] if codec.codec.canonical_name == "mpeg4" else intervals[1:]
    if codec.codec.canonical_name not in _UNNUMBERED or codec.reorder_depth or len(intervals) < 10:
        return 0
    usual = float(np.median(intervals))
    odd = intervals[np.abs(intervals - usual) > min(2 * timeline.tick_us, usual / 4)]
    is_one_lost = len(odd) == 1 and abs(odd[0] - 2 * usual) <= usual / 4
    return round(usual) if is_one_lost else 0


def _is_all_there_is(opened: OpenVideo) -> bool:
    """Return whether a file holds hardly anything besides the packets that were read: a picture, shown for a while."""
    packets = opened.packets_read
    return packets is not None and opened.size_bytes <= sum(packet.size for packet in packets) + _HEADER_BYTES


def _us(seconds: object) -> int:
    return int(float(seconds) * 1_000_000)  # pyright: ignore[reportArgumentType]


def tagged_us(tags: dict[str, str]) -> Iterator[int]:
    """Yield the durations that a Matroska track's tags say, such as DURATION: 00:00:04.000000000."""
    for name, text in tags.items():
        if name.upper().startswith("DURATION") and (found := _TAG.match(text)):
            yield _us(3600 * int(found[1]) + 60 * int(found[2]) + float(found[3]))


def _asf_us(opened: OpenVideo) -> int:
    """Return the play duration in an ASF header, which FFmpeg does not believe in a file that was cut."""
    position = opened.file.tell()
    opened.file.seek(0)
    head = opened.file.read(_HEADER_BYTES)
    opened.file.seek(position)
    place = head.find(ASF_FILE_PROPERTIES)
    if place < 0 or place + 88 > len(head):
        return 0
    duration_100ns, _sending, preroll_ms = struct.unpack_from("<QQQ", head, place + 64)
    return max(0, duration_100ns // 10 - 1000 * preroll_ms)


def _others_reach(opened: OpenVideo, end_us: int) -> bool:
    """Return whether sound or another stream can be read up to the end: then the video is shorter by itself."""
    latest_us = 0
    for stream in opened.container.streams:
        stream.discard = av.stream.Discard.default
    try:
        # To the first picture: where that is not shown at 0, FLV cannot be sought there.
        opened.container.seek(opened.stream.start_time or 0, stream=opened.stream, backward=True)
        for packet in opened.container.demux():
            if packet.pts is not None and packet.stream is not opened.stream:
                latest_us = max(latest_us, _us((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (av.error.FFmpegError, IndexError):
        return False
    return latest_us >= end_us * (1 - _MISSING_FRACTION)
