"""What a folder of videos lists, and what is left out by name and reason."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.sources.file_names import VIDEO_SUFFIXES
from video_assets.sources.listing import Listing, list_videos, printable


def put(source: Path, *names: str) -> Path:
    for name in names:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    return source


def paths(listing: Listing) -> list[str]:
    return [file.path for file in listing.files]


def left_out(listing: Listing) -> dict[str, str]:
    return {item.source: item.reason for item in listing.left_out}


def test_videos_are_listed_at_any_depth_in_the_order_of_their_paths(tmp_path: Path) -> None:
    put(tmp_path, "run/b.mp4", "run/a.avi", "jump/deep/er/c.mkv", "d.webm", "run-2/a.mp4")
    listing = list_videos(tmp_path)
    assert paths(listing) == ["d.webm", "jump/deep/er/c.mkv", "run-2/a.mp4", "run/a.avi", "run/b.mp4"]
    assert (listing.left_out, listing.lost) == ([], [])


def test_a_listed_file_has_its_size_and_time(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4")
    os.utime(tmp_path / "run/a.mp4", ns=(1, 1_600_000_000_123_456_789))
    (file,) = list_videos(tmp_path).files
    assert (file.size_bytes, file.mtime_ns) == (len("run/a.mp4"), 1_600_000_000_123_456_789)


@pytest.mark.parametrize("name", ["a.MP4", "a.Mov", "a.b.mp4", "a.gif", "a.ts", "-rf.mp4"])
def test_names_that_are_taken_for_videos(tmp_path: Path, name: str) -> None:
    assert paths(list_videos(put(tmp_path, name))) == [name]


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "mp4", "a.mp4.part", "a", "a.m3u8", "a.mp4~", "Thumbs.db"])
def test_what_is_not_a_video_by_its_name_is_left_out(tmp_path: Path, name: str) -> None:
    listing = list_videos(put(tmp_path, name))
    assert (paths(listing), left_out(listing)) == ([], {name: "not a video by its name"})


def test_no_playlist_is_taken_for_a_video() -> None:
    assert not VIDEO_SUFFIXES & {".m3u", ".m3u8", ".mpd", ".ffconcat", ".concat", ".sdp", ".txt"}


def test_hidden_files_and_folders_are_left_out_and_named(tmp_path: Path) -> None:
    put(tmp_path, "run/.a.mp4", "run/._b.mp4", ".cache/c.mp4", "run/d.mp4")
    listing = list_videos(tmp_path)
    assert paths(listing) == ["run/d.mp4"]
    assert left_out(listing) == {".cache": "hidden", "run/._b.mp4": "hidden", "run/.a.mp4": "hidden"}


@pytest.mark.parametrize(
    "name",
    [
        "two words.mp4",
        "it's.mp4",
        'a "b".mp4',
        "a\nb.mp4",
        "-v.mp4",
        "🏃.mp4",
        "[glob]*?.mp4",
        "a\\b.mp4",
        "%s{x}.mp4",
        "e\u0301.mp4",
    ],
)
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    listing = list_videos(put(tmp_path, f"run {name}/{name}"))
    assert paths(listing) == [f"run {name}/{name}"]
    assert (tmp_path / paths(listing)[0]).read_bytes()


def test_a_name_that_is_not_utf8_is_lost_by_name(tmp_path: Path) -> None:
    listing = list_videos(put(tmp_path, "run/a\udcff.mp4", "run/b.mp4"))
    assert paths(listing) == ["run/b.mp4"]
    (lost,) = listing.lost
    assert (lost.source, lost.loss.reason) == ("run/a\\xff.mp4", "bad_name")
    assert lost.loss.detail == "the file's name is not valid UTF-8; rename it to use it"


def test_videos_in_a_folder_that_is_not_utf8_are_lost_by_name(tmp_path: Path) -> None:
    listing = list_videos(put(tmp_path, "r\udcffn/b.mp4"))
    assert (paths(listing), [lost.source for lost in listing.lost]) == ([], ["r\\xffn/b.mp4"])


@given(st.binary(max_size=20))
def test_every_name_can_be_printed(name: bytes) -> None:
    shown = printable(name.decode("utf-8", "surrogateescape"))
    shown.encode("utf-8")
    try:
        assert shown == name.decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in shown


# --- links ----------------------------------------------------------------------------------------


def test_links_within_the_source_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4")
    (tmp_path / "run/b.mp4").symlink_to("a.mp4")
    (tmp_path / "also").symlink_to("run")
    assert paths(list_videos(tmp_path)) == ["also/a.mp4", "also/b.mp4", "run/a.mp4", "run/b.mp4"]


def test_links_out_of_the_source_are_left_out(tmp_path: Path) -> None:
    source, outside = put(tmp_path / "source", "run/a.mp4"), put(tmp_path / "source2", "secret.mp4")
    (source / "run/file.mp4").symlink_to(outside / "secret.mp4")
    (source / "run/nothing.mp4").symlink_to(outside / "nothing.mp4")
    (source / "folder").symlink_to(outside)
    listing = list_videos(source)
    assert paths(listing) == ["run/a.mp4"]
    reason = "a symbolic link out of the source"
    assert left_out(listing) == {"run/file.mp4": reason, "run/nothing.mp4": reason, "folder": reason}


def test_links_to_nothing_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4")
    (tmp_path / "run/gone.mp4").symlink_to("nowhere.mp4")
    listing = list_videos(tmp_path)
    assert paths(listing) == ["run/a.mp4"]
    assert left_out(listing) == {"run/gone.mp4": "a link to nothing: No such file or directory"}


def test_links_in_circles_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4", "jump/b.mp4")
    (tmp_path / "run/up").symlink_to("..")
    (tmp_path / "run/self").symlink_to(".")
    (tmp_path / "run/jump").symlink_to("../jump")
    (tmp_path / "jump/run").symlink_to("../run")
    listing = list_videos(tmp_path)
    assert paths(listing) == ["jump/b.mp4", "jump/run/a.mp4", "run/a.mp4", "run/jump/b.mp4"]
    assert set(left_out(listing).values()) == {"a symbolic link to a folder that holds it"}
    assert {"run/up", "run/self", "run/jump/run", "jump/run/jump"} <= set(left_out(listing))


@pytest.mark.parametrize(("one", "other"), [("a.mp4", "a.mp4"), ("a.mp4", "b.mp4"), ("folder", "folder2")])
def test_links_that_point_at_themselves_are_left_out(tmp_path: Path, one: str, other: str) -> None:
    put(tmp_path, "run/good.mp4")
    (tmp_path / "run" / one).symlink_to(other)
    if one != other:
        (tmp_path / "run" / other).symlink_to(one)
    listing = list_videos(tmp_path)
    assert paths(listing) == ["run/good.mp4"]
    reason = "a link to nothing: Too many levels of symbolic links"
    assert left_out(listing) == {f"run/{one}": reason, f"run/{other}": reason}


def test_a_source_that_is_itself_a_link_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "real", "run/a.mp4")
    (tmp_path / "link").symlink_to("real")
    assert paths(list_videos(tmp_path / "link")) == ["run/a.mp4"]


# --- what is no plain file, and what cannot be read -----------------------------------------------


def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4")
    os.mkfifo(tmp_path / "run/pipe.mp4")
    (tmp_path / "run/folder.mp4").mkdir()
    listing = list_videos(tmp_path)
    assert paths(listing) == ["run/a.mp4"]
    assert left_out(listing) == {"run/pipe.mp4": "not a file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    put(tmp_path, "run/a.mp4", "jump/b.mp4")
    (tmp_path / "jump").chmod(0)
    try:
        listing = list_videos(tmp_path)
    finally:
        (tmp_path / "jump").chmod(0o700)
    assert paths(listing) == ["run/a.mp4"]
    assert left_out(listing) == {"jump/": "the folder cannot be listed: Permission denied"}


@pytest.mark.parametrize("folder", ["", "jump"])
def test_too_many_open_files_say_nothing_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    put(tmp_path, "run/a.mp4", "jump/b.mp4")
    scandir = os.scandir

    def starved(path: str) -> object:
        if path == str(tmp_path / folder):
            raise OSError(errno.EMFILE, "Too many open files", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", starved)
    with pytest.raises(StorageFailed, match=r"cannot be listed: Too many open files; this process may open \d+ files"):
        list_videos(tmp_path)


def test_a_folder_that_vanishes_while_listing_is_left_out_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "run/a.mp4", "jump/b.mp4")
    scandir = os.scandir

    def without_jump(path: str) -> object:
        if path.endswith("jump"):
            raise FileNotFoundError(2, "No such file or directory")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", without_jump)
    listing = list_videos(tmp_path)
    assert paths(listing) == ["run/a.mp4"]
    assert left_out(listing) == {"jump/": "the folder cannot be listed: No such file or directory"}


def test_a_source_that_cannot_be_listed_is_an_error_and_not_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SettingsError, match=rf"^the source {tmp_path} cannot be listed: Permission denied$"):
        list_videos(tmp_path)


def test_an_empty_source_lists_nothing(tmp_path: Path) -> None:
    assert list_videos(tmp_path) == Listing()


@pytest.mark.parametrize(("name", "what"), [("nowhere", "there; mount its disk, or"), ("a.mp4", "a folder;")])
def test_a_source_that_is_no_folder_is_an_error(tmp_path: Path, name: str, what: str) -> None:
    put(tmp_path, "a.mp4")
    message = f"the source {tmp_path / name} is not {what} name a folder of videos or an annotation table"
    with pytest.raises(SettingsError, match=f"^{message}$"):
        list_videos(tmp_path / name)


# --- include --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ((), ["jump/b.mp4", "run/a.avi", "run/a.mp4"]),
        (("*.mp4",), ["jump/b.mp4", "run/a.mp4"]),
        (("run/*",), ["run/a.avi", "run/a.mp4"]),
        (("jump/*", "*.avi"), ["jump/b.mp4", "run/a.avi"]),
        (("*.MP4",), []),
    ],
)
def test_only_what_matches_a_pattern_is_included(tmp_path: Path, include: tuple[str, ...], expected: list[str]) -> None:
    listing = list_videos(put(tmp_path, "run/a.mp4", "run/a.avi", "jump/b.mp4"), include)
    assert paths(listing) == expected
    assert set(left_out(listing).values()) <= {"matches none of manifest.include"}
    assert len(listing.left_out) == 3 - len(expected)
