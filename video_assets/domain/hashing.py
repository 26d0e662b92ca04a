"""Hashes of settings and rows, a pseudo-random order that depends only on a seed, and seals.

A seal is the SHA-256 of a file's bytes inside the file itself, so any flipped bit is found. A file appears together
with its seal in one step, which a checksum in another file cannot. The digest is that of the file with zeros in the
digest's own place.
"""

import hashlib
import json

_MARK = b"seal:"
_NUM_DIGITS = 64
OPEN_SEAL = _MARK.decode() + "0" * _NUM_DIGITS
"""What a writer puts where the seal belongs. The last one in a file counts, so texts of users come before it."""


def json_digest(value: object) -> str:
    """Return the SHA-256, in hex, of a value's canonical JSON (sorted keys, no blanks, UTF-8)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seeded_hash(seed: int, key: str) -> int:
    """Return a 64-bit number that looks random and depends only on seed and key. It never changes between versions."""
    digest = hashlib.blake2b(
        key.encode("utf-8", "surrogatepass"), digest_size=8, salt=seed.to_bytes(8, "little", signed=True)
    )
    return int.from_bytes(digest.digest(), "big")


def sealed(data: bytes) -> bytes:
    """Return the bytes with their seal in place of `OPEN_SEAL`.

    Raises:
        ValueError: If there is no such place.
    """
    start = data.rindex(OPEN_SEAL.encode()) + len(_MARK)
    return b"".join((data[:start], hashlib.sha256(data).hexdigest().encode(), data[start + _NUM_DIGITS :]))


def is_seal_whole(data: bytes) -> bool | None:
    """Return whether the bytes are those that were sealed; None if they have no seal."""
    mark = data.rfind(_MARK)
    if mark < 0:
        return None
    start = mark + len(_MARK)
    digest = hashlib.sha256(memoryview(data)[:start])
    digest.update(b"0" * _NUM_DIGITS)
    digest.update(memoryview(data)[start + _NUM_DIGITS :])
    return data[start : start + _NUM_DIGITS] == digest.hexdigest().encode()
