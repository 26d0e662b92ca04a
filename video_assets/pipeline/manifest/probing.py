"""One file: its hash, and what is in it. Runs in a decoding process."""

from dataclasses import dataclass, replace
from pathlib import Path

from video_assets.domain.clips import ListedFile, Loss, VideoLost
from video_assets.domain.encoding import ENCODER_VERSION
from video_assets.domain.errors import StorageFailed
from video_assets.media.probe import VideoFacts, hash_pictures, probe_video
from video_assets.settings import Limits
from video_assets.storage.addresses import stat_file
from video_assets.storage.remote_files import LocalVideo, RemoteVideo, content_identity, fetch_ahead, locate_video


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What opening a file told: the hash of its content, and what is in it."""

    content_hash: str
    video: VideoFacts


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """One file to open; `video` is what was fetched of it already."""

    directory: Path
    file: ListedFile
    limits: Limits
    encoder_version: int = ENCODER_VERSION
    follow_links: bool = False
    video: RemoteVideo | None = None


def fetch_file(job: ProbeJob) -> ProbeJob:
    """Return the job with its video, if that is a small one in a store. Runs while others are probed."""
    return replace(job, video=fetch_ahead(job.directory / job.file.path, job.file.size_bytes))


def probe_file(job: ProbeJob) -> FileFacts:
    """Hashes and probes one file. Runs in a decoding process.

    Raises:
        VideoLost: if it cannot be used.
    """
    file, limits = job.file, job.limits
    path = job.directory / file.path
    if file.size_bytes == 0:
        raise VideoLost(Loss("empty_file", "the file has no bytes"))
    if file.size_bytes > limits.max_file_bytes:
        allowed = f"{limits.max_file_bytes} are allowed (manifest.max_file_megabytes)"
        detail = f"the file has {file.size_bytes} bytes, {allowed}"
        raise VideoLost(Loss("too_large", detail))
    try:
        within = None if job.follow_links else job.directory
        video = job.video or locate_video(path, within, size_bytes=file.size_bytes)
        content_hash = content_identity(video)
        facts = probe_video(video, limits, job.encoder_version)
        is_same = (video.size_bytes, video.mtime_ns) == (file.size_bytes, file.mtime_ns)
        if isinstance(video, LocalVideo) or video.content is None:  # else it was looked at after it was read
            is_same &= stat_file(path, file.path) == file
        if isinstance(video, LocalVideo):
            if not facts.picture_hash:  # of a store's long video only parts are fetched
                facts = replace(facts, picture_hash=hash_pictures(video, limits, job.encoder_version))
            video.refuse_changed()
    except FileNotFoundError as error:
        raise VideoLost(Loss("missing_file", "the file vanished after it was listed")) from error
    except StorageFailed:
        raise
    except OSError as error:
        raise VideoLost(Loss("read_failed", f"the file cannot be read: {error.strerror or error}")) from error
    if not is_same:
        raise VideoLost(Loss("changed", "the file changed while it was read; the next run takes it"))
    return FileFacts(content_hash, facts)
