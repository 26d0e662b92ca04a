"""`checksums.json`: the SHA-256 of every file of a committed version."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from video_assets.storage.files import json_text, read_if_there
from video_assets.storage.seals import OPEN_SEAL, is_seal_whole, sealed

ABSENT = ""
"""In the place of a digest: the file is not there."""


@dataclass(frozen=True, slots=True)
class Checksums:
    """SHA-256 in hex by path, relative to the version directory.

    `before` is empty but while a commit replaces files (and after one that was killed then): what they were before.
    """

    files: Mapping[str, str]
    before: Mapping[str, str] = field(default_factory=dict[str, str])

    def to_bytes(self) -> bytes:
        """As it stands on disk."""
        values = {"files": dict(self.files), "before": dict(self.before), "seal": OPEN_SEAL}
        return sealed(json_text(values).encode("utf-8"))

    def allows(self, path: str, sha256: str) -> bool:
        """Whether a file may be this one: as committed, or as before the commit that was killed."""
        return sha256 in (self.files[path], self.before.get(path))


def read_checksums(path: Path) -> Checksums | None:
    """The checksums, or None where there are none, or the file is damaged.

    Raises:
        StorageFailed: if it cannot be read. A commit that took it for missing would allow whatever is on disk.
    """
    data = read_if_there(path)
    if data is None or not is_seal_whole(data):
        return None
    try:
        values = json.loads(data)
        return Checksums(values["files"], values["before"])
    except (ValueError, KeyError):
        return None
