"""Paths in object stores: what a path can be asked, with nothing remembered between two questions."""

import errno
import fnmatch
import hashlib
import io
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Self

from upath.extensions import ProxyUPath

from video_assets.domain.errors import StorageFailed
from video_assets.storage.failures import named_failures

_ATTEMPTS = 8
"""Of one request: with one in ten failing, one in a hundred million is given up, after half a minute."""
_BLOCK_BYTES = 8 << 20
"""What one request brings of a file that is read from its beginning to its end."""
_BUFFER_BYTES = 1 << 18
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"use_listings_cache": False, "config_kwargs": {"retries": {"mode": "standard", "max_attempts": _ATTEMPTS}}},
    "gs": {"use_listings_cache": False},
}
_FOREIGN = ("aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "gcsfs", "google", "s3fs", "urllib3")
"""Roots of the modules whose exceptions the stores' clients let through, not all of them an OSError."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store says of an object, with the names that `os.stat_result` has for it.

    `etag` is another one whenever the object was written again: S3's ETag, Google's generation. `content_tag` is the
    same for contents that were uploaded in the same way: S3's ETag, Google's MD5. `st_mtime_ns` is a number that the
    etag gives, for a store's times are whole seconds; `st_mtime` is such a time, in seconds since 1970.
    """

    st_size: int
    st_mtime: float
    etag: str
    content_tag: str

    @property
    def st_mtime_ns(self) -> int:
        """Another number for another content."""
        return etag_number(self.etag)


def etag_number(etag: str) -> int:
    """What stands for an etag where a local file's time would stand: 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8], "big") >> 1


def object_facts(info: dict[str, Any]) -> ObjectFacts:
    """From what s3fs or gcsfs say of one object."""
    changed = info.get("LastModified") or info.get("mtime") or info.get("updated")
    moment = datetime.fromisoformat(changed) if isinstance(changed, str) else changed
    seconds = moment.timestamp() if isinstance(moment, datetime) else 0.0
    etag = str(info.get("generation") or info.get("ETag") or seconds).strip('"')
    return ObjectFacts(int(info["size"]), seconds, etag, str(info.get("md5Hash") or etag))


@contextmanager
def store_failures(path: object, doing: str) -> Generator[None]:
    """`named_failures` for a store; what is missing stays a FileNotFoundError.

    Raises:
        StorageFailed: where the store, its client or the way to it failed after all retries.
    """
    try:
        with named_failures(path, doing, but=(FileNotFoundError, FileExistsError)):
            yield
    except OSError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _FOREIGN:
            raise
        with named_failures(path, doing):
            raise OSError(errno.EIO, f"{type(error).__name__}: {error}") from error


class ObjectPath(ProxyUPath):
    """A path in an object store. Unlike its base's, answers never come from memory, and no failure reads as "no"."""

    def facts(self) -> ObjectFacts | None:
        """What the store says of the object; None if there is none of this name.

        Raises:
            StorageFailed: if the store does not answer.
        """
        with store_failures(self, "looked at"):
            try:
                info = self.fs.info(self.path)
            except FileNotFoundError:
                return None
        return object_facts(info) if info["type"] == "file" else None

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether there is such an object, or any below it."""
        return self.facts() is not None or self.is_dir(follow_symlinks=follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002  (as pathlib has it)
        """Whether there is such an object."""
        return self.facts() is not None

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002  (as pathlib has it)
        """Whether there is any object below it."""
        return next(self.iterdir(), None) is not None

    def stat(self, *, follow_symlinks: bool = True) -> Any:  # noqa: ARG002  (as pathlib has it)
        """The facts, under `os.stat_result`'s names.

        Raises:
            FileNotFoundError: if there is no such object.
        """
        facts = self.facts()
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return facts

    def iterdir(self) -> Iterator[Self]:
        """What is directly below it; nothing if there is nothing."""
        with store_failures(self, "listed"):
            try:
                names = [str(name) for name in self.fs.ls(self.path, detail=False)]
            except FileNotFoundError:
                names = []
        own = self.path.rstrip("/")
        return (self / name.rstrip("/").rpartition("/")[2] for name in names if name.rstrip("/") != own)

    def glob(self, pattern: str, **__: Any) -> Iterator[Self]:
        """What has such a name directly below it, or below a folder of it that the pattern names."""
        folder, _, name = pattern.rpartition("/")
        place = self / folder if folder else self
        return (path for path in place.iterdir() if fnmatch.fnmatchcase(path.name, name))

    def relative_to(self, other: Any, *_: Any, **__: Any) -> Any:
        """The names that lead here from `other`, as a path that lies nowhere.

        Raises:
            ValueError: if they do not.
        """
        return PurePosixPath(str(self)).relative_to(PurePosixPath(str(other)))

    def replace(self, target: Any) -> Any:
        """Moves the object to another name in the same store, where it appears whole."""
        with store_failures(target, "written"):
            self.fs.cp_file(self.path, target.path)
        self.unlink(missing_ok=True)
        return target

    def read_bytes(self) -> bytes:
        """The whole content, in one request: s3fs would first ask for the size, to read large ones in parts."""
        with store_failures(self, "read"):
            return bytes(self.fs.cat_file(self.path, max_concurrency=1))

    def read_part(self, offset: int, num_bytes: int) -> bytes:
        """Some of the content, in one request; less where the object ends before."""
        if num_bytes <= 0:
            return b""
        try:
            with store_failures(self, "read"):
                return bytes(self.fs.cat_file(self.path, start=offset, end=offset + num_bytes))
        except StorageFailed:  # which is also what a part behind the end is to a store
            if offset < self.stat().st_size:
                raise
            return b""

    def read_text(self, encoding: str | None = "utf-8", errors: str | None = None, newline: str | None = None) -> str:  # noqa: ARG002  (as pathlib has it)
        """The whole content as text; ends of lines stay as they are."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> Any:
        """For reading from the beginning to the end; other ways of reading are `storage.remote_videos`'s."""
        if mode != "rb":
            raise ValueError(f"objects are opened to be read as bytes, not {mode!r}")
        with store_failures(self, "read"):
            file = self.fs.open(self.path, "rb", block_size=_BLOCK_BYTES, cache_type="readahead")
        return io.BufferedReader(RangeReader(self, file), _BUFFER_BYTES)

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        with store_failures(self, "removed"):
            try:
                self.fs.rm_file(self.path)
            except FileNotFoundError:
                return


class RangeReader(io.RawIOBase):
    """A file of fsspec, whose failures are named; it is read by ranges, into fsspec's cache."""

    def __init__(self, path: ObjectPath, file: BinaryIO) -> None:
        self.name = str(path)
        self._path = path
        self._inner = file

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fills the buffer from the file's position on, as far as there is anything."""
        with store_failures(self._path, "read"):
            data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Moves the file's position; asks nothing of the store."""
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        """The file's position."""
        return self._inner.tell()

    def close(self) -> None:
        """Lets go of what was kept."""
        if not self.closed:
            self._inner.close()
        super().close()


def object_path(address: str) -> ObjectPath:
    """The path of a checked address."""
    return ObjectPath(address, **_OPTIONS[address.partition(":")[0]])
