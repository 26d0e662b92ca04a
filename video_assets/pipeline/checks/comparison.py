"""Compare one stored record with a plain decode of its source. Runs in a decoding process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.checks import CheckPicture, frame_mse, misplaced_frame, psnr_from_mse
from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.domain.text import counted
from video_assets.media.decode.sequential import decode_frames_sequentially
from video_assets.media.decode.spots import decode_spots
from video_assets.media.images import decode_image, encode_image, encode_images, scaled_to_height
from video_assets.media.open.video import VideoSource
from video_assets.settings import Limits
from video_assets.storage.remote_files import RemoteVideo, fetch_ahead, locate_video

PSNR_MARGIN_DB = 1.5
"""How far below the loss of its own image format a stored frame may be."""
LOSSLESS_PSNR_DB = 45.0
_PICTURE_PX = 192
_SEEKS_EARLIER_US = (0, 10_000_000)
"""A transport stream is sought in by time alone: a keyframe is some seconds before, or after."""


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """One record to compare with a plain decode of its source; `is_whole` if the clip is the whole video.

    `images` are its encoded images, or the frames themselves, (T, H, W, 3) uint8 RGB. `spots` are the indices of frames
    that stand for all of them, since the video is long; none: all are compared. `video` is what was fetched of the
    source already.
    """

    path: Path
    images: tuple[bytes, ...] | NDArray[np.uint8]
    timestamps_us: tuple[int, ...]
    is_whole: bool
    encoding: Encoding
    limits: Limits
    spots: tuple[int, ...] = ()
    size_bytes: int | None = None
    video: RemoteVideo | None = None


def fetch_source(job: SourceComparison) -> SourceComparison:
    """Return the job with its source, if that is a small video in a store. Runs while others are compared."""
    return replace(job, video=fetch_ahead(job.path, job.size_bytes or 0))


@dataclass(frozen=True, slots=True)
class ComparisonResult:
    """The worst frame's PSNR, and what is wrong (empty if nothing is); the frame as stored and as its source has it."""

    psnr_db: float
    fault: str = ""
    frame_index: int = 0
    images: tuple[bytes, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault

    def side_by_side(self, clip_id: str, timestamps_us: Sequence[int]) -> list[CheckPicture]:
        """The frame that is farthest from its source, and what its source shows then; nothing if none was compared."""
        if not self.images:
            return []
        seconds = timestamps_us[self.frame_index] / 1e6
        words = f"{clip_id}, frame {self.frame_index} at {seconds:.2f} s: {self.psnr_db:.1f} dB"
        return [CheckPicture(words, self.images, ("stored", "its source"))]


def compare_with_source(job: SourceComparison) -> ComparisonResult:
    """Decode the source plainly at the stored times, and compare. Runs in a decoding process.

    A stored frame must be as near to its source frame as the image format lets it be, within `PSNR_MARGIN_DB`,
    and nearer to it than to the clip's other frames. Times must not go backwards, nor stand twice unless the
    source has fewer frames than asked for, still shows the frame at the next wanted time, or a fixed rate asks for more
    than the source's.

    Of a long video some frames are looked for by FFmpeg's seek. All of it is decoded only where these differ.

    Raises:
        VideoLost: if the source cannot be decoded.
    """
    encoding = job.encoding
    if any(later < earlier for earlier, later in pairwise(job.timestamps_us)):
        is_looped = encoding.short_clip == "loop" and encoding.sampling in ("uniform", "segments")
        if not is_looped:
            return ComparisonResult(0.0, "its times go backwards")
    try:
        video = job.video or locate_video(job.path, size_bytes=job.size_bytes)
    except FileNotFoundError:
        raise VideoLost(Loss("missing_file", "There is no such file.")) from None
    limits = replace(job.limits, store_damaged=True)  # whether damage may be stored, the build has decided
    are_apart = all(later > earlier for earlier, later in pairwise(job.timestamps_us))
    for earlier_us in _SEEKS_EARLIER_US if job.spots and are_apart else ():
        result = _compare_spots(job, video, limits, earlier_us)
        if result is not None and result.is_sound:
            return result
    source = decode_frames_sequentially(
        video, job.timestamps_us, FrameSize.of(encoding), limits, looks_for_damage=False
    )
    repeats = _wrong_repeats(job, source.timeline)
    if repeats:
        stand = counted(repeats, "frame stands", "frames stand")
        return ComparisonResult(0.0, f"{stand} twice, though its source has {source.num_frames_total}")
    if not np.array_equal(np.asarray(source.timestamps_us), np.asarray(job.timestamps_us)):
        return ComparisonResult(0.0, "its times are not times at which its source shows a frame")
    return _compare_stored(job, range(len(job.timestamps_us)), source.frames)


def _compare_spots(
    job: SourceComparison, video: VideoSource, limits: Limits, earlier_us: int
) -> ComparisonResult | None:
    """Compare the frames that stand for all; None if the source has none at exactly their times after this seek."""
    times_us = [job.timestamps_us[index] for index in job.spots]
    source = decode_spots(video, times_us, FrameSize.of(job.encoding), limits, earlier_us=earlier_us)
    return None if source is None else _compare_stored(job, job.spots, source)


def _compare_stored(job: SourceComparison, indices: Sequence[int], source: NDArray[np.uint8]) -> ComparisonResult:
    """Compare these stored frames with as many of the source."""
    try:
        chosen = [job.images[index] for index in indices]
        stored = np.stack([decode_image(image) if isinstance(image, bytes) else image for image in chosen])
    except ValueError as error:
        return ComparisonResult(0.0, f"its frames cannot be decoded: {error}")
    if stored.shape != source.shape:
        return ComparisonResult(0.0, f"its frames are {stored.shape}, its source gives {source.shape}")
    result = _compare_frames(stored, source, job.encoding)
    return replace(result, frame_index=indices[result.frame_index])


def _wrong_repeats(job: SourceComparison, timeline: Timeline) -> int:
    """Return how many frames of a whole video stand twice without being shown for that long."""
    wanted = len(job.timestamps_us)
    if not wanted or not job.is_whole or job.encoding.sampling == "fps" or timeline.num_frames < wanted:
        return 0
    times_us, counts = np.unique(np.array(job.timestamps_us, np.int64), return_counts=True)
    if job.encoding.encoder_version == 1:
        return int((counts - 1).sum())
    bounds_us = np.append(timeline.starts_us, timeline.end_us)
    after = np.minimum(np.searchsorted(bounds_us, times_us, side="right"), timeline.num_frames)
    shown_us = bounds_us[after] - times_us
    step_us = timeline.duration_us / wanted
    is_wrong = (counts - 1) * step_us > shown_us + timeline.tick_us
    return int((counts - 1)[is_wrong].sum())


def _compare_frames(stored: NDArray[np.uint8], source: NDArray[np.uint8], encoding: Encoding) -> ComparisonResult:
    worst, worst_index = 99.0, 0
    possible = source if encoding.is_lossless else _stored_as_images(source, encoding)
    for index, (frame, wanted, best) in enumerate(zip(stored, source, possible, strict=True)):
        psnr_db = psnr_from_mse(frame_mse(frame, wanted))
        possible_db = min(LOSSLESS_PSNR_DB + PSNR_MARGIN_DB, psnr_from_mse(frame_mse(best, wanted)))
        if psnr_db < worst:
            worst, worst_index = psnr_db, index
        if psnr_db < possible_db - PSNR_MARGIN_DB:
            fault = f"frame {index} is {psnr_db:.1f} dB from its source, {possible_db:.1f} dB are possible"
            return _with_images(ComparisonResult(worst, fault, index), stored, source)
    misplaced = misplaced_frame(stored, source)
    if misplaced is not None:
        fault = f"frame {misplaced} is nearer to another frame of its source than to its own"
        return _with_images(ComparisonResult(worst, fault, misplaced), stored, source)
    return _with_images(ComparisonResult(worst, frame_index=worst_index), stored, source)


def _with_images(result: ComparisonResult, stored: NDArray[np.uint8], source: NDArray[np.uint8]) -> ComparisonResult:
    """The result's frame from both sides, small enough for an event."""
    frames = [scaled_to_height(side[result.frame_index], min(_PICTURE_PX, side.shape[1])) for side in (stored, source)]
    return replace(result, images=tuple(encode_image(frame, "jpeg", 85) for frame in frames))


def _stored_as_images(frames: NDArray[np.uint8], encoding: Encoding) -> Iterator[NDArray[np.uint8]]:
    """The frames as they come back from the image format."""
    return map(decode_image, encode_images(frames, encoding.image_format, encoding.jpeg_quality))
