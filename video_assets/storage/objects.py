"""Paths in object stores. Nothing is cached between two calls, unless a path has `known` objects."""

import errno
import fnmatch
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import obstore
from obstore.exceptions import BaseError, InvalidPathError

from video_assets.domain.errors import StorageFailed
from video_assets.storage.clients import ask, client_of, first_line
from video_assets.storage.object_facts import KnownObjects, ObjectFacts, object_facts
from video_assets.storage.range_files import RangeFile

_BLOCK_BYTES = 8 << 20
"""Bytes per request for a file that is read from its beginning to its end."""
_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True, slots=True, order=True)
class ObjectPath:
    """A path in an object store, with those methods of `pathlib.Path` that this package calls.

    The store is asked every time, and a failure never means "no". Only what is among the `known` objects, which paths
    that are made from this one have too, is not asked for again. Other processes get paths without them.
    """

    scheme: str
    bucket: str
    key: str
    known: KnownObjects | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type["ObjectPath"], tuple[str, str, str]]:
        return ObjectPath, (self.scheme, self.bucket, self.key)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, name: object) -> "ObjectPath":
        return self._at(f"{self.key}/{name}".strip("/"))

    def _at(self, key: str) -> "ObjectPath":
        return ObjectPath(self.scheme, self.bucket, key, self.known)

    @property
    def _known(self) -> KnownObjects | None:
        """What tells of this path without a request."""
        return self.known if self.known is not None and self.known.knows(self.key) else None

    @property
    def anew(self) -> "ObjectPath":
        """The same path, for which the store is asked in any case."""
        return replace(self, known=None)

    def noted(self, facts: ObjectFacts, content: bytes | None = None) -> ObjectFacts:
        """Return the facts of what was just written here, and have them known."""
        if (known := self._known) is not None:
            known.note(self.key, facts, content, is_new=True)
        return facts

    @property
    def client(self) -> Any:
        """The client of its bucket."""
        return client_of(self.scheme, self.bucket)

    @property
    def name(self) -> str:
        """The last part of its key; of a bucket itself, the bucket."""
        return self.key.rpartition("/")[2] or self.bucket

    @property
    def stem(self) -> str:
        """Its name without the last ending."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The last ending of its name."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> "ObjectPath":
        """What it is in."""
        return self._at(self.key.rpartition("/")[0])

    def with_name(self, name: str) -> "ObjectPath":
        """Return what is beside it under another name."""
        return self.parent / name

    def absolute(self) -> "ObjectPath":
        """Return itself."""
        return self

    def relative_to(self, other: object) -> PurePosixPath:
        """Return the names that lead here from `other`, as a pure path.

        Raises:
            ValueError: If this is not below `other`.
        """
        return PurePosixPath(str(self)).relative_to(PurePosixPath(str(other)))

    def is_relative_to(self, other: object) -> bool:
        """Return whether it is below `other`."""
        return PurePosixPath(str(self)).is_relative_to(PurePosixPath(str(other)))

    def facts(self) -> ObjectFacts | None:
        """Return what the store says of the object; None if there is none of this name.

        Raises:
            StorageFailed: If the store does not answer.
        """
        if not self.key:
            return None
        if (known := self._known) is not None:
            found = known.facts(self.key)
            if found is None or found.version is not None or self.scheme != "gs":
                return found  # a listing of Google's tells no generations
        try:
            facts = object_facts(ask(self, "looked at", lambda: obstore.head(self.client, self.key)))
        except FileNotFoundError:
            return None
        if known is not None:
            known.note(self.key, facts)
        return facts

    def exists(self) -> bool:
        """Return whether there is such an object, or any below it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Return whether there is such an object."""
        return self.facts() is not None

    def is_dir(self) -> bool:
        """Return whether there is any object below it."""
        if (known := self._known) is not None:
            return bool(known.below(self.key))
        try:
            return ask(self, "listed", lambda: any(obstore.list(self.client, self.key or None, chunk_size=1)))
        except InvalidPathError:  # there is an object whose name is no path
            return True
        except FileNotFoundError:
            return False

    def stat(self) -> ObjectFacts:
        """Return the facts, under the names of `os.stat_result`.

        Raises:
            FileNotFoundError: If there is no such object.
        """
        facts = self.facts()
        if facts is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        return facts

    def iterdir(self) -> Iterator["ObjectPath"]:
        """Return what is directly below it; nothing if there is nothing."""
        if (known := self._known) is not None:
            return (self._at(key) for key in sorted(known.below(self.key)))
        try:
            found = ask(self, "listed", lambda: obstore.list_with_delimiter(self.client, self.key or None))
        except FileNotFoundError:  # there is no such bucket
            return iter(())
        except InvalidPathError as error:
            raise StorageFailed(f"{self} cannot be listed: {first_line(error)}; rename that object") from error
        keys = [*found["common_prefixes"], *(entry["path"] for entry in found["objects"])]
        return (self._at(key) for key in sorted(keys))

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """Return what matches directly below it, or below the folder that the pattern names."""
        folder, _, name = pattern.rpartition("/")
        return (path for path in (self / folder).iterdir() if fnmatch.fnmatchcase(path.name, name))

    def replace(self, target: "ObjectPath") -> "ObjectPath":
        """Move the object to another name in the same bucket, where it appears complete."""
        ask(target, "written", lambda: obstore.copy(self.client, self.key, target.key))
        if target.known is not None:
            target.noted(target.anew.stat())
        self.unlink(missing_ok=True)
        return target

    def read_bytes(self) -> bytes:
        """Return the whole content with one request."""
        return self.read_whole()[0]

    def read_whole(self) -> tuple[bytes, ObjectFacts]:
        """Return the content, and what the same answer says of the object.

        Raises:
            FileNotFoundError: If there is no such object.
        """
        if (known := self._known) is None:
            return ask(self, "read", self._get)
        facts, content = self.stat(), known.content(self.key)
        if content is None:
            content, facts = ask(self, "read", self._get)
            known.note(self.key, facts, content)
        return content, facts

    def _get(self, **options: Any) -> tuple[bytes, ObjectFacts]:
        answer = obstore.get(self.client, self.key, options=options or None)  # pyright: ignore[reportArgumentType]
        return answer.bytes().to_bytes(), object_facts(answer.meta)

    def read_part(self, offset: int, num_bytes: int) -> bytes:
        """Return some of the content with one request; less where the object ends earlier."""
        return self.read_range(offset, num_bytes)[0] if num_bytes > 0 else b""

    def read_range(
        self, offset: int, num_bytes: int, known: ObjectFacts | None = None
    ) -> tuple[bytes, ObjectFacts | None]:
        """Return the same, and what the answer says of the object: nothing if it ends before.

        Raises:
            FileNotFoundError: If there is no such object.
            StorageFailed: If it is not the `known` one any more.
        """
        options: Any = {"range": (offset, offset + num_bytes)}
        if known is not None:
            options["if_match"] = known.e_tag

        def get() -> tuple[bytes, ObjectFacts | None]:
            try:
                return self._get(**options)
            except BaseError as error:
                if "status code: 416" in str(error):
                    return b"", None
                raise

        return ask(self, "read", get)

    def read_parts(self, parts: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return several parts, each given by offset and length; those less than 1 MiB apart by one request."""
        starts, lengths = [offset for offset, _ in parts], [num_bytes for _, num_bytes in parts]
        try:
            request = partial(obstore.get_ranges, self.client, self.key, starts=starts, lengths=lengths)
            found = ask(self, "read", request)
        except StorageFailed:  # one of them may be behind the end
            return [self.read_part(*part) for part in parts]
        return [part.to_bytes() for part in found]

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return the whole content as text; line ends stay as they are."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Open for reading from beginning to end; `storage.remote_files` has the other ways of reading."""
        if mode != "rb":
            raise ValueError(f"objects are opened to be read as bytes, not {mode!r}")
        if self._known is not None:
            self.stat()  # one that is not there is not asked for
        return io.BufferedReader(
            RangeFile(str(self), self.read_range, block_bytes=_BLOCK_BYTES, max_blocks=1), _BUFFER_BYTES
        )

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        if (known := self._known) is not None and known.facts(self.key) is None:
            return
        with suppress(FileNotFoundError):
            ask(self, "removed", lambda: obstore.delete(self.client, self.key))
        if known is not None:
            known.forget(self.key)


def object_path(address: str) -> ObjectPath:
    """Return the path of a checked address."""
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    return ObjectPath(scheme, bucket, key.strip("/"))
