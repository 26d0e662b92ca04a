"""The TFRecord file format: each record with its length and two checksums.

Source: TensorFlow, `tensorflow/core/lib/io/record_writer.h`: little-endian uint64 length, masked CRC-32C of
the length, the data, masked CRC-32C of the data; a CRC is masked by rotating it right by 15 bits and adding a
constant.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import google_crc32c

HEADER_BYTES = 12
FOOTER_BYTES = 4
_MASK_DELTA = 0xA282EAD8
_MAX_RECORD_BYTES = 1 << 31


class FramingError(ValueError):
    """A TFRecord file is not whole; the message names the record and the byte."""


@dataclass(frozen=True, slots=True)
class FramedRecord:
    """A record's data and where its frame lies in the file: [offset, offset + length), header and footer included."""

    data: bytes
    offset: int
    length: int


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def frame_record(data: bytes) -> bytes:
    """The bytes that stand in a file for one record."""
    header = struct.pack("<Q", len(data))
    return b"".join((header, struct.pack("<I", _masked_crc(header)), data, struct.pack("<I", _masked_crc(data))))


def is_whole_frame(frame: bytes) -> bool:
    """Whether these are the bytes of one record, checksums checked."""
    try:
        return [record.length for record in read_records(io.BytesIO(frame))] == [len(frame)]
    except FramingError:
        return False


def read_records(file: BinaryIO) -> Iterator[FramedRecord]:
    """Records of an uncompressed TFRecord file in order, checksums checked.

    Raises:
        FramingError: at the first record that is cut short or whose checksum is wrong.
    """
    offset = 0
    for number in range(1 << 62):
        header = file.read(HEADER_BYTES)
        if not header:
            return
        place = f"record {number} at byte {offset}"
        if len(header) < HEADER_BYTES:
            raise FramingError(f"{place}: the file ends within the record's header")
        size, size_crc = struct.unpack("<QI", header)
        if size_crc != _masked_crc(header[:8]) or size > _MAX_RECORD_BYTES:
            raise FramingError(f"{place}: the checksum of the record's length is wrong")
        body = file.read(size + FOOTER_BYTES)
        if len(body) < size + FOOTER_BYTES:
            raise FramingError(f"{place}: the file ends within the record's {size} bytes")
        data = body[:size]
        if struct.unpack("<I", body[size:])[0] != _masked_crc(data):
            raise FramingError(f"{place}: the checksum of the record's data is wrong")
        length = HEADER_BYTES + size + FOOTER_BYTES
        yield FramedRecord(data, offset, length)
        offset += length
