"""What a store says of objects; and what lies below a place, known without asking while one process writes there."""

import base64
import bisect
import hashlib
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any

_MD5_DIGITS = re.compile(r"[0-9a-f]{32}")
_MOST_BYTES = 64 << 20
"""How many bytes of contents are kept; those that were not used for the longest time go first."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What a store says of an object, under the names of `os.stat_result`.

    `e_tag` is as the store wrote it and changes with the content; `version` is Google's generation. `st_mtime_ns` is a
    number derived from the etag, because a store's times are whole seconds; `st_mtime` is such a time, in seconds since
    1970.
    """

    st_size: int
    st_mtime: float
    e_tag: str
    version: str | None = None

    @property
    def etag(self) -> str:
        """Return the etag without its quotes."""
        return self.e_tag.strip('"')

    @property
    def st_mtime_ns(self) -> int:
        """Return a number that differs for each written content: 63 bits of the etag's SHA-256."""
        return int.from_bytes(hashlib.sha256(self.etag.encode()).digest()[:8], "big") >> 1

    @property
    def content_tag(self) -> str:
        """Return what is the same for contents that were uploaded in the same way: the etag; of Google the MD5."""
        is_md5 = self.version is not None and _MD5_DIGITS.fullmatch(self.etag)
        return base64.b64encode(bytes.fromhex(self.etag)).decode() if is_md5 else self.etag


def object_facts(meta: Any) -> ObjectFacts:
    """Return the facts in obstore's `ObjectMeta`."""
    moment = meta["last_modified"].timestamp()
    return ObjectFacts(meta["size"], moment, meta["e_tag"] or str(moment), meta["version"])


class KnownObjects:
    """What lies below the key `place`: objects that were listed, and what this process wrote since. For any thread.

    Contents that are read or written whole are kept, as far as `_MOST_BYTES` reach. Parts are always asked for.
    """

    def __init__(self, place: str, unknown: str, listed: dict[str, ObjectFacts]) -> None:
        """Begin with the facts of all objects by their keys. What is in the folder `unknown` is asked for each time."""
        self._begin, self._unknown = f"{place}/", f"{place}/{unknown}/"
        self._facts = listed
        self._keys = sorted(listed)
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self._num_bytes = 0
        self._newest = max((facts.st_mtime for facts in listed.values()), default=0.0)
        self._lock = threading.Lock()

    def knows(self, key: str) -> bool:
        """Return whether it can tell what the store would say of this key."""
        place = f"{key}/"
        return place.startswith(self._begin) and not place.startswith(self._unknown)

    def facts(self, key: str) -> ObjectFacts | None:
        """Return the facts of an object, None if there is none."""
        return self._facts.get(key)

    def content(self, key: str) -> bytes | None:
        """Return the content of an object if it was kept."""
        with self._lock:
            if key in self._contents:
                self._contents.move_to_end(key)
            return self._contents.get(key)

    def below(self, key: str) -> list[str]:
        """Return what is directly below a key: objects, and folders of further ones."""
        begin, place, found = f"{key}/", f"{key}/", list[str]()
        with self._lock:
            while (at := bisect.bisect_left(self._keys, place)) < len(self._keys):
                if not self._keys[at].startswith(begin):
                    break
                name, is_folder, _ = self._keys[at][len(begin) :].partition("/")
                found.append(begin + name)
                place = f"{begin}{name}0" if is_folder else f"{begin}{name}\0"  # "0" comes after "/"
        return found

    def note(self, key: str, facts: ObjectFacts, content: bytes | None = None, *, is_new: bool = False) -> None:
        """Note what is there now. The answer to a write tells no time: a new object is the newest of all."""
        with self._lock:
            if is_new:
                self._newest = max(self._newest, time.time())
                facts = replace(facts, st_mtime=self._newest)
            if key not in self._facts:
                bisect.insort(self._keys, key)
            self._facts[key] = facts
            self._drop(key)
            if content is not None and len(content) <= _MOST_BYTES:
                self._contents[key] = content
                self._num_bytes += len(content)
                while self._num_bytes > _MOST_BYTES:
                    self._drop(next(iter(self._contents)))

    def forget(self, key: str) -> None:
        """Note that an object was removed."""
        with self._lock:
            if self._facts.pop(key, None) is not None:
                self._keys.pop(bisect.bisect_left(self._keys, key))
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._num_bytes -= len(self._contents.pop(key, b""))
