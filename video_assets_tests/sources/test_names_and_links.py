"""Paths as people write them, links, and which names are those of videos."""

import unicodedata
from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.sources.file_names import VIDEO_SUFFIXES
from video_assets_tests.sources.sets import MadeSet, codes, losses

CAFE_NFC, CAFE_NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("videos\\run\\a.mp4", "videos/run/a.mp4"),
        (".\\videos\\run\\a.mp4", "videos/run/a.mp4"),
        ("videos/run/a", "videos/run/a.mp4"),
        ("Videos/RUN/A.MP4", "videos/run/a.mp4"),
        (" videos/run/a.mp4 ", "videos/run/a.mp4"),
        ("HERE/videos/run/a.mp4", "videos/run/a.mp4"),
        (f"videos/{CAFE_NFD}.mp4", f"videos/{CAFE_NFC}.mp4"),
        (f"videos/{CAFE_NFD}", f"videos/{CAFE_NFC}.mp4"),
        ("videos/take 1.5", "videos/take 1.5.mkv"),
        ("run/a.mp4", "videos/run/a.mp4"),
        ("a", "videos/run/a.mp4"),
    ],
)
@pytest.mark.parametrize("source", ["labels.csv", ""])
def test_a_path_is_understood_however_it_is_written(made: MadeSet, written: str, path: str, source: str) -> None:
    for name in ("videos/run/a.mp4", f"videos/{CAFE_NFC}.mp4", "videos/take 1.5.mkv"):
        made.clip(name)
    made.write("labels.csv", f"path,label\n{written.replace('HERE', str(made.folder))},run\n")
    found = made.read(source, include=())
    assert [clip.file.path for clip in found.clips] == [path]
    assert found.clips[0].file.size_bytes == (made.folder / path).stat().st_size


def test_a_path_that_is_there_to_the_letter_wins(made: MadeSet) -> None:
    for name in ("a.mp4", "A.mp4", "run/a.mp4", "a"):
        made.clip(name)
    made.write("labels.csv", "path,label\na.mp4,x\nA.mp4,y\na,z\n")
    found = made.read("labels.csv")
    assert {clip.label: clip.file.path for clip in found.clips} == {"x": "a.mp4", "y": "A.mp4", "z": "a"}


def test_a_gone_file_is_not_taken_from_another_folder(made: MadeSet) -> None:
    made.clip("old/b.mp4")
    made.clip("a.mp4")
    made.write("labels.csv", "path,label\na.mp4,x\nb.mp4,y\n")
    found = made.read("labels.csv")
    assert [clip.file.path for clip in found.clips] == ["a.mp4"]
    assert losses(found) == [("not_found", "row 2 of labels.csv: b.mp4 cannot be found: No such file or directory")]


def test_names_on_the_web_differ_in_the_case_of_a_letter(made: MadeSet) -> None:
    made.clip("ab3.webm")
    made.write("jester-v1-train.csv", "ab3;run\nAB3;jump\n")
    found = made.read()
    assert [(clip.file.path, clip.label) for clip in found.clips] == [("ab3.webm", "run")]


def test_two_files_of_another_case_are_both_named(made: MadeSet) -> None:
    made.clip("A.mp4")
    made.clip("a.MP4")
    made.clip("b.mp4")
    made.clip("c.mp4")
    made.write("labels.csv", "path,label\na.mp4,x\nb.mp4,y\nc.mp4,y\n")
    assert losses(made.read("labels.csv")) == [
        ("ambiguous_file", "row 1 of labels.csv: a.mp4 matches 2 files: A.mp4, a.MP4; write the whole path")
    ]


def test_the_folder_of_the_videos_may_be_elsewhere(made: MadeSet, tmp_path: Path) -> None:
    elsewhere = MadeSet(tmp_path / "disk")
    elsewhere.clip("run/a.mp4")
    elsewhere.clip("b.mp4")
    made.write("labels.csv", f"path,label\nrun/a.mp4,x\n{elsewhere.folder}/b.mp4,y\n")
    for source in ("", "labels.csv"):
        found = made.read(source, videos=str(elsewhere.folder))
        assert [clip.file.path for clip in found.clips] == ["b.mp4", "run/a.mp4"]
        assert found.directory == elsewhere.folder
    with pytest.raises(SettingsError, match=r"^manifest\.videos is nowhere, but .*/set/nowhere is not a folder$"):
        made.read("labels.csv", videos="nowhere")


def linked(made: MadeSet, tmp_path: Path) -> None:
    """Every file a link out of the set, as caches of downloads have it."""
    blobs = MadeSet(tmp_path / "blobs")
    for label in ("run", "jump"):
        blobs.clip(f"{label}0")
        (made.folder / label).mkdir()
        (made.folder / label / "a.mp4").symlink_to(f"../../blobs/{label}0")


def test_links_out_of_the_source_are_refused_by_name_or_followed_and_counted(made: MadeSet, tmp_path: Path) -> None:
    linked(made, tmp_path)
    with pytest.raises(SettingsError, match=r"2 symbolic links that lead out of it.*manifest\.follow_links: true"):
        made.read()
    found = made.read(follow_links=True)
    assert [(clip.label, clip.file.size_bytes > 0) for clip in found.clips] == [("jump", True), ("run", True)]
    assert codes(found) == {"followed_links": 2}


def test_links_that_a_table_names_are_followed_or_lost(made: MadeSet, tmp_path: Path) -> None:
    linked(made, tmp_path)
    made.write("labels.csv", "path,label\nrun/a.mp4,x\njump/a.mp4,y\n")
    assert {reason for reason, _ in losses(made.read("labels.csv"))} == {"outside_source"}
    found = made.read("labels.csv", follow_links=True)
    assert len(found.clips) == 2
    assert codes(found) == {"followed_links": 2}


def test_some_refused_links_are_said(made: MadeSet, tmp_path: Path) -> None:
    linked(made, tmp_path)
    made.clip("run/b.mp4", "run")
    found = made.read()
    made.matches(found)
    assert codes(found) == {"refused_links": 2}


# --- endings ----------------------------------------------------------------------------------------------------------

NOT_VIDEOS = {
    "sound": """722 aa aa3 aac aax ac3 ac4 acm adp ads adx aea afc aix al apc ape apl aptx aptxhd ast avr bcstm bfstm
        binka bit bonk brstm c2 daud 302 dfpwm dss dtk dts dtshd eac3 ec3 fap flac fsb fwse g722 g723_1 g728 g729 genh
        gsm hca iamf ircam laf lc3 m2a m4a m4b isma mac mca mka mlp mp2 mp3 mpa mpc msbc msf mtaf nist nsp ogg oma omg
        osq paf pvf qoa rco rka rsd rso sb sbc sbg sdr2 sds sdx sf shn sln son sph ss2 svag svs sw tak tco thd tta ub ul
        uw vag vb vpk vqe vqf vql wa way wsd xmd xvag cdata musx""",
    "subtitles and text": """aqt idx mcc mks mpl2 pjs rt sami scc smi stl sub sup txt vt vtt webvtt adf ans art asc diz
        ice idf nfo""",
    "pictures": "heic heif j2k jxl mpo sdns",
    "played only with a size given by hand": "bitpacked cif qcif rgb v yuv yuv10 v210",
    "lists of other files, or programs": "avs ism",
    "data of all kinds": "cgi dat str xl",
}


def test_endings_are_those_of_ffmpegs_demuxers_of_videos() -> None:
    import av

    listed: set[str] = set()
    for name in av.formats_available:
        try:
            listed |= av.ContainerFormat(name, "r").extensions
        except ValueError:
            continue  # it writes only
    others = {ending for endings in NOT_VIDEOS.values() for ending in endings.split()}
    assert {ending for ending in listed if f".{ending}" not in VIDEO_SUFFIXES} - others == set()
    assert {f".{ending}" for ending in others} & VIDEO_SUFFIXES == set()


CAMERAS = "dav LRV insv 360 MOD TOD trp tp mpegts mk3d amv wtv apng avc avif"


@pytest.mark.parametrize("ending", CAMERAS.split())
def test_what_cameras_write_is_taken(made: MadeSet, ending: str) -> None:
    made.clip(f"run/a.{ending}", "run")
    made.clip(f"jump/a.{ending}", "jump")
    made.matches(made.read())
