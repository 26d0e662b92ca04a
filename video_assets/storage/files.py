"""Files that are either complete or absent: write a temporary, flush, fsync, rename; in a store one conditional PUT."""

import contextlib
import errno
import functools
import hashlib
import json
import mmap
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from video_assets.storage.addresses import is_remote
from video_assets.storage.failures import named_failures

_TEMPORARY = ".tmp-"
_OURS = re.compile(r"\.tmp-([0-9a-f]{8})-([0-9]+)-[0-9a-f]+$")
"""The end of a temporary's name: its host, the number of its process there, and a random part."""
_FOREIGN_SECONDS = 24 * 3600.0
"""After so long without a write, a temporary of another host belongs to nobody: no clip is decoded for hours."""


class AtomicFile:
    """A binary file that appears under its name only when the `with` block ends without an error.

    `sha256` and `num_bytes` describe what was written so far. For a path in a store, `temporary` is a local file, and
    the name appears by one atomic PUT, unless somebody else wrote the object since the block began.

    Raises:
        StorageFailed: From any of its methods, if the system cannot write. Nothing is left then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        beside = _spool() / path.name if is_remote(path) else path
        self.temporary = temporary_beside(beside)
        self.num_bytes = 0
        self._hash = hashlib.sha256()

    def __enter__(self) -> "AtomicFile":
        if is_remote(self.path):
            remote: Any = self.path
            self._before = remote.facts()
        with named_failures(self.path):
            _make_directory(self.temporary.parent)
            self._file = self.temporary.open("xb")
        return self

    def write(self, data: bytes) -> None:
        """Append data."""
        with named_failures(self.path):
            self._file.write(data)
        self._hash.update(data)
        self.num_bytes += len(data)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of everything written so far, in hex."""
        return self._hash.hexdigest()

    def flush(self) -> None:
        """Bring everything written so far to disk, still under the temporary name."""
        with named_failures(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.flush()
                with named_failures(self.path):
                    self._file.close()
                    self._appear()
        finally:
            # On a full disk close() fails too, because it writes what is buffered; the temporary must go all the same.
            with contextlib.suppress(OSError):
                self._file.close()
            self.temporary.unlink(missing_ok=True)

    def _appear(self) -> None:
        if is_remote(self.path):
            from video_assets.storage.object_requests import publish_object

            remote: Any = self.path
            with self.temporary.open("rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.num_bytes else b""
                publish_object(content, remote, self._before)
            return
        self.temporary.replace(self.path)
        sync_directory(self.path.parent)


def temporary_beside(path: Path) -> Path:
    """Return a name for a temporary file, folder or link beside a path; `remove_temporaries` knows such names."""
    return path.with_name(f"{path.name}{_TEMPORARY}{this_host()}-{os.getpid()}-{secrets.token_hex(4)}")


def write_link(path: Path, target: Path) -> None:
    """Let a symbolic link appear, in place of what has this name. A link is replaced in one step, as a file is.

    Raises:
        StorageFailed: If the system cannot write it; some file systems have no links.
    """
    temporary = temporary_beside(path)
    with named_failures(path):
        temporary.symlink_to(target)
        try:
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)


def _spool() -> Path:
    """Return where files for a store are written first."""
    return Path(tempfile.gettempdir()) / f"video-assets-{os.getuid()}"


def _make_directory(directory: Path) -> None:
    """Make a directory and what is missing above it, durably: otherwise a file in it might not survive a power cut."""
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Flush a directory: a rename is durable only then."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    if is_remote(path):
        from video_assets.storage.object_requests import publish_object

        remote: Any = path
        publish_object(data, remote, remote.facts())
        return
    with AtomicFile(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def json_text(value: object) -> str:
    """Return indented JSON with sorted keys and a newline at its end."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


NOT_THERE = (FileNotFoundError, NotADirectoryError)
"""What reading a missing file raises. Files are read without asking first: in a store each question is a request."""


def write_if_changed(path: Path, data: bytes) -> bool:
    """Write a file unless it holds these bytes already; return whether it was written."""
    if is_remote(path):
        from video_assets.storage.object_requests import publish_if_changed

        remote: Any = path
        return publish_if_changed(data, remote)
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return False
    write_bytes(path, data)
    return True


def read_if_there(path: Path) -> bytes | None:
    """Return a file's content, or None if there is no such file. A file that cannot be read is not treated as missing.

    Raises:
        StorageFailed: If it cannot be read.
    """
    try:
        with named_failures(path, "read", but=NOT_THERE):
            _refuse_no_file(path)
            return path.read_bytes()
    except NOT_THERE:
        return None


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file without their ends; none if the file is missing. Only newlines end a line."""
    try:
        text = path.read_text("utf-8")
    except NOT_THERE:
        return []
    return [line for line in text.split("\n") if line]


def _refuse_no_file(path: Path) -> None:
    """Take a device or a pipe, or a link to one, for no file, as a folder is: reading it may never end, or never begin.

    Raises:
        FileNotFoundError: If it is not a regular file.
    """
    if not is_remote(path) and file_status(path) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def read_part(path: Path, offset: int, num_bytes: int) -> bytes:
    """Return some bytes of a file; fewer where it ends earlier."""
    if is_remote(path):
        remote: Any = path
        return remote.read_part(offset, num_bytes)
    return read_parts(path, [(offset, num_bytes)])[0]


def read_parts(path: Path, parts: Sequence[tuple[int, int]]) -> list[bytes]:
    """Return several parts of a file, each given by offset and length; of a store, neighbours by one request."""
    if is_remote(path):
        remote: Any = path
        return remote.read_parts(parts)
    _refuse_no_file(path)
    found: list[bytes] = []
    with path.open("rb") as file:
        for offset, num_bytes in parts:
            file.seek(offset)
            found.append(file.read(num_bytes))
    return found


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    _refuse_no_file(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_if_there(path: Path) -> str | None:
    """Return the SHA-256 of a file's content, or None if there is no such file."""
    try:
        return file_sha256(path)
    except NOT_THERE:
        return None


def temporary_prefix(kind: str) -> str:
    """Return how the name of a temporary folder of this process begins, for `tempfile`."""
    return f"video-assets-{kind}-{this_host()}-{os.getpid()}-"


def remove_tree(directory: Path) -> None:
    """Remove a directory and everything in it, as far as possible."""
    if not is_remote(directory):
        shutil.rmtree(directory, ignore_errors=True)
        return
    from video_assets.storage.object_requests import list_objects

    for file in list(list_objects(directory)):
        (directory / file.path).unlink(missing_ok=True)


def file_status(path: Path) -> os.stat_result | None:
    """Return a file's size and time, with one request; None if there is no such file."""
    if is_remote(path):
        remote: Any = path
        return remote.facts()
    try:
        status = path.stat()
    except NOT_THERE:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def was_written_after(status: os.stat_result, other: os.stat_result) -> bool:
    """Return whether a file was written after another; within one second, all that stores tell, it counts as after."""
    if isinstance(status, os.stat_result):  # pyright: ignore[reportUnnecessaryIsInstance]  (a store's facts are none)
        return status.st_mtime_ns > other.st_mtime_ns
    return status.st_mtime >= other.st_mtime


@functools.cache
def this_host() -> str:
    """Return eight hexadecimal digits for this machine or container, within which process numbers are meaningful."""
    namespace = Path("/proc/self/ns/pid")
    numbered = namespace.readlink() if namespace.is_symlink() else ""
    return hashlib.sha256(f"{platform.node()} {numbered}".encode()).hexdigest()[:8]


def writer_of(temporary: Path) -> tuple[str, int] | None:
    """Return the host and the process number in a temporary's name; None if it is not one of ours."""
    match = _OURS.search(temporary.name)
    return (match[1], int(match[2])) if match else None


def remove_temporaries(directory: Path) -> list[Path]:
    """Remove what killed processes left in a directory and in those of its folders that are written to.

    Returns what was removed. Files of processes that still live on this machine stay, and for a day those of other
    machines, whose processes cannot be looked up from here. A store holds no temporaries; for it, the local files of
    what was to be sent there are removed.
    """
    removed: list[Path] = []
    for path in _temporaries(_spool() if is_remote(directory) else directory):
        if not _may_be_alive(path):
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _temporaries(directory: Path) -> Iterator[Path]:
    for folder in ("", "shards", "splits", "tables", "tables/splits", "commits"):
        place = directory / folder
        if place.is_dir():
            yield from sorted(path for path in place.iterdir() if _TEMPORARY in path.name)


def _may_be_alive(temporary: Path) -> bool:
    """Return whether somebody may still write this file. A file whose name is not one of ours is never removed."""
    writer = writer_of(temporary)
    if writer is None or writer == (this_host(), os.getpid()):
        return True
    if writer[0] != this_host():
        with contextlib.suppress(FileNotFoundError):
            return time.time() - temporary.stat().st_mtime < _FOREIGN_SECONDS
        return True  # it was renamed just now
    try:
        os.kill(writer[1], 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # another user's process, or a number too large for one
    return True
