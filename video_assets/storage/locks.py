"""One writer at a time: locks by the operating system, which releases them when their holder ends, however it ends.

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
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from video_assets.domain.errors import BuildRefused
from video_assets.storage.addresses import is_remote
from video_assets.storage.failures import named_failures
from video_assets.storage.files import remove_abandoned_folders
from video_assets.storage.paths import DatasetPaths

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
def hold_lock(path: Path, what: str, *, shared: bool = False, wait_seconds: float = 0.0) -> Generator[Holder | None]:
    """Hold a lock, alone or together with others that share it.

    Gives the holder before, if it died while it held the lock alone. A process that asks for a lock again which it
    holds is refused as any other: callers that work under a lock are told so by an argument.

    Raises:
        LockHeld: If somebody else still holds it after `wait_seconds`.
        StorageFailed: If the lock's file cannot be made, or its file system knows no locks.
    """
    if is_remote(path):
        from video_assets.storage.object_locks import hold_object_lock

        with hold_object_lock(path, what, shared=shared, wait_seconds=wait_seconds) as killed:
            yield killed
        return
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


def current_holder(path: Path) -> Holder | None:
    """Return who holds a lock now so that it cannot be shared; None if nobody does, or it was never made."""
    if is_remote(path):
        from video_assets.storage.object_locks import object_lock_holder

        return object_lock_holder(path)
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


_BUILD_WAIT_SECONDS = 2.0
"""A sensor looks at the dataset for some milliseconds, and who lets go of a shared lock holds it alone meanwhile."""
_STAGE_WAIT_SECONDS = 600.0
"""Stages that write tables take seconds, the commit of a large dataset minutes."""


@contextmanager
def building(paths: DatasetPaths, what: str) -> Generator[Holder | None]:
    """For a build from its beginning to its end: nobody else writes. Gives the build before if it was killed.

    Raises:
        LockHeld: if another build, or a run of the UI, is writing this dataset.
        StorageFailed: if the dataset's folder cannot be written.
    """
    remove_abandoned_folders()
    new = [] if is_remote(paths.root) else [place for place in (paths.directory, paths.root) if not place.exists()]
    with hold_lock(paths.build_lock, what, wait_seconds=_BUILD_WAIT_SECONDS) as left:
        try:
            yield left
        finally:
            if new:
                _leave_nothing(paths, new)


def known_to_writer(paths: DatasetPaths) -> DatasetPaths:
    """Return paths that know what lies in a dataset in a store, for whoever holds the build lock alone.

    Only what this process writes by these paths may change it. Locks are asked for each time, and local files too.
    """
    if not is_remote(paths.root):
        return paths
    from video_assets.storage.object_requests import with_known

    return replace(paths, root=with_known(paths.root, paths.directory, paths.build_lock.parent.name))


def _leave_nothing(paths: DatasetPaths, new: Sequence[Path]) -> None:
    """Remove the lock of a first build that wrote nothing, and the folders that were made for it."""
    if any(place != paths.build_lock.parent for place in paths.directory.iterdir()):
        return
    with suppress(OSError):  # somebody else put something there
        for lock in paths.build_lock.parent.iterdir():
            lock.unlink()
        for folder in (paths.build_lock.parent, *new):
            folder.rmdir()


@contextmanager
def writing_tables(paths: DatasetPaths, stage: str, *, within_build: bool = False) -> Generator[None]:
    """Hold what a stage that plans or commits needs; such stages wait for each other.

    `within_build` says that the caller holds the build lock alone already, and so keeps all others away.

    Raises:
        LockHeld: if a build is under way that this stage is not part of, or another stage takes very long.
    """
    with ExitStack() as held:
        if not within_build:
            held.enter_context(writing_shards(paths, stage))
            held.enter_context(hold_lock(paths.tables_lock, stage, wait_seconds=_STAGE_WAIT_SECONDS))
        yield


@contextmanager
def writing_shards(paths: DatasetPaths, stage: str, *, within_build: bool = False) -> Generator[None]:
    """Hold what a run of shards needs.

    Several may run, and plans be made meanwhile: no shard that is there is ever rewritten, and two runs that write the
    same one write the same bytes, each to a file of its own first.

    Raises:
        LockHeld: if a build is under way that this run is not part of.
    """
    with ExitStack() as held:
        if not within_build:
            held.enter_context(hold_lock(paths.build_lock, stage, shared=True, wait_seconds=_BUILD_WAIT_SECONDS))
        yield
