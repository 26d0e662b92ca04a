"""Paths in object stores. Nothing is cached between two calls."""

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
"""Attempts per request: if one in ten fails, one request in a hundred million is given up, after half a minute."""
_BLOCK_BYTES = 8 << 20
"""Bytes per request for a file that is read from its beginning to its end."""
_BUFFER_BYTES = 1 << 18
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"use_listings_cache": False, "config_kwargs": {"retries": {"mode": "standard", "max_attempts": _ATTEMPTS}}},
    "gs": {"use_listings_cache": False},
}
_FOREIGN = ("aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "gcsfs", "google", "s3fs", "urllib3")
"""Root modules of exceptions that the stores' clients let through; not all of them are an OSError."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store says of an object, under the names of `os.stat_result`.

    `etag` changes whenever the object is written: S3's ETag, Google's generation. `content_tag` is the same for
    contents that were uploaded in the same way: S3's ETag, Google's MD5. `st_mtime_ns` is a number derived from the
    etag, because a store's times are whole seconds; `st_mtime` is such a time, in seconds since 1970.
    """

    st_size: int
    st_mtime: float
    etag: str
    content_tag: str

    @property
    def st_mtime_ns(self) -> int:
        """Return a number that differs for each written content."""
        return etag_number(self.etag)


def etag_number(etag: str) -> int:
    """Return 63 bits of an etag's SHA-256, in place of a local file's time."""
    return int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8], "big") >> 1


def object_facts(info: dict[str, Any]) -> ObjectFacts:
    """Return the facts in what s3fs or gcsfs says of one object."""
    changed = info.get("LastModified") or info.get("mtime") or info.get("updated")
    moment = datetime.fromisoformat(changed) if isinstance(changed, str) else changed
    seconds = moment.timestamp() if isinstance(moment, datetime) else 0.0
    etag = str(info.get("generation") or info.get("ETag") or seconds).strip('"')
    return ObjectFacts(int(info["size"]), seconds, etag, str(info.get("md5Hash") or etag))


@contextmanager
def store_failures(path: object, doing: str) -> Generator[None]:
    """Turn errors of a store into `StorageFailed`, as `named_failures` does; a missing object is a FileNotFoundError.

    Raises:
        StorageFailed: If the store, its client or the network failed after all attempts.
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
    """A path in an object store. Unlike those of its base, answers are never cached, and a failure never means "no"."""

    def facts(self) -> ObjectFacts | None:
        """Return what the store says of the object; None if there is none of this name.

        Raises:
            StorageFailed: If the store does not answer.
        """
        with store_failures(self, "looked at"):
            try:
                info = self.fs.info(self.path)
            except FileNotFoundError:
                return None
        return object_facts(info) if info["type"] == "file" else None

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is such an object, or any below it."""
        return self.facts() is not None or self.is_dir(follow_symlinks=follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002  (as pathlib has it)
        """Return whether there is such an object."""
        return self.facts() is not None

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002  (as pathlib has it)
        """Return whether there is any object below it."""
        return next(self.iterdir(), None) is not None

    def stat(self, *, follow_symlinks: bool = True) -> Any:  # noqa: ARG002  (as pathlib has it)
        """Return the facts, under the names of `os.stat_result`.

        Raises:
            FileNotFoundError: If there is no such object.
        """
        facts = self.facts()
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return facts

    def iterdir(self) -> Iterator[Self]:
        """Return what is directly below it; nothing if there is nothing."""
        with store_failures(self, "listed"):
            try:
                names = [str(name) for name in self.fs.ls(self.path, detail=False)]
            except FileNotFoundError:
                names = []
        own = self.path.rstrip("/")
        return (self / name.rstrip("/").rpartition("/")[2] for name in names if name.rstrip("/") != own)

    def glob(self, pattern: str, **__: Any) -> Iterator[Self]:
        """Return what matches directly below it, or below the folder that the pattern names."""
        folder, _, name = pattern.rpartition("/")
        place = self / folder if folder else self
        return (path for path in place.iterdir() if fnmatch.fnmatchcase(path.name, name))

    def relative_to(self, other: Any, *_: Any, **__: Any) -> Any:
        """Return the names that lead here from `other`, as a pure path.

        Raises:
            ValueError: If this is not below `other`.
        """
        return PurePosixPath(str(self)).relative_to(PurePosixPath(str(other)))

    def replace(self, target: Any) -> Any:
        """Move the object to another name in the same store, where it appears complete."""
        with store_failures(target, "written"):
            self.fs.cp_file(self.path, target.path)
        self.unlink(missing_ok=True)
        return target

    def read_bytes(self) -> bytes:
        """Return the whole content with one request: s3fs would first ask for the size, to read large ones in parts."""
        with store_failures(self, "read"):
            return bytes(self.fs.cat_file(self.path, max_concurrency=1))

    def read_part(self, offset: int, num_bytes: int) -> bytes:
        """Return some of the content with one request; less where the object ends earlier."""
        if num_bytes <= 0:
            return b""
        try:
            with store_failures(self, "read"):
                return bytes(self.fs.cat_file(self.path, start=offset, end=offset + num_bytes))
        except StorageFailed:  # stores refuse a range behind the end in the same way
            if offset < self.stat().st_size:
                raise
            return b""

    def read_text(self, encoding: str | None = "utf-8", errors: str | None = None, newline: str | None = None) -> str:  # noqa: ARG002  (as pathlib has it)
        """Return the whole content as text; line ends stay as they are."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> Any:
        """Open for reading from beginning to end; `storage.remote_files` has the other ways of reading."""
        if mode != "rb":
            raise ValueError(f"objects are opened to be read as bytes, not {mode!r}")
        with store_failures(self, "read"):
            file = self.fs.open(self.path, "rb", block_size=_BLOCK_BYTES, cache_type="readahead")
        return io.BufferedReader(RangeReader(self, file), _BUFFER_BYTES)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        with store_failures(self, "removed"):
            try:
                self.fs.rm_file(self.path)
            except FileNotFoundError:
                return


class RangeReader(io.RawIOBase):
    """A file of fsspec that is read by ranges into fsspec's cache, and whose failures name it."""

    def __init__(self, path: ObjectPath, file: BinaryIO) -> None:
        self.name = str(path)
        self._path = path
        self._inner = file

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer from the file's position, as far as there is content."""
        with store_failures(self._path, "read"):
            data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the file's position, without a request."""
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        """Return the file's position."""
        return self._inner.tell()

    def close(self) -> None:
        """Close the file and free its cache."""
        if not self.closed:
            self._inner.close()
        super().close()


def object_path(address: str) -> ObjectPath:
    """Return the path of a checked address."""
    return ObjectPath(address, **_OPTIONS[address.partition(":")[0]])
