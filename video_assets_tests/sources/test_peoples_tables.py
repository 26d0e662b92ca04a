"""Tables as people export them: columns, separators, times, frames, numbers of classes."""

import pytest

from video_assets.domain.errors import SettingsError
from video_assets_tests.sources.sets import MadeSet, codes, losses, told

THREE = ("a.mp4", "b.mp4", "c.mp4")


@pytest.fixture
def three(made: MadeSet) -> MadeSet:
    for name in THREE:
        made.clip(name)
    return made


def labels(made: MadeSet, table: str, name: str = "labels.csv", **options: object) -> dict[str, str]:
    made.write(name, table)
    return {clip.clip_id: clip.label for clip in made.read(name, **options).clips}


RUN_JUMP = {"a.mp4": "run", "b.mp4": "jump"}


@pytest.mark.parametrize(
    "table",
    [
        "path,label\na.mp4,run\nb.mp4,jump\n",
        "\ufeffFile Name;Class\r\na.mp4;run\r\nb.mp4;jump\r\n",
        "video\tcategory\na.mp4\trun\nb.mp4\tjump\n",
        "path label\na.mp4 run\nb.mp4 jump\n",
        "sep=|\r\npath|label\r\na.mp4|run\r\nb.mp4|jump\r\n",
        "clip,activity\na.mp4,run\nb.mp4,jump\n",
        "CLIP,Action,score\na.mp4,run,1\nb.mp4,jump,2\n",
        "video_id,tag\na,run\nb,jump\n",
        "choice,video_path\nrun,a.mp4\njump,b.mp4\n",
        "a.mp4,run\nb.mp4,jump\n",
        "run;a.mp4\njump;b.mp4\n",
        "a.mp4\trun\nb.mp4\tjump\n",
        "a.mp4 run\nb.mp4 jump\n",
    ],
)
def test_columns_are_known_by_usual_names_or_by_what_they_hold(three: MadeSet, table: str) -> None:
    assert labels(three, table) == RUN_JUMP


def test_a_table_without_a_header_may_have_splits_and_times(three: MadeSet) -> None:
    three.write("labels.csv", "a.mp4,run,0.5,2,train\nb.mp4,jump,1,00:01:02.5,Validation\n")
    clips = three.read("labels.csv").clips
    assert [(clip.clip_id, clip.label, clip.official_split) for clip in clips] == [
        ("a.mp4#t=0.5,2", "run", "train"),
        ("b.mp4#t=1,62.5", "jump", "val"),
    ]


def test_columns_that_cannot_be_told_are_asked_for(three: MadeSet) -> None:
    with pytest.raises(SettingsError, match=r"has no header, and 2 columns could be the label; say which by number"):
        labels(three, "a.mp4,run,fast\nb.mp4,jump,slow\n")
    assert labels(three, "a.mp4,run,fast\nb.mp4,jump,slow\n", columns={"path": "1", "label": "2"}) == RUN_JUMP


def test_columns_of_the_settings_win(three: MadeSet) -> None:
    table = "video_name,label,tag,subject\na.mp4,x,run,s1\nb.mp4,y,jump,s2\n"
    assert labels(three, table, columns={"label": "Tag"}) == RUN_JUMP
    found = three.read("labels.csv", columns={"label": "tag", "group": ""})
    assert {clip.group for clip in found.clips} == {None}
    assert {clip.group for clip in three.read("labels.csv").clips} == {"s1", "s2"}
    with pytest.raises(SettingsError, match=r"has no column nothing; it has video_name, label, tag, subject"):
        labels(three, table, columns={"label": "nothing"})


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("1.5", "2", (1.5, 2.0)),
        ("0:01", "0:02.5", (1.0, 2.5)),
        ("00:00:01.14", "01:00:00", (1.14, 3600.0)),
        ("75:00", "", (4500.0, None)),
    ],
)
def test_times_are_seconds_or_a_clocks(
    three: MadeSet, start: str, end: str, seconds: tuple[float, float | None]
) -> None:
    three.write("labels.csv", f"path,label,start_time,end_time\na.mp4,run,{start},{end}\n")
    (clip,) = three.read("labels.csv").clips
    assert (clip.start_seconds, clip.end_seconds) == seconds


def test_frames_become_seconds_at_the_videos_rate(three: MadeSet) -> None:
    three.write("spans.tsv", "video\tcategory\tstart_frame\tend_frame\tsubject\na\trun\t5\t25\ts1\nb\tjump\t0\t\ts2\n")
    found = three.read("spans.tsv")
    assert [clip.clip_id for clip in found.clips] == ["a.mp4#frame=5,25", "b.mp4#frame=0"]
    assert [(clip.start, clip.end, clip.group) for clip in told(found)] == [
        (5 / 30, 25 / 30, "s1"),
        (0.0, None, "s2"),
    ]


def test_seconds_win_over_frames(three: MadeSet) -> None:
    three.write("labels.csv", "path,label,start,end,start_frame,end_frame\na.mp4,run,1,2,30,60\n")
    assert [clip.clip_id for clip in three.read("labels.csv").clips] == ["a.mp4#t=1,2"]


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("a.mp4,nan,0,1", "bad_row", "the label is nan: no class, but a number that a program did not have"),
        ("a.mp4,NaN,0,1", "bad_row", "the label is NaN: no class, but a number that a program did not have"),
        ("a.mp4,-inf,0,1", "bad_row", "the label is -inf: no class, but a number that a program did not have"),
        ("a.mp4,run,25,5", "bad_span", "the span ends at 5 frames, which is not after its start at 25 frames"),
        ("a.mp4,run,1.5,5", "bad_row", "the start_frame is '1.5', not the number of a frame"),
        ("a.mp4,run,nan,5", "bad_row", "the start_frame is 'nan', not the number of a frame"),
        ("a.mp4,run,-3,5", "bad_span", "the start_frame is -3; it must be zero or more"),
    ],
)
def test_what_is_no_class_and_no_frame_is_lost_by_row(three: MadeSet, row: str, reason: str, detail: str) -> None:
    three.write("labels.csv", f"path,label,start_frame,end_frame\n{row}\n")
    found = three.read("labels.csv")
    assert losses(found) == [(reason, f"row 1 of labels.csv: {detail}")]
    assert codes(found)["skipped_rows"] == 1


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("jump\nrun\nsit\n", ("jump", "run", "sit")),
        ("0 jump\n1 run\n2 sit\n", ("jump", "run", "sit")),
        ("id,name\n0,jump\n1,run\n2,sit\n", ("jump", "run", "sit")),
        ("jump,0\nrun,1\nsit,2\n", ("jump", "run", "sit")),
        ('["jump", "run", "sit"]', ("jump", "run", "sit")),
        ('{"run": 1, "sit": "2", "jump": 0}', ("jump", "run", "sit")),
        ('{"1": "run", "2": "sit", "0": "jump"}', ("jump", "run", "sit")),
    ],
)
def test_class_names_give_numbers_their_names_and_classes_their_order(
    three: MadeSet, names: str, order: tuple[str, ...]
) -> None:
    three.write("names.txt", names)
    three.write("labels.csv", "path,label\na.mp4,1\nb.mp4,jump\nc.mp4,7\n")
    found = three.read("labels.csv", class_names="names.txt")
    assert {clip.clip_id: clip.label for clip in found.clips} == RUN_JUMP
    assert found.class_order == order
    reason = "row 3 of labels.csv: the label is 7, which is none of the 3 of manifest.class_names (names.txt)"
    assert losses(found) == [("bad_row", reason)]
    assert codes(found)["classes_without_clips"] == 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("", "lists no class"),
        ("run\nrun\n", "lists the class run twice"),
        ('{"run": 0, "jump": 0}', "gives the number 0 to run and to jump"),
        ('{"run": "a"}', "must map names of classes to numbers"),
        ("[1, 2", "is not JSON"),
    ],
)
def test_class_names_that_make_no_sense_are_refused(three: MadeSet, names: str, message: str) -> None:
    three.write("names.txt", names)
    with pytest.raises(SettingsError, match=rf"^manifest\.class_names \(names\.txt\) {message}"):
        labels(three, "path,label\na.mp4,1\n", class_names="names.txt")
    with pytest.raises(SettingsError, match="the file of class names is not there"):
        labels(three, "path,label\na.mp4,1\n", class_names="gone.txt")


def test_class_names_order_folders_too(made: MadeSet) -> None:
    for label in ("run", "jump"):
        made.clip(f"{label}/a.mp4", label)
    made.write("names.json", {"run": 0, "jump": 1})
    assert made.read(class_names="names.json").class_order == ("run", "jump")


@pytest.mark.parametrize(
    ("one", "other", "is_said"),
    [
        ("run", "Run", True),
        ("3", "3.0", True),
        ("run fast", "run_fast", True),
        ("run", "runs", False),
        ("3", "30", False),
    ],
)
def test_nearly_equal_classes_are_said(three: MadeSet, one: str, other: str, is_said: bool) -> None:
    three.write("labels.csv", f"path,label\na.mp4,{one}\nb.mp4,{other}\n")
    assert codes(three.read("labels.csv")) == ({"near_equal_classes": 2} if is_said else {})


def test_words_that_name_no_split_are_said(three: MadeSet) -> None:
    three.write("labels.csv", "path,label,split\na.mp4,x,train\nb.mp4,y,both\nc.mp4,y,both\n")
    found = three.read("labels.csv")
    (words,) = [warning for warning in found.warnings if warning.code == "unknown_split_words"]
    assert (words.count, words.detail) == (2, "words that name no split: 'both'; train, val and test are known")


def test_rows_of_two_tables_that_contradict_are_lost_by_both(three: MadeSet) -> None:
    three.write("train.csv", "path,label\na.mp4,run\nb.mp4,jump\n")
    three.write("test.csv", "path,label\nb.mp4,jump\nc.mp4,run\n")
    found = three.read()
    assert [(clip.clip_id, clip.official_split) for clip in found.clips] == [("a.mp4", "train"), ("c.mp4", "test")]
    detail = "row 2 puts it into the split train, row 1 of test.csv into the split test (rows of train.csv)"
    assert losses(found) == [("split_conflict", f"{detail}; correct the table")]
