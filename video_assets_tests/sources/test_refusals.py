"""What is never misread: sources that can be read in two ways, or in none, are refused by name with the setting."""

from typing import Any

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.settings import ManifestSettings
from video_assets.sources.doubts import refuse_misread, why_too_many_unusable
from video_assets_tests.sources.sets import MadeSet, codes


def refusal(made: MadeSet, source: str = "", known_classes: tuple[str, ...] = (), **options: Any) -> str:
    """Why a build would refuse the set."""
    with pytest.raises(SettingsError) as error:
        accept(made, source, known_classes, **options)
    return str(error.value)


def accept(made: MadeSet, source: str = "", known_classes: tuple[str, ...] = (), **options: Any) -> None:
    """Reads the set as a build would."""
    found, given = made.read(source, **options), ManifestSettings(**options)
    refuse_misread(found, given, known_classes)


def test_one_class_is_refused_unless_allowed_or_there_already(made: MadeSet) -> None:
    made.clip("run/a.mp4", "run")
    made.clip("run/b.mp4", "run")
    said = refusal(made)
    assert said.startswith(
        f"all 2 clips of {made.folder} are of one class, run. Read as: a folder per class, 1 class. "
    )
    assert said.endswith("or set manifest.allow_single_class: true")
    accept(made, allow_single_class=True)
    accept(made, known_classes=("run",))


def test_one_folder_of_folders_is_refused_with_both_readings(made: MadeSet) -> None:
    for label in ("Archery", "Biking"):
        made.clip(f"UCF-101/{label}/a.avi")
    said = refusal(made)
    assert said.startswith("all videos lie in one folder, UCF-101, which holds 2 folders (Archery, Biking): either ")
    assert "Point --source at UCF-101" in said
    accept(made, source_format="folders", allow_single_class=True)
    accept(made, "UCF-101")


def test_split_words_beside_classes_are_refused(made: MadeSet) -> None:
    for name in ("train", "test", "run", "jump"):
        made.clip(f"{name}/a.mp4")
    said = refusal(made)
    assert said.startswith("the folders test, train are called as splits are, and beside them are jump, run: either ")
    assert said.endswith("set manifest.source_format: folders if all are classes")
    accept(made, source_format="folders")
    accept(made, known_classes=("run", "jump"))


def test_folders_that_hold_the_same_folders_are_refused(made: MadeSet) -> None:
    for person in ("anna", "ben"):
        for label in ("run", "jump"):
            made.clip(f"{person}/{label}/a.mp4")
    said = refusal(made)
    assert said.startswith(
        "each of the folders anna, ben holds the folders jump, run: either the first are the classes"
    )
    accept(made, source_format="folders")


def test_split_folders_without_class_folders_are_refused(made: MadeSet) -> None:
    made.clip("train/a.mp4")
    made.clip("test/b.mp4")
    said = refusal(made)
    assert said.startswith(f"{made.folder} holds the split folders test, train, and these hold videos but no class")
    assert "manifest.label_pattern" in said


def test_one_split_folder_without_class_folders_is_refused_by_name(made: MadeSet) -> None:
    made.clip("train/run/a.mp4", "run", "train")
    made.clip("train/jump/a.mp4", "jump", "train")
    made.clip("test/b.mp4")
    assert refusal(made).endswith('leave them out with manifest.include: ["train/*"]')
    made.matches(made.read(include=("train/*",)))


def test_two_sets_of_annotations_that_differ_are_refused_with_both(made: MadeSet) -> None:
    made.clip("run/v_Run_g01_c01.avi")
    made.clip("jump/v_Jump_g01_c01.avi")
    made.write("trainlist01.txt", "run/v_Run_g01_c01.avi 1\n")
    made.write("testlist01.txt", "jump/v_Jump_g01_c01.avi\n")
    made.write("mine.csv", "file,class\nrun/v_Run_g01_c01.avi,fast\njump/v_Jump_g01_c01.avi,slow\n")
    said = refusal(made)
    assert said == (
        f"{made.folder} can be read as UCF101 lists by testlist01.txt, trainlist01.txt, which gives 2 clips of 2 "
        "classes and as table by mine.csv, which gives 2 clips of 2 classes. set manifest.source_format: ucf101 or "
        "table, or name one file with --source"
    )
    accept(made, source_format="ucf101")
    assert {clip.label for clip in made.read(source_format="table").clips} == {"fast", "slow"}
    assert {clip.label for clip in made.read("mine.csv").clips} == {"fast", "slow"}


def test_two_sets_of_annotations_that_say_the_same_are_one(made: MadeSet) -> None:
    made.clip("run/a.mp4", "run")
    made.clip("jump/b.mp4", "jump")
    made.write("list.txt", "run/a.mp4 1\njump/b.mp4 0\n")
    made.write("label_map.txt", "jump\nrun\n")
    made.write("mine.csv", "file,class\nrun/a.mp4,run\njump/b.mp4,jump\n")
    made.matches(made.read())


def test_a_table_whose_rows_match_two_files_each_is_refused(made: MadeSet) -> None:
    for name in ("one", "two"):
        made.clip(f"{name}.mp4")
        made.clip(f"{name}.avi")
    made.write("labels.csv", "video,class\none,run\ntwo,jump\n")
    said = refusal(made, "labels.csv")
    assert said.startswith(
        "2 of 2 listed clips match two files or more. The first: row 1 of labels.csv: one matches 2 "
    )
    assert "one.avi" in said
    assert "one.mp4" in said
    assert refusal(made).startswith("2 of 2 listed clips match two files or more.")


def test_more_missing_files_than_allowed_are_refused_and_fewer_are_said(made: MadeSet) -> None:
    for number in range(7):
        made.clip(f"{number}.mp4", "run" if number % 2 else "jump")
    rows = [f"{number}.mp4,{'run' if number % 2 else 'jump'}" for number in range(10)]
    made.write("labels.csv", "\n".join(["path,label", *rows]))
    said = refusal(made, "labels.csv")
    assert said.startswith(
        "3 of 10 listed clips (30.0%) have no file; at most 20.0% may be missing. The first is 7.mp4: "
    )
    assert said.endswith("or raise manifest.max_missing_fraction")
    found = made.read("labels.csv")
    made.matches(found)
    refuse_misread(found, ManifestSettings(max_missing_fraction=0.3))
    assert codes(found) == {"missing_files": 3}


def test_a_dialect_that_does_not_know_the_source_is_refused(made: MadeSet) -> None:
    made.clip("run/a.mp4")
    made.write("notes.txt", "nothing")
    said = refusal(made, source_format="kinetics")
    assert said == (
        f"manifest.source_format is kinetics, but {made.folder} is not known as Kinetics annotations; "
        "it holds notes.txt"
    )


def test_a_file_in_no_known_form_is_refused(made: MadeSet) -> None:
    made.write("notes.json", {"fps": 25})
    assert refusal(made, "notes.json").startswith(f"the source {made.folder}/notes.json is in no form that is known; ")


def test_json_that_is_cut_off_is_refused_by_name(made: MadeSet) -> None:
    made.clip("v_a.mp4")
    made.write("activity.json", '{"database": {"a": {"subset": "training", "annotations": [')
    assert refusal(made).startswith("activity.json is not JSON: ")


@pytest.mark.parametrize(
    "folders",
    [
        ("segmented_set1", "segmented_set2"),
        ("Part-1", "Part-2"),
        ("subject01", "subject02", "subject10"),
        ("P01", "P02"),
        ("nturgbd_rgb_s001", "nturgbd_rgb_s002"),
        ("2024-01-31", "2024-02-01"),
    ],
)
def test_folders_called_as_parts_people_or_days_are_refused(made: MadeSet, folders: tuple[str, ...]) -> None:
    for name in folders:
        made.clip(f"{name}/a.mp4", name)
    assert refusal(made).startswith(f"the folders {', '.join(folders)} are called as parts of a set, days or people")
    accept(made, source_format="folders")
    accept(made, known_classes=folders)


@pytest.mark.parametrize("folders", [("0", "1"), ("class1", "class2"), ("c01", "c02"), ("run1", "run2"), ("p1", "p2")])
def test_folders_with_numbers_may_be_classes(made: MadeSet, folders: tuple[str, ...]) -> None:
    for name in folders:
        made.clip(f"{name}/a.mp4", name)
    accept(made)


def test_splits_without_a_common_class_are_refused(made: MadeSet) -> None:
    for path in ("train/anna", "train/ben", "test/cleo", "test/dora"):
        made.clip(f"{path}/a.mp4")
    assert refusal(made).startswith("no folder is in two splits (test: cleo, dora, train: anna, ben): mostly these are")
    accept(made, source_format="split_folders")
    made.clip("test/anna/b.mp4")
    accept(made)


def test_one_class_is_refused_with_the_rows_that_cannot_be_used(made: MadeSet) -> None:
    for name in "abc":
        made.clip(f"{name}.mp4")
    made.write("train.txt", "a.mp4 0\nb.mp4 0 1\nc.mp4 1 2\n")
    said = refusal(made)
    assert " 2 others cannot be used: line 2 of train.txt: the line has 2 classes; manifest.multi_label takes " in said


def test_rows_of_another_machine_are_refused_with_the_reason(made: MadeSet) -> None:
    for name in "ab":
        made.clip(f"{name}.mp4")
    made.write("labels.csv", "path,label\n/home/bob/a.mp4,run\n/home/bob/b.mp4,jump\n")
    assert "the path /home/bob/a.mp4 leads out of the table's folder; paths are rel" in refusal(made)
    said = why_too_many_unusable(made.read("labels.csv"), ManifestSettings())
    assert said.startswith("2 of 2 clips cannot be used; at most 10.0% may fail (manifest.max_failed_fraction). The ")
    assert "the path /home/bob/a.mp4 leads out of the table's folder; paths are rel" in said


def test_spans_in_columns_that_are_not_read_are_refused(made: MadeSet) -> None:
    for name in "ab":
        made.clip(f"{name}.mp4")
    for header in ("start_ms,end_ms", "onset,offset", "start,duration"):
        made.write("labels.csv", f"path,label,{header}\na.mp4,run,1,2\nb.mp4,jump,1,2\n")
        assert " of labels.csv look like spans of clips, and are not read as such. " in refusal(made)
        accept(made, columns={"end": ""})
    made.write("labels.csv", "path,label,duration\na.mp4,run,1\nb.mp4,jump,1\n")
    accept(made)


def test_half_of_a_split_of_ucf101_is_refused(made: MadeSet) -> None:
    for label in ("Biking", "YoYo"):
        made.clip(f"{label}/v_{label}_g01_c01.avi")
    made.write("testlist02.txt", "Biking/v_Biking_g01_c01.avi\nYoYo/v_YoYo_g01_c01.avi\n")
    said = refusal(made, official_split=2)
    assert said.startswith("of split 2 of UCF101, testlist02.txt is there, but not trainlist02.txt; put it beside")
    accept(made, source_format="folders")


def test_extracted_frames_are_called_so(made: MadeSet) -> None:
    made.write("20bn-jester-v1/1/00001.jpg", b"")
    made.write("jester-v1-train.csv", "1;Swiping Left\n")
    assert " The source holds pictures; extracted frames are not read, take the set's videos or " in refusal(made)


def test_a_class_for_each_clip_is_refused(made: MadeSet) -> None:
    for number in range(20):
        made.clip(f"{number}.mp4")
    made.write("sizes.csv", "".join(f"{number}.mp4,{1000 + number}\n" for number in range(20)))
    said = refusal(made)
    assert said.startswith(
        "20 classes have 20 clips, so nearly each clip has one of its own, such as 1000 of 0.mp4. Read"
    )
    accept(made, source_format="table")


def test_tables_that_contradict_each_other_are_refused_with_both_labels(made: MadeSet) -> None:
    for name in "ab":
        made.clip(f"{name}.mp4")
    made.write("labels.csv", "path,label\na.mp4,run\nb.mp4,jump\n")
    made.write("labels_old.csv", "path,label\na.mp4,jump\nb.mp4,run\n")
    said = why_too_many_unusable(made.read(), ManifestSettings())
    assert said.startswith(
        "2 of 2 clips have several labels, such as a.mp4: jump, run. Remove the rows or tables that "
    )
    assert why_too_many_unusable(made.read(), ManifestSettings(multi_label=True)) == ""
