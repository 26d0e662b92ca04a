"""One writer at a time: by the kernel's lock, so that who dies lets go; with words about who holds it."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from video_assets.domain.errors import StorageFailed
from video_assets.storage.file_locks import Holder, LockHeld
from video_assets.storage.locks import current_holder, hold_lock

HOLDER = """
import sys
from pathlib import Path
from video_assets.storage.locks import hold_lock
with hold_lock(Path(sys.argv[1]), "a build", shared=sys.argv[2] == "shared"):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "clips" / ".lock" / "build"


@contextmanager
def held_elsewhere(lock: Path, how: str = "alone") -> "Generator[subprocess.Popen[str]]":
    """Another process holds it, until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(lock), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    try:
        yield process
    finally:
        process.communicate()


def take(lock: Path, **options: bool) -> Holder | None:
    with hold_lock(lock, "mine", **options) as before:
        return before


def test_a_lock_that_another_process_holds_is_refused_by_its_name(lock: Path) -> None:
    with held_elsewhere(lock) as other, pytest.raises(LockHeld) as refused:
        take(lock)
    said = str(refused.value)
    assert said.startswith(f"mine must wait: {lock.parents[1]} is being written by process {other.pid} on ")
    assert re.search(
        r"\(a build, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)\. One writer at a time: wait for its end", said
    )
    take(lock)


def test_the_lock_of_a_killed_process_is_free_at_once_and_it_is_named(lock: Path) -> None:
    with held_elsewhere(lock) as other:
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        before = take(lock)
    assert before is not None
    assert (before.pid, before.what, before.may_live) == (other.pid, "a build", False)
    assert take(lock) is None


def test_those_who_share_do_not_hinder_each_other_but_one_who_wants_it_alone(lock: Path) -> None:
    with held_elsewhere(lock, "shared") as other:
        assert take(lock, shared=True) is None
        with pytest.raises(LockHeld, match=f"process {other.pid} "):
            take(lock)
    take(lock)
    assert lock.read_bytes() == b""


def test_one_process_does_not_get_it_twice(lock: Path) -> None:
    with hold_lock(lock, "outer"):
        with pytest.raises(LockHeld, match=f"process {os.getpid()} .*outer"):
            take(lock, shared=True)
        assert current_holder(lock) is not None
    assert current_holder(lock) is None


def test_who_waits_gets_it_when_the_other_ends(lock: Path) -> None:
    with held_elsewhere(lock) as other:
        assert other.stdin is not None
        timer = threading.Timer(0.3, other.stdin.close)
        timer.start()
        with hold_lock(lock, "mine", wait_seconds=60):
            pass
        timer.join()
        other.stdin = None


def test_looking_at_a_lock_neither_makes_nor_takes_it(lock: Path) -> None:
    assert current_holder(lock) is None
    assert not lock.exists()
    with held_elsewhere(lock, "shared"):
        assert current_holder(lock) is None


@pytest.mark.parametrize("text", [b"half a li", b'{"pid": 1}\n', b"\0\0\n", b"[]\n"])
def test_a_text_that_nobody_understands_does_not_matter(lock: Path, text: bytes) -> None:
    lock.parent.mkdir(parents=True)
    lock.write_bytes(text)
    assert take(lock) is None


def test_where_no_lock_can_be_made_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "clips").touch()
    with pytest.raises(
        StorageFailed,
        match=r"clips/\.lock/build cannot be written: (Not a directory|File exists); fix that; then run",
    ):
        take(tmp_path / "clips" / ".lock" / "build")
