"""What a source asks for: classes from folders, or from a table."""

from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.sources.read import read_source
from video_assets.sources.source_clips import SourceClips
from video_assets.sources.tree import is_table, source_directory
from video_assets_tests.sources.test_listing import put


def clips(found: SourceClips) -> dict[str, str]:
    """Labels by clip."""
    return {clip.clip_id: clip.label for clip in found.clips}


def test_the_first_level_of_folders_names_the_classes(tmp_path: Path) -> None:
    found = read_source(put(tmp_path, "run/a.mp4", "run/deep/run2/b.mp4", "jump/c.mp4"))
    assert clips(found) == {"jump/c.mp4": "jump", "run/a.mp4": "run", "run/deep/run2/b.mp4": "run"}
    assert (found.directory, found.lost, found.left_out) == (tmp_path, [], [])


@pytest.mark.parametrize("names", [("run",), ("some", "where", "run")])
def test_a_source_that_is_itself_a_class_folder_is_one_class(tmp_path: Path, names: tuple[str, ...]) -> None:
    source = put(tmp_path.joinpath(*names), "a.mp4", "b.mp4", "notes.txt")
    assert clips(read_source(source)) == {"a.mp4": "run", "b.mp4": "run"}


def test_a_class_folder_is_named_as_it_really_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(put(tmp_path / "run", "a.mp4"))
    assert clips(read_source(Path())) == {"a.mp4": "run"}
    (tmp_path / "link").symlink_to("run")
    assert clips(read_source(tmp_path / "link")) == {"a.mp4": "run"}


def test_a_video_beside_class_folders_is_lost_by_name(tmp_path: Path) -> None:
    found = read_source(put(tmp_path, "run/a.mp4", "stray.mp4"))
    assert clips(found) == {"run/a.mp4": "run"}
    (lost,) = found.lost
    assert (lost.source, lost.loss.reason) == ("stray.mp4", "no_label")
    assert lost.loss.detail == "the video lies beside the class folders; move it into one of them"


def test_a_folder_without_videos_is_no_class(tmp_path: Path) -> None:
    found = read_source(put(tmp_path, "a.mp4", "docs/readme.txt"))
    assert clips(found) == {"a.mp4": tmp_path.name}


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        (" run ", "run"),
        ("a\nb", "a\\nb"),
        ("-rf", "-rf"),
        ("[x]*", "[x]*"),
        ("<b>", "<b>"),
        ("u\u0308", "ü"),
        ("007", "007"),
    ],
)
def test_odd_class_folders_give_clean_labels(tmp_path: Path, folder: str, label: str) -> None:
    found = read_source(put(tmp_path, f"{folder}/a.mp4"))
    assert clips(found) == {f"{folder}/a.mp4": label}


def test_a_blank_class_folder_is_lost_by_name(tmp_path: Path) -> None:
    found = read_source(put(tmp_path, " /a.mp4", "run/b.mp4"))
    assert clips(found) == {"run/b.mp4": "run"}
    assert [(lost.source, lost.loss.reason) for lost in found.lost] == [(" /a.mp4", "no_label")]
    assert found.lost[0].loss.detail == "the class folder's name is blank; rename it"


def test_ucf101_names_give_groups(tmp_path: Path) -> None:
    source = put(tmp_path, "Biking/v_Biking_g01_c01.avi", "Biking/v_Biking_g02_c01.avi", "Biking/other.avi")
    found = read_source(source)
    assert [clip.group for clip in found.clips] == [None, "Biking_01", "Biking_02"]


def test_an_empty_source_asks_for_nothing(tmp_path: Path) -> None:
    found = read_source(tmp_path)
    assert (found.directory, found.clips, found.lost, found.left_out) == (tmp_path, [], [], [])
    assert found.reading is not None
    assert found.reading.sentence == "Read as: a folder per class, 0 classes"


def test_a_table_asks_for_its_rows_in_the_order_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "b.mp4", "a.mp4")
    (tmp_path / "clips.CSV").write_text("path,label,start\nb.mp4,x,\na.mp4,y,2\na.mp4,y,1\nnone.mp4,y,\n")
    found = read_source(tmp_path / "clips.CSV")
    assert [clip.clip_id for clip in found.clips] == ["a.mp4#t=1", "a.mp4#t=2", "b.mp4"]
    assert [lost.source for lost in found.lost] == ["none.mp4"]
    assert found.directory == tmp_path


def test_a_file_that_is_no_table_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "clips.xlsx")
    message = rf"^the source {tmp_path}/clips\.xlsx is a file, but none of \.csv, \.tsv, \.txt, "
    with pytest.raises(SettingsError, match=message):
        read_source(tmp_path / "clips.xlsx")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "the source {} is not there; mount its disk, or name a folder of videos or an annotation table"),
        ("none.csv", "the annotation table {} is not there"),
    ],
)
def test_a_source_that_is_not_there_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_source(tmp_path / name)
    assert str(error.value) == message.format(tmp_path / name)


def test_a_folder_named_like_a_table_is_a_folder(tmp_path: Path) -> None:
    source = put(tmp_path / "clips.csv", "run/a.mp4")
    assert not is_table(source)
    assert source_directory(source) == source
    assert clips(read_source(source)) == {"run/a.mp4": "run"}


def test_the_files_of_a_table_lie_beside_it(tmp_path: Path) -> None:
    assert is_table(tmp_path / "clips.parquet")
    assert source_directory(tmp_path / "clips.parquet") == tmp_path
