"""Annotation tables: labels as they are written, spans that make sense, paths that stay inside."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from video_assets.domain.errors import SettingsError
from video_assets.settings import UCF101_GROUP_PATTERN
from video_assets.sources.source_clips import AnnotatedClips
from video_assets_tests.sources.sets import MadeSet
from video_assets_tests.sources.tables import read_annotations

NO_COLUMNS = "has no column path and no label"
LINK_OUT = "a symbolic link out of the table's folder; manifest.follow_links: true takes such files"
SAY_COLUMNS = "name its columns with manifest.columns"
VIDEOS = ("a.mp4", "b.mp4", "run/c d.mp4", "v_Biking_g01_c01.avi")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four videos."""
    for name in VIDEOS:
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    return tmp_path / "folder"


def read_csv(folder: Path, text: str, encoding: str = "utf-8") -> AnnotatedClips:
    (folder / "clips.csv").write_bytes(text.encode(encoding))
    return read_annotations(folder / "clips.csv", UCF101_GROUP_PATTERN)


def losses(annotated: AnnotatedClips) -> list[tuple[str, str]]:
    return [(item.loss.reason, item.loss.detail) for item in annotated.lost]


def labels(annotated: AnnotatedClips) -> list[str]:
    return [clip.label for clip in annotated.clips]


Rows = Sequence[Mapping[str, object]]


def as_csv(folder: Path, rows: Rows) -> Path:
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


def as_parquet(folder: Path, rows: Rows) -> Path:
    pd.DataFrame(rows).to_parquet(folder / "clips.parquet")
    return folder / "clips.parquet"


def as_jsonl(folder: Path, rows: Rows) -> Path:
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder / "clips.jsonl"


writers = pytest.mark.parametrize("write", [as_csv, as_parquet, as_jsonl])
Writer = Callable[[Path, Rows], Path]


@writers
def test_every_kind_of_table_says_the_same(folder: Path, write: Writer) -> None:
    rows = [
        {
            "path": "a.mp4",
            "label": "jump",
            "start": 1.1,
            "end": 2.345678,
            "split": "train",
            "group": "g1",
            "caption": "a hop",
        },
        {
            "path": "run/c d.mp4",
            "label": "run",
            "start": None,
            "end": None,
            "split": None,
            "group": None,
            "caption": None,
        },
    ]
    annotated = read_annotations(write(folder, rows), "")
    first, second = annotated.clips
    assert (first.clip_id, first.label, first.start_seconds, first.end_seconds) == (
        "a.mp4#t=1.1,2.345678", "jump", 1.1, 2.345678,
    )  # fmt: skip
    assert (first.official_split, first.group, first.caption, first.file.size_bytes) == ("train", "g1", "a hop", 5)
    assert (second.clip_id, second.label, second.start_seconds, second.end_seconds) == (
        "run/c d.mp4",
        "run",
        None,
        None,
    )
    assert (second.official_split, second.group, second.caption) == (None, None, None)
    assert (annotated.lost, annotated.left_out) == ([], [])


@writers
@pytest.mark.parametrize("seconds", [0.1 + 0.2, 1 / 3, 12.345678, 1234.000001, 86399.999999])
def test_times_are_read_to_the_last_bit(folder: Path, write: Writer, seconds: float) -> None:
    (clip,) = read_annotations(write(folder, [{"path": "a.mp4", "label": "x", "start": seconds}]), "").clips
    assert clip.start_seconds == seconds


@writers
@pytest.mark.parametrize("label", ["NA", "None", "null", "007", "1e5", "True", "2020-01-01", "-", "1.0", "N/A", "ü 跑"])
def test_a_label_is_text_whatever_it_looks_like(folder: Path, write: Writer, label: str) -> None:
    annotated = read_annotations(
        write(folder, [{"path": "a.mp4", "label": label}, {"path": "b.mp4", "label": "x"}]), ""
    )
    assert labels(annotated) == [label, "x"]


@pytest.mark.parametrize("write", [as_parquet, as_jsonl])
def test_a_label_that_is_a_number_is_its_digits(folder: Path, write: Writer) -> None:
    rows = [{"path": "a.mp4", "label": 7}, {"path": "b.mp4", "label": 10**15}]
    assert labels(read_annotations(write(folder, rows), "")) == ["7", "1000000000000000"]


@pytest.mark.parametrize("write", [as_parquet, as_jsonl])
def test_numbers_stay_whole_if_one_of_them_is_missing(folder: Path, write: Writer) -> None:
    rows = [{"path": "a.mp4", "label": 7, "group": 3}, {"path": "b.mp4", "label": None, "group": None}]
    annotated = read_annotations(write(folder, rows), "")
    assert [(clip.label, clip.group) for clip in annotated.clips] == [("7", "3")]
    assert [(item.source, item.label) for item in annotated.lost] == [("b.mp4", "")]
    assert losses(annotated) == [("bad_row", f"row 2 of {write(folder, rows).name}: the label is empty")]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(folder: Path, suffix: str) -> None:
    text = "path,label\na.mp4,x\n" if suffix == "csv" else '{"path": "a.mp4", "label": "x"}\n'
    (folder / f"clips.{suffix}").write_bytes(text.encode("utf-8-sig"))
    assert labels(read_annotations(folder / f"clips.{suffix}", "")) == ["x"]


def test_quotes_blanks_and_windows_line_ends_are_csv(folder: Path) -> None:
    annotated = read_csv(folder, ' path , label \r\n"run/c d.mp4","a, ""b"" and\r\nc"\r\n\r\na.mp4, x \r\n')
    assert labels(annotated) == ['a, "b" and\\r\\nc', "x"]


def test_columns_that_are_not_known_are_ignored(folder: Path) -> None:
    assert labels(read_csv(folder, "id,path,label,note,note\n1,a.mp4,x,n\n")) == ["x"]


def test_a_column_may_be_in_any_place(folder: Path) -> None:
    (clip,) = read_csv(folder, "end,label,start,path\n3,x,1,a.mp4\n").clips
    assert (clip.clip_id, clip.label) == ("a.mp4#t=1,3", "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,kind\na.mp4,x\n", f"has no column label; it has path, kind; {SAY_COLUMNS}"),
        ("one;two\nthree;four\n", f"{NO_COLUMNS}; it has one, two; {SAY_COLUMNS}"),
        (
            "path,class,action\na.mp4,x,y\n",
            "has columns class and action, which could each be the label; choose with manifest.columns",
        ),
        ("path,label,label\na.mp4,x,y\n", "has the column label twice"),
        ("path, label,label \na.mp4,x,y\n", "has the column label twice"),
        ("", "cannot be read: it is empty; its first line names the columns"),
        ('path,label\na.mp4,"x\n', "cannot be read: line 2: unexpected end of data"),
    ],
)
def test_a_table_that_cannot_be_understood_is_an_error_that_says_why(folder: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_csv(folder, text)
    assert str(error.value).strip() == f"the annotation table {folder / 'clips.csv'} {message}"


def test_a_table_in_another_encoding_is_an_error_that_says_why(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"clips\.csv is not in UTF-8 \(.* 0xfc .*; save it in UTF-8"):
        read_csv(folder, "path,label\na.mp4,über\n", "latin-1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "a.mp4"', "line 2: Expecting ',' delimiter: line 1 column 17 (char 16)"),
        ("not json", "line 2: Expecting value: line 1 column 1 (char 0)"),
        ('{"path": "a.mp4", "label": "x"}{', "line 2: Extra data: line 1 column 32 (char 31)"),
        ('["a.mp4", "x"]', 'line 2 is not an object: ["a.mp4", "x"]'),
    ],
)
def test_a_damaged_json_line_costs_its_row_and_is_named(folder: Path, line: str, message: str) -> None:
    (folder / "clips.jsonl").write_text(f'{{"path": "a.mp4", "label": "x"}}\n{line}\n')
    annotated = read_annotations(folder / "clips.jsonl", "")
    assert [clip.clip_id for clip in annotated.clips] == ["a.mp4"]
    assert [(item.loss.reason, item.loss.detail) for item in annotated.lost] == [
        ("bad_row", f"row 2 of clips.jsonl: {message}")
    ]


def test_a_table_whose_first_line_is_no_json_is_an_error(folder: Path) -> None:
    (folder / "clips.jsonl").write_text("not json\n")
    with pytest.raises(SettingsError, match=r"clips\.jsonl cannot be read: line 1: Expecting value"):
        read_annotations(folder / "clips.jsonl", "")


def test_a_row_of_too_many_values_costs_its_row_and_is_named(folder: Path) -> None:
    annotated = read_csv(folder, "path,label\na.mp4,x\nb.mp4,x,y,z\n")
    assert [clip.clip_id for clip in annotated.clips] == ["a.mp4"]
    assert [(item.source, item.loss.reason) for item in annotated.lost] == [("b.mp4", "bad_row")]
    assert "line 3 has 4 values, where the first line names 2" in annotated.lost[0].loss.detail


def test_a_damaged_parquet_file_is_an_error(folder: Path) -> None:
    (folder / "clips.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SettingsError, match=r"^the annotation table .*clips\.parquet cannot be read: "):
        read_annotations(folder / "clips.parquet", "")


def test_a_table_that_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^the annotation table {folder}/none\.csv is not there$"):
        read_annotations(folder / "none.csv", "")


@pytest.mark.parametrize("text", ["path,label\n", "path,label"])
def test_a_table_without_rows_asks_for_nothing(folder: Path, text: str) -> None:
    assert read_csv(folder, text) == AnnotatedClips()


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason", "detail"),
    [
        (
            "../folder/a.mp4",
            "outside_source",
            "the path ../folder/a.mp4 leads out of the table's folder; paths are relative to it",
        ),
        (
            "run/../../x.mp4",
            "outside_source",
            "the path run/../../x.mp4 leads out of the table's folder; paths are relative to it",
        ),
        (
            "/etc/passwd",
            "outside_source",
            "the path /etc/passwd leads out of the table's folder; paths are relative to it",
        ),
        (
            "//etc/passwd",
            "outside_source",
            "the path //etc/passwd leads out of the table's folder; paths are relative to it",
        ),
        (
            "http://h/a.mp4",
            "outside_source",
            "the path http://h/a.mp4 leads out of the table's folder; paths are relative to it",
        ),
        (
            "file:///etc/x",
            "outside_source",
            "the path file:///etc/x leads out of the table's folder; paths are relative to it",
        ),
        ("concat:a.mp4|b.mp4", "not_found", "concat:a.mp4|b.mp4 cannot be found: No such file or directory"),
        ("none.mp4", "not_found", "none.mp4 cannot be found: No such file or directory"),
        ("a.mp4/x", "not_found", "a.mp4/x cannot be found: Not a directory"),
        ("run", "not_found", "run is not a file"),
        (".", "not_found", ". is not a file"),
        ('""', "bad_row", "the path is empty"),
        ("a" * 300, "not_found", f"{'a' * 300} cannot be found: File name too long"),
    ],
)
def test_a_path_that_cannot_be_used_is_lost_by_row_and_reason(
    folder: Path, path: str, reason: str, detail: str
) -> None:
    annotated = read_csv(folder, f"path,label\n{path},x\na.mp4,y\n")
    assert labels(annotated) == ["y"]
    assert losses(annotated) == [(reason, f"row 1 of clips.csv: {detail}")]
    assert (annotated.lost[0].source, annotated.lost[0].label) == (path.strip('"'), "x")


def test_a_zero_byte_in_a_path_is_lost_by_name(folder: Path) -> None:
    annotated = read_annotations(as_jsonl(folder, [{"path": "a.mp4\0", "label": "x"}]), "")
    assert losses(annotated) == [("bad_row", "row 1 of clips.jsonl: the path holds a zero byte")]


@pytest.mark.parametrize("write", [as_parquet, as_jsonl])
def test_a_path_that_is_missing_has_no_name_of_its_own(folder: Path, write: Writer) -> None:
    table = write(folder, [{"path": None, "label": "x"}, {"path": "a.mp4", "label": "y"}])
    annotated = read_annotations(table, "")
    assert losses(annotated) == [("bad_row", f"row 1 of {table.name}: the path is empty")]
    assert annotated.lost[0].source == ""


@pytest.mark.parametrize("path", ["a.mp4", "./a.mp4", "run/../a.mp4", ".//a.mp4"])
def test_a_file_has_one_name_however_it_is_written(folder: Path, path: str) -> None:
    (clip,) = read_csv(folder, f"path,label\n{path},x\n").clips
    assert clip.clip_id == "a.mp4"


def test_links_out_of_the_folder_are_lost_and_links_within_are_not(folder: Path) -> None:
    outside = folder.parent / "folder2"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"secret")
    (folder / "out.mp4").symlink_to(outside / "secret.mp4")
    (folder / "outfolder").symlink_to(outside)
    (folder / "in.mp4").symlink_to("a.mp4")
    (folder / "self.mp4").symlink_to("self.mp4")
    annotated = read_csv(folder, "path,label\nout.mp4,x\noutfolder/secret.mp4,x\nin.mp4,x\nself.mp4,x\n")
    assert [clip.clip_id for clip in annotated.clips] == ["in.mp4"]
    assert losses(annotated) == [
        ("outside_source", f"row 1 of clips.csv: out.mp4 is {LINK_OUT}"),
        ("outside_source", f"row 2 of clips.csv: outfolder/secret.mp4 is {LINK_OUT}"),
        ("not_found", "row 4 of clips.csv: self.mp4 cannot be found: a circle of links"),
    ]


# --- spans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "reason", "detail"),
    [
        ("-1", "", "bad_span", "the start is -1 s; it must be zero or more"),
        ("nan", "", "bad_span", "the start is nan s; it must be zero or more"),
        ("inf", "", "bad_span", "the start is inf s; it must be zero or more"),
        ("", "-inf", "bad_span", "the end is -inf s; it must be zero or more"),
        ("1e999", "", "bad_span", "the start is inf s; it must be zero or more"),
        ("3", "2", "bad_span", "the span ends at 2 s, which is not after its start at 3 s"),
        ("2", "2", "bad_span", "the span ends at 2 s, which is not after its start at 2 s"),
        ("soon", "", "bad_row", "the start is 'soon', not a number of seconds"),
        ("", "00:61:02", "bad_row", "the end is '00:61:02', not a number of seconds"),
        ('"1,5"', "", "bad_row", "the start is '1,5', not a number of seconds"),
    ],
)
def test_a_span_that_makes_no_sense_is_lost_by_value(
    folder: Path, start: str, end: str, reason: str, detail: str
) -> None:
    annotated = read_csv(folder, f"path,label,start,end\na.mp4,x,{start},{end}\nb.mp4,y,,\n")
    assert labels(annotated) == ["y"]
    assert losses(annotated) == [(reason, f"row 1 of clips.csv: {detail}")]


@pytest.mark.parametrize(
    ("start", "end", "clip_id"),
    [
        ("", "", "a.mp4"),
        ("0", "", "a.mp4#t=0"),
        ("-0.0", "", "a.mp4#t=0"),
        ("", "2", "a.mp4#t=,2"),
        ("1e0", " 2.50 ", "a.mp4#t=1,2.5"),
    ],
)
def test_spans_give_names(folder: Path, start: str, end: str, clip_id: str) -> None:
    (clip,) = read_csv(folder, f"path,label,start,end\na.mp4,x,{start},{end}\n").clips
    assert clip.clip_id == clip_id


# --- splits, groups, repetitions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("train", "train"),
        ("test", "test"),
        (" Test ", "test"),
        ("TRAIN", "train"),
        ("val", "val"),
        ("Validation", "val"),
        ("", None),
    ],
)
def test_official_splits_are_read(folder: Path, text: str, split: str | None) -> None:
    (clip,) = read_csv(folder, f"path,label,split\na.mp4,x,{text}\n").clips
    assert clip.official_split == split


@pytest.mark.parametrize("text", ["valider", "0", "both"])
def test_another_split_is_lost_by_name(folder: Path, text: str) -> None:
    annotated = read_csv(folder, f"path,label,split\na.mp4,x,{text}\n")
    detail = f"row 1 of clips.csv: the split is {text!r}; it must be empty or one of train, test, val"
    assert losses(annotated) == [("bad_row", detail)]


def test_a_groups_column_wins_over_the_name_and_the_name_over_nothing(folder: Path) -> None:
    name = "v_Biking_g01_c01.avi"
    assert read_csv(folder, f"path,label,group\n{name},x,mine\n").clips[0].group == "mine"
    assert read_csv(folder, f"path,label,group\n{name},x, \n").clips[0].group == "Biking_01"
    assert read_csv(folder, f"path,label\n{name},x\n").clips[0].group == "Biking_01"
    assert read_csv(folder, "path,label\na.mp4,x\n").clips[0].group is None


def test_a_row_that_says_the_same_again_is_left_out(folder: Path) -> None:
    annotated = read_csv(folder, "path,label,start\na.mp4,x,1\nb.mp4,x,\n./a.mp4, x,1.0\na.mp4,x,2\n")
    assert [clip.clip_id for clip in annotated.clips] == ["a.mp4#t=1", "b.mp4", "a.mp4#t=2"]
    assert [(item.source, item.reason) for item in annotated.left_out] == [("a.mp4#t=1", "row 3 repeats row 1")]


@pytest.mark.parametrize(
    ("column", "one", "other", "words"),
    [
        ("split", "train", "test", "row 3 puts it into the split test, row 1 into the split train"),
        ("split", "", "test", "row 3 puts it into the split test, row 1 into no split"),
        ("group", "mine", "yours", "row 3 puts it into the group yours, row 1 into the group mine"),
        ("group", "mine", "", "row 3 puts it into no group, row 1 into the group mine"),
    ],
)
def test_a_clip_that_two_rows_put_apart_is_lost_by_both_numbers(
    folder: Path, column: str, one: str, other: str, words: str
) -> None:
    rows = f"a.mp4,x,{one}\nb.mp4,x,{one}\na.mp4,x,{other}\na.mp4,x,{one}\na.mp4,x,{other}\n"
    annotated = read_csv(folder, f"path,label,{column}\n{rows}")
    assert [clip.clip_id for clip in annotated.clips] == ["b.mp4"]
    assert losses(annotated) == [("split_conflict", f"{words} (rows of clips.csv); correct the table")]
    assert [(item.source, item.label) for item in annotated.lost] == [("a.mp4", "x")]
    assert [(item.source, item.reason) for item in annotated.left_out] == [
        ("a.mp4", "row 4 repeats row 1"),
        ("a.mp4", "row 5 contradicts row 1, as a row before it did"),
    ]


def test_a_row_with_another_caption_is_left_out_and_says_so(folder: Path) -> None:
    annotated = read_csv(folder, "path,label,caption\na.mp4,x,first\na.mp4,x,second\na.mp4,x,first\n")
    assert [clip.caption for clip in annotated.clips] == ["first"]
    assert [(item.source, item.reason) for item in annotated.left_out] == [
        ("a.mp4", "row 2 gives the clip of row 1 another caption; that of row 1 is kept"),
        ("a.mp4", "row 3 repeats row 1"),
    ]


def test_one_clip_under_two_labels_is_kept_for_the_stage_that_compares_contents(folder: Path) -> None:
    assert labels(read_csv(folder, "path,label\na.mp4,x\na.mp4,y\n")) == ["x", "y"]


@pytest.mark.parametrize("label", ["", "  ", "\u3000"])
def test_a_blank_label_is_lost_by_row(folder: Path, label: str) -> None:
    annotated = read_csv(folder, f"path,label\na.mp4,{label}\n")
    assert losses(annotated) == [("bad_row", "row 1 of clips.csv: the label is empty")]


def test_a_label_that_is_not_unicode_is_lost_and_can_still_be_stored(folder: Path) -> None:
    (folder / "clips.jsonl").write_text(
        '{"path": "a.mp4", "label": "x\\ud800"}\n{"path": "b\\udcff.mp4", "label": "x"}\n'
    )
    annotated = read_annotations(folder / "clips.jsonl", "")
    assert losses(annotated) == [
        ("bad_row", "row 1 of clips.jsonl: the label is not valid Unicode"),
        ("bad_row", "row 2 of clips.jsonl: the path is not valid Unicode"),
    ]
    assert [(item.source, item.label) for item in annotated.lost] == [("a.mp4", "x\\ud800"), ("b\\udcff.mp4", "x")]


def test_rows_are_numbered_as_a_reader_counts_them(folder: Path) -> None:
    text = "path,label\n" + "".join(f"none{number}.mp4,x\n" for number in range(1, 4))
    numbers = [re.match(r"row (\d) of clips\.csv: none(\d)", detail) for _, detail in losses(read_csv(folder, text))]
    assert [(match[1], match[2]) for match in numbers if match] == [("1", "1"), ("2", "2"), ("3", "3")]


@writers
def test_a_cell_may_hold_several_labels_where_that_is_set(folder: Path, write: Writer) -> None:
    rows = [
        {"path": "a.mp4", "label": "run | jump|run"},
        {"path": "a.mp4", "label": "jump|run"},
        {"path": "b.mp4", "label": "jump"},
        {"path": "b.mp4", "label": "|"},
        {"path": "b.mp4", "label": "x" * 400 + "|" + "y" * 501},
        {"path": "b.mp4", "label": "|".join(f"label {number}" for number in range(100))},
        {"path": "b.mp4", "label": "z" * 10_001},
    ]
    table = write(folder, rows)
    annotated, name = read_annotations(table, "", multi_label=True), table.name
    assert labels(annotated)[:2] == ["jump|run", "jump"]
    assert len(labels(annotated)[2].split("|")) == 100
    assert [(item.source, item.reason) for item in annotated.left_out] == [("a.mp4", "row 2 repeats row 1")]
    assert losses(annotated) == [
        ("bad_row", f"row 4 of {name}: the labels are '|'; each part between | must name a class"),
        ("bad_row", f"row 5 of {name}: one of the labels has 501 characters; 500 are allowed"),
        ("bad_row", f"row 7 of {name}: the label has 10001 characters; 10000 are allowed"),
    ]


def test_where_no_table_says_the_split_folders_called_so_do(made: MadeSet) -> None:
    for split, word in (("train", "Training"), ("test", "test")):
        for label in ("run", "jump"):
            made.clip(f"{word}/{label}.mp4", label, split)
        made.write(f"{word}/labels.csv", "filename,class\nrun.mp4,run\njump.mp4,jump\n")
    made.matches(made.read())
    made.clip("more/run.mp4")
    made.write("more/labels.csv", "filename,class\nrun.mp4,run\n")
    assert {clip.official_split for clip in made.read().clips} == {None}


def test_lists_of_ucf101_find_videos_that_all_lie_in_one_folder(made: MadeSet) -> None:
    made.clip("videos/v_Biking_g01_c01.avi", "Biking", "train", group="Biking g01")
    made.clip("videos/v_YoYo_g02_c01.avi", "YoYo", "test", group="YoYo g02")
    made.write("trainlist01.txt", "Biking/v_Biking_g01_c01.avi 1\n")
    made.write("testlist01.txt", "YoYo/v_YoYo_g02_c01.avi\n")
    made.matches(made.read())
