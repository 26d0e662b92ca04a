"""The TFRecord file format: each record with its length and two checksums.

Source: TensorFlow, `tensorflow/core/lib/io/record_writer.h`: little-endian uint64 length, masked CRC-32C of the length,
the data, masked CRC-32C of the data; a CRC is masked by rotating it right by 15 bits and adding a constant.

In a compressed file each record is a GZIP member of its own (RFC 1952, section 2.2: members follow one another and read
as one stream), so that any record can be read by its offset and length alone. TensorFlow, gzip and Python read it.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, get_args

import google_crc32c

from video_assets.domain.encoding import Compression

HEADER_BYTES = 12
FOOTER_BYTES = 4
_MASK_DELTA = 0xA282EAD8
_MAX_RECORD_BYTES = 1 << 31
_READ_BYTES = 1 << 20
_GZIP_WINDOW = 31  # zlib's code for the largest window and the GZIP format
_GZIP_LEVEL = 3
"""Ten float32 frames of 224² that hold whole numbers take 1.41 MB and 0.14 s; at level 1 1.74 MB and 0.09 s, at level
6, zlib's default, 1.25 MB and 0.43 s, at level 9 1.14 MB and 3.8 s (mean of six camera clips).
"""


class FramingError(ValueError):
    """A TFRecord file is damaged; the message names the record and the byte."""


@dataclass(frozen=True, slots=True)
class FramedRecord:
    """A record's data and its place in the file: [offset, offset + length), header and footer included."""

    data: bytes
    offset: int
    length: int


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def frame_record(data: bytes, compression: Compression = "") -> bytes:
    """Return the bytes that a file holds for one record."""
    header = struct.pack("<Q", len(data))
    framed = b"".join((header, struct.pack("<I", _masked_crc(header)), data, struct.pack("<I", _masked_crc(data))))
    return compress(framed) if compression == "GZIP" else framed


def is_whole_frame(frame: bytes) -> bool:
    """Return whether these bytes are exactly one record, compressed or not; compares the checksums."""
    return any(_holds_one_record(frame, compression) for compression in get_args(Compression))


def _holds_one_record(frame: bytes, compression: Compression) -> bool:
    try:
        return [record.length for record in read_records(io.BytesIO(frame), compression)] == [len(frame)]
    except FramingError:
        return False


def compress(content: bytes) -> bytes:
    """Return one GZIP member without name or time: the same content and the same zlib give the same bytes."""
    deflater = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return deflater.compress(content) + deflater.flush()


def read_records(file: BinaryIO, compression: Compression = "") -> Iterator[FramedRecord]:
    """Yield the records of a TFRecord file in order; compares the checksums.

    Raises:
        FramingError: At the first record that is cut short or too long, or whose checksum is wrong; in a compressed
            file also at the first GZIP member that does not hold exactly one record.
    """
    if compression == "GZIP":
        yield from _read_members(file)
        return
    offset = 0
    for number in range(1 << 62):
        data = _read_frame(file, f"record {number} at byte {offset}")
        if data is None:
            return
        length = HEADER_BYTES + len(data) + FOOTER_BYTES
        yield FramedRecord(data, offset, length)
        offset += length


def _read_frame(file: BinaryIO, place: str) -> bytes | None:
    """Return the data of the record that begins here, or None at the end of the file."""
    header = file.read(HEADER_BYTES)
    if not header:
        return None
    if len(header) < HEADER_BYTES:
        raise FramingError(f"{place}: the file ends within the record's header")
    size, size_crc = struct.unpack("<QI", header)
    if size_crc != _masked_crc(header[:8]):
        raise FramingError(f"{place}: the checksum of the record's length is wrong")
    if size > _MAX_RECORD_BYTES:  # the length's checksum is right, but no writer stores so much: do not allocate it
        raise FramingError(f"{place}: the record has {size} bytes, {_MAX_RECORD_BYTES} are allowed")
    body = file.read(size + FOOTER_BYTES)
    if len(body) < size + FOOTER_BYTES:
        raise FramingError(f"{place}: the file ends within the record's {size} bytes")
    data = body[:size]
    if struct.unpack("<I", body[size:])[0] != _masked_crc(data):
        raise FramingError(f"{place}: the checksum of the record's data is wrong")
    return data


def _read_members(file: BinaryIO) -> Iterator[FramedRecord]:
    offset, ahead = 0, file.read(_READ_BYTES)
    for number in range(1 << 62):
        if not ahead:
            return
        place = f"record {number} at byte {offset}"
        content, length, ahead = _inflate_member(file, ahead, place)
        inside = io.BytesIO(content)
        data = _read_frame(inside, place)
        if data is None or inside.tell() != len(content):
            raise FramingError(f"{place}: the GZIP member does not hold exactly one record")
        yield FramedRecord(data, offset, length)
        offset += length


def _inflate_member(file: BinaryIO, ahead: bytes, place: str) -> tuple[bytes, int, bytes]:
    """Return the content of the GZIP member that begins with `ahead`, its length in the file, and what was read beyond."""
    inflater, parts, length = zlib.decompressobj(_GZIP_WINDOW), list[bytes](), 0
    while not inflater.eof:
        if not ahead:
            raise FramingError(f"{place}: the file ends within the record's GZIP member")
        try:
            parts.append(inflater.decompress(ahead))
        except zlib.error as error:
            raise FramingError(f"{place}: the record's GZIP member is damaged: {error}") from error
        length += len(ahead) - len(inflater.unused_data)
        ahead = inflater.unused_data or file.read(_READ_BYTES)
    return b"".join(parts), length, ahead
