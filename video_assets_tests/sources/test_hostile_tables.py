"""Annotation tables that want to do harm: refused by name, or stored as what they are."""

import io
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from video_assets.domain.errors import SettingsError
from video_assets.sources.source_clips import AnnotatedClips
from video_assets_tests.sources.tables import read_annotations

BILLION = 10**9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").write_bytes(b"video")
    return tmp_path


def read_bytes(folder: Path, name: str, data: bytes, **limits: Any) -> AnnotatedClips:
    (folder / name).write_bytes(data)
    return read_annotations(folder / name, "", **limits)


def refusal(folder: Path, name: str, data: bytes, **limits: Any) -> str:
    """What stands after the table's name in the refusal."""
    with pytest.raises(SettingsError) as error:
        read_bytes(folder, name, data, **limits)
    start = f"the annotation table {folder / name} "
    assert str(error.value).startswith(start)
    return str(error.value).removeprefix(start)


def parquet(columns: dict[str, object] | pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink, **options)
    return sink.getvalue()


def repeated(text: str, count: int) -> pa.DictionaryArray:
    """One text that stands once and is named `count` times."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([text]))


def parquet_of_a_billion_rows() -> bytes:
    """A file whose metadata names the same million rows a thousand times: 10**9 rows, and each can be read."""
    data = parquet({"path": repeated("a.mp4", 10**6), "label": repeated("x", 10**6)}, row_group_size=10**6)
    rows = pq.read_metadata(io.BytesIO(data))
    claims = pq.read_metadata(io.BytesIO(data))
    while claims.num_rows < BILLION:
        claims.append_row_groups(rows)
    footer = io.BytesIO()
    claims.write_metadata_file(footer)
    length_of_footer = int.from_bytes(data[-8:-4], "little")
    return data[: -8 - length_of_footer] + footer.getvalue()[4:]


# --- repetition -------------------------------------------------------------------------------------------------------


def test_a_billion_rows_in_a_small_parquet_file_are_refused_before_they_are_unpacked(folder: Path) -> None:
    data = parquet_of_a_billion_rows()
    assert len(data) < 500_000
    assert pq.read_metadata(io.BytesIO(data)).num_rows == BILLION
    words = "has more than 5000000 rows, the limit (manifest.max_table_rows)"
    assert refusal(folder, "bomb.parquet", data) == words


def csv_of(num_rows: int) -> bytes:
    return b"path,label\n" + b"a.mp4,x\n" * num_rows


def jsonl_of(num_rows: int) -> bytes:
    return b'{"path": "a.mp4", "label": "x"}\n' * num_rows


def parquet_of(num_rows: int) -> bytes:
    return parquet({"path": ["a.mp4"] * num_rows, "label": ["x"] * num_rows})


@pytest.mark.parametrize(("name", "write"), [("t.csv", csv_of), ("t.jsonl", jsonl_of), ("t.parquet", parquet_of)])
def test_the_limit_on_rows_is_exact(folder: Path, name: str, write: Callable[[int], bytes]) -> None:
    assert len(read_bytes(folder, name, write(100), max_table_rows=100).clips) == 1
    assert (
        refusal(folder, name, write(101), max_table_rows=100)
        == "has more than 100 rows, the limit (manifest.max_table_rows)"
    )


TOO_MUCH = "holds more than 20 MB of text, the limit (manifest.max_table_megabytes)"


def test_a_parquet_text_that_stands_once_and_is_named_a_million_times_counts_a_million_times(folder: Path) -> None:
    table = pa.table({"path": repeated("a.mp4", 10**6), "label": repeated("x" * 10_000, 10**6)})
    data = parquet(table, compression="zstd")
    assert len(data) < 20_000
    assert refusal(folder, "bomb.parquet", data, max_table_megabytes=20) == TOO_MUCH


def test_parquet_pages_that_unpack_to_too_much_are_refused(folder: Path) -> None:
    table = pa.table({"path": ["a.mp4"] * 400, "label": ["x" * 100_000] * 400})
    data = parquet(table, compression="zstd", use_dictionary=False)
    assert len(data) < 50_000
    assert refusal(folder, "bomb.parquet", data, max_table_megabytes=20) == TOO_MUCH


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_text_table_of_too_many_bytes_is_refused(folder: Path, name: str) -> None:
    long = "x" * 400
    line = f"a.mp4,{long}\n" if name == "t.csv" else json.dumps({"path": "a.mp4", "label": long}) + "\n"
    header = "path,label\n" if name == "t.csv" else ""
    assert refusal(folder, name, (header + line * 5000).encode(), max_table_megabytes=1) == (
        "holds more than 1 MB of text, the limit (manifest.max_table_megabytes)"
    )


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("t.csv", b"path,label\na.mp4," + b"\0" * 2**21, "line 2: a row of more than 1048576 characters"),
        ("t.csv", b'path,label\na.mp4,"' + b'x\n","' * 2**18, "line 209716: a row of more than 1048576 characters"),
        ("t.csv", b'path,label\na.mp4,"' + b"\n" * 2**18, "line 131074: field larger than field limit (131072)"),
        ("t.jsonl", b'{"path": "' + b"x" * 2**21, "line 1: a row of more than 1048576 characters"),
        ("t.jsonl", b"[" * 10**6, "line 1: it is nested too deeply"),
        ("t.jsonl", b'{"path": "a.mp4", "label": ' + b"[" * 10**5, "line 1: it is nested too deeply"),
    ],
)
def test_a_row_without_end_is_refused_by_line(folder: Path, name: str, data: bytes, words: str) -> None:
    assert refusal(folder, name, data) == f"cannot be read: {words}"


@pytest.mark.parametrize("header", [b"path,label\n", b""])
def test_a_value_longer_than_pythons_csv_reads_costs_its_row(folder: Path, header: bytes) -> None:
    (folder / "b.mp4").write_bytes(b"")
    long = b"b.mp4," + b"x" * 2**18 + b"\n"
    found = read_bytes(folder, "t.csv", header + b"a.mp4,run\n" + long + b"b.mp4,walk\n")
    assert {clip.clip_id: clip.label for clip in found.clips} == {"a.mp4": "run", "b.mp4": "walk"}
    [lost] = found.lost
    assert lost.loss.reason == "bad_row"
    assert lost.loss.detail == "row 2 of t.csv: a value has more than 131072 characters"


def test_after_a_long_value_whose_quote_is_open_nothing_is_read(folder: Path) -> None:
    """The lines behind it belong to that value: none of them is a row."""
    data = b'path,label\na.mp4,"' + b"x" * 2**18 + b'\na.mp4,run\n"\n'
    assert refusal(folder, "t.csv", data) == "cannot be read: line 2: field larger than field limit (131072)"


def test_a_million_columns_cost_what_they_are_and_no_more(folder: Path) -> None:
    """A table of all cells would have 3 * 10**10 of them."""
    header = b"path,label" + b",c" * 300_000
    annotated = read_bytes(folder, "t.csv", header + b"\n" + b"a.mp4,x\n" * 100_000)
    assert (len(annotated.clips), len(annotated.left_out)) == (1, 99_999)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux counts it")
def test_bombs_are_refused_in_little_memory(folder: Path) -> None:
    """The process may grow by 300 MB; written out, each of the tables would take at least 10 GB."""
    (folder / "rows.parquet").write_bytes(parquet_of_a_billion_rows())
    text = pa.table({"path": repeated("a.mp4", 10**6), "label": repeated("x" * 10**6, 10**6)})
    (folder / "text.parquet").write_bytes(parquet(text, compression="zstd"))
    with (folder / "sparse.csv").open("wb") as file:
        file.write(b"path,label\na.mp4,x\n")
        file.truncate(10**11)
    code = """
        import resource, sys
        from pathlib import Path
        from video_assets.domain.errors import SettingsError
        from video_assets_tests.sources.tables import read_annotations

        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + 300 * 2**20,) * 2)
        for table in map(Path, sys.argv[1:]):
            try:
                read_annotations(table, "")
            except SettingsError as error:
                print(f"{table.name}: {str(error).partition(table.name)[2].strip()}")
    """
    tables = [str(folder / name) for name in ("rows.parquet", "text.parquet", "sparse.csv")]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *tables], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "rows.parquet: has more than 5000000 rows, the limit (manifest.max_table_rows)",
        "text.parquet: holds more than 2000 MB of text, the limit (manifest.max_table_megabytes)",
        "sparse.csv: cannot be read: line 3: a row of more than 1048576 characters",
    ], done.stderr


# --- columns and types ------------------------------------------------------------------------------------------------


def test_columns_that_are_there_twice_are_refused_in_every_kind_of_table(folder: Path) -> None:
    twice = pa.table([pa.array(["a.mp4"]), pa.array(["x"]), pa.array(["y"])], names=["path", "label", "label"])
    assert refusal(folder, "t.parquet", parquet(twice)) == "has the column label twice"
    assert refusal(folder, "t.csv", b"path,label,label\na.mp4,x,y\n") == "has the column label twice"
    words = "cannot be read: line 1: it says label twice"
    assert refusal(folder, "t.jsonl", b'{"path": "a.mp4", "label": "x", "label": "y"}\n') == words


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        (pa.array([["x"]]), "list<element: string>"),
        (pa.array([{"x": 1}]), "struct<x: int64>"),
        (pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())), "map<string, string>"),
        (pa.array([1], pa.duration("s")), "duration[s]"),
        (pa.array([1], pa.timestamp("ns")), "timestamp[ns]"),
    ],
)
def test_nested_and_odd_types_of_parquet_are_refused_by_name(folder: Path, label: pa.Array, kind: str) -> None:
    said = refusal(folder, "t.parquet", parquet({"path": ["a.mp4"], "label": label}))
    assert said.startswith("has a column label of ")
    assert said.endswith("; it must hold texts or numbers")
    assert kind.partition("<")[0] in said


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ('["x"]', "the label is a list, not a text"),
        ('{"x": 1}', "the label is a dict, not a text"),
        ("NaN", "the label is empty"),
        ("Infinity", "the label is infinite"),
        ("1e999", "the label is infinite"),
        ('"' + "x" * 501 + '"', "the label has 501 characters; 500 are allowed"),
    ],
)
def test_a_json_label_that_is_no_text_is_lost_by_row(folder: Path, value: str, detail: str) -> None:
    line = f'{{"path": "a.mp4", "label": {value}}}\n'
    annotated = read_bytes(folder, "t.jsonl", line.encode() + b'{"path": "a.mp4", "label": "good"}\n')
    assert [(item.loss.reason, item.loss.detail) for item in annotated.lost] == [
        ("bad_row", f"row 1 of t.jsonl: {detail}")
    ]
    assert [clip.label for clip in annotated.clips] == ["good"]


def test_a_number_of_hundreds_of_digits_is_no_time(folder: Path) -> None:
    line = f'{{"path": "a.mp4", "label": "x", "start": 1{"0" * 400}}}\n'
    (lost,) = read_bytes(folder, "t.jsonl", line.encode()).lost
    assert lost.loss.detail.startswith("row 1 of t.jsonl: the start is 1000")
    assert lost.loss.detail.endswith("000, not a number of seconds")


@pytest.mark.parametrize("encoding", ["latin-1", "cp500"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_text_table_in_another_encoding_is_refused(folder: Path, name: str, encoding: str) -> None:
    text = "path,label\na.mp4,ü\n" if name == "t.csv" else '{"path": "a.mp4", "label": "ü"}\n'
    refused = refusal(folder, name, text.encode(encoding))
    assert refused.startswith("is not in UTF-8 (")
    assert refused.endswith("; save it in UTF-8")


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_cell_in_another_encoding_costs_its_row(folder: Path, name: str) -> None:
    lines = [b'{"path": "a.mp4", "label": "x%d", "start": 0.%d}' % (n, n) for n in range(6)]
    bad = b'{"path": "a.mp4", "label": "\xff"}'
    if name == "t.csv":
        lines = [b"path,label,start", *(b"a.mp4,x%d,0.%d" % (n, n) for n in range(6))]
        bad = b"a.mp4,\xff,"
    annotated = read_bytes(folder, name, b"\n".join([*lines[:3], bad, *lines[3:], b""]))
    assert len(annotated.clips) == 6
    assert [item.loss.detail.partition(": ")[2] for item in annotated.lost] == ["the label is not valid Unicode"]


def test_a_parquet_text_that_is_no_text_costs_its_row(folder: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"x", b"\xff"], pa.binary()).buffers())
    sink = io.BytesIO()
    pq.write_table(pa.table({"path": ["a.mp4", "a.mp4"], "label": broken}), sink)
    annotated = read_bytes(folder, "t.parquet", sink.getvalue())
    assert [clip.label for clip in annotated.clips] == ["x"]
    assert [item.loss.reason for item in annotated.lost] == ["bad_row"]


def test_parquet_bytes_are_text_where_they_are_utf8_and_cost_their_row_where_not(folder: Path) -> None:
    data = parquet({"path": [b"a.mp4", b"a.mp4", b"\xff.mp4"], "label": [b"\xc3\xbc", b"\xff", b"x"]})
    annotated = read_bytes(folder, "t.parquet", data)
    assert [clip.label for clip in annotated.clips] == ["ü"]
    assert [(item.loss.detail, item.source) for item in annotated.lost] == [
        ("row 2 of t.parquet: the label is not valid Unicode", "a.mp4"),
        ("row 3 of t.parquet: the path is not valid Unicode", "b'\\xff.mp4'"),
    ]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_every_kind_of_parquet_text_is_read(folder: Path, kind: pa.DataType) -> None:
    data = parquet({"path": pa.array(["a.mp4", None], kind), "label": pa.array(["x", "y"], kind)})
    annotated = read_bytes(folder, "t.parquet", data)
    assert [clip.label for clip in annotated.clips] == ["x"]
    assert [item.loss.detail for item in annotated.lost] == ["row 2 of t.parquet: the path is empty"]


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../../etc/passwd",
        "x/../../etc/passwd",
        "/etc/passwd",
        "..\\..\\x.mp4",
        "C:\\x.mp4",
        "//server/share/x.mp4",
        "/proc/self/environ",
        "http://169.254.169.254/latest/meta-data",
        "s3://bucket/x.mp4",
        "file:///etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_folder(folder: Path, path: str) -> None:
    (folder / "t.jsonl").write_text(json.dumps({"path": path, "label": "x"}) + "\n")
    (lost,) = read_annotations(folder / "t.jsonl", "").lost
    assert (lost.loss.reason, lost.source) == ("outside_source", path)


@pytest.mark.parametrize(
    "path",
    [
        "~/x.mp4",
        "$HOME/x.mp4",
        "concat:a.mp4|b.mp4",
        "%2e%2e/x.mp4",
        "-i",
        "pipe:0",
    ],
)
def test_what_is_a_path_elsewhere_is_a_name_here(folder: Path, path: str) -> None:
    (folder / "t.jsonl").write_text(json.dumps({"path": path, "label": "x"}) + "\n")
    (lost,) = read_annotations(folder / "t.jsonl", "").lost
    assert (lost.loss.reason, lost.source) == ("not_found", path)
