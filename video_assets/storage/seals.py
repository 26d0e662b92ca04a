"""Seals: the SHA-256 of a file's bytes within the file itself, so that one flipped bit in it is found.

A file with a seal appears in one step with it, which a checksum in another file cannot. The digest is that of the file
with zeros in the digest's own place.
"""

import hashlib
from pathlib import Path

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged

_MARK = b"seal:"
_NUM_DIGITS = 64
OPEN_SEAL = _MARK.decode() + "0" * _NUM_DIGITS
"""What a writer puts where the seal belongs. The last one in a file counts, so texts of users come before it."""


def sealed(data: bytes) -> bytes:
    """The bytes with their seal in the place of `OPEN_SEAL`.

    Raises:
        ValueError: if there is no such place.
    """
    start = data.rindex(OPEN_SEAL.encode()) + len(_MARK)
    return b"".join((data[:start], hashlib.sha256(data).hexdigest().encode(), data[start + _NUM_DIGITS :]))


def is_seal_whole(data: bytes) -> bool | None:
    """Whether the bytes are those that were sealed; None if they have no seal."""
    mark = data.rfind(_MARK)
    if mark < 0:
        return None
    start = mark + len(_MARK)
    digest = hashlib.sha256(memoryview(data)[:start])
    digest.update(b"0" * _NUM_DIGITS)
    digest.update(memoryview(data)[start + _NUM_DIGITS :])
    return data[start : start + _NUM_DIGITS] == digest.hexdigest().encode()


def refuse_broken_seal(path: Path, data: bytes) -> None:
    """Lets pass what is whole, or was never sealed.

    Raises:
        FileDamaged: if the bytes are not those that were sealed.
    """
    if is_seal_whole(data) is False:
        raise FileDamaged(damage_sentence(path))


def damage_sentence(path: Path) -> str:
    """What people are told of a damaged file."""
    return f"{path} is damaged: its bytes are not those that were written; {DAMAGE_REMEDY}"
