"""TFRecord files: what is written is what TensorFlow writes, and no damage goes unnoticed."""

import io
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


def test_an_empty_file_holds_no_records() -> None:
    assert read(b"") == []
