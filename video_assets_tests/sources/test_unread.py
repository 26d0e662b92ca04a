"""Tables of a folder that cannot be read: they are refused or named, and never passed over for folders."""

from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.settings import ManifestSettings
from video_assets.sources.doubts import refuse_misread
from video_assets.sources.found import SourceClips
from video_assets.sources.read import read_source

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
