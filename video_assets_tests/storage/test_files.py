"""Files that are whole or not there, whatever happens to the process that writes them."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from video_assets.storage.failures import failure_sentence
from video_assets.storage.files import (
    AtomicFile,
    file_sha256,
    json_text,
    read_lines,
    remove_temporaries,
    this_host,
    write_bytes,
    write_if_changed,
    write_text,
)

WRITER = """
import os, signal, sys
from pathlib import Path
from video_assets.storage.files import AtomicFile
with AtomicFile(Path(sys.argv[1])) as file:
    file.write(b"half of ")
    file.flush()
    {end}
    file.write(b"a file")
"""


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def kill_while_writing(path: Path, end: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", WRITER.format(end=end), path], check=False, capture_output=True)


@pytest.fixture
def living_writer(tmp_path: Path) -> Iterator[str]:
    """Another process in the middle of writing a file; gives its temporary's name."""
    end = "print(file.temporary.name, flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", WRITER.format(end=end), tmp_path / "other.bin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate()
    assert process.returncode == 0


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    with AtomicFile(path) as file:
        file.write(b"one ")
        file.flush()
        assert not path.exists()
        assert file.temporary.read_bytes() == b"one "
        file.write(b"two")
        assert (file.num_bytes, file.sha256) == (7, hashlib.sha256(b"one two").hexdigest())
    assert path.read_bytes() == b"one two"
    assert names(path.parent) == ["b.bin"]
    assert file_sha256(path) == file.sha256


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    with AtomicFile(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_inside_the_block_leaves_nothing(tmp_path: Path, kind: type[BaseException]) -> None:
    def write_half() -> None:
        with AtomicFile(tmp_path / "a.bin") as file:
            file.write(b"half of")
            raise kind

    write_bytes(tmp_path / "a.bin", b"old")
    with pytest.raises(kind):
        write_half()
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("end", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)]
)
def test_a_killed_process_leaves_only_temporaries_which_are_removed(tmp_path: Path, end: str, code: int) -> None:
    write_bytes(tmp_path / "a.bin", b"old")
    assert kill_while_writing(tmp_path / "a.bin", end).returncode == code
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    (left,) = [path for path in tmp_path.iterdir() if path.name != "a.bin"]
    assert left.name.startswith("a.bin.tmp-")
    assert left.read_bytes() == b"half of "
    assert remove_temporaries(tmp_path) == [left]
    assert names(tmp_path) == ["a.bin"]


def test_temporaries_of_living_processes_are_left_alone(tmp_path: Path, living_writer: str) -> None:
    with AtomicFile(tmp_path / "mine.bin") as mine:
        kill_while_writing(tmp_path / "dead.bin", "os._exit(1)")
        (removed,) = remove_temporaries(tmp_path)
        assert removed.name.startswith("dead.bin.tmp-")
        assert names(tmp_path) == sorted([mine.temporary.name, living_writer])


def test_a_temporary_of_another_machine_is_left_alone_until_it_stood_still_for_a_day(tmp_path: Path) -> None:
    # No process of this machine has that number; on the other one it may be at work.
    foreign = tmp_path / f"shard.tmp-{'0' * 8}-{2**30}-abcd"
    own = tmp_path / f"shard.tmp-{this_host()}-{2**30}-abcd"
    for path in (foreign, own):
        path.write_bytes(b"half")
    assert remove_temporaries(tmp_path) == [own]
    for hours, removed in ((23, []), (25, [foreign])):
        moment = time.time() - hours * 3600
        os.utime(foreign, (moment, moment))
        assert remove_temporaries(tmp_path) == removed


def test_a_process_of_another_container_counts_as_one_of_another_machine(tmp_path: Path) -> None:
    print_host = "from video_assets.storage.files import this_host; print(this_host())"
    alone = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs unshare (Debian: util-linux) and the right to make namespaces")
    command = [sys.executable, "-c", print_host]
    outside = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    # The process that unshare forks is the first one of its namespace; /proc still tells of it.
    inside = subprocess.run([*alone, *command], capture_output=True, text=True, check=True).stdout.strip()
    assert outside == this_host()
    assert len(inside) == 8
    assert inside != outside


def test_temporaries_are_looked_for_where_files_are_written(tmp_path: Path) -> None:
    for place in ("shards", "splits", "elsewhere", "."):
        kill_while_writing(tmp_path / place / "a.bin", "os._exit(1)")
    removed = remove_temporaries(tmp_path)
    assert sorted(path.parent.name for path in removed) == sorted([tmp_path.name, "shards", "splits"])
    assert len(names(tmp_path / "elsewhere")) == 1


@pytest.mark.parametrize(
    "name",
    ["a.tmp-", "a.tmp-x-1-1", "a.tmp", "tmp-1-1-1", f"a.tmp-{this_host()}-{'9' * 20}-1", f"a.tmp-{this_host()}-²-1"],
)
def test_what_is_not_named_as_a_temporary_of_ours_is_not_deleted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert remove_temporaries(tmp_path) == []
    assert names(tmp_path) == [name]


def test_a_place_that_is_not_there_has_no_temporaries(tmp_path: Path) -> None:
    assert remove_temporaries(tmp_path / "nowhere") == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with AtomicFile(path) as one, AtomicFile(path) as other:
        one.write(b"one")
        other.write(b"other")
        assert one.temporary != other.temporary
    assert path.read_bytes() == b"one"  # the inner block ended first
    assert names(tmp_path) == ["a.bin"]


def test_an_unchanged_file_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert write_if_changed(path, b"{}")
    before = path.stat()
    assert not write_if_changed(path, b"{}")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert write_if_changed(path, b"[]")
    assert path.read_bytes() == b"[]"


def test_json_is_the_same_for_the_same_values() -> None:
    text = json_text({"b": "ü", "a": [1, None]})
    assert text == json_text({"a": [1, None], "b": "ü"}) == '{\n "a": [\n  1,\n  null\n ],\n "b": "ü"\n}\n'
    assert json.loads(text) == {"a": [1, None], "b": "ü"}


def test_only_newlines_separate_lines(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    assert read_lines(path) == []
    write_text(path, "a\u2028b\x0cc\nzwei wörter\n\n")
    assert read_lines(path) == ["a\u2028b\x0cc", "zwei wörter"]


@pytest.mark.parametrize("notices_inside", [True, False])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, *, notices_inside: bool) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")

    def write_to_full_disk() -> None:
        with AtomicFile(tmp_path / "a.bin") as file:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, file._file.fileno())
            os.close(full)
            file.write(b"x" * 100)
            if notices_inside:
                file.flush()

    with pytest.raises(OSError, match="No space left"):
        write_to_full_disk()
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("num_free", "remedy"),
    [(0, "delete files there: its file system holds all 64 files (inodes) that it may;"), (9, "make room there")],
)
def test_a_full_table_of_files_is_told_from_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_free: int, remedy: str
) -> None:
    told = os.statvfs_result((4096, 4096, 10**7, 10**6, 10**6, 64, num_free, num_free, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: told)
    full = OSError(errno.ENOSPC, "No space left on device")
    assert remedy in failure_sentence(full, tmp_path / "a")
