"""Errors of the system as sentences that name the file and say what to do."""

import errno
import os
import resource
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from video_assets.domain.errors import BuildRefused, StorageFailed

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors that are about this process, not about the file that it wanted to open."""
_LEAST_ADDRESSES = 5 * 2**29
"""In bytes. Most are never filled with memory. A process without them does not fail: it dies in some library."""
_GOES_ON = "then run the build again: it continues from what is finished"


@contextmanager
def named_failures(path: object, doing: str = "written", *, but: tuple[type[OSError], ...] = ()) -> Generator[None]:
    """Turn an OSError into a sentence about `path`, which is local or in a store.

    Args:
        path: The file.
        doing: What could not be done, as a participle: "written", "read".
        but: Errors to let pass as they are.

    Raises:
        StorageFailed: If an OSError was raised that is not one of `but`.
    """
    try:
        yield
    except (StorageFailed, *but):
        raise
    except OSError as error:
        raise StorageFailed(failure_sentence(error, path, doing)) from error


def failure_sentence(error: OSError, path: object = None, doing: str = "written") -> str:
    """Return what happened and what to do. Without a path, the file is the one that the error names, if any."""
    if path is not None and not isinstance(path, Path):
        return f"{path} cannot be {doing}: {error.strerror or error}; {_store_remedy(error)}"
    found = path if path is not None or error.filename is None else Path(os.fsdecode(error.filename))
    what = f"{found} cannot be {doing}" if found is not None else "a file cannot be opened"
    return f"{what}: {error.strerror or error}; {_remedy(error, found)}"


def _remedy(error: OSError, path: Path | None) -> str:
    place = _existing(path)
    if error.errno in _FULL and (num_files := _full_file_table(place)):
        return f"delete files there: its file system holds all {num_files:,} files (inodes) that it may; {_GOES_ON}"
    if error.errno in _FULL:
        return f"make room there{_free_space(place)}; {_GOES_ON}"
    if error.errno == errno.EFBIG:
        return f"raise the limit on the size of a file (ulimit -f); {_GOES_ON}"
    if error.errno == errno.EROFS:
        return f"mount the file system of {place} for writing, or choose another root; {_GOES_ON}"
    if error.errno in _FORBIDDEN:
        return f"give user {os.geteuid()} the right to it, or choose another place; {_GOES_ON}"
    if error.errno in TOO_MANY_FILES:
        return f"{open_files_remedy()}; {_GOES_ON}"
    return f"fix that; {_GOES_ON}"


def _full_file_table(place: Path | None) -> int:
    """Return how many files a file system may hold, if it holds so many and takes no more; else 0."""
    try:
        found = os.statvfs(place or "/")
    except OSError:
        return 0
    return found.f_files if found.f_files and not found.f_favail else 0  # some have no table of a fixed size


def _store_remedy(error: OSError) -> str:
    if isinstance(error, PermissionError) or "Credentials" in str(error):
        return f"check that the environment has credentials with this permission; {_GOES_ON}"
    if isinstance(error, FileNotFoundError):
        return f"create the bucket, or name another; {_GOES_ON}"
    return f"check that the store can be reached from here; {_GOES_ON}"


def open_files_remedy() -> str:
    """Return how many files this process may open, and how to raise that."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return f"this process may open {limit} files: raise that (ulimit -n 4096)"


def refuse_few_addresses() -> None:
    """Refuse to open videos and shards where this process and its children may not have what that takes.

    Raises:
        BuildRefused: If the limit on addresses is too low.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if resource.RLIM_INFINITY != limit < _LEAST_ADDRESSES:
        raise BuildRefused(
            f"a process may have {limit / 2**30:.1f} GiB of addresses here; FFmpeg, OpenCV and TensorFlow need "
            f"{_LEAST_ADDRESSES / 2**30:.1f} GiB: raise that (ulimit -v unlimited)"
        )


def _existing(path: Path | None) -> Path | None:
    """Return the path, or the nearest folder above it that exists."""
    while path is not None and not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path


def _free_space(place: Path | None) -> str:
    if place is None:
        return ""
    try:
        usage = shutil.disk_usage(place)
    except OSError:
        return ""
    return f" ({usage.free / 1e6:,.1f} of {usage.total / 1e6:,.1f} MB are free)"
