"""Videos as they were when they were located, local ones and objects of a store; other objects as local copies."""

import base64
import errno
import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from video_assets.domain.clips import Loss, VideoLost
from video_assets.storage.addresses import is_remote, open_address, place_digest
from video_assets.storage.files import AtomicFile, file_sha256
from video_assets.storage.range_files import RangeFile

if TYPE_CHECKING:
    from video_assets.storage.object_facts import ObjectFacts
    from video_assets.storage.objects import ObjectPath

WHOLE_BYTES = 16 << 20
"""Smaller videos are fetched whole: to find out which parts are needed takes longer."""
_AHEAD_BYTES = 4 << 20
"""Larger ones are left to the processes that decode them: that takes longer than the answer of a store."""
_BLOCK_BYTES = 1 << 20
_NUM_BLOCKS = 32
_SHA256_DIGITS = 64


@dataclass(frozen=True, slots=True)
class RemoteVideo:
    """One video in a store as it was when it was located. Reading it fails if it has changed since."""

    path: "ObjectPath"
    facts: "ObjectFacts"
    content: bytes | None

    @property
    def name(self) -> str:
        """Return its address."""
        return str(self.path)

    @property
    def size_bytes(self) -> int:
        """Return its length."""
        return self.facts.st_size

    @property
    def mtime_ns(self) -> int:
        """Return the number that differs for each written content."""
        return self.facts.st_mtime_ns

    def open(self) -> BinaryIO:
        """Return a file of its bytes that fetches only what is read."""
        if self.content is not None:
            return io.BytesIO(self.content)
        return cast(
            "BinaryIO",
            RangeFile(
                str(self.path), self.path.read_range, block_bytes=_BLOCK_BYTES, max_blocks=_NUM_BLOCKS, facts=self.facts
            ),
        )


class _NamedBytes(io.BytesIO):
    """The bytes of a file with its name, by which FFmpeg guesses formats."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True, slots=True)
class LocalVideo:
    """One local video as it was when it was located: its bytes if there are few, else what the system says of it.

    `real_path` is where it is without links, and `stamp` its device, number, size and times. Nobody can set the time of
    the last change of an inode (st_ctime), so a file that is written over or put in its place has another one.
    """

    path: Path
    real_path: str
    stamp: tuple[int, ...]
    content: bytes | None

    @property
    def name(self) -> str:
        """Return its path, as it was given."""
        return str(self.path)

    @property
    def size_bytes(self) -> int:
        """Return its length."""
        return self.stamp[2]

    @property
    def mtime_ns(self) -> int:
        """Return the time of its last modification."""
        return self.stamp[3]

    @property
    def changed_ns(self) -> int:
        """Return the time of the last change of its inode."""
        return self.stamp[4]

    def open(self) -> BinaryIO:
        """Return a file of its bytes.

        Raises:
            VideoLost: If another file is in its place now.
        """
        if self.content is not None:
            return _NamedBytes(self.name, self.content)
        file = io.FileIO(self.real_path, opener=_open_itself)  # unbuffered: FFmpeg has a buffer of its own
        if _stamp(os.fstat(file.fileno())) != self.stamp:
            file.close()
            raise VideoLost(_REPLACED)
        return cast("BinaryIO", file)

    def refuse_changed(self) -> None:
        """Let pass only a video that is still the one that was located.

        Raises:
            VideoLost: If it is not.
        """
        if self.content is None:
            self.open().close()


_REPLACED: Final = Loss("changed", "another file was put in its place while it was read; the next run takes it")


def _open_itself(path: str, flags: int) -> int:
    """Open a file, and no link that was put in its place; a pipe does not block."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def locate_video(path: Path, within: Path | None = None, *, size_bytes: int | None = None) -> LocalVideo | RemoteVideo:
    """Return what decoding opens. A local video lies below `within`, also behind links, if that is given.

    `size_bytes` is what a listing said: then a small object takes one request, whose answer has its bytes and what is
    said of them.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoLost: If it lies elsewhere, or is no file.
        StorageFailed: If a store does not answer.
    """
    if not is_remote(path):
        return _locate_local(path, within)
    remote = cast("ObjectPath", path)
    listed_bytes: int = remote.stat().st_size if size_bytes is None else size_bytes
    if listed_bytes > WHOLE_BYTES:
        return RemoteVideo(remote, remote.stat(), None)
    content, facts = remote.read_whole()
    return RemoteVideo(remote, facts, content)


def fetch_ahead(path: Path, size_bytes: int) -> RemoteVideo | None:
    """Return what `locate_video` would give for a small object in a store, for a decoding process not to wait for it.

    None for any other video, and for one that is gone: the decoding process finds that out.

    Raises:
        StorageFailed: If the store does not answer.
    """
    if not is_remote(path) or not 0 < size_bytes <= _AHEAD_BYTES:
        return None
    remote = cast("ObjectPath", path)
    try:
        content, facts = remote.read_range(0, _AHEAD_BYTES)  # it may have grown since it was listed
    except FileNotFoundError:
        return None
    return RemoteVideo(remote, facts, content) if facts is not None and facts.st_size == len(content) else None


def _locate_local(path: Path, within: Path | None) -> LocalVideo:
    real_path = os.path.realpath(path)
    if within is not None and not Path(real_path).is_relative_to(os.path.realpath(within)):
        raise VideoLost(Loss("changed", "a link out of the source is in its place now (manifest.follow_links)"))
    try:
        file = io.FileIO(real_path, opener=_open_itself)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise VideoLost(_REPLACED) from error
        raise
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise VideoLost(_REPLACED)  # it was listed as a file
        content = file.read(status.st_size + 1) if status.st_size <= WHOLE_BYTES else None
        if content is not None and len(content) != status.st_size:
            raise VideoLost(_REPLACED)
    return LocalVideo(path, real_path, _stamp(status), content)


def content_identity(video: LocalVideo | RemoteVideo, *, hash_whole: bool = False) -> str:
    """Return what identifies a video's content: its SHA-256 in hex; for a large one in a store, what the store knows.

    That is a SHA-256 too if the object was uploaded with one, and its ETag (Google: MD5) and size otherwise. Then the
    same content is not recognised if it was uploaded in parts of another size, or if it also lies on a local disk.
    `hash_whole` reads the whole video instead.

    Raises:
        VideoLost: If another file was put in its place.
    """
    if video.content is not None:
        return hashlib.sha256(video.content).hexdigest()
    if isinstance(video, LocalVideo):
        with video.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    if hash_whole:
        return file_sha256(cast("Path", video.path))
    return _told_sha256(video.path) or f"{video.facts.content_tag}-{video.size_bytes}"


def refuse_other_content(video: LocalVideo | RemoteVideo, identity: str, hashed_ns: int) -> None:
    """Let pass only a video that has the content that was hashed.

    Few bytes are hashed again. A large local file is, if its inode changed after the time `hashed_ns`, when the
    manifest was written; a large object is asked for its ETag.

    Raises:
        VideoLost: If it has another content.
    """
    if video.content is None and isinstance(video, LocalVideo) and video.changed_ns <= hashed_ns:
        return
    if content_identity(video, hash_whole=len(identity) == _SHA256_DIGITS) != identity:
        raise VideoLost(Loss("changed", "its bytes are not those that were hashed; materialize manifest again"))


def has_content(path: Path, identity: str) -> bool:
    """Return whether a video still has the content of this identity.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If it cannot be read.
    """
    return content_identity(locate_video(path), hash_whole=len(identity) == _SHA256_DIGITS) == identity


def _told_sha256(path: "ObjectPath") -> str:
    """Return the object's SHA-256 in hex if it was uploaded with one (S3: x-amz-checksum-sha256), else ""."""
    if path.scheme != "s3":
        return ""
    from video_assets.storage.clients import told_checksum

    told = told_checksum(path)
    return base64.b64decode(told).hex() if told else ""


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
