"""Compare what can be read of a video with what its container says: interrupted downloads, damaged blocks, holes."""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import av.error
import av.stream
import numpy as np
from numpy.typing import NDArray

from video_assets.domain.sampling import Timeline
from video_assets.media.open.crop import NO_END, SEGMENT, matroska_elements
from video_assets.media.open.video import OpenVideo

_MOV: Final = "mov,mp4,m4a,3gp,3g2,mj2"
_SAYS_DURATION: Final = frozenset({_MOV, "matroska,webm", "flv", "ivf", "mxf", "rm", "wtv"})
"""Containers whose header says a duration. Of others FFmpeg estimates one from what can be read, or from bit rates."""

_TAG: Final = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_MISSING_FRAMES: Final = 2
"""Headers of sound files say up to two frames more than there are."""
_MISSING_FRACTION: Final = 0.02
_GAP_INTERVALS, _GAP_US = 8, 250_000
_STEADY_SHARE: Final = 0.9
_HEADER_BYTES: Final = 4096
_MISSING_BYTES: Final = 64
_UNKNOWN_RIFF_BYTES: Final = 0xFFFF0000
_TS_SYNC: Final = 0x47
_TS_SIZES: Final = (188, 192, 204)
_TS_SYNCS: Final = 4
"""So many packets in a row show where packets begin."""
_TS_BLOCK_BYTES: Final = 2**20
_AVI_LISTS: Final = (b"AVI ", b"AVIX", b"movi", b"rec ")
"""What other lists hold are no frames."""
_AVI_FRAMES: Final = re.compile(rb"\d\d[a-z]{2}")
_ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


@dataclass(frozen=True, slots=True)
class SaidLength:
    """What a container says before any packet is read: how many there are, or when the last frame ends; 0: nothing."""

    num_packets: int = 0
    end_us: int = 0


def said_length(opened: OpenVideo) -> SaidLength:
    """Return what the container of an open video says. Some containers say something else once packets were read."""
    stream, name = opened.stream, opened.container_name
    if name == "avi":  # its own duration, which FFmpeg corrects where the index is lost
        return SaidLength(end_us=_us(stream.frames * opened.time_base))
    if name == _MOV and stream.frames and stream.frames == len(stream.index_entries):
        return SaidLength(num_packets=stream.frames)  # frames may be hidden by an edit list; packets are not
    if name == "asf":
        return SaidLength(end_us=_asf_us(opened))
    if name not in _SAYS_DURATION:
        return SaidLength()
    if name in (_MOV, "ivf"):  # a bare ivf's number is of ticks (FFmpeg) or of frames (libvpx), which are fewer
        start, duration = stream.start_time or 0, stream.duration or 0
        return SaidLength(end_us=_us((start + duration) * opened.time_base) if duration else 0)
    ends = [opened.container.duration or 0, *_tagged_us(stream.metadata)]
    return SaidLength(end_us=min(ends))


def readable_fraction(opened: OpenVideo, said: SaidLength, timeline: Timeline, num_packets: int) -> float:
    """Return how much of the video can be read, of what its container says; 1.0 if all, or if it says nothing.

    An AVI or a Matroska also says how many bytes it has. Of frames, less than two or 2 % are not counted. A gap at the
    end that is no longer than one before is the video's own way, and so is a video that ends before its sound.
    """
    return min(_fraction_of_frames(opened, said, timeline, num_packets), _fraction_of_bytes(opened))


def _fraction_of_frames(opened: OpenVideo, said: SaidLength, timeline: Timeline, num_packets: int) -> float:
    # The last fragment of a fragmented mp4 names its packets before they come; all others are named at the beginning.
    num_said = said.num_packets or (len(opened.stream.index_entries) if opened.container_name == _MOV else 0)
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
    if fraction < 1 - _MISSING_FRACTION and missing_us > _MISSING_FRAMES * interval_us:
        return fraction if len(opened.container.streams) == 1 or not _others_reach(opened, said.end_us) else 1.0
    return 1.0


def _fraction_of_bytes(opened: OpenVideo) -> float:
    """Return how much there is of an AVI or a Matroska file; a file with a hole is shorter than it says, too."""
    size_bytes, position = opened.size_bytes, opened.file.tell()
    try:
        if opened.container_name == "avi":
            opened.file.seek(0)
            riff, said, _kind = struct.unpack("<4sI4s", opened.file.read(12))
            said_bytes = said + 8 if riff == b"RIFF" and said < _UNKNOWN_RIFF_BYTES else 0
        elif "matroska" in opened.container_name:
            ends = (end for kind, _, end in matroska_elements(opened.file, 0, NO_END) if kind == SEGMENT)
            said_bytes = next(ends, 0) % NO_END
        else:
            return 1.0
    except (IndexError, struct.error):
        return 1.0
    finally:
        opened.file.seek(position)
    return size_bytes / said_bytes if size_bytes + _MISSING_BYTES < said_bytes else 1.0


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


def places_of_losses(opened: OpenVideo) -> list[int]:
    """Return where a transport stream or an AVI on this machine has lost bytes, or has others in their place.

    That is where no packet or chunk begins. FFmpeg looks for the next one, and then does not compare the counters of
    packets on either side. In a transport stream it is also where the counter of the video's packets skips a number
    within a picture: FFmpeg's parsers do not pass on that it does. Between pictures it may, where streams were joined.
    """
    file = opened.file
    if opened.container_name not in ("mpegts", "avi") or not isinstance(file, io.FileIO | io.BytesIO):
        return []
    position = file.tell()
    try:
        if opened.container_name == "avi":
            return list(_broken_chunks(file))
        counters = _Counters(opened.stream.id)
        return sorted([*_losses(file, counters), *counters.places()])
    finally:
        file.seek(position)


class _Counters:
    """Follows the counters of a transport stream's packets that hold a part of one stream."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._latest: int | None = None
        self._num_packets = 0
        self._places: list[int] = []

    def follow(self, packets: NDArray[np.uint8], start: int) -> None:
        """Look at packets in a row, (N, size) bytes, the first of which is at the place `start` of the file."""
        heads = packets[:, :6].astype(np.int64)
        is_mine = (heads[:, 1] % 32 << 8 | heads[:, 2] == self._pid) & (heads[:, 3] & 0x10 > 0)
        numbers = np.flatnonzero(is_mine)
        if not len(numbers):
            return
        heads = heads[numbers]
        counters = heads[:, 3] % 16
        before = np.concatenate(([self._latest if self._latest is not None else counters[0] - 1], counters[:-1]))
        may_skip = (heads[:, 3] & 0x20 > 0) & (heads[:, 4] > 0) & (heads[:, 5] & 0x80 > 0)
        begins_picture = heads[:, 1] & 0x40 > 0
        skips = ((counters - before) % 16 > 1) & ~may_skip & ~begins_picture  # the same again: sent twice
        self._places += (start + numbers[skips] * packets.shape[1]).tolist()
        self._latest, self._num_packets = int(counters[-1]), self._num_packets + len(numbers)

    def begin_anew(self) -> None:
        """Let the next packet have any counter."""
        self._latest = None

    def places(self) -> list[int]:
        """Return where counters skip a number; nothing where most do, since some multiplexers do not count."""
        return self._places if len(self._places) * 4 < self._num_packets else []


def _losses(file: io.FileIO | io.BytesIO, counters: _Counters) -> Iterator[int]:
    """Yield where no packet begins, and let the counters follow all packets."""
    size = start = place = 0
    while True:
        file.seek(start + place)
        start, place, block = start + place, 0, file.read(_TS_BLOCK_BYTES)
        if not size:  # garbage before the first packet is no loss
            size, place = next(((size, at) for size in _TS_SIZES if (at := _next_packet(block, 0, size)) >= 0), (0, 0))
        if not size or len(block) - place < _TS_SYNCS * size:
            return
        stop = len(block) - (len(block) - place) % size
        packets = np.frombuffer(block, np.uint8, stop - place, place).reshape(-1, size)
        heads = packets[:, 0]
        wrong = int((heads != _TS_SYNC).argmax())
        if heads[wrong] == _TS_SYNC:
            counters.follow(packets, start + place)
            place = stop
            continue
        counters.follow(packets[:wrong], start + place)
        counters.begin_anew()
        lost_at = place + wrong * size
        place = _next_packet(block, lost_at, size)
        while place < 0:
            start += len(block) - _TS_SYNCS * size
            lost_at -= len(block) - _TS_SYNCS * size
            file.seek(start)
            block = file.read(_TS_BLOCK_BYTES)
            if len(block) <= _TS_SYNCS * size:  # garbage after the last packet
                return
            place = _next_packet(block, 0, size)
        yield start + lost_at


def _broken_chunks(file: io.FileIO | io.BytesIO) -> Iterator[int]:
    """Yield where, among the frames of an AVI, a chunk should begin and none does; the first place alone."""
    place = stop = padding = 0  # stop: of the list of frames
    while True:
        file.seek(place - padding)
        head = file.read(12 + padding)
        if padding and _AVI_FRAMES.match(head) and not _AVI_FRAMES.match(head, 1):
            place -= 1  # some writers do not fill up to an even number of bytes
        else:
            head = head[padding:]
        if len(head) < 12:
            return
        kind, size = head[:4], int.from_bytes(head[4:8], "little")
        padding = 0
        if kind in (b"RIFF", b"LIST") and head[8:12] in _AVI_LISTS:
            stop = place + 8 + size if head[8:12] == b"movi" else stop
            place += 12
        elif not kind.isascii() or not kind.decode("ascii").isprintable() or place < stop < place + 7 + size:
            if place < stop:
                yield place
            return
        else:
            padding = size % 2
            place += 8 + size + padding


def _next_packet(block: bytes, place: int, size: int) -> int:
    """Return where packets of this size begin, from a place on; -1 if nowhere."""
    while (place := block.find(_TS_SYNC, place)) >= 0:
        if place + (_TS_SYNCS - 1) * size >= len(block):
            return -1
        if all(block[place + number * size] == _TS_SYNC for number in range(_TS_SYNCS)):
            return place
        place += 1
    return -1


def _is_all_there_is(opened: OpenVideo) -> bool:
    """Return whether a file holds hardly anything besides the packets that were read: a picture, shown for a while."""
    packets = opened.packets_read
    return packets is not None and opened.size_bytes <= sum(packet.size for packet in packets) + _HEADER_BYTES


def _us(seconds: object) -> int:
    return int(float(seconds) * 1_000_000)  # pyright: ignore[reportArgumentType]


def _tagged_us(tags: dict[str, str]) -> Iterator[int]:
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
    place = head.find(_ASF_FILE_PROPERTIES)
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
        opened.container.seek(0, any_frame=False, backward=True)
        for packet in opened.container.demux():
            if packet.pts is not None and packet.stream is not opened.stream:
                latest_us = max(latest_us, _us((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (av.error.FFmpegError, IndexError):
        return False
    return latest_us >= end_us * (1 - _MISSING_FRACTION)
