"""The straightforward way: decode every frame from the first to the last, with no index, no seek and no skip."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import av.error
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from video_assets.domain.geometry import FrameSize, round_half_up
from video_assets.domain.limits import Limits
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.convert import FrameConverter
from video_assets.media.index.bitstream import least_raw_bytes
from video_assets.media.index.clock import frame_times, shown_at, timeline_of
from video_assets.media.open.video import (
    DEFAULT_LIMITS,
    OpenVideo,
    VideoSource,
    check_length,
    check_pixels,
    lose,
    losses_named,
    open_video,
)

KEPT_BYTES: Final = 16 * 2**20
"""Decoded frames up to this much are kept until it is known which are wanted."""

_MOST_WAITING_PIXELS: Final = 1 << 20
_FRAME_BYTES: Final = 4096  # of a frame however small
_PIXEL_BYTES: Final = 6  # at most: three components of 16 bits


@dataclass(slots=True)
class DecodedFrames:
    """The frames that were asked for.

    `frames` (T, H, W, 3) uint8 RGB. `timestamps_us` (T,) int64: when each of them appears, on the video's own time
    line; not the wanted times. `num_frames_decoded`: frames that the decoder worked out to get them, of
    `num_frames_total` in the video. `note`: "", or why the whole video was decoded frame by frame.
    `timeline`: of the whole video.
    """

    frames: NDArray[np.uint8]
    timestamps_us: NDArray[np.int64]
    num_frames_decoded: int
    num_frames_total: int
    note: str
    timeline: Timeline


@dataclass(slots=True)
class _Pass:
    """What one full decode has seen."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    corrupt: list[bool] = field(default_factory=list)
    last_duration: int = 0
    num_errors: int = 0
    num_keyframes: int = 0
    is_encrypted: bool = False


def decode_plainly(
    video: VideoSource,
    choose: Callable[[Timeline], Sequence[int]],
    frame_size: FrameSize,
    limits: Limits,
    note: str,
) -> DecodedFrames:
    """Decode the video from end to end for its time line, then convert the frames that `choose` wants.

    Where all frames are too many to be kept meanwhile, it is decoded twice.

    Raises:
        VideoLost: what `open_video` raises, and no_frames, encrypted, corrupt_frames, too_many_frames, too_long.
    """
    with open_video(video, limits) as opened:
        return decode_opened_plainly(opened, video, choose, frame_size, note)


def decode_opened_plainly(
    opened: OpenVideo,
    video: VideoSource,
    choose: Callable[[Timeline], Sequence[int]],
    frame_size: FrameSize,
    note: str,
) -> DecodedFrames:
    """The same for a video of which nothing was decoded yet; `video` is opened again where frames cannot be kept.

    Raises:
        VideoLost: as `decode_plainly`.
    """
    with losses_named("all of it was decoded"):
        seen = _Pass()
        frames = _frames_while_few(_all_frames(opened, seen))
        timeline, time_note = _timeline(opened, seen)
    starts_us = timeline.starts_us
    wanted_us = list(choose(timeline))
    places = shown_at(starts_us, wanted_us)
    _check_not_corrupt(seen, places)
    with losses_named("all of it was decoded"):
        numbers = places.tolist()
        if frames is not None:
            stack = _fill(opened, frames, numbers, frame_size)
        else:
            with open_video(video, opened.limits) as again:
                stack = _fill(again, _all_frames(again, _Pass()), numbers, frame_size)
    return DecodedFrames(
        frames=stack.frames,
        timestamps_us=starts_us[places],
        num_frames_decoded=len(starts_us),
        num_frames_total=len(starts_us),
        note=" ".join(part for part in (note, time_note) if part),
        timeline=timeline,
    )


def _frames_while_few(frames: Iterable[VideoFrame]) -> list[VideoFrame] | None:
    """All of them; None where they take more than `KEPT_BYTES`, all decoded nevertheless."""
    kept: list[VideoFrame] | None = []
    num_bytes = 0
    for frame in frames:
        if kept is not None:
            num_bytes += _FRAME_BYTES + _PIXEL_BYTES * frame.width * frame.height
            kept.append(frame)
            if num_bytes > KEPT_BYTES:
                kept = None
    return kept


def plain_timeline(opened: OpenVideo) -> tuple[Timeline, str, int]:
    """The time line from decoding everything, a note on times that had to be made up, the number of keyframes."""
    seen = _Pass()
    for _ in _all_frames(opened, seen):
        pass
    return *_timeline(opened, seen), seen.num_keyframes


def _all_frames(opened: OpenVideo, seen: _Pass) -> Iterator[VideoFrame]:
    """Every frame in display order; what does not decode is counted and passed over, as the ffmpeg program does."""
    least_bytes = least_raw_bytes(opened.codec)
    for packet in opened.packets():
        if 0 < packet.size < least_bytes:
            seen.num_errors += 1
            continue
        seen.is_encrypted = seen.is_encrypted or packet.has_sidedata("encryption_info")
        try:
            frames = opened.codec.decode(packet)
        except (
            av.error.InvalidDataError,
            av.error.PatchWelcomeError,
            av.error.UndefinedError,
            av.error.BugError,
        ):
            seen.num_errors += 1
            continue
        except (av.error.ArgumentError, av.error.EOFError):
            seen.num_errors += 1
            continue
        for frame in frames:
            check_pixels(frame.width, frame.height, opened.limits)
            check_length(len(seen.pts) + 1, 0, opened.limits)
            seen.num_keyframes += frame.key_frame
            seen.pts.append(frame.pts)
            seen.dts.append(frame.dts)
            seen.corrupt.append(frame.is_corrupt)
            seen.last_duration = frame.duration or 0
            yield frame


def _timeline(opened: OpenVideo, seen: _Pass) -> tuple[Timeline, str]:
    if not seen.pts:
        _lose_without_frames(opened, seen)
    starts_us, note = frame_times(seen.pts, seen.dts, opened.time_base, opened.frame_rate)
    timeline = timeline_of(starts_us, round_half_up(seen.last_duration * opened.time_base * 1_000_000))
    check_length(timeline.num_frames, timeline.duration_us, opened.limits)
    if seen.num_errors:
        note = f"{note} {seen.num_errors} packets did not decode.".strip()
    return timeline, note


def _lose_without_frames(opened: OpenVideo, seen: _Pass) -> None:
    check_pixels(opened.codec.width, opened.codec.height, opened.limits)
    if seen.is_encrypted:
        lose("encrypted", "Its video samples are encrypted.")
    if seen.num_errors:
        lose(
            "no_frames",
            f"None of its packets decoded to a frame; {seen.num_errors} gave errors.",
        )
    lose("no_frames", "Its video stream holds not one frame.")


def _check_not_corrupt(seen: _Pass, places: NDArray[np.int64]) -> None:
    asked = {int(place) for place in places}
    num_corrupt = sum(seen.corrupt[place] for place in asked)
    if num_corrupt:
        lose(
            "corrupt_frames",
            f"{num_corrupt} of the {len(asked)} frames that were asked for decode with errors "
            f"({sum(seen.corrupt)} of {len(seen.corrupt)} in the whole video).",
        )


class FrameStack:
    """Stored frames for a list of frame numbers (`places`, repeats allowed), filled in any order, without copies.

    Small frames wait for one another and are converted together: decoder and scaler in turn would push each other's
    code and tables out of the processor's caches (4 % of the time of a small clip).
    """

    def __init__(self, places: Sequence[int], converter: FrameConverter, frame_size: FrameSize) -> None:
        self._slots: dict[int, list[int]] = {}
        for slot, place in enumerate(places):
            self._slots.setdefault(place, []).append(slot)
        self._converter = converter
        side_px = frame_size.resolution
        self.frames: NDArray[np.uint8] = np.empty((0, side_px, side_px, 3), dtype=np.uint8)
        self._num_slots = len(places)
        self._waiting: dict[int, VideoFrame] = {}
        self._num_waiting_pixels = 0

    @property
    def missing(self) -> set[int]:
        """Frame numbers that have not come yet."""
        return self._slots.keys() - self._waiting.keys()

    def put(self, place: int, frame: VideoFrame) -> None:
        """Take the decoded frame number `place`; when the last one has come, all are converted into their slots.

        Raises:
            VideoLost: too_many_pixels; unreadable, for a video whose pictures change their shape in the middle.
        """
        self._waiting[place] = frame
        self._num_waiting_pixels += frame.width * frame.height
        if self._num_waiting_pixels > _MOST_WAITING_PIXELS or len(self._waiting) == len(self._slots):
            for number, waiting in self._waiting.items():
                self._convert(number, waiting)
            self._waiting.clear()
            self._num_waiting_pixels = 0

    def _convert(self, place: int, frame: VideoFrame) -> None:
        shape = self._converter.frame_shape(frame)
        if not len(self.frames):
            self.frames = np.empty((self._num_slots, *shape), dtype=np.uint8)
        if self.frames.shape[1:] != shape:
            lose("unreadable", f"Its frames change their shape in the middle: {self.frames.shape[1:]}, {shape}.")
        first, *others = self._slots.pop(place)
        picture = self._converter.convert(frame, self.frames[first])
        if picture.base is not self.frames:
            self.frames[first] = picture
        for other in others:
            self.frames[other] = self.frames[first]


def _fill(opened: OpenVideo, frames: Iterable[VideoFrame], places: Sequence[int], frame_size: FrameSize) -> FrameStack:
    converter = FrameConverter(frame_size, opened.stream.sample_aspect_ratio, opened.limits)
    stack = FrameStack(places, converter, frame_size)
    missing = stack.missing
    if not missing:
        return stack
    for place, frame in enumerate(frames):
        if place in missing:
            stack.put(place, frame)
            missing.remove(place)
        if not missing:
            return stack
    return lose("unreadable", "Decoding it twice gave different numbers of frames.")


def reference_frames(
    video: VideoSource,
    timestamps_us: Sequence[int],
    frame_size: FrameSize,
    limits: Limits = DEFAULT_LIMITS,
) -> DecodedFrames:
    """The frames shown at `timestamps_us`, in that order, repeats allowed, from decoding the whole video.

    Raises:
        VideoLost: when the video, or a frame that was asked for, cannot be had.
    """
    return decode_plainly(video, lambda _timeline: timestamps_us, frame_size, limits, note="")
