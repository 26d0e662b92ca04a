"""The same rows in two forms of tables, or the same files in two forms of folders, are the same clips."""

import io
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.clips import WantedClip
from video_assets.settings import ManifestSettings
from video_assets.sources.read import list_source, read_source
from video_assets_tests.sources.sets import MadeSet, told

FILES = ("a.mp4", "run/b c.avi", "run/ü.mkv", "d.x.webm")
Row = dict[str, str | float | None]

labels = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=8)
usable = labels.map(str.strip).filter(lambda text: text and text.lower() not in ("nan", "inf", "infinity"))
rows = st.fixed_dictionaries(
    {
        "path": st.sampled_from(FILES),
        "label": usable,
        "start": st.none() | st.integers(0, 90).map(lambda tenths: tenths / 10),
        "split": st.sampled_from([None, "train", "val", "test"]),
        "group": st.none() | st.sampled_from(["g1", "g2"]),
        "caption": st.none() | usable,
    }
)


def as_text(separator: str, encoding: str, names: Sequence[str]) -> Callable[[Sequence[Row]], bytes]:
    def write(found: Sequence[Row]) -> bytes:
        frame = pd.DataFrame(found, columns=["path", "label", "start", "split", "group", "caption"]).astype("object")
        frame.columns = list(names)
        text = frame.to_csv(sep=separator, index=False, lineterminator="\r\n" if separator == ";" else "\n")
        return text.encode(encoding)

    return write


def as_jsonl(found: Sequence[Row]) -> bytes:
    return "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in found).encode()


def as_parquet(found: Sequence[Row]) -> bytes:
    sink = io.BytesIO()
    texts = dict.fromkeys(("path", "label", "split", "group", "caption"), "string")
    pd.DataFrame(found).astype({**texts, "start": "float64"}).to_parquet(sink)
    return sink.getvalue()


FORMS: dict[str, Callable[[Sequence[Row]], bytes]] = {
    "own.csv": as_text(",", "utf-8", ("path", "label", "start", "split", "group", "caption")),
    "excel.csv": as_text(";", "utf-8-sig", ("File Name", "Class", "Start Time", "Subset", "Subject", "Text")),
    "windows.csv": as_text(",", "utf-16", ("Filename", "CATEGORY", "begin", "Usage", "person", "narration")),
    "tabs.tsv": as_text("\t", "utf-8", ("video", "action", "time_start", "partition", "participant", "description")),
    "rows.jsonl": as_jsonl,
    "rows.parquet": as_parquet,
}


@pytest.mark.slow
@given(found=st.lists(rows, min_size=1, max_size=8))
def test_the_same_rows_in_any_form_of_table_are_the_same_clips(found: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as place:
        for name in FILES:
            path = Path(place, name)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        readings: dict[str, tuple[list[WantedClip], list[tuple[str, str]]]] = {}
        for name, write in FORMS.items():
            Path(place, name).write_bytes(write(found))
            read = read_source(Path(place, name))
            readings[name] = (read.clips, [(item.source, item.loss.reason) for item in read.lost])
    for name, reading in readings.items():
        assert reading == readings["own.csv"], name


# --- folders ----------------------------------------------------------------------------------------------------------

Item = tuple[str, str, str]
items = st.lists(
    st.tuples(st.sampled_from(["train", "val", "test"]), st.sampled_from(["run", "jump", "sit"]), st.integers(0, 9)),
    min_size=2,
    max_size=12,
    unique_by=lambda item: item[2],
).filter(lambda found: len({label for _, label, _ in found}) > 1)
WORDS = {"train": "Training", "val": "valid", "test": "TEST"}


def in_split_folders(made: MadeSet, found: Sequence[tuple[str, str, int]]) -> None:
    for split, label, number in found:
        made.clip(f"{WORDS[split]}/{label}/{number}.mp4")


def in_class_folders(made: MadeSet, found: Sequence[tuple[str, str, int]]) -> None:
    for split, label, number in found:
        made.clip(f"{label}/{split}/{number}.mp4")


def with_metadata(made: MadeSet, found: Sequence[tuple[str, str, int]]) -> None:
    for split, several in itertools.groupby(sorted(found), key=lambda item: item[0]):
        lines: list[str] = []
        for _, label, number in several:
            made.clip(f"{split}/{number}.mp4")
            lines.append(json.dumps({"file_name": f"{number}.mp4", "label": label}) + "\n")
        made.write(f"{split}/metadata.jsonl", "".join(lines))


def with_table(made: MadeSet, found: Sequence[tuple[str, str, int]]) -> None:
    for _, _, number in found:
        made.clip(f"videos/{number}.mp4")
    lines = [f"{number};{label};{split}\n" for split, label, number in found]
    made.write("labels.csv", "Video;Class;Set\n" + "".join(lines))


def with_lists(made: MadeSet, found: Sequence[tuple[str, str, int]]) -> None:
    names = sorted({label for _, label, _ in found})
    made.write("label_map.txt", "".join(f"{name}\n" for name in names))
    for split in {split for split, _, _ in found}:
        lines = [f"{number}.mp4 {names.index(label)}\n" for where, label, number in found if where == split]
        made.write(f"set_{split}_list_videos.txt", "".join(lines))
    for _, _, number in found:
        made.clip(f"videos/{number}.mp4")


@pytest.mark.slow
@given(found=items)
def test_the_same_files_in_any_form_of_folders_are_the_same_clips(found: list[tuple[str, str, int]]) -> None:
    expected = sorted((f"{number}.mp4", label, split) for split, label, number in found)
    one_split = len({split for split, _, _ in found}) == 1
    layouts = [in_split_folders, in_class_folders, with_metadata, with_table, *([] if one_split else [with_lists])]
    for lay_out in layouts:
        with tempfile.TemporaryDirectory() as place:
            made = MadeSet(Path(place))
            lay_out(made, found)
            read = [(clip.path.rpartition("/")[2], clip.label, clip.split) for clip in told(made.read())]
        assert sorted(read) == expected, lay_out.__name__


# --- the files that sensors look at -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lay_out", [in_split_folders, in_class_folders, with_metadata, with_table, with_lists])
def test_the_listing_has_the_files_of_all_clips_and_what_is_said_of_them(
    made: MadeSet, lay_out: Callable[[MadeSet, Sequence[tuple[str, str, int]]], None]
) -> None:
    lay_out(made, [("train", "run", 1), ("test", "run", 2), ("val", "jump", 3)])
    found = made.read()
    listed = {file.path: file for file in list_source(made.folder)}
    assert {clip.file for clip in found.clips} <= set(listed.values())
    assert found.reading is not None
    assert set(found.reading.annotation_files) <= listed.keys()
    assert list(listed) == sorted(listed)


def test_a_new_row_changes_the_listing(made: MadeSet) -> None:
    with_table(made, [("train", "run", 1), ("test", "jump", 2)])
    before = list_source(made.folder, ManifestSettings())
    made.write("labels.csv", (made.folder / "labels.csv").read_bytes() + b"2;run;train\n")
    assert list_source(made.folder) != before
