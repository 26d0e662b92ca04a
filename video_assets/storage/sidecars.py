"""Sidecars of shards, and the checksums of every file of a committed version."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from video_assets.domain.hashing import OPEN_SEAL, is_seal_whole, sealed
from video_assets.storage.files import json_text, read_if_there, write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClip:
    """One record of a shard, in the bytes [offset, offset + length) of its file; `signature` is in hex.

    `damage` says how much of it is damaged; empty for nothing.
    """

    clip_id: str
    source: str
    label: str
    label_index: int
    content_hash: str
    offset: int
    length: int
    num_frames: int
    note: str = ""
    signature: str = ""
    damage: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return its fields, without damage where there is none: sidecars of sound clips stay as they always were."""
        return {name: getattr(self, name) for name in _CLIP_FIELDS if name != "damage" or self.damage}


_CLIP_FIELDS = tuple(item.name for item in fields(StoredClip))


@dataclass(frozen=True, slots=True, kw_only=True)
class LostClip:
    """One planned clip that has no record, and why."""

    clip_id: str
    source: str
    label: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """What is known about a shard.

    `bytes` and `sha256` are those of the file, `records` is how many it holds. `fingerprint` identifies everything that
    its bytes depend on, `versions` is the software that wrote it.
    """

    shard: str
    fingerprint: str
    sha256: str
    bytes: int
    records: int
    encoding: Mapping[str, object]
    clips: Sequence[StoredClip] = ()
    losses: Sequence[LostClip] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the file's text, sealed."""
        values = asdict(replace(self, clips=())) | {"clips": [clip.as_dict() for clip in self.clips], "seal": OPEN_SEAL}
        return sealed(json_text(values).encode("utf-8")).decode("utf-8")

    def write(self, path: Path) -> None:
        """Write the file."""
        write_text(path, self.to_json())


_SIDECAR = TypeAdapter(Sidecar)


def read_sidecar(path: Path) -> Sidecar | None:
    """Return the sidecar, or None if it is missing or damaged: then its shard counts as missing.

    Types are checked, so that a number that damage turned into text is found here.

    Raises:
        StorageFailed: If it cannot be read. That says nothing about the shard, which must not be built again for it.
    """
    data = read_if_there(path)
    if data is None or is_seal_whole(data) is False:
        return None
    try:
        sidecar = _SIDECAR.validate_json(data, strict=True, extra="ignore")  # the seal is extra
        for clip in sidecar.clips:
            bytes.fromhex(clip.signature)
    except ValueError:
        return None
    return sidecar


ABSENT = ""
"""In place of a digest: the file does not exist."""


@dataclass(frozen=True, slots=True)
class Checksums:
    """SHA-256 in hex by path, relative to the version directory.

    `before` is empty except while a commit replaces files, and after one that was killed then: the digests before it.
    """

    files: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_bytes(self) -> bytes:
        """Return the file's bytes, sealed."""
        values = {"files": dict(self.files), "before": dict(self.before), "seal": OPEN_SEAL}
        return sealed(json_text(values).encode("utf-8"))

    def allows(self, path: str, sha256: str) -> bool:
        """Return whether a file may have this digest: the committed one, or the one before a killed commit."""
        return sha256 in (self.files[path], self.before.get(path))


def read_checksums(path: Path) -> Checksums | None:
    """Return the checksums, or None if the file is missing or damaged.

    Raises:
        StorageFailed: If it cannot be read. If that counted as missing, a commit would accept whatever is on disk.
    """
    data = read_if_there(path)
    if data is None or not is_seal_whole(data):
        return None
    try:
        values = json.loads(data)
        return Checksums(values["files"], values["before"])
    except (ValueError, KeyError):
        return None
