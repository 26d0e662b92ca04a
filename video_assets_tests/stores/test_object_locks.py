"""Locks in a store: one writer at a time, and nothing left behind for ever."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from video_assets.storage import object_locks
from video_assets.storage.file_locks import LockHeld
from video_assets.storage.locks import current_holder, hold_lock
from video_assets_tests.stores.conftest import Bucket


@pytest.fixture
def lock(bucket: Bucket) -> Path:
    return bucket.at("root/clips/.lock/build")


def try_to_hold(lock: Path, *, shared: bool = False, wait_seconds: float = 0.0) -> str:
    """Return what a second holder is told, or "held"."""
    try:
        with hold_lock(lock, "another build", shared=shared, wait_seconds=wait_seconds):
            return "held"
    except LockHeld as held:
        return str(held)


def test_whoever_comes_second_is_told_who_holds_it_and_the_end_leaves_nothing(lock: Path, bucket: Bucket) -> None:
    with hold_lock(lock, "video-assets build"):
        refused = try_to_hold(lock)
        holder = current_holder(lock)
        assert holder is not None
        assert str(holder) in refused
        assert f"another build must wait: s3://{bucket.name}/root/clips is being written by process" in refused
    assert bucket.names() == []
    assert try_to_hold(lock) == "held"


def test_those_who_share_exclude_whoever_works_alone_and_the_other_way_round(lock: Path, bucket: Bucket) -> None:
    with ExitStack() as stack:
        stack.enter_context(hold_lock(lock, "a run of shards", shared=True))
        assert try_to_hold(lock, shared=True) == "held"
        assert "a run of shards" in try_to_hold(lock)
    with hold_lock(lock, "a build"):
        assert "a build" in try_to_hold(lock, shared=True)
    assert bucket.names() == []


def test_a_lock_of_a_process_that_was_killed_here_is_taken_over_at_once(lock: Path, bucket: Bucket) -> None:
    script = """
import os, signal, sys
from video_assets.storage.addresses import open_address
from video_assets.storage.locks import hold_lock
with hold_lock(open_address(sys.argv[1]), "a killed build"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script, str(lock)], check=False).returncode == -9
    assert bucket.names() == ["root/clips/.lock/build"]
    with hold_lock(lock, "the next build") as left:
        assert left is not None
        assert left.what == "a killed build"


@pytest.mark.slow
def test_a_lock_that_nobody_keeps_young_is_taken_over_and_one_that_is_kept_young_is_not(
    lock: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_locks, "STALE_SECONDS", 3.0)
    monkeypatch.setattr(object_locks, "BEAT_SECONDS", 0.5)
    elsewhere = {"pid": 1, "host": "another-machine", "what": "a build that is gone", "since": "then", "beat": "0"}
    bucket.put("root/clips/.lock/build", json.dumps(elsewhere).encode())
    with hold_lock(lock, "a build") as left:
        assert left is not None
        assert left.what == "a build that is gone"
        assert "a build" in try_to_hold(lock, wait_seconds=6.0)


def test_a_holder_whose_lock_was_taken_over_says_so_at_its_end(
    lock: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_locks, "BEAT_SECONDS", 0.2)
    holding = hold_lock(lock, "a build")
    holding.__enter__()
    bucket.put("root/clips/.lock/build", b"{}")
    threads = [thread for thread in threading.enumerate() if thread.name == "lock build"]
    threads[0].join(20)
    with pytest.raises(LockHeld, match="stood still for so long that somebody else took the lock"):
        holding.__exit__(None, None, None)
    assert bucket.names() == ["root/clips/.lock/build"]
