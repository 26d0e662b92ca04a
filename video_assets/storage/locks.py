"""One writer at a time: the locks of a dataset, in files or in a store."""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil

from video_assets.storage.addresses import is_remote
from video_assets.storage.file_locks import Holder, file_lock_holder, hold_file_lock
from video_assets.storage.files import remove_tree, this_host
from video_assets.storage.paths import DatasetPaths

_BUILD_WAIT_SECONDS = 2.0
"""A sensor looks at the dataset for some milliseconds, and who lets go of a shared lock holds it alone meanwhile."""
_STAGE_WAIT_SECONDS = 600.0
"""Stages that write tables take seconds, the commit of a large dataset minutes."""


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
        from video_assets.storage.object_locks import hold_object_lock as hold
    else:
        hold = hold_file_lock
    with hold(path, what, shared=shared, wait_seconds=wait_seconds) as killed:
        yield killed


def current_holder(path: Path) -> Holder | None:
    """Return who holds a lock now so that it cannot be shared; None if nobody does, or it was never made."""
    if is_remote(path):
        from video_assets.storage.object_locks import object_lock_holder

        return object_lock_holder(path)
    return file_lock_holder(path)


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


def remove_abandoned_folders() -> None:
    """Remove temporary folders of processes of this machine that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"video-assets-*-{this_host()}-*"):
        number = folder.name.split(f"-{this_host()}-")[1].partition("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            remove_tree(folder)


def known_to_writer(paths: DatasetPaths) -> DatasetPaths:
    """Return paths that know what lies in a dataset in a store. The caller holds the build lock alone.

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
