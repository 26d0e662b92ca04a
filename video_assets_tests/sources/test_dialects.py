"""Every public set as people have it on disk: what it says of each clip, and what it is called."""

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.sources.source_clips import SourceClips
from video_assets_tests.sources.sets import MadeSet, codes, losses

CLASSES = ("jump", "run")


def dialect_of(found: SourceClips) -> str:
    assert found.reading is not None
    return found.reading.dialect


def sentence_of(found: SourceClips) -> str:
    assert found.reading is not None
    return found.reading.sentence


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        {"train": "train", "val": "val", "test": "test"},
        {"Train": "train", "Valid": "val", "Test": "test"},
        {"training": "train", "validation": "val", "testing": "test"},
        {"TRAIN": "train", "dev": "val", "eval": "test"},
        {"videos_train": "train", "videos_val": "val"},
        {"train_256": "train", "val_256": "val"},
        {"test-set": "test", "train-set": "train"},
    ],
)
def test_split_folders_above_class_folders_are_splits(made: MadeSet, words: dict[str, str]) -> None:
    for word, split in words.items():
        for label in CLASSES:
            made.clip(f"{word}/{label}/a.mp4", label, split)
            made.clip(f"{word}/{label}/deep/b.avi", label, split)
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "split_folders"
    shown = ", ".join(sorted(words))
    assert sentence_of(found) == f"Read as: split folders ({shown}), {len(words)} splits, 2 classes"


def test_split_folders_within_class_folders_are_splits(made: MadeSet) -> None:
    for label in CLASSES:
        made.clip(f"{label}/train/a.mp4", label, "train")
        made.clip(f"{label}/test/b.mp4", label, "test")
    found = made.read()
    made.matches(found)
    assert sentence_of(found) == "Read as: class folders that hold split folders, 2 splits, 2 classes"


def test_a_folder_per_class_is_read_as_before(made: MadeSet) -> None:
    made.clip("run/v_Run_g01_c02.avi", "run", group="Run_01")
    made.clip("jump/a.mp4", "jump")
    found = made.read()
    made.matches(found)
    assert (dialect_of(found), found.warnings, found.doubts) == ("folders", [], [])


def test_classes_are_told_by_names_where_a_pattern_says_how(made: MadeSet) -> None:
    made.clip("train/run_001.mp4", "run", "train")
    made.clip("test/jump_001.mp4", "jump", "test")
    made.clip("test/001.mp4")
    found = made.read(label_pattern=r"^([a-z]+)_")
    made.matches(found)
    assert (dialect_of(found), [item.source for item in found.lost]) == ("file_names", ["test/001.mp4"])
    assert made.read(label_pattern=r"^(?P<label>[a-z])").clips[0].label == "j"


# --- sets with annotations --------------------------------------------------------------------------------------------


def test_hugging_face_metadata_in_each_split_folder(made: MadeSet) -> None:
    for split, name in (("train", "0001.mp4"), ("test", "0002.mp4")):
        for label in CLASSES:
            made.clip(f"{split}/{label}_{name}", label, split, caption=f"someone is {label}ing")
    for split in ("train", "test"):
        rows = [clip for clip in made.expected if clip.split == split]
        lines = [f"{clip.path.split('/')[1]},{clip.label},{clip.caption}" for clip in rows]
        made.write(f"{split}/metadata.csv", "\n".join(["file_name,label,text", *lines]))
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "hf_videofolder"


def test_hugging_face_metadata_at_the_top_with_classes_from_folders(made: MadeSet) -> None:
    for label in CLASSES:
        made.clip(f"train/{label}/1.mp4", label, "train", caption="one")
        made.clip(f"validation/{label}/2.mp4", label, "val", caption="two")
    lines = [f'{{"file_name": "{clip.path}", "text": "{clip.caption}"}}\n' for clip in made.expected]
    made.write("metadata.jsonl", "".join(lines))
    made.matches(made.read())


def ucf101(made: MadeSet, split: int) -> None:
    for label in ("ApplyEyeMakeup", "HandstandPushups"):
        for group in (1, 2, 3):
            name = f"{label}/v_{label}_g0{group}_c01.avi"
            word = "test" if group == split else "train"
            made.clip(f"UCF-101/{name}", label, word, group=f"{label} g0{group}")
    made.write("ucfTrainTestlist/classInd.txt", "1 ApplyEyeMakeup\r\n2 HandstandPushups\r\n")
    for number in (1, 2, 3):
        lists: dict[str, list[str]] = {"train": [], "test": []}
        for clip in made.expected:
            path = clip.path.removeprefix("UCF-101/")
            is_test = f"_g0{number}_" in path
            lists["test" if is_test else "train"].append(path if is_test else f"{path} 1")
        for word, lines in lists.items():
            made.write(f"ucfTrainTestlist/{word}list0{number}.txt", "\r\n".join(lines) + "\r\n")


@pytest.mark.parametrize("split", [1, 2, 3])
def test_ucf101_by_its_lists(made: MadeSet, split: int) -> None:
    ucf101(made, split)
    found = made.read(official_split=split)
    made.matches(found)
    files = f"ucfTrainTestlist/testlist0{split}.txt, ucfTrainTestlist/trainlist0{split}.txt"
    assert sentence_of(found) == f"Read as: UCF101 lists ({files}), 2 splits, 2 classes"


def test_an_official_split_that_is_not_there_is_refused(made: MadeSet) -> None:
    ucf101(made, 1)
    with pytest.raises(
        SettingsError, match=r"^manifest\.official_split is 4, but the lists of UCF101 here are of 1, 2, 3$"
    ):
        made.read(official_split=4)


def test_hmdb51_by_its_lists(made: MadeSet) -> None:
    for label in ("brush_hair", "cartwheel"):
        for number, split in ((0, "train"), (1, "test"), (2, "")):
            made.clip(f"hmdb51_org/{label}/{label}_#{number}_u.avi", label if split else "", split)
        lines = [f"{label}_#{number}_u.avi {use} \n" for number, use in ((0, 1), (1, 2), (2, 0), (3, 1))]
        made.write(f"testTrainMulti_7030_splits/{label}_test_split1.txt", "".join(lines))
        made.write(f"testTrainMulti_7030_splits/{label}_test_split2.txt", "".join(lines[:1]))
    found = made.read()
    made.matches(found)
    assert codes(found) == {"missing_files": 2}
    unused = [item.source for item in found.left_out if item.source.endswith(".avi")]
    assert unused == ["hmdb51_org/brush_hair/brush_hair_#2_u.avi", "hmdb51_org/cartwheel/cartwheel_#2_u.avi"]
    assert len(made.read(official_split=2).clips) == 2


KINETICS_HEAD = "label,youtube_id,time_start,time_end,split\n"


def test_kinetics_trimmed_and_untrimmed(made: MadeSet) -> None:
    made.clip("train/aB3_dE-f000_000003_000013.mp4", "playing chess", "train")
    made.clip("train/Ab3_dE-f000.mkv", "running", "train", start=5.0, end=15.0)
    made.clip("val/aB3_dE-f002_000000_000010.mp4", "running", "val")
    made.clip("val/stray.mp4")
    train = '"playing chess",aB3_dE-f000,3,13,train\nrunning,Ab3_dE-f000,5,15,train\n"running, far",gone,1,2,train\n'
    made.write("annotations/train.csv", KINETICS_HEAD + train)
    made.write("annotations/val.csv", KINETICS_HEAD + "running,aB3_dE-f002,0,10,validate\n")
    made.write("annotations/test.csv", "youtube_id,time_start,time_end,split\nx,0,10,test\n")
    found = made.read()
    made.matches(found)
    assert sentence_of(found) == (
        "Read as: Kinetics annotations (annotations/train.csv, annotations/val.csv), 2 splits, 2 classes, "
        "1 listed clip without a file, 1 file without a row"
    )
    assert losses(found) == [
        ("not_found", "row 3 of annotations/train.csv: there is no video gone_000001_000002 or gone")
    ]
    left_out = {item.source: item.reason for item in found.left_out}
    assert left_out["annotations/test.csv"] == "its rows have no labels"
    assert left_out["val/stray.mp4"] == "no row names it"


def test_kinetics_as_json_is_read_where_there_is_no_table(made: MadeSet) -> None:
    def entry(label: str, start: float, subset: str) -> dict[str, object]:
        annotations = {"label": label, "segment": [start, start + 10]}
        return {"annotations": annotations, "duration": 10.0, "subset": subset, "url": "https://example.org"}

    made.clip("running/aB3_dE-f001_000003_000013.mp4", "running", "train")
    made.clip("aB3_dE-f002.mp4", "jumping", "val", start=4.0, end=14.0)
    made.write("train.json", {"aB3_dE-f001": entry("running", 3.0, "train")})
    made.write("validate.json", {"aB3_dE-f002": entry("jumping", 4.0, "validate")})
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "kinetics"

    made.write("train.csv", KINETICS_HEAD + "running,aB3_dE-f001,3,13,train\njumping,aB3_dE-f002,4,14,val\n")
    found = made.read()
    made.matches(found)
    assert {"train.json", "validate.json"} <= {item.source for item in found.left_out}


def test_one_table_of_kinetics_is_a_source_with_the_videos_elsewhere(made: MadeSet) -> None:
    made.clip("videos/aB3_dE-f000_000003_000013.mp4")
    made.clip("videos/aB3_dE-f001_000003_000013.mp4")
    rows = "a,aB3_dE-f000,3,13,train\nb,aB3_dE-f001,3,13,train\n"
    made.write("annotations/train.csv", KINETICS_HEAD + rows)
    found = made.read("annotations/train.csv", videos="../videos")
    assert [clip.file.path for clip in found.clips] == [
        "aB3_dE-f000_000003_000013.mp4",
        "aB3_dE-f001_000003_000013.mp4",
    ]
    assert found.directory.resolve() == made.folder / "videos"


def test_something_something(made: MadeSet) -> None:
    made.clip("20bn-something-something-v2/1.webm", "Putting something", "train", caption="putting a cup")
    made.clip("20bn-something-something-v2/2.webm", "Holding something", "val", caption="holding a cup")
    made.clip("20bn-something-something-v2/3.webm", "Holding something", "test")
    made.write("labels/something-something-v2-labels.json", {"Putting something": "0", "Holding something": "1"})
    for name, number, verb in (("train", 1, "Putting"), ("validation", 2, "Holding")):
        row = {"id": str(number), "label": f"{verb.lower()} a cup", "template": f"{verb} [something]"}
        made.write(f"labels/something-something-v2-{name}.json", [{**row, "placeholders": ["a cup"]}])
    made.write("labels/something-something-v2-test.json", [{"id": "3"}])
    made.write("labels/test-answers.csv", "3;Holding something\n")
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "something_something"


def test_jester(made: MadeSet) -> None:
    made.clip("20bn-jester-v1/1.webm", "Swiping Left", "train")
    made.clip("20bn-jester-v1/2.webm", "No gesture", "val")
    made.write("jester-v1-train.csv", "1;Swiping Left\n")
    made.write("jester-v1-validation.csv", "2;No gesture\n")
    made.write("jester-v1-test.csv", "3\n")
    made.write("jester-v1-labels.csv", "Swiping Left\nNo gesture\n")
    found = made.read()
    made.matches(found)
    assert sentence_of(found).startswith("Read as: Jester lists (jester-v1-train.csv, jester-v1-validation.csv), ")


def test_activitynet(made: MadeSet) -> None:
    made.clip("videos/v_aaa.mp4", "Polo", "train", start=1.5, end=4.0)
    made.clip("videos/v_aaa.mp4", "Surfing", "train", start=5, end=6.25)
    made.clip("videos/bbb.mp4", "Polo", "val", start=0, end=2)
    made.clip("videos/v_ccc.mp4")
    database = {
        "aaa": {
            "subset": "training",
            "duration": 9.0,
            "annotations": [{"label": "Polo", "segment": [1.5, 4.0]}, {"label": "Surfing", "segment": [5, 6.25]}],
        },
        "bbb": {"subset": "validation", "annotations": [{"label": "Polo", "segment": [0, 2]}]},
        "ccc": {"subset": "testing", "annotations": []},
        "ddd": {"subset": "training", "annotations": [{"label": "Polo", "segment": [0, 2]}]},
    }
    made.write("activity_net.v1-3.min.json", {"version": "1.3", "taxonomy": [], "database": database})
    found = made.read()
    made.matches(found)
    assert (dialect_of(found), codes(found)) == ("activitynet", {"missing_files": 1, "files_without_row": 1})


def test_charades(made: MadeSet) -> None:
    made.clip("Charades_v1_480/46GP8.mp4", "Cooking something", "train", start=11.9, end=21.2, group="HR43")
    made.clip("Charades_v1_480/46GP8.mp4", "Holding a dish", "train", start=0.0, end=12.6, group="HR43")
    made.clip("Charades_v1_480/YSKX3.mp4", "Holding a dish", "test", start=1.0, end=2.0, group="SKW1")
    made.clip("Charades_v1_480/EMPTY.mp4")
    head = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
    train = (
        '46GP8,HR43,Kitchen,6,7,Yes,"A person cooks, alone.",food,One cooks.,c147 11.90 21.20;c118 0.00 12.60,24.83\n'
        "EMPTY,HR43,Kitchen,6,7,Yes,One sits.,food,One sits.,,24.83\n"
    )
    made.write("Charades/Charades_v1_train.csv", head + train)
    made.write("Charades/Charades_v1_test.csv", head + "YSKX3,SKW1,Hall,6,7,Yes,A.,x,B.,c118 1.00 2.00,9.0\n")
    made.write("Charades/Charades_v1_classes.txt", "c147 Cooking something\nc118 Holding a dish\n")
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "charades"


EPIC_HEAD = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)


def epic_kitchens(made: MadeSet) -> None:
    made.clip("EPIC-KITCHENS/P01/videos/P01_01.MP4")
    made.clip("EPIC-KITCHENS/P02/videos/P02_11.MP4")
    rows = (
        "P01_01_0,P01,P01_01,00:00:01.089,00:00:00.14,00:00:03.37,8,202,open door,open,3,door,3,['door'],[3]\n"
        "P01_01_1,P01,P01_01,00:00:02.629,00:01:04.37,01:00:06.17,262,370,put-on lid,put-on,1,lid,14,['lid'],[14]\n"
    )
    made.write("EPIC_100_train.csv", EPIC_HEAD + rows)
    more = "P02_11_0,P02,P02_11,00:00:01,00:00:00.00,00:00:01.89,1,113,put plate,put,1,plate,2,['plate'],[2]\n"
    made.write("EPIC_100_validation.csv", EPIC_HEAD + more)
    made.write(
        "EPIC_100_test_timestamps.csv",
        "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,stop_frame\n",
    )


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("verb", ["open", "put-on", "put"]),
        ("noun", ["door", "lid", "plate"]),
        ("action", ["open door", "put-on lid", "put plate"]),
    ],
)
def test_epic_kitchens_by_verb_noun_or_action(made: MadeSet, label: str, expected: list[str]) -> None:
    epic_kitchens(made)
    found = made.read(epic_label=label)
    clips = sorted(found.clips, key=lambda clip: (clip.file.path, clip.start_seconds))
    assert [clip.label for clip in clips] == expected
    assert [clip.official_split for clip in clips] == ["train", "train", "val"]
    assert [(clip.start_seconds, clip.end_seconds) for clip in clips] == [(0.14, 3.37), (64.37, 3606.17), (0.0, 1.89)]
    assert [clip.caption for clip in clips] == ["open door", "put-on lid", "put plate"]
    assert codes(found) == ({} if label == "noun" else {"classes_apart": 1})


def test_epic_kitchens_names_classes_by_their_keys(made: MadeSet) -> None:
    epic_kitchens(made)
    made.write(
        "EPIC_100_verb_classes.csv", "id,key,instances,category\n1,put,\"['put', 'put-on']\",leave\n3,open,[],x\n"
    )
    found = made.read()
    assert {clip.label for clip in found.clips} == {"open", "put"}
    assert codes(found) == {}


def test_moments_in_time(made: MadeSet) -> None:
    made.clip("training/adult+singing/a.mp4", "adult+singing", "train")
    made.clip("training/zooming/b.mp4", "zooming", "train")
    made.clip("validation/zooming/c.mp4", "zooming", "val")
    made.write("trainingSet.csv", "adult+singing/a.mp4,adult+singing,3,0\nzooming/b.mp4,zooming,4,1\n")
    made.write("validationSet.csv", "zooming/c.mp4,zooming,3,0\n")
    made.write("moments_categories.txt", "adult+singing,0\nzooming,1\n")
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "moments"


def test_diving48(made: MadeSet) -> None:
    made.clip("rgb/0Q_00000.mp4", "Back+15som+05Twis+FREE", "train")
    made.clip("rgb/0Q_00001.mp4", "Forward+Dive+NoTwis+PIKE", "test")
    for split, number in (("train", 0), ("test", 1)):
        row = {"vid_name": f"0Q_0000{number}", "start_frame": 0, "end_frame": 146, "label": number}
        made.write(f"Diving48_V2_{split}.json", [row])
    made.write("Diving48_vocab.json", [["Back", "15som", "05Twis", "FREE"], ["Forward", "Dive", "NoTwis", "PIKE"]])
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "diving48"


def test_finegym_elements_events_and_whole_videos(made: MadeSet) -> None:
    elements = [f"vid{number}_E_000010_000020_A_0001_0002" for number in range(3)]
    made.clip(f"subactions/{elements[0]}.mp4", "(VT) round-off", "train")
    made.clip("events/vid1_E_000010_000020.mp4", "(FX) turn", "train", start=1.5, end=2.5)
    made.clip("videos/vid2.mp4", "(FX) turn", "val", start=11.5, end=12.5)
    event = {"timestamps": [[10.0, 20.0]], "segments": {"A_0001_0002": {"timestamps": [[1.5, 2.0], [2.0, 2.5]]}}}
    made.write("finegym_annotation_info_v1.1.json", {f"vid{n}": {"E_000010_000020": event} for n in range(3)})
    made.write("gym99_train_element_v1.1.txt", f"{elements[0]} 0\n{elements[1]} 7\n")
    made.write("gym99_val_element.txt", f"{elements[2]} 7\n")
    made.write(
        "gym99_categories.txt",
        "Clabel: 0; set: 1; Glabel: 1; (VT) round-off\nClabel: 7; set: 21; Glabel: 19; (FX) turn\n",
    )
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "finegym"


def test_mmaction2_lists_relative_to_a_folder_a_split(made: MadeSet) -> None:
    for split in ("train", "val"):
        for label in CLASSES:  # the same names in both: the list's split tells which
            made.clip(f"videos_{split}/{label}/a b.mp4", label, split)
        lines = [f"{label}/a b.mp4 {number}\n" for number, label in enumerate(CLASSES)]
        made.write(f"kinetics400_{split}_list_videos.txt", "".join(lines))
    made.write("label_map.txt", "jump\nrun\n")
    found = made.read()
    made.matches(found)
    assert (dialect_of(found), codes(found)) == ("mmaction2", {})


def test_mmaction2_lists_of_frames_are_read_where_there_are_none_of_videos(made: MadeSet) -> None:
    for label in CLASSES:
        made.clip(f"videos/{label}/a.mp4", label, "train")
        made.clip(f"videos/{label}/b.mp4", label, "val")
    for split, name in (("train", "a"), ("val", "b")):
        lines = [f"{label}/{name} 120 {number}\n" for number, label in enumerate(CLASSES)]
        made.write(f"hmdb51_{split}_split_1_rawframes.txt", "".join(lines))
    made.write("label_map.txt", "jump\nrun\n")
    found = made.read()
    made.matches(found)
    assert (dialect_of(found), codes(found)) == ("mmaction2", {})


def test_lists_without_names_of_classes_say_so(made: MadeSet) -> None:
    made.clip("a.mp4", "0")
    made.clip("b.mp4", "1")
    made.write("train_list.txt", "a.mp4 0\nb.mp4 1\n")
    found = made.read()
    made.matches(found)
    assert codes(found) == {"class_numbers": 1}
    made.write("names.json", {"0": "jump", "1": "run"})
    named = made.read(class_names="names.json")
    assert ([clip.label for clip in named.clips], named.class_order) == (["jump", "run"], ("jump", "run"))


def test_several_numbers_are_several_classes_where_that_is_set(made: MadeSet) -> None:
    made.clip("a.mp4")
    made.clip("b.mp4")
    made.write("list.txt", "a.mp4 0 1\nb.mp4 1\n")
    made.write("label_map.txt", "jump\nrun\n")
    assert [clip.label for clip in made.read(multi_label=True).clips] == ["jump|run", "run"]
    assert losses(made.read())[0][0] == "bad_row"


def test_slowfast_lists_with_absolute_paths(made: MadeSet) -> None:
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for number, (split, label) in enumerate([(s, c) for s in lists for c in CLASSES]):
        made.clip(f"clips/{number}.mp4", label, split)
        lists[split].append(f"{made.folder}/clips/{number}.mp4 {CLASSES.index(label)}\n")
    for split, lines in lists.items():
        made.write(f"{split}.csv", "".join(lines))
    made.write("test.csv", "".join(lists["val"]))  # as its recipe for Kinetics has it
    made.write("class_names.json", {"jump": 0, "run": 1})
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "slowfast"
    assert ("test.csv", "it says the same as val.csv") in [(item.source, item.reason) for item in found.left_out]


def label_studio_task(video: str, *results: dict[str, object]) -> dict[str, object]:
    return {"id": 1, "data": {"video": video}, "annotations": [{"id": 5, "result": list(results)}]}


def test_label_studio_json(made: MadeSet) -> None:
    made.clip("a.mp4", "run")
    made.clip("clips/b c.mp4", "jump", start=0.0, end=1.0)
    made.clip("clips/b c.mp4", "run", start=1.0, end=2.0)
    made.clip("d.mp4")
    tasks = [
        label_studio_task("/data/upload/1/0a1b2c3d-a.mp4", {"type": "choices", "value": {"choices": ["run"]}}),
        label_studio_task(
            "/data/local-files/?d=clips/b%20c.mp4",
            {"type": "timelinelabels", "value": {"ranges": [{"start": 1, "end": 30}], "timelinelabels": ["jump"]}},
            {"type": "timelinelabels", "value": {"ranges": [{"start": 31, "end": 60}], "timelinelabels": ["run"]}},
        ),
        label_studio_task("/data/upload/1/0a1b2c3d-d.mp4"),
    ]
    made.write("export.json", tasks)
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "label_studio"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_label_studio_in_short_forms(made: MadeSet, form: str) -> None:
    made.clip("a.mp4", "run")
    made.clip("b.mp4", "jump")
    if form == "json":
        common = {"annotator": 1, "annotation_id": 3, "lead_time": 2.5, "created_at": "2026-01-01"}
        rows = [{"video": f"/data/upload/1/0a1b2c3d-{name}.mp4", "id": 1, "choice": label, **common} for name, label in
                (("a", "run"), ("b", "jump"))]  # fmt: skip
        made.write("min.json", rows)
    else:
        made.write(
            "export.csv",
            "annotation_id,annotator,choice,created_at,id,lead_time,updated_at,video\n"
            "3,1,run,2026,1,2.5,2026,/data/upload/1/0a1b2c3d-a.mp4\n"
            "4,1,jump,2026,2,2.5,2026,/data/upload/1/0a1b2c3d-b.mp4\n",
        )
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "label_studio"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_of_several_controls_of_label_studio_one_is_chosen(made: MadeSet, form: str) -> None:
    made.clip("a.mp4", "run")
    made.clip("b.mp4", "jump")
    if form == "json":
        made.write(
            "export.json",
            [
                label_studio_task(
                    f"{path}.mp4",
                    {"from_name": "gesture", "type": "choices", "value": {"choices": [label]}},
                    {"from_name": "quality", "type": "choices", "value": {"choices": ["good"]}},
                )
                for path, label in (("a", "run"), ("b", "jump"))
            ],
        )
    else:
        made.write(
            "export.csv",
            "annotation_id,gesture,id,lead_time,quality,video\n3,run,1,2.5,good,a.mp4\n4,jump,2,2.5,,b.mp4\n",
        )
    found = made.read()
    assert [doubt.code for doubt in found.doubts] == ["several_controls"]
    assert found.doubts[0].sentence == (
        f"export.{form} has labels of 2 controls, gesture, quality, and only one of them can be the class; choose with "
        "manifest.columns: {label: gesture}"
    )
    chosen = made.read(columns={"label": "gesture"})
    made.matches(chosen)
    assert chosen.doubts == []


def test_several_tables_make_one_source(made: MadeSet) -> None:
    for split in ("train", "test"):
        for label in CLASSES:
            made.clip(f"videos/{split}_{label}.mp4", label, split)
        rows = [f"videos/{split}_{label}.mp4,{label}" for label in CLASSES]
        made.write(f"{split}.csv", "\n".join(["file,class", *rows]))
    found = made.read()
    made.matches(found)
    assert sentence_of(found) == "Read as: table (test.csv, train.csv), 2 splits, 2 classes"


def test_a_note_beside_class_folders_is_no_annotation(made: MadeSet) -> None:
    made.clip("run/a.mp4", "run")
    made.clip("jump/b.mp4", "jump")
    made.write("README.txt", "run: people who run\n")
    made.write("results.csv", "file,class,score\nother/x.mp4,run,0.3\n")
    made.write("config.json", {"fps": 25})
    found = made.read()
    made.matches(found)
    assert dialect_of(found) == "folders"
