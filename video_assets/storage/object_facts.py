"""What a store says of an object."""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Any

_MD5_DIGITS = re.compile(r"[0-9a-f]{32}")


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
