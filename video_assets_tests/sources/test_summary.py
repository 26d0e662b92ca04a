"""How a source would be read, before anything is opened."""

import json
import time
from pathlib import Path

import pytest

from video_assets.sources.read import list_source, read_source
from video_assets.sources.source_clips import SourceClips
from video_assets.sources.summary import summarize
from video_assets_tests.sources.sets import MadeSet, codes


def test_a_summary_has_what_somebody_wants_to_see(made: MadeSet) -> None:
    for number in range(8):
        made.clip(f"clips/{number}.mp4")
    rows = [f"clips/{number}.mp4,{'run' if number < 5 else 'jump'},train" for number in range(7)]
    made.write("labels.csv", "\n".join(["video,class,subset", *rows, "clips/9.mp4,Run,test"]))
    summary = summarize(made.read())
    assert summary.read_as == (
        "Read as: table (labels.csv), 1 split, 2 classes, 1 listed clip without a file, 1 file without a row"
    )
    assert (summary.source_format, summary.num_clips, summary.num_lost) == ("table", 7, 1)
    assert summary.classes == {"jump": 2, "run": 5}
    assert summary.splits == {"train": 7}
    assert summary.examples[0] == {"path": "clips/0.mp4", "label": "run", "split": "train"}
    assert len(summary.examples) == 5
    assert summary.missing == ["row 8 of labels.csv: clips/9.mp4 cannot be found: No such file or directory"]
    assert summary.without_row == ["clips/7.mp4"]
    assert {warning.code for warning in summary.warnings} == {"missing_files", "files_without_row"}
    assert json.loads(json.dumps(summary.as_dict()))["warnings"][0]["count"] == 1


def test_classes_stand_in_the_order_that_is_fixed_with_those_without_clips(made: MadeSet) -> None:
    for label in ("jump", "run"):
        made.clip(f"{label}/a.mp4", label)
    made.write("names.txt", "run\nsit\njump\n")
    summary = summarize(made.read(class_names="names.txt"))
    assert list(summary.classes.items()) == [("run", 1), ("sit", 0), ("jump", 1)]
    assert summary.splits == {"none": 2}


def test_doubts_are_in_the_summary(made: MadeSet) -> None:
    for name in ("train", "run"):
        made.clip(f"{name}/a.mp4")
    assert [doubt.code for doubt in summarize(made.read()).doubts] == ["split_words"]


def test_clips_that_were_not_read_have_no_summary() -> None:
    with pytest.raises(ValueError, match=r"^the clips were not read from a source$"):
        summarize(SourceClips(Path(), []))


@pytest.mark.long
def test_a_hundred_thousand_files_are_read_in_seconds(made: MadeSet) -> None:
    """A million take less than a minute and 2 GB (20 and 1.1 when this was written)."""
    for number in range(100):
        for split in ("train", "val"):
            folder = made.folder / split / f"class {number}"
            folder.mkdir(parents=True)
            for clip in range(500):
                (folder / f"{clip}.mp4").touch()
    lines = [f"{s}/class {c}/{n}.mp4,class {c},{s}\n" for s in ("train", "val") for c in range(100) for n in range(500)]
    began = time.process_time()
    assert len(read_source(made.folder).clips) == 100_000
    assert len(list_source(made.folder)) == 100_000
    made.write("labels.csv", "path,label,split\n" + "".join(lines))
    assert len(read_source(made.folder / "labels.csv").clips) == 100_000
    assert time.process_time() - began < 30


def test_columns_that_may_be_the_split_are_named(made: MadeSet) -> None:
    made.clip("a.mp4", "run")
    made.clip("b.mp4", "jump")
    for column in ("fold", "is_train", "phase", "official_split"):
        made.write("labels.csv", f"path,label,{column}\na.mp4,run,train\nb.mp4,jump,test\n")
        found = made.read()
        assert codes(found) == {"unread_columns": 1}
        assert f"manifest.columns: {{split: {column}}}" in found.warnings[0].detail
    assert [clip.official_split for clip in made.read(columns={"split": "official_split"}).clips] == ["train", "test"]


def test_people_in_names_and_folders_in_classes_are_named_as_groups(made: MadeSet) -> None:
    for label in ("boxing", "jogging"):
        for person in ("person01", "person02"):
            made.clip(f"{label}/{person}_{label}_d1.avi", label)
    found = made.read()
    assert codes(found) == {"groups_in_names": 2}
    pattern = found.warnings[0].detail.partition("manifest.group_pattern: ")[2].partition(" keeps")[0]
    assert {clip.group for clip in made.read(group_pattern=pattern).clips} == {"person01", "person02"}
    assert codes(made.read(group_pattern=pattern)) == {}


def test_folders_of_several_videos_in_classes_are_named_as_groups(made: MadeSet) -> None:
    for label in ("biking", "diving"):
        for take in ("v_01", "v_02"):
            for number in (1, 2):
                made.clip(f"{label}/{take}/{number}.avi", label)
    found = made.read()
    assert codes(found) == {"groups_in_folders": 4}
    assert len({clip.group for clip in made.read(group_pattern="^([^/]+/[^/]+)/").clips}) == 4


def test_what_is_not_there_to_train_on_is_said(made: MadeSet) -> None:
    for label in ("run", "jump"):
        made.clip(f"val/{label}/a.mp4", label, "val")
    (made.folder / "val/climb").mkdir()
    made.write("fall.zip", b"PK")
    assert codes(made.read()) == {"no_train_split": 2, "empty_folders": 1, "archives": 1}


def test_folders_of_systems_are_no_classes(made: MadeSet) -> None:
    for label in ("run", "jump"):
        made.clip(f"{label}/a.mp4", label)
        made.clip(f"{label}/@eaDir/a.mp4")
    for name in ("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found"):
        made.clip(f"{name}/a.mp4")
    found = made.read()
    made.matches(found)
    assert {item.reason for item in found.left_out} == {"a folder of the system"}


def test_files_of_several_classes_that_begin_alike_are_named_as_groups(made: MadeSet) -> None:
    for label in ("bend", "run"):
        for person in ("daria", "denis", "eli"):
            made.clip(f"{label}/{person}_{label}.avi", label)
    found = made.read()
    assert codes(found) == {"groups_in_names": 3}
    assert found.warnings[0].detail.startswith(
        "files of several classes begin alike, as with daria in bend/daria_bend.avi;"
    )


def test_classes_in_names_are_no_groups(made: MadeSet) -> None:
    for label in ("bend", "run", "walk"):
        for number in range(4):
            made.clip(f"{label}/{label}_{number}.avi", label)
    assert codes(made.read()) == {}


def test_labels_that_join_classes_are_named(made: MadeSet) -> None:
    for name in "abc":
        made.clip(f"{name}.mp4")
    made.write("labels.csv", 'path,label\na.mp4,run\nb.mp4,jump\nc.mp4,"run, jump"\n')
    found = made.read()
    assert codes(found) == {"joined_labels": 1}
    assert "manifest.multi_label: true" in found.warnings[0].detail
    made.write("labels.csv", "path,label\na.mp4,run\nb.mp4,jump\nc.mp4,run|jump\n")
    assert codes(made.read()) == {"joined_labels": 1}
    assert codes(made.read(multi_label=True)) == {}


def test_folders_without_videos_among_class_folders_are_named(made: MadeSet) -> None:
    for label in ("run", "jump"):
        made.clip(f"{label}/a.mp4", label)
    made.write("climb/clip", b"a file without an ending")
    made.write("annotations/notes.txt", "notes")
    found = made.read()
    assert codes(found) == {"empty_folders": 1}
    assert found.warnings[0].detail == "1 folder holds no video and is no class: climb"
