"""Local copies of objects, for readers that know local files only."""

import os
from pathlib import Path

from video_assets.storage.addresses import is_remote, open_address, place_digest
from video_assets.storage.files import AtomicFile

_CHUNK_BYTES = 8 << 20


def cache_directory() -> Path:
    """Where copies for training lie: `$VIDEO_ASSETS_CACHE`, else below `$XDG_CACHE_HOME` or `~/.cache`."""
    given = os.environ.get("VIDEO_ASSETS_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "video_assets"


def local_copy(address: str | Path, folder: Path) -> Path:
    """A local file with an object's content, below `folder`; a local path as it is.

    A copy is made once for each content: its name holds the number that the object's etag gives.

    Raises:
        FileNotFoundError: if there is no such object.
        StorageFailed: if the store does not answer, or there is no room.
    """
    path = open_address(address)
    if not is_remote(path):
        return path
    place = folder / f"{path.parent.parent.name}-{place_digest(path.parent)}"
    copy = place / f"{path.stat().st_mtime_ns:016x}-{path.name}"
    if copy.exists():
        return copy
    with path.open("rb") as content, AtomicFile(copy) as file:
        while chunk := content.read(_CHUNK_BYTES):
            file.write(chunk)
    return copy
