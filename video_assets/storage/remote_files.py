"""Objects of a store as files: videos by the ranges that are read, other files as local copies."""

import base64
import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from video_assets.storage.addresses import is_remote, open_address, place_digest
from video_assets.storage.files import AtomicFile, file_sha256

if TYPE_CHECKING:
    from video_assets.storage.objects import ObjectPath

WHOLE_BYTES = 16 << 20
"""Smaller videos are fetched whole: to find out which parts are needed takes longer."""
_BLOCK_BYTES = 1 << 20
_NUM_BLOCKS = 32
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class RemoteVideo:
    """One video in a store as it was when it was located. Reading it fails if it has changed since."""

    path: "ObjectPath"
    size_bytes: int
    content: bytes | None

    @property
    def name(self) -> str:
        """Return its address."""
        return str(self.path)

    def open(self) -> BinaryIO:
        """Return a file of its bytes that fetches only what is read."""
        if self.content is not None:
            return io.BytesIO(self.content)
        from video_assets.storage.objects import RangeReader, store_failures

        with store_failures(self.path, "read"):
            file = self.path.fs.open(
                self.path.path,
                "rb",
                block_size=_BLOCK_BYTES,
                cache_type="blockcache",
                cache_options={"maxblocks": _NUM_BLOCKS},
            )
        return cast("BinaryIO", RangeReader(self.path, file))


def locate_video(path: Path) -> Path | RemoteVideo:
    """Return what decoding opens: a local path as it is, or the video in a store.

    Raises:
        FileNotFoundError: If a store has no such object.
        StorageFailed: If it does not answer.
    """
    if not is_remote(path):
        return path
    remote = cast("ObjectPath", path)
    size_bytes = remote.stat().st_size
    return RemoteVideo(remote, size_bytes, remote.read_bytes() if size_bytes <= WHOLE_BYTES else None)


def content_identity(video: Path | RemoteVideo, *, hash_whole: bool = False) -> str:
    """Return what identifies a video's content: its SHA-256 in hex; for a large one in a store, what the store knows.

    That is a SHA-256 too if the object was uploaded with one, and its ETag (Google: MD5) and size otherwise. Then the
    same content is not recognised if it was uploaded in parts of another size, or if it also lies on a local disk.
    `hash_whole` reads the whole video instead.
    """
    if isinstance(video, Path):
        return file_sha256(video)
    if video.content is not None:
        return hashlib.sha256(video.content).hexdigest()
    if hash_whole:
        return file_sha256(cast("Path", video.path))
    return _told_sha256(video.path) or f"{video.path.stat().content_tag}-{video.size_bytes}"


def has_content(path: Path, identity: str) -> bool:
    """Return whether a video still has the content of this identity.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If it cannot be read.
    """
    return content_identity(locate_video(path), hash_whole=len(identity) == _SHA256_DIGITS) == identity


def _told_sha256(path: "ObjectPath") -> str:
    """Return the object's SHA-256 in hex if it was uploaded with one (S3: x-amz-checksum-sha256), else ""."""
    if path.protocol != "s3":
        return ""
    from video_assets.storage.objects import store_failures

    bucket, _, key = path.path.partition("/")
    with store_failures(path, "looked at"):
        head = path.fs.call_s3("head_object", Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    told = str(head.get("ChecksumSHA256", ""))
    is_whole = head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in told
    return base64.b64decode(told).hex() if told and is_whole else ""


_CHUNK_BYTES = 8 << 20


def cache_directory() -> Path:
    """Return where copies for training are kept: `$VIDEO_ASSETS_CACHE`, else below `$XDG_CACHE_HOME` or `~/.cache`."""
    given = os.environ.get("VIDEO_ASSETS_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "video_assets"


def local_copy(address: str | Path, folder: Path) -> Path:
    """Return a local file with an object's content, below `folder`; a local path as it is.

    Each content is copied once: the copy's name holds the number derived from the object's etag.

    Raises:
        FileNotFoundError: If there is no such object.
        StorageFailed: If the store does not answer, or the disk is full.
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
