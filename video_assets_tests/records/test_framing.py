"""TFRecord files: what is written is what TensorFlow writes, and no damage goes unnoticed."""

import gzip
import io
import random
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.records.framing import (
    FOOTER_BYTES,
    HEADER_BYTES,
    FramedRecord,
    FramingError,
    compress,
    frame_record,
    read_records,
)

RECORDS = [b"", b"a", b"\x00\xff" * 20, b"record"]
PLACES = [0, 16, 33, 89]  # 12 bytes of header and 4 of footer around each


def framed(records: list[bytes]) -> bytes:
    return b"".join(frame_record(record) for record in records)


def read(data: bytes) -> list[FramedRecord]:
    return list(read_records(io.BytesIO(data)))


@given(st.lists(st.binary(max_size=200)))
def test_any_records_are_read_as_they_were_written(records: list[bytes]) -> None:
    assert [record.data for record in read(framed(records))] == records


@given(st.lists(st.binary(max_size=200)))
def test_a_record_can_be_cut_out_of_the_file_by_offset_and_length(records: list[bytes]) -> None:
    data = framed(records)
    for record in read(data):
        assert data[record.offset : record.offset + record.length] == frame_record(record.data)
        assert record.length == HEADER_BYTES + len(record.data) + FOOTER_BYTES


def test_records_stand_where_the_sizes_say() -> None:
    assert [record.offset for record in read(framed(RECORDS))] == PLACES


def test_a_framed_record_is_pinned() -> None:
    """Pinned: the file format of TensorFlow; as its own writer frames b"record"."""
    assert frame_record(b"record").hex() == "06000000000000007369d5377265636f726405de2bfc"


def test_the_bytes_are_those_of_tensorflows_own_writer(tensorflow: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "theirs.tfrecord"
    records = [*RECORDS, bytes(range(256)) * 5000]
    with tensorflow.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    assert path.read_bytes() == framed(records)
    with path.open("rb") as file:
        assert [record.data for record in read_records(file)] == records


def test_tensorflows_own_reader_reads_what_was_written(tensorflow: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "ours.tfrecord"
    path.write_bytes(framed(RECORDS))
    dataset = tensorflow.data.TFRecordDataset(str(path))
    assert [record.numpy() for record in dataset] == RECORDS


def test_every_flipped_bit_is_noticed_with_record_and_byte() -> None:
    data = framed(RECORDS)
    for position in range(len(data)):
        number = max(i for i, place in enumerate(PLACES) if place <= position)
        is_header = position < PLACES[number] + HEADER_BYTES
        what = "the record's length" if is_header else "the record's data"
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(FramingError) as error:
                read(bytes(damaged))
            assert str(error.value) == f"record {number} at byte {PLACES[number]}: the checksum of {what} is wrong"


def test_every_truncation_within_a_record_is_noticed_with_record_and_byte() -> None:
    data = framed(RECORDS)
    for end in range(len(data)):
        if end in PLACES:  # whole records and no more: only a count or a checksum of the file can tell
            assert [record.data for record in read(data[:end])] == RECORDS[: PLACES.index(end)]
            continue
        number = max(i for i, place in enumerate(PLACES) if place < end)
        is_header = end < PLACES[number] + HEADER_BYTES
        what = "header" if is_header else f"{len(RECORDS[number])} bytes"
        with pytest.raises(FramingError) as error:
            read(data[:end])
        assert str(error.value) == f"record {number} at byte {PLACES[number]}: the file ends within the record's {what}"


def test_records_before_the_damage_are_given() -> None:
    data = bytearray(framed(RECORDS))
    data[-1] ^= 1
    records = read_records(io.BytesIO(bytes(data)))
    assert [next(records).data for _ in range(3)] == RECORDS[:3]
    with pytest.raises(FramingError, match="record 3 at byte 89"):
        next(records)


def test_bytes_behind_the_last_record_are_noticed() -> None:
    with pytest.raises(FramingError, match="record 4 at byte 111: the file ends within the record's header"):
        read(framed(RECORDS) + b"\n")


@pytest.mark.parametrize("data", [b"this is no TFRecord file at all", b"\x1f\x8b" + bytes(100), bytes(100)])
def test_another_kind_of_file_is_noticed_at_its_first_byte(data: bytes) -> None:
    with pytest.raises(FramingError, match=r"^record 0 at byte 0: the checksum of the record's length is wrong$"):
        read(data)


def test_a_record_that_is_too_long_is_told_from_one_whose_checksum_is_wrong() -> None:
    """The header is right, as one without a fault would be for a record of 2 GiB and a byte."""
    header = bytes.fromhex("0100008000000000 444266d8")
    with pytest.raises(
        FramingError, match=r"^record 0 at byte 0: the record has 2147483649 bytes, 2147483648 are allowed$"
    ):
        read(header)


def test_an_empty_file_holds_no_records() -> None:
    assert read(b"") == []


# --- GZIP -------------------------------------------------------------------------------------------------------------


def compressed(records: list[bytes]) -> bytes:
    return b"".join(frame_record(record, "GZIP") for record in records)


def inflated(data: bytes) -> list[FramedRecord]:
    return list(read_records(io.BytesIO(data), "GZIP"))


@given(st.lists(st.binary(max_size=200)))
def test_compressed_records_are_read_as_they_were_written_and_cut_out_by_offset_and_length(
    records: list[bytes],
) -> None:
    data = compressed(records)
    found = inflated(data)
    assert [record.data for record in found] == records
    for record in found:
        member = data[record.offset : record.offset + record.length]
        assert gzip.decompress(member) == frame_record(record.data)
    assert sum(record.length for record in found) == len(data)


def test_a_compressed_file_is_one_stream_to_others() -> None:
    assert gzip.decompress(compressed(RECORDS)) == framed(RECORDS)


MANY = {
    "thousands of small ones": [index.to_bytes(4) * (index % 50) for index in range(5000)],
    "some about as large as a buffer": [random.Random(n).randbytes((1 << 18) + n) for n in range(-3, 4)],
    "large ones that shrink": [bytes([n]) * 6_000_000 for n in range(4)],
    "large ones that do not": [random.Random(n).randbytes(3_000_000) for n in range(3)],
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("buffer_size", [None, 1000, 1 << 18, 1 << 20])
@pytest.mark.slow
def test_tensorflows_own_reader_reads_member_after_member(
    tensorflow: ModuleType, tmp_path: Path, name: str, buffer_size: int | None
) -> None:
    path = tmp_path / "ours.tfrecord"
    path.write_bytes(compressed(MANY[name]))
    dataset = tensorflow.data.TFRecordDataset(str(path), "GZIP", buffer_size=buffer_size)
    assert [record.numpy() for record in dataset] == MANY[name]
    with path.open("rb") as file:
        assert [record.data for record in read_records(file, "GZIP")] == MANY[name]


def test_tensorflow_finds_no_record_in_an_empty_file_or_member(tensorflow: ModuleType, tmp_path: Path) -> None:
    for content in (b"", compress(b"")):
        path = tmp_path / "ours.tfrecord"
        path.write_bytes(content)
        assert list(tensorflow.data.TFRecordDataset(str(path), "GZIP")) == []


def test_every_truncation_of_a_compressed_file_is_noticed_with_record_and_byte() -> None:
    data = compressed(RECORDS)
    places = [record.offset for record in inflated(data)]
    for end in range(len(data)):
        if end in places:
            assert [record.data for record in inflated(data[:end])] == RECORDS[: places.index(end)]
            continue
        number = max(i for i, place in enumerate(places) if place < end)
        with pytest.raises(FramingError) as error:
            inflated(data[:end])
        place = f"record {number} at byte {places[number]}"
        assert str(error.value) == f"{place}: the file ends within the record's GZIP member"


def outcome(data: bytes) -> object:
    """The records, or the sentence of the error."""
    try:
        return [record.data for record in inflated(data)]
    except FramingError as error:
        return str(error)


def test_a_flipped_byte_never_gives_another_record() -> None:
    data = compressed(RECORDS)
    places = [record.offset for record in inflated(data)]
    for position in range(len(data)):
        number = max(i for i, place in enumerate(places) if place <= position)
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        found = outcome(bytes(damaged))
        # Time, operating system and flags in GZIP's header say nothing about the content.
        assert found == RECORDS or str(found).startswith(f"record {number} at byte {places[number]}: ")


@pytest.mark.parametrize("content", [b"", framed(RECORDS), frame_record(b"a") + b"\n"])
def test_a_member_that_does_not_hold_one_record_is_named(content: bytes) -> None:
    data = frame_record(b"first", "GZIP")
    with pytest.raises(FramingError) as error:
        inflated(data + compress(content))
    what = "the GZIP member does not hold exactly one record"
    assert str(error.value) == f"record 1 at byte {len(data)}: {what}"


def test_a_file_that_is_not_compressed_is_noticed() -> None:
    with pytest.raises(FramingError, match="record 0 at byte 0: the record's GZIP member is damaged"):
        inflated(framed(RECORDS))
