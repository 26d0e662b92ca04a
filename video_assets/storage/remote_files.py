"""Objects of a store as files: videos by the ranges that are read, others as local copies."""

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
"""Up to here a video is fetched whole: finding out what is needed of it takes longer."""
_BLOCK_BYTES = 1 << 20
_NUM_BLOCKS = 32
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class RemoteVideo:
    """One video in a store as it was when it was looked at; reading it when it has changed since is an error."""

    path: "ObjectPath"
    size_bytes: int
    content: bytes | None

    @property
    def name(self) -> str:
        """Its address."""
        return str(self.path)

    def open(self) -> BinaryIO:
        """A file of its bytes, read where it is sought."""
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
    """What decoding opens: a local path as it is, of a store the video behind it.

    Raises:
        FileNotFoundError: if a store has no such object.
        StorageFailed: if it does not answer.
    """
    if not is_remote(path):
        return path
    remote = cast("ObjectPath", path)
    size_bytes = remote.stat().st_size
    return RemoteVideo(remote, size_bytes, remote.read_bytes() if size_bytes <= WHOLE_BYTES else None)


def content_identity(video: Path | RemoteVideo, *, hash_whole: bool = False) -> str:
    """What names a video's content: its SHA-256 in hex; of a large one in a store, what the store says of it.

    That is a SHA-256 too if the object was uploaded with one, and its ETag (Google: MD5) and size otherwise. Then the
    same content is not recognised if it was uploaded in parts of another size, or if it lies on a local disk as well.
    `hash_whole` reads the video to its end instead.
    """
    if isinstance(video, Path):
        return file_sha256(video)
    if video.content is not None:
        return hashlib.sha256(video.content).hexdigest()
    if hash_whole:
        return file_sha256(cast("Path", video.path))
    return _told_sha256(video.path) or f"{video.path.stat().content_tag}-{video.size_bytes}"


def has_content(path: Path, identity: str) -> bool:
    """Whether a video still has the content that was once named so.

    Raises:
        FileNotFoundError: if it is not there.
        OSError: if it cannot be read.
    """
    return content_identity(locate_video(path), hash_whole=len(identity) == _SHA256_DIGITS) == identity


def _told_sha256(path: "ObjectPath") -> str:
    """The SHA-256 of the whole object, in hex, if it was uploaded with one (S3: x-amz-checksum-sha256); else empty."""
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
