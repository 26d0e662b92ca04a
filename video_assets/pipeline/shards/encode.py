"""One clip: from a source file to the framed bytes of its record. Runs in a decoding process."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import StorageFailed
from video_assets.domain.forecast import TriedClip
from video_assets.domain.geometry import FrameSize
from video_assets.domain.plan import PlannedClip
from video_assets.domain.sampling import KnownTimeline, Timeline, choose_timestamps, span_us
from video_assets.media.decode.audio import decode_audio
from video_assets.media.decode.decode_clip import Choose, JointDecodeFailed, decode_clip, decode_spans
from video_assets.media.decode.frame_stack import DecodedFrames
from video_assets.media.images import ImageCache, clip_signature, encode_images, signature_frames
from video_assets.media.index.matroska_range import MIN_RANGE_FRAMES, TimeRange
from video_assets.pipeline.shards.copying import StoredRecord, copy_record
from video_assets.records.clip_record import ClipRecord
from video_assets.records.framing import frame_record
from video_assets.records.layouts import layout_codec
from video_assets.settings import Limits
from video_assets.storage.remote_files import LocalVideo, RemoteVideo, fetch_ahead, locate_video, refuse_other_content


@dataclass(frozen=True, slots=True)
class ClipJob:
    """One clip to encode. Size and time are those that the file had when it was hashed, and `known` is of that time.

    `hashed_ns` is when the manifest was written. The file lies below `within`, also behind links; None: anywhere.
    `stored` is a record that has its frames already, and `video` what was fetched of its file.
    """

    path: Path
    size_bytes: int
    mtime_ns: int
    clip: PlannedClip
    encoding: Encoding
    limits: Limits
    known: KnownTimeline | None = None
    stored: StoredRecord | None = None
    hashed_ns: int = 0
    within: Path | None = None
    video: RemoteVideo | None = None

    @property
    def time_range(self) -> TimeRange | None:
        """The clip's range in its video, if it is a span of a long video that was probed."""
        known, clip = self.known, self.clip
        if known is None or known.num_frames < MIN_RANGE_FRAMES or not clip.is_span:
            return None
        bounds = Timeline(np.array([known.start_us]), known.end_us)
        return TimeRange(known, *span_us(bounds, clip.start_seconds, clip.end_seconds))


@dataclass(frozen=True, slots=True)
class EncodedClip:
    """One framed record, and what happened on the way. `copied` is the stored record that it was made from, if any."""

    framed: bytes
    num_frames: int
    note: str
    signature: bytes
    num_frames_decoded: int
    num_frames_total: int
    damage: str = ""
    copied: StoredRecord | None = None


def fetch_clip(job: ClipJob) -> ClipJob:
    """Return the job with its video, if that is a small one in a store and needed. Runs while others are encoded."""
    return job if job.stored is not None else replace(job, video=fetch_ahead(job.path, job.size_bytes))


def encode_clip(job: ClipJob) -> EncodedClip:
    """Return the record of one clip: copied if it is stored, else decoded, sampled, resized and framed.

    Raises:
        VideoLost: if the clip cannot be used, or its file is no longer the one that the plan is about.
    """
    if job.stored is not None and (copied := _copy(job, job.stored)) is not None:
        return copied
    video = unchanged_video(job)
    encoded = encode_decoded(job, video, decode_job(job, video))
    _refuse_changed(video)
    return encoded


def _copy(job: ClipJob, stored: StoredRecord) -> EncodedClip | None:
    framed = copy_record(stored, job.clip, job.encoding)
    if framed is None:
        return None
    return EncodedClip(
        framed=framed,
        num_frames=stored.clip.num_frames,
        note=stored.clip.note,
        signature=bytes.fromhex(stored.clip.signature),
        num_frames_decoded=0,
        num_frames_total=0,
        damage=stored.clip.damage,
        copied=stored,
    )


def encode_spans(jobs: Sequence[ClipJob]) -> list[EncodedClip | Loss] | None:
    """What `encode_clip` gives for each of these clips of one video, or says of its span; the video is decoded once.

    None where anything was not smooth: then each clip has to be encoded by itself, which tells what holds for it.

    Raises:
        VideoLost: of a single clip as `encode_clip`; of several it says as little as None.
    """
    first, *others = jobs
    if not others:
        return [encode_clip(first)]
    video = unchanged_video(first)
    try:
        choices = [_choice(job) for job in jobs]
        found = decode_spans(video, choices, FrameSize.of(first.encoding), first.limits, joint_part(jobs))
    except JointDecodeFailed:
        return None
    encoded: list[EncodedClip | Loss] = []
    images = ImageCache(first.encoding.image_format, first.encoding.jpeg_quality)
    for job, decoded in zip(jobs, found, strict=True):
        encoded.append(decoded if isinstance(decoded, Loss) else encode_decoded(job, video, decoded, images))
    _refuse_changed(video)
    return encoded


def sign_clip(job: ClipJob) -> bytes:
    """The signature of a clip, from the frames that it takes alone. Runs in a decoding process.

    Raises:
        VideoLost: if the clip cannot be used.
    """
    video, choose = unchanged_video(job), _choice(job)

    def chosen(timeline: Timeline) -> Sequence[int]:
        times = choose(timeline)
        return [times[index] for index in signature_frames(len(times))]

    decoded = decode_clip(video, chosen, FrameSize.of(job.encoding), job.limits, job.time_range)
    return clip_signature(decoded.frames, letterboxed=job.encoding.resize == "letterbox")


def decode_job(job: ClipJob, video: LocalVideo | RemoteVideo) -> DecodedFrames:
    """The frames of a clip, as the encoding wants them, from its `unchanged_video`.

    Raises:
        VideoLost: if the clip cannot be used.
    """
    return decode_clip(video, _choice(job), FrameSize.of(job.encoding), job.limits, job.time_range)


def joint_part(jobs: Sequence[ClipJob]) -> TimeRange | None:
    """From the first frame of any of these spans of one video to the last, where it is known."""
    parts = [job.time_range for job in jobs]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return replace(known[0], start_us=min(part.start_us for part in known), end_us=max(part.end_us for part in known))


def _choice(job: ClipJob) -> Choose:
    clip = job.clip
    return lambda timeline: choose_timestamps(timeline, job.encoding, clip.start_seconds, clip.end_seconds).tolist()


def encode_decoded(
    job: ClipJob, video: LocalVideo | RemoteVideo, decoded: DecodedFrames, known: ImageCache | None = None
) -> EncodedClip:
    """The framed record of a clip whose frames were decoded; its sound is read from `video` here.

    Raises:
        VideoLost: if its sound cannot be decoded.
    """
    encoding = job.encoding
    record = clip_record(job.clip, decoded, encoding, known)
    if encoding.audio_sample_rate:
        start_us, end_us = span_us(decoded.timeline, job.clip.start_seconds, job.clip.end_seconds)
        sound = _sound(job, video, start_us, end_us)
        record = replace(record, audio=sound, audio_sample_rate=encoding.audio_sample_rate, audio_start_us=start_us)
    framed = frame_record(layout_codec(encoding.layout).encode_record(record), encoding.compression)
    return EncodedClip(
        framed=framed,
        num_frames=record.num_frames,
        note=decoded.note,
        signature=clip_signature(decoded.frames, letterboxed=encoding.resize == "letterbox"),
        num_frames_decoded=decoded.num_frames_decoded,
        num_frames_total=decoded.num_frames_total,
        damage=decoded.damage,
    )


def _sound(job: ClipJob, video: LocalVideo | RemoteVideo, start_us: int, end_us: int) -> NDArray[np.float32]:
    """The sound of a span; empty where the video has none, which loses no clip and says what is so."""
    sound = decode_audio(video, start_us, end_us, job.encoding.audio_sample_rate, job.limits)
    return np.zeros(0, np.float32) if sound is None else sound


def clip_record(
    clip: PlannedClip, decoded: DecodedFrames, encoding: Encoding, known: ImageCache | None = None
) -> ClipRecord:
    """The record of a clip whose frames were decoded; `known` are images of other clips of its video.

    Raises:
        VideoLost: its frames cannot be stored as images.
    """
    images = _images(decoded, encoding, known) if encoding.stores_images else ()
    return ClipRecord(
        clip_id=clip.clip_id,
        source=clip.path,
        label=clip.label,
        label_index=clip.label_index,
        other_label_indices=clip.other_label_indices,
        images=images,
        frames=None if encoding.stores_images else decoded.frames,
        timestamps_us=np.asarray(decoded.timestamps_us, np.int64),
        height_px=decoded.frames.shape[1],
        width_px=decoded.frames.shape[2],
        note=decoded.note,
        caption=clip.caption or "",
    )


def _images(decoded: DecodedFrames, encoding: Encoding, known: ImageCache | None) -> Sequence[bytes]:
    try:
        if known is not None:
            return known.encode(decoded.frames, decoded.timestamps_us)
        return encode_images(decoded.frames, encoding.image_format, encoding.jpeg_quality)
    except ValueError as error:  # whatever its frames are like, no other clip suffers for it
        raise VideoLost(Loss("unreadable", f"Its frames cannot be stored: {error}.")) from error


def unchanged_video(job: ClipJob) -> LocalVideo | RemoteVideo:
    """Return what decoding opens: the clip's video, which is still the one that was hashed; a small one is read.

    Raises:
        VideoLost: if it is gone, cannot be read, or is another one now.
        StorageFailed: if its store does not answer.
    """
    try:
        video = job.video or locate_video(job.path, job.within, size_bytes=job.size_bytes)
        if (video.size_bytes, video.mtime_ns) != (job.size_bytes, job.mtime_ns):
            raise VideoLost(Loss("changed", "the file changed after the manifest was made; materialize manifest again"))
        refuse_other_content(video, job.clip.content_hash, job.hashed_ns)
    except FileNotFoundError:
        raise VideoLost(Loss("missing_file", "the file vanished after the manifest was made")) from None
    except StorageFailed:
        raise
    except OSError as error:
        raise VideoLost(Loss("read_failed", f"the file cannot be read: {error.strerror}")) from error
    return video


def _refuse_changed(video: LocalVideo | RemoteVideo) -> None:
    """Let pass only a video that was not written over while it was decoded; an object in a store cannot be."""
    if isinstance(video, LocalVideo):
        try:
            video.refuse_changed()
        except OSError as error:
            raise VideoLost(Loss("changed", f"the file changed while it was read: {error.strerror}")) from error


@dataclass(frozen=True, slots=True)
class TrialJob:
    """A clip to encode under each of some encodings."""

    clip: ClipJob
    encodings: tuple[Encoding, ...]


def try_clip(job: TrialJob) -> tuple[TriedClip, ...]:
    """Encode a clip as a build would, and return what it took under each encoding. Runs in a decoding process.

    Encodings that differ in image format or quality alone share one decoding; each counts it as its own.

    Raises:
        VideoLost: if the clip cannot be used.
    """
    found: dict[Encoding, TriedClip] = {}
    clock = _Clock()
    video = unchanged_video(job.clip)
    fetching = clock.read()
    for encodings in _by_frames(job.encodings):
        clock = _Clock()
        decoded = decode_job(replace(job.clip, encoding=encodings[0]), video)
        decoding = clock.read()
        for encoding in encodings:
            clock = _Clock()
            encoded = encode_decoded(replace(job.clip, encoding=encoding), video, decoded)
            seconds, core_seconds = np.sum([fetching, decoding, clock.read()], axis=0).tolist()
            found[encoding] = TriedClip(
                num_frames=encoded.num_frames,
                num_bytes=len(encoded.framed),
                seconds=seconds,
                core_seconds=core_seconds,
            )
    return tuple(found[encoding] for encoding in job.encodings)


class _Clock:
    """Seconds by the clock and of this process since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]


def _by_frames(encodings: Iterable[Encoding]) -> list[list[Encoding]]:
    """Return the encodings in groups that store the same frames."""
    groups: dict[Encoding, list[Encoding]] = {}
    for encoding in dict.fromkeys(encodings):
        frames = encoding.replace(image_format="jpeg", jpeg_quality=100)
        groups.setdefault(frames, []).append(encoding)
    return list(groups.values())
