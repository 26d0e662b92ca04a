"""What a look at the source means."""

from pathlib import Path

import pytest

from video_assets.domain.clips import ListedFile
from video_assets.pipeline.manifest.new_files import LookCursor, decide, files_digest, look, settled_files
from video_assets.storage.paths import DatasetPaths

A, B, C = ListedFile("x/a.mp4", 1, 1), ListedFile("x/b.mp4", 2, 2), ListedFile("x/c.mp4", 3, 3)


@pytest.fixture
def paths(tmp_path: Path) -> DatasetPaths:
    return DatasetPaths(tmp_path, "clips")


def test_the_first_look_only_remembers(paths: DatasetPaths) -> None:
    decision = look(paths, [A, B], LookCursor())
    assert decision.kind == "wait"
    assert decision.reason == "first look at 2 videos; the next one tells which stood still"


def test_files_that_stood_still_between_two_looks_are_asked_for_once(paths: DatasetPaths) -> None:
    first = look(paths, [A, B], LookCursor())
    second = look(paths, [A, B], first.cursor)
    assert second.kind == "build"
    assert second.cursor.number == 1
    assert settled_files(paths) == {A, B}
    third = look(paths, [A, B], second.cursor)
    assert (third.kind, third.reason) == ("wait", "nothing new among 2 videos")


def test_a_file_that_is_still_written_waits_and_holds_back_no_other(paths: DatasetPaths) -> None:
    growing = [ListedFile("x/c.mp4", size, size) for size in (10, 20, 30)]
    cursor = look(paths, [A, growing[0]], LookCursor()).cursor
    decision = look(paths, [A, growing[1]], cursor)
    assert decision.kind == "build"
    assert settled_files(paths) == {A}
    waiting = look(paths, [A, growing[2]], decision.cursor)
    assert waiting.reason == "nothing new among 1 video; 1 video is new or still being written"
    ready = look(paths, [A, growing[2]], waiting.cursor)
    assert ready.kind == "build"
    assert settled_files(paths) == {A, growing[2]}


def test_a_deletion_is_asked_for(paths: DatasetPaths) -> None:
    cursor = look(paths, [A, B], look(paths, [A, B], LookCursor()).cursor).cursor
    assert look(paths, [A], cursor).kind == "build"


def test_videos_that_go_and_come_back_are_asked_for_each_time(paths: DatasetPaths) -> None:
    cursor = LookCursor()
    numbers: list[int] = []
    for files in ([A, B], [A, B], [A], [A, B], [A, B]):
        decision = look(paths, files, cursor)
        cursor = decision.cursor
        numbers.append(cursor.number)
    assert numbers == [0, 1, 2, 2, 3]  # a run key with the number in it never repeats


def test_an_empty_listing_is_no_deletion(paths: DatasetPaths) -> None:
    cursor = look(paths, [A], look(paths, [A], LookCursor()).cursor).cursor
    decision = look(paths, [], cursor)
    assert decision.kind == "wait"
    assert decision.reason == "the source lists no videos; that is not taken for a deletion of all of them"
    assert settled_files(paths) == {A}


def test_decisions_need_digests_and_counts_only() -> None:
    asked = LookCursor(seen="s", requested="r", number=4)
    decision = decide(asked, listing="l", settled="other", num_listed=5, num_settled=3)
    assert decision.kind == "build"
    assert decision.cursor == LookCursor("l", "other", 5)


def test_a_cursor_comes_back_from_its_text_and_never_breaks_on_another_versions() -> None:
    cursor = LookCursor("a", "b", 3)
    assert LookCursor.from_json(cursor.to_json()) == cursor
    assert LookCursor.from_json(None) == LookCursor()
    assert LookCursor.from_json("not json") == LookCursor()
    assert LookCursor.from_json('{"unknown": 1}') == LookCursor()


def test_the_cursor_stays_small_however_many_videos_there_are(paths: DatasetPaths) -> None:
    files = [ListedFile(f"x/{number:05d}.mp4", number, number) for number in range(5000)]
    cursor = look(paths, files, look(paths, files, LookCursor()).cursor).cursor
    assert len(cursor.to_json()) < 250


def test_the_digest_names_path_size_and_time() -> None:
    digests = {
        files_digest([A, B]),
        files_digest([A]),
        files_digest([A, C]),
        files_digest([ListedFile("x/a.mp4", 2, 1)]),
        files_digest([ListedFile("x/a.mp4", 1, 2)]),
    }
    assert len(digests) == 5
