"""Tables on disk: typed, complete, the same bytes for the same rows; a seal finds every flipped bit."""

import hashlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.errors import FileDamaged
from video_assets.storage.tables import (
    CLIP_FIELDS,
    INDEX,
    MANIFEST,
    OPEN_SEAL,
    PLAN,
    QUARANTINE,
    SPLIT,
    SPLIT_HISTORY,
    is_seal_whole,
    read_noted_table,
    read_notes,
    read_table,
    refuse_broken_seal,
    sealed,
    write_table,
)

SCHEMA = pa.schema([("name", pa.string()), ("count", pa.int64()), ("seconds", pa.float64())])
ROWS = pd.DataFrame({"count": [1, 2**60], "name": ["ü", None], "seconds": [None, 0.1], "unused": [0, 0]})


def test_a_table_is_read_in_the_order_and_types_of_its_schema(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", ROWS, SCHEMA)
    frame = read_table(tmp_path / "t.parquet", SCHEMA)
    assert list(frame.columns) == ["name", "count", "seconds"]
    assert frame["count"].tolist() == [1, 2**60]
    assert frame["name"].tolist()[0] == "ü"
    assert frame.isna()["name"].tolist() == [False, True]
    assert frame["seconds"].isna().tolist() == [True, False]


def test_a_table_that_is_not_there_is_empty_and_typed(tmp_path: Path) -> None:
    frame = read_table(tmp_path / "none.parquet", SCHEMA)
    assert (len(frame), list(frame.columns), str(frame["count"].dtype)) == (0, ["name", "count", "seconds"], "int64")


@pytest.mark.parametrize("schema", [MANIFEST, QUARANTINE, SPLIT, SPLIT_HISTORY, PLAN, INDEX])
def test_every_table_can_be_empty(tmp_path: Path, schema: pa.Schema) -> None:
    write_table(tmp_path / "t.parquet", read_table(tmp_path / "none.parquet", schema), schema)
    assert list(read_table(tmp_path / "t.parquet", schema).columns) == schema.names


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    write_table(tmp_path / "one.parquet", ROWS, SCHEMA, {"b": "1", "a": "2"})
    shuffled = ROWS[["unused", "seconds", "name", "count"]].set_index(pd.Index([7, 9]))
    write_table(tmp_path / "other.parquet", shuffled, SCHEMA, {"b": "1", "a": "2"})
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()


def test_notes_travel_with_the_table(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", ROWS, SCHEMA, {"source": "/vidéos"})
    assert read_notes(tmp_path / "t.parquet") == {"source": "/vidéos"}
    write_table(tmp_path / "t.parquet", ROWS, SCHEMA)
    assert read_notes(tmp_path / "t.parquet") == {}


def test_rows_and_notes_that_are_read_together_are_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, ROWS, SCHEMA, {"source": "/vidéos"})
    frame, notes = read_noted_table(path, SCHEMA, ["count"])
    assert frame.equals(read_table(path, SCHEMA, ["count"]))
    assert notes == read_notes(path)


def test_a_table_that_is_not_there_has_no_rows_and_not_even_empty_notes(tmp_path: Path) -> None:
    frame, notes = read_noted_table(tmp_path / "none.parquet", SCHEMA, ["count"])
    assert (list(frame.columns), len(frame), notes) == (["count"], 0, None)
    assert read_notes(tmp_path / "none.parquet") is None


def test_a_table_that_does_not_fit_its_schema_is_not_written(tmp_path: Path) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowTypeError)):
        write_table(tmp_path / "t.parquet", ROWS.assign(count="many"), SCHEMA)
    with pytest.raises(KeyError, match="count"):
        write_table(tmp_path / "t.parquet", ROWS.drop(columns="count"), SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_columns_on_disk_are_pinned() -> None:
    """Pinned: tables of datasets that exist are read by these names."""
    assert [name for name, _ in CLIP_FIELDS] == [
        "clip_id", "path", "label", "group", "official_split", "caption", "start_seconds", "end_seconds",
        "size_bytes", "mtime_ns", "content_hash",
    ]  # fmt: skip
    assert PLAN.names == [
        "split", "shard_index", "position", "clip_id", "path", "content_hash", "label", "label_index", "start_seconds",
        "end_seconds", "caption", "row_digest", "size_bytes", "mtime_ns", "num_frames", "num_pixels",
    ]  # fmt: skip
    assert SPLIT_HISTORY.names == ["kind", "key", "split"]


def test_a_flipped_bit_or_a_missing_half_is_refused_by_name_and_never_read(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(path, ROWS, SCHEMA, {"note": "text"})
    whole = path.read_bytes()
    for position in range(0, 8 * len(whole), 61):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        if is_seal_whole(bytes(flipped)) is False:  # a flip in the seal's own mark does no harm to the rows
            with pytest.raises(FileDamaged, match="is damaged: its bytes are not those that were written"):
                read_table(path, SCHEMA)
            with pytest.raises(FileDamaged, match="is damaged: its bytes are not those that were written"):
                read_notes(path)
            with pytest.raises(FileDamaged, match="is damaged: its bytes are not those that were written"):
                read_noted_table(path, SCHEMA)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileDamaged, match="is damaged"):
        read_table(path, SCHEMA)
    path.write_bytes(whole)
    assert read_notes(path) == {"note": "text"}


def test_reading_leaves_nothing_to_threads_of_arrow(tmp_path: Path) -> None:
    """Its scanner lets go of Python's memory in a thread, which aborts a process that ends just then.

    Half of the programs did that whose last line was `pq.read_table`.
    """
    path = tmp_path / "t.parquet"
    write_table(path, ROWS, SCHEMA, {"source": "here"})
    script = """
        import sys
        from pathlib import Path
        from video_assets.storage.tables import read_table
        import pyarrow.parquet

        read = []

        class Told(type(Path())):
            def read_bytes(self):
                read.append(super().read_bytes())
                return read[-1]

        read_table(Told(sys.argv[1]), pyarrow.parquet.read_schema(sys.argv[1]))
        print(len(read), sys.getrefcount(read[0]), "pyarrow.dataset" in sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.split() == ["1", "2", "False"]  # referred to by the list, and by the call that counts


def test_the_digest_is_that_of_the_bytes_with_zeros_in_its_place() -> None:
    open_bytes = f"before {OPEN_SEAL} after".encode()
    digest = hashlib.sha256(open_bytes).hexdigest()
    assert sealed(open_bytes) == f"before seal:{digest} after".encode()


@given(before=st.binary(max_size=40), after=st.binary(max_size=40).filter(lambda data: b"seal:" not in data))
def test_what_was_sealed_is_whole(before: bytes, after: bytes) -> None:
    data = sealed(before + OPEN_SEAL.encode() + after)
    assert is_seal_whole(data) is True


def test_every_single_flipped_bit_is_found() -> None:
    data = sealed(f"some text, {OPEN_SEAL}, and more".encode())
    for position in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        assert not is_seal_whole(bytes(flipped)), position


def test_the_last_place_counts_so_that_texts_of_users_cannot_take_it() -> None:
    theirs = OPEN_SEAL.encode()
    data = sealed(theirs + b" a user's text " + OPEN_SEAL.encode())
    assert data.startswith(theirs)
    assert is_seal_whole(data)


def test_without_a_place_nothing_can_be_sealed() -> None:
    with pytest.raises(ValueError, match="not found"):
        sealed(b"nothing here")


def test_a_broken_seal_is_refused_by_the_name_of_its_file_and_none_at_all_is_not() -> None:
    refuse_broken_seal(Path("plan.parquet"), b"never sealed")
    with pytest.raises(FileDamaged, match=r"^plan.parquet is damaged: .*run `video-assets repair`"):
        refuse_broken_seal(Path("plan.parquet"), sealed(OPEN_SEAL.encode()) + b"!")
