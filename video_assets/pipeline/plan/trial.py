"""One clip, encoded to see what that costs. Runs in a decoding process."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.media.decode.sequential import decode_beginning
from video_assets.pipeline.shards.encode import ClipJob, decode_job, encode_decoded, unchanged_video
from video_assets.storage.remote_files import RemoteVideo


@dataclass(frozen=True, slots=True)
class TrialJob:
    """A clip to encode under each of some encodings.

    For `max_plain_seconds`, if it is above 0, the video's beginning is also decoded plainly, as checks will do it.
    """

    clip: ClipJob
    encodings: tuple[Encoding, ...]
    max_plain_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TrialCost:
    """What one record takes under one encoding."""

    seconds: float
    core_seconds: float
    num_bytes: int


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A cost for each encoding, in their order; what a plain decode takes a frame, or None."""

    costs: tuple[TrialCost, ...]
    plain_frame: "FrameCost | None"


@dataclass(frozen=True, slots=True)
class FrameCost:
    """What decoding one frame takes."""

    seconds: float
    core_seconds: float


def try_clip(job: TrialJob) -> TrialResult:
    """Encodes a clip as a build would; encodings that differ in JPEG quality alone share one decoding.

    Raises:
        VideoLost: if the clip cannot be used.
    """
    cost_of: dict[Encoding, TrialCost] = {}
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
            seconds, core_seconds = (sum(parts) for parts in zip(fetching, decoding, clock.read(), strict=True))
            cost_of[encoding] = TrialCost(seconds, core_seconds, len(encoded.framed))
    return TrialResult(tuple(cost_of[encoding] for encoding in job.encodings), _plain_frame(job, video))


class _Clock:
    """Seconds by the clock and of this process since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._begun[0], time.process_time() - self._begun[1]


def _by_frames(encodings: Iterable[Encoding]) -> list[list[Encoding]]:
    """Encodings that store the same frames, together."""
    groups: dict[Encoding, list[Encoding]] = {}
    for encoding in dict.fromkeys(encodings):
        frames = encoding.replace(image_format="jpeg", jpeg_quality=100)
        groups.setdefault(frames, []).append(encoding)
    return list(groups.values())


def _plain_frame(job: TrialJob, video: Path | RemoteVideo) -> FrameCost | None:
    if job.max_plain_seconds <= 0:
        return None
    clock = _Clock()
    try:
        num_frames = decode_beginning(video, job.max_plain_seconds, job.clip.limits)
    except VideoLost:
        return None
    seconds, core_seconds = clock.read()
    return FrameCost(seconds / num_frames, core_seconds / num_frames)
