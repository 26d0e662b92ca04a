"""Find where a file has lost parts of its video, or has others in their place: FFmpeg goes on after them, silently.

What is followed are the packets of a transport stream, the chunks of an AVI, the media objects of an ASF (Advanced
Systems Format, 5.2) and the pages of an Ogg (RFC 3533, 6). `lost_elements.py` follows those of a Matroska and an FLV.
"""

import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from video_assets.media.index.lost_elements import broken_clusters, broken_tags
from video_assets.media.open.video import OpenVideo

_FOLLOWED: Final = frozenset({"mpegts", "avi", "asf", "ogg", "matroska,webm", "flv"})
_TS_SYNC: Final = 0x47
_TS_SIZES: Final = (188, 192, 204)
_TS_SYNCS: Final = 4
"""So many packets in a row show where packets begin."""
_BLOCK_BYTES: Final = 2**20
_AVI_LISTS: Final = (b"AVI ", b"AVIX", b"movi", b"rec ")
"""What other lists hold are no frames."""
_AVI_FRAMES: Final = re.compile(rb"\d\d[a-z]{2}")
ASF_FILE_PROPERTIES: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA: Final = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_HEADER_BYTES: Final = 2**16
_ASF_DATA_HEADER_BYTES: Final = 50
_ASF_LENGTHS: Final = (0, 1, 2, 4)
_ASF_COMPRESSED: Final = 1
"""The length of replicated data that says that a payload holds several whole objects."""
_OGG_PAGE: Final = b"OggS"
_OGG_CODECS: Final = (b"\x80theora", b"OVP80")
"""How the first packet of a video begins."""
_REVERSED: Final = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def places_of_losses(opened: OpenVideo) -> list[int]:
    """Return where a file on this machine has lost bytes of its video, or has others in their place.

    That is where no packet, chunk or page begins. FFmpeg looks for the next one, and then does not compare the counters
    on either side. In a transport stream it is also where the counter of the video's packets skips a number within a
    picture: FFmpeg's parsers do not pass on that it does. Between pictures it may, where streams were joined.
    """
    file = opened.file
    if opened.container_name not in _FOLLOWED or not isinstance(file, io.FileIO | io.BytesIO):
        return []
    position = file.tell()
    try:
        if opened.container_name == "avi":
            return list(_broken_chunks(file))
        if opened.container_name == "asf":
            return _broken_objects(file, opened.stream.id)
        if opened.container_name == "ogg":
            return list(_broken_pages(file))
        if opened.container_name == "matroska,webm":
            return list(broken_clusters(file))
        if opened.container_name == "flv":
            return broken_tags(file)
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
        start, place, block = start + place, 0, file.read(_BLOCK_BYTES)
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
            block = file.read(_BLOCK_BYTES)
            if len(block) <= _TS_SYNCS * size:  # garbage after the last packet
                return
            place = _next_packet(block, 0, size)
        yield start + lost_at


def _next_packet(block: bytes, place: int, size: int) -> int:
    """Return where packets of this size begin, from a place on; -1 if nowhere."""
    while (place := block.find(_TS_SYNC, place)) >= 0:
        if place + (_TS_SYNCS - 1) * size >= len(block):
            return -1
        if all(block[place + number * size] == _TS_SYNC for number in range(_TS_SYNCS)):
            return place
        place += 1
    return -1


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


@dataclass(frozen=True, slots=True)
class _Payload:
    """A part of a media object, which is a picture: its bytes [start, stop) of `size`; several whole ones if 0."""

    stream: int
    number: int
    start: int
    stop: int
    size: int


def _broken_objects(file: io.FileIO | io.BytesIO, stream: int) -> list[int]:
    """Return places at which a part of the stream is missing; nothing where most say so: its writer does not count."""
    file.seek(0)
    head = file.read(_HEADER_BYTES)
    properties, data = head.find(ASF_FILE_PROPERTIES), head.find(_ASF_DATA)
    if properties < 0 or data < 0 or properties + 96 > len(head):
        return []
    size = int.from_bytes(head[properties + 92 : properties + 96], "little")
    if not 64 <= size <= _HEADER_BYTES:
        return []
    stop = data + int.from_bytes(head[data + 16 : data + 24], "little")
    num_payloads, breaks, skips = 0, list[int](), list[int]()
    latest: _Payload | None = None
    for place, packet in _asf_packets(file, data + _ASF_DATA_HEADER_BYTES, stop, size):
        try:
            payloads = [payload for payload in _payloads(packet) if payload.stream == stream]
        except ValueError:
            breaks.append(place - 1)
            continue
        num_payloads += len(payloads)
        for payload in payloads:
            if latest is not None and not _follows(payload, latest):
                skips.append(place - 1)
            latest = payload
    return sorted([*breaks, *(skips if 2 * len(skips) < num_payloads else ())])


def _asf_packets(file: io.FileIO | io.BytesIO, place: int, stop: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield packets and their places, with none where bytes are lost: then comes what begins as the first one does."""
    file.seek(place)
    mark = file.read(3)
    while 0 <= place <= stop - size:
        file.seek(place)
        packet = file.read(size)
        if len(packet) < size:
            return
        is_right = packet.startswith(mark)
        yield place, packet if is_right else b""
        place = place + size if is_right else place_of(mark, file, place + 1)


def _follows(payload: _Payload, latest: _Payload) -> bool:
    if not payload.size or not latest.size:
        return True
    if payload.number == latest.number and payload.start:
        return payload.start == latest.stop and payload.size == latest.size
    return payload.number == (latest.number + 1) % 256 and not payload.start and latest.stop == latest.size


def _payloads(packet: bytes) -> Iterator[_Payload]:
    """Yield the payloads of a packet, whose data follow in their order.

    Raises:
        ValueError: the packet is not as the format requires.
    """
    fields = _Fields(packet)
    flags = fields.number(1)
    if flags & 0x80:  # error correction data
        fields.take(flags & 15)
        flags = fields.number(1)
    properties = fields.number(1)
    fields.take(_ASF_LENGTHS[flags >> 5 & 3] + _ASF_LENGTHS[flags >> 1 & 3])
    stop = len(packet) - fields.number(_ASF_LENGTHS[flags >> 3 & 3])
    fields.take(6)
    has_many = flags & 1
    count = fields.number(1) if has_many else 1
    for _ in range(count & 63 if has_many else 1):
        number_of_stream = fields.number(1) & 127
        number, start = (fields.number(_ASF_LENGTHS[properties >> shift & 3]) for shift in (4, 2))
        replicated = fields.take(fields.number(_ASF_LENGTHS[properties & 3]))
        length = fields.number(_ASF_LENGTHS[count >> 6]) if has_many else stop - fields.place
        if length < 0 or fields.place + length > stop:
            raise ValueError("a payload goes on after its packet")
        fields.take(length)
        size = int.from_bytes(replicated[:4], "little") if len(replicated) != _ASF_COMPRESSED else 0
        yield _Payload(number_of_stream, number % 256, start, start + length, size)


class _Fields:
    """Reads the fields of a packet one after another."""

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def take(self, num_bytes: int) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: if the data end before.
        """
        self.place += num_bytes
        if self.place > len(self._data):
            raise ValueError("a field goes on after its packet")
        return self._data[self.place - num_bytes : self.place]

    def number(self, num_bytes: int) -> int:
        """Return the next number."""
        return int.from_bytes(self.take(num_bytes), "little")


def _broken_pages(file: io.FileIO | io.BytesIO) -> Iterator[int]:
    """Yield where pages of an Ogg's video are missing, or are not as their checksums say."""
    latest: dict[bytes, int] = {}
    place = 0
    while True:
        file.seek(place)
        head = file.read(27)
        if len(head) < 27:
            return
        sizes = file.read(head[26])
        page = head + sizes + file.read(sum(sizes))
        if not page.startswith(_OGG_PAGE):
            found = place_of(_OGG_PAGE, file, place + 1)
            if latest and found > 0:
                yield place - 1
            if found < 0:
                return
            place = found
            continue
        stream, number = page[14:18], int.from_bytes(page[18:22], "little")
        if page[27 + len(sizes) :].startswith(_OGG_CODECS):
            latest[stream] = number - 1
        if stream in latest:
            is_right = _ogg_checksum(page[:22] + bytes(4) + page[26:]) == int.from_bytes(page[22:26], "little")
            if not is_right or number != latest[stream] + 1:
                yield place - 1
            latest[stream] = number
        place += len(page)


def place_of(mark: bytes, file: BinaryIO | io.FileIO, place: int) -> int:
    """Return where these bytes come next, from a place on; -1 if nowhere."""
    file.seek(place)
    while block := file.read(_BLOCK_BYTES):
        if (found := block.find(mark)) >= 0:
            return place + found
        if len(block) < len(mark):
            return -1
        place += len(block) - len(mark) + 1
        file.seek(place)
    return -1


def _ogg_checksum(page: bytes) -> int:
    """Return the CRC-32 of an Ogg page, which goes through bits the other way round than zlib's does."""
    checksum = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{checksum:032b}"[::-1], 2)
