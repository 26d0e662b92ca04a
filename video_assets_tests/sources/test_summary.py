"""How a source would be read, before anything is opened."""

import json
import time
from pathlib import Path

import pytest

from video_assets.sources.found import SourceClips
from video_assets.sources.read import list_source, read_source
from video_assets.sources.summary import summarize
from video_assets_tests.sources.sets import MadeSet


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
