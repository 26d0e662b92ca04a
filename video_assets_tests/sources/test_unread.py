"""Tables of a folder that cannot be read: they are refused or named, and never passed over for folders."""

import zipfile
from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.settings import ManifestSettings
from video_assets.sources.doubts import refuse_misread
from video_assets.sources.read import read_source
from video_assets.sources.source_clips import SourceClips

ROWS = b"A/1.mp4,dog\nA/2.mp4,cat\nB/3.mp4,dog\nB/4.mp4,cat\n"
FOLDERS = ManifestSettings(source_format="folders")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("A/1.mp4", "A/2.mp4", "B/3.mp4", "B/4.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def unread(found: SourceClips) -> list[str]:
    return [warning.source for warning in found.warnings if warning.code == "unread_table"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.csv", b"path,label\nA/1.mp4,h\xfc\nA/2.mp4,h\xfc\nB/3.mp4,h\xfc\nB/4.mp4,h\xfc\n", "not in UTF-8"),
        ("x.csv", b"file,category,tag\nA/1.mp4,dog,1\nB/3.mp4,cat,2\n", "category and tag, which could each"),
        ("x.csv", b"path,label,label\nA/1.mp4,dog,1\n", "the column label twice"),
        ("x.csv", b"A/1.mp4,dog,old\nB/3.mp4,cat,new\n", "2 columns could be the label"),
        ("x.csv", b"path,label\n/elsewhere/9.mp4,dog\n", "none of the first 100 rows"),
        ("labels.jsonl", b'{"path": "A/1.mp4", "lab', "cannot be read"),
        ("metadata.parquet", b"PAR1", "cannot be read"),
        ("annotations.json", b'{"videos": [', "is not JSON"),
    ],
    ids=["encoding", "two_labels", "twice", "no_header", "other_files", "jsonl", "parquet", "json"],
)
def test_a_table_of_clips_that_cannot_be_read_refuses_a_new_dataset(
    source: Path, name: str, content: bytes, words: str
) -> None:
    (source / name).write_bytes(content)
    found = read_source(source)
    assert unread(found) == [name]
    with pytest.raises(SettingsError, match=words) as refused:
        refuse_misread(found, ManifestSettings())
    assert "manifest.source_format: folders" in str(refused.value)
    refuse_misread(found, ManifestSettings(), known_classes=["A", "B"])  # it was accepted once
    refuse_misread(read_source(source, FOLDERS), FOLDERS)


def test_half_of_a_set_is_not_left_out_without_a_word(source: Path) -> None:
    (source / "train.csv").write_bytes(b"path,label\nA/1.mp4,dog\nA/2.mp4,cat\n")
    (source / "val.csv").write_bytes(b"path,label\nB/3.mp4,h\xfc\nB/4.mp4,h\xfc\n")
    found = read_source(source)
    assert unread(found) == ["val.csv"]
    with pytest.raises(SettingsError, match=r"val\.csv is not in UTF-8.*--source"):
        refuse_misread(found, ManifestSettings())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("durations.csv", b"video,seconds\nA/1.mp4,3\n"),
        ("titles.csv", b"id,category\n17,dog\n18,cat\n"),
        ("empty.csv", b"path,label\n"),
        ("test.csv", b"name,kind\nx,y\n"),
        ("annotations.json", b'{"images": []}'),
        ("broken.jsonl", b"{"),
    ],
)
def test_a_file_that_may_belong_to_the_set_is_named(source: Path, name: str, content: bytes) -> None:
    (source / name).write_bytes(content)
    found = read_source(source)
    refuse_misread(found, ManifestSettings())
    assert unread(found) == [name]
    assert [item.source for item in found.left_out] == [name]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.txt", b"gr\xfc\xdfe\n"),
        ("labels.txt", b"A\nB\n"),
        ("sizes.csv", b"class,count\nA,2\n"),
        ("config.json", b"{"),
        ("LICENSE.txt", b""),
    ],
)
def test_notes_beside_class_folders_are_no_tables(source: Path, name: str, content: bytes) -> None:
    (source / name).write_bytes(content)
    found = read_source(source)
    refuse_misread(found, ManifestSettings())
    assert unread(found) == []


def test_beside_a_set_of_a_known_form_no_other_table_is_looked_at(source: Path) -> None:
    (source / "trainlist01.txt").write_text("A/1.mp4 1\nB/3.mp4 2\n")
    (source / "testlist01.txt").write_text("A/2.mp4\nB/4.mp4\n")
    (source / "classInd.txt").write_text("1 A\n2 B\n")
    (source / "labels.csv").write_text("path,label\n/elsewhere/1.mp4,dog\n")
    found = read_source(source)
    assert found.reading is not None
    assert (found.reading.dialect, unread(found)) == ("ucf101", [])


VIA = """# Exported using VGG Image Annotator
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_a","[""cam_1.mp4""]",0,"[0.5,1.5]","[]","{""1"":""run""}"
"""
NAMING = [
    ("task.xml", "<annotations><source>cam_1.mp4</source><track label='run'/></annotations>"),
    ("project.json", '{"assets": {"x": {"asset": {"name": "cam_1.mp4#t=1.5"}, "regions": [{"tags": ["run"]}]}}}'),
    ("mine.json", '[{"video": "A/cam_1.mp4", "label": "run"}]'),
    ("labels.json", '{"A/cam_1.mp4": "run", "B/cam_2.mp4": "jump"}'),
    ("export.csv", VIA),
    ("regions.csv", 'filename,region_attributes\ncam_1.mp4,"{}"\n'),
    ("boxes.csv", "image,xmin,label\ncam_1.mp4#t=1.5,0.1,run\n"),
    ("one_hot.csv", "filename, run, jump\nA/cam_1.mp4,1,0\n"),
    ("liste.csv", "Datei;Klasse\nA/cam_1.mp4;gehen\nB/cam_2.mp4;rennen\n"),
    ("clips.csv", "classname,youtube_id,start,label\nrun,cam_1,0.5,-1\n"),
    ("ClipSets/run.txt", "cam_1  1\ncam_2  -1\n"),
    ("spans.txt", "cam_1.mp4  run  5  20  -1  -1\ncam_2.mp4  run  5  20  -1  -1\n"),
    ("Anomaly_Train.txt", "A/cam_1.mp4\nB/cam_2.mp4\n"),
    ("EPIC_100_train.pkl", "pickled"),
    ("B/cam_2.mp4.json", '{"tags": []}'),
]


@pytest.fixture
def cameras(tmp_path: Path) -> Path:
    for name in ("A/cam_1.mp4", "B/cam_2.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "A/cam_1.mp4.json").touch()  # of one video alone: a note
    return tmp_path


@pytest.mark.parametrize(("name", "content"), NAMING, ids=[name for name, _ in NAMING])
def test_what_labelling_programs_write_refuses_a_new_dataset(cameras: Path, name: str, content: str) -> None:
    (cameras / name).parent.mkdir(exist_ok=True)
    (cameras / name).write_text(content)
    found = read_source(cameras)
    assert unread(found)
    with pytest.raises(SettingsError, match=r"manifest\.source_format: folders") as refused:
        refuse_misread(found, ManifestSettings())
    assert name in str(refused.value) or "called as videos are" in str(refused.value)
    refuse_misread(found, ManifestSettings(), known_classes=["A", "B"])
    refuse_misread(read_source(cameras, FOLDERS), FOLDERS)


def test_a_spreadsheet_that_names_videos_refuses_a_new_dataset(cameras: Path) -> None:
    with zipfile.ZipFile(cameras / "mine.xlsx", "w") as file:
        file.writestr("xl/sharedStrings.xml", "<sst><si><t>A/cam_1.mp4</t></si><si><t>run</t></si></sst>")
    with pytest.raises(SettingsError, match=r"mine\.xlsx names videos of the source, such as cam_1\.mp4.*as CSV"):
        refuse_misread(read_source(cameras), ManifestSettings())
    (cameras / "labels.csv").write_text("path,label\nA/cam_1.mp4,run\nB/cam_2.mp4,jump\n")
    found = read_source(cameras)
    assert unread(found) == ["mine.xlsx"]  # the same rows are in a table that is read
    refuse_misread(found, ManifestSettings())


def test_a_damaged_spreadsheet_is_named_like_any_other(cameras: Path) -> None:
    sheet = cameras / "labels.xlsx"
    with zipfile.ZipFile(sheet, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/sharedStrings.xml", "<si><t>A/cam_1.mp4</t></si>" * 100)
    data = bytearray(sheet.read_bytes())
    data[50:60] = b"\xff" * 10  # at the beginning of the compressed text
    sheet.write_bytes(data)
    assert unread(read_source(cameras)) == ["labels.xlsx"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("checksums.txt", "d41d8cd98f00b204e9800998ecf8427e  A/cam_1.mp4\n"),
        ("files.csv", "d41d8cd98f00b204e9800998ecf8427e,A/cam_1.mp4\n"),
        ("README.txt", "cam_1.mp4 is upside down\n"),
        ("all.txt", "A/cam_1.mp4\nB/cam_2.mp4\n"),
        ("info.csv", "index,name,fps,width\n1,A/cam_1.mp4,25,64\n"),
        ("info.json", '{"cam_1.mp4": {"duration": 3.0, "fps": 25}}'),
        ("config.xml", "<config/>"),
        ("model.h5", "weights"),
        ("A/cam_1.txt", "a note beside one video"),
    ],
)
def test_facts_of_files_are_no_labels(cameras: Path, name: str, content: str) -> None:
    (cameras / name).write_text(content)
    found = read_source(cameras)
    assert unread(found) == []
    refuse_misread(found, ManifestSettings())


def test_texts_beside_all_videos_are_named(cameras: Path) -> None:
    for name in ("A/cam_1.txt", "B/cam_2.txt"):
        (cameras / name).write_text("run")
    found = read_source(cameras)
    assert [(warning.code, warning.count) for warning in found.warnings] == [("unread_table", 2)]
    assert found.warnings[0].detail.endswith("and not read; labels in them do not count")
    refuse_misread(found, ManifestSettings())


def test_lists_of_videos_for_each_class_refuse_a_new_dataset(cameras: Path) -> None:
    (cameras / "run.txt").write_text("A/cam_1.mp4\n")
    refuse_misread(read_source(cameras), ManifestSettings())  # one list alone may be of anything
    (cameras / "jump.csv").write_text("path\nB/cam_2.mp4\n")
    found = read_source(cameras)
    assert unread(found) == ["jump.csv", "run.txt"]
    with pytest.raises(SettingsError, match=r"jump\.csv names videos of the source, such as B/cam_2\.mp4: "):
        refuse_misread(found, ManifestSettings())
    settings = ManifestSettings(exclude="run.txt")
    refuse_misread(read_source(cameras, settings), settings)


def test_what_a_download_program_notes_is_nothing(cameras: Path) -> None:
    for name in ("A/cam_1.info.json", "B/cam_2.info.json"):
        (cameras / name).write_text('{"_filename": "cam_1.mp4", "title": "run"}')
    found = read_source(cameras)
    assert unread(found) == []
    refuse_misread(found, ManifestSettings())


def test_made_up_labels_of_a_submission_are_not_read(cameras: Path) -> None:
    (cameras / "train.csv").write_text("id,label\ncam_1,run\n")
    (cameras / "sample_submission.csv").write_text("id,label\ncam_2,run\n")
    found = read_source(cameras)
    assert [clip.clip_id for clip in found.clips] == ["A/cam_1.mp4"]
    assert unread(found) == ["sample_submission.csv"]
