"""Locks of files by the operating system, which releases them when their holder ends, however it ends.

`flock` on a file that stays: the kernel releases it when the process is gone, so no lock is ever stale. The file's text
says who holds it, for messages only. Between machines it works on NFS since Linux 2.6.12 if the server's lock service
runs (always with NFSv4), but not if the file system is mounted with `nolock` or `local_lock`.
"""

import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from video_assets.domain.errors import BuildRefused
from video_assets.storage.failures import named_failures

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock, and what it does; `since` is local time, to the second."""

    pid: int
    host: str
    what: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.what}, since {self.since})"

    @property
    def may_live(self) -> bool:
        """Return False if it ran on this machine and is gone, True otherwise."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (PermissionError, OverflowError):
            return True
        return True


class LockHeld(BuildRefused):
    """Somebody else writes. The message says who, since when, and what to do."""


@contextmanager
def hold_file_lock(path: Path, what: str, *, shared: bool, wait_seconds: float) -> Generator[Holder | None]:
    """Hold a lock of this machine or of a shared file system; see `storage.locks.hold_lock`."""
    with ExitStack() as opened:
        descriptor = opened.enter_context(_opened(path))
        _acquire(descriptor, path, what, shared=shared, wait_seconds=wait_seconds)
        while not _has_name(descriptor, path):  # who held it before removed the file, and a third one may make it anew
            descriptor = opened.enter_context(_opened(path))
            _acquire(descriptor, path, what, shared=shared, wait_seconds=wait_seconds)
        dead = [holder for holder in _holders(descriptor) if not holder.may_live]
        _sign(descriptor, what, shared=shared)
        try:
            yield dead[-1] if dead and not shared else None
        finally:
            _unsign(descriptor)


def file_lock_holder(path: Path) -> Holder | None:
    """Return who holds a lock so that it cannot be shared; see `storage.locks.current_holder`."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _first_living(descriptor)
    finally:
        os.close(descriptor)
    return None


def refusal(what: str, path: Path, holder: Holder | None) -> str:
    """Return the message for a writer that comes second."""
    return (
        f"{what} must wait: {path.parent.parent} is being written by {holder or 'another process'}. One writer "
        "at a time: wait for its end, or end it, then start again; what it finished is kept."
    )


@contextmanager
def _opened(path: Path) -> Generator[int]:
    with named_failures(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND, 0o666)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, what: str, *, shared: bool, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    pause = threading.Event()
    while not _try(descriptor, path, shared=shared):
        if time.monotonic() >= deadline:
            holder = _first_living(descriptor)
            raise LockHeld(refusal(what, path, holder))
        pause.wait(_POLL_SECONDS)


def _try(descriptor: int, path: Path, *, shared: bool) -> bool:
    with named_failures(path, "locked"):
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise
    return True


def _has_name(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _sign(descriptor: int, what: str, *, shared: bool) -> None:
    """Write who holds the lock; each of those who share it adds a line."""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    holder = Holder(os.getpid(), socket.gethostname(), what, since)
    with suppress(OSError):  # the lock works on a full disk too
        if not shared:
            os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(holder)).encode("utf-8") + b"\n")


def _unsign(descriptor: int) -> None:
    """Remove the names, unless others still share the lock."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)


def _holders(descriptor: int) -> list[Holder]:
    found: list[Holder] = []
    for line in os.pread(descriptor, 1 << 20, 0).splitlines():
        try:
            found.append(Holder(**json.loads(line)))
        except (ValueError, TypeError):  # half a line, after a power cut
            continue
    return found


def _first_living(descriptor: int) -> Holder | None:
    return next((holder for holder in _holders(descriptor) if holder.may_live), None)
