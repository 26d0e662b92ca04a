"""When the frames of a video are displayed, and which of them are stored."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.clips import Loss, VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.setting_types import ShortClip


@dataclass(frozen=True, slots=True)
class KnownTimeline:
    """A video's time line as its packets gave it and it was trusted: frames are displayed in [start_us, end_us)."""

    start_us: int
    end_us: int
    num_frames: int


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The frames that a full decode of a video gives, in display order.

    `starts_us` (N,) int64, strictly increasing: when frame i appears, in microseconds on the video's own
    time line, as the container gives it (it may begin below or above zero). `end_us` is when the last frame
    ends (exclusive): frame i is displayed during [starts_us[i], starts_us[i + 1]). `tick_us` is how exactly the
    container can say a time: a tick of its clock, rounded up.
    """

    starts_us: NDArray[np.int64]
    end_us: int
    tick_us: int = 1

    @property
    def num_frames(self) -> int:
        """Return how many frames there are."""
        return len(self.starts_us)

    @property
    def start_us(self) -> int:
        """Return when the first frame appears."""
        return int(self.starts_us[0])

    @property
    def duration_us(self) -> int:
        """Return the time from the first frame's start to the last one's end."""
        return self.end_us - self.start_us


_TIE_US = 2
"""Rounding to whole microseconds can make the two sides of a tie differ by up to this much."""

_ROUNDING_US = 1_000
"""Times in tables, and those in Matroska, are often rounded to milliseconds."""


def _tick_us(timeline: Timeline) -> int:
    """Return by how much the container's clock may move a frame's time; a coarser clock's frames begin at its ticks."""
    return max(_TIE_US, min(timeline.tick_us, _ROUNDING_US))


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a video: its bounds [start_us, end_us), and the frames [first, stop) that begin in it.

    `shown` is the frame that is shown at its start; it may have begun before.
    """

    start_us: int
    end_us: int
    first: int
    stop: int
    shown: int


def span_of(timeline: Timeline, start_seconds: float | None, end_seconds: float | None) -> Span:
    """Return the span [start, end) of a video. None means the video's start or end.

    Seconds count from the video's first frame, as a player shows them. An end past the video's end means the video's
    end. A bound within a millisecond, and a tick of a finer clock, of a frame's start means that start, so that
    rounded times neither lose nor gain a frame. A span between two frames holds the one frame that is shown at its
    start.

    >>> thirty = Timeline(np.arange(90) * 1_000_000 // 30, 3_000_000)   # frame 32 begins at 1.066666
    >>> span_of(thirty, 1.067, 2.0)
    Span(start_us=1066666, end_us=2000000, first=32, stop=60, shown=32)

    Raises:
        VideoLost: `bad_span` if the span is empty, negative, or begins after the video's end.
    """
    start, end = _checked_span(timeline, start_seconds, end_seconds)
    starts = timeline.starts_us
    start_us = timeline.start_us if start_seconds is None else _snapped(timeline, round(start * 1e6))
    end_us = timeline.end_us if end_seconds is None else _snapped(timeline, round(end * 1e6))
    first, stop = (int(i) for i in np.searchsorted(starts, np.array([start_us, end_us]), side="left"))
    shown = max(0, int(np.searchsorted(starts, start_us, side="right")) - 1)
    if first >= stop:
        first, stop = shown, shown + 1
    return Span(start_us, max(end_us, start_us + 1), first, stop, shown)


def _snapped(timeline: Timeline, offset_us: int) -> int:
    """Return a time, given from the first frame on, or the nearest bound of a frame if that is within rounding."""
    time_us = timeline.start_us + offset_us
    after = int(np.searchsorted(timeline.starts_us, time_us))
    bounds = [int(time) for time in timeline.starts_us[max(0, after - 1) : after + 1]] + [timeline.end_us]
    nearest = min(bounds, key=lambda bound_us: abs(bound_us - time_us))
    # The table's time and the container's are each rounded from the frame's true time, and not always the same way. A
    # clock that is coarser than a millisecond mostly ticks once a frame, and rounds nothing.
    rounding_us = _tick_us(timeline) if timeline.tick_us <= _ROUNDING_US else _TIE_US
    return nearest if abs(nearest - time_us) <= _ROUNDING_US + rounding_us else time_us


def _checked_span(timeline: Timeline, start_seconds: float | None, end_seconds: float | None) -> tuple[float, float]:
    duration_seconds = timeline.duration_us / 1e6
    start = 0.0 if start_seconds is None else start_seconds
    end = duration_seconds if end_seconds is None else end_seconds
    if not (0 <= start < end) or start >= duration_seconds:
        detail = f"the span {start:g} s to {end:g} s is not a part of this video of {duration_seconds:g} s"
        raise VideoLost(Loss("bad_span", detail))
    return start, min(end, duration_seconds)  # a table may say 1e305, which is infinite in microseconds


def first_edition_span(timeline: Timeline, start_seconds: float | None, end_seconds: float | None) -> tuple[int, int]:
    """Return the frames of a span, [first, stop), as version 1 of the encoder takes them: by exact times.

    Raises:
        VideoLost: `bad_span`, as `span_of`.
    """
    start, end = _checked_span(timeline, start_seconds, end_seconds)
    if start_seconds is None and end_seconds is None:
        return 0, timeline.num_frames
    bounds_us = [timeline.start_us + round(start * 1e6), timeline.start_us + round(end * 1e6)]
    first, stop = (int(i) for i in np.searchsorted(timeline.starts_us, np.array(bounds_us), side="left"))
    if first >= stop:
        first = int(np.searchsorted(timeline.starts_us, bounds_us[0], side="right")) - 1
        stop = first + 1
    return first, stop


def span_us(timeline: Timeline, start_seconds: float | None, end_seconds: float | None) -> tuple[int, int]:
    """Return the span [start, end) in microseconds on the video's own time line; None means the video's start or end.

    >>> span_us(Timeline(np.arange(10) * 100_000 + 50_000, 1_050_000), 0.25, 7.0)
    (300000, 1050000)
    """
    start_us = timeline.start_us if start_seconds is None else timeline.start_us + round(start_seconds * 1e6)
    duration_seconds = timeline.duration_us / 1e6
    if end_seconds is None or end_seconds >= duration_seconds:
        return start_us, timeline.end_us
    return start_us, timeline.start_us + round(end_seconds * 1e6)


def choose_timestamps(
    timeline: Timeline,
    encoding: Encoding,
    start_seconds: float | None = None,
    end_seconds: float | None = None,
) -> NDArray[np.int64]:
    """Return the presentation times (T,) int64, in microseconds, of the frames to store for one clip, in order.

    Every time is one of the timeline's own. `uniform` takes the frames that a player shows at num_frames equally spaced
    times from the clip's start on; `segments` those shown in the middle of num_frames equal parts; `fps` those shown at
    times 1/fps apart. The frame shown at a time is the last that began by then, or within a tick of the container's
    clock after it. `all` takes each frame that begins in the clip. The last two take no more than
    max_frames: the first ones, or as many spread over the clip (over_max_frames). A frame is taken twice if it is still
    shown at the next wanted time, or if the clip has fewer frames than num_frames.

    In the layout `movinets_helper`, `uniform` takes the frames nearest to the wanted times, as the original does.

    >>> ten = Timeline(np.arange(10) * 100_000, 1_000_000)   # ten frames a second, for one second
    >>> choose_timestamps(ten, Encoding(num_frames=4)) // 100_000   # at 0, 2.5, 5 and 7.5
    array([0, 2, 5, 7])
    >>> choose_timestamps(ten, Encoding(sampling="segments", num_frames=4)) // 100_000
    array([1, 3, 6, 8])

    Raises:
        VideoLost: `bad_span`; `too_short` if the encoding quarantines short clips.
    """
    if encoding.over_max_frames == "spread" and encoding.sampling in ("fps", "all"):
        found = choose_timestamps(timeline, _unlimited(encoding), start_seconds, end_seconds)
        num_frames = min(len(found), encoding.max_frames)
        return found[np.arange(num_frames) * len(found) // max(1, num_frames)]
    if encoding.encoder_version == 1:
        first, stop = first_edition_span(timeline, start_seconds, end_seconds)
    else:
        span = span_of(timeline, start_seconds, end_seconds)
        if encoding.sampling != "all" and not _is_helpers_choice(encoding):
            return timeline.starts_us[_shown_indices(timeline, span, encoding)]
        first, stop = span.first, span.stop
    starts = timeline.starts_us[first:stop]
    end_us = int(timeline.starts_us[stop]) if stop < timeline.num_frames else timeline.end_us
    return starts[_nearest_indices(starts, end_us, encoding)]


def _is_helpers_choice(encoding: Encoding) -> bool:
    return encoding.layout == "movinets_helper" and encoding.sampling == "uniform"


def num_stored_frames(
    encoding: Encoding, durations_us: NDArray[np.int64], source_frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many frames, (N,) int64, `choose_timestamps` takes of clips of these durations and frame counts.

    Where short clips are quarantined, the number holds for the others.

    >>> num_stored_frames(Encoding(sampling="fps", fps=5.0), np.array([2_000_000, 90_000_000]), np.array([60, 2700]))
    array([ 10, 300])
    """
    match encoding.sampling:
        case "uniform" | "segments":
            return np.full(len(durations_us), encoding.num_frames, np.int64)
        case "fps":
            # Without the rounding less, a clip that ends right at a wanted time would get one frame too many.
            rounding_us = 1 if encoding.encoder_version == 1 else min(_ROUNDING_US, 0.5e6 / encoding.fps)
            wanted = np.ceil((durations_us - rounding_us) * encoding.fps / 1e6).astype(np.int64)
            return np.clip(wanted, 1, encoding.max_frames)
        case "all":
            return np.minimum(source_frames, encoding.max_frames)


def num_left_out(
    encoding: Encoding, durations_us: NDArray[np.int64], source_frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many frames, (N,) int64, `choose_timestamps` leaves out of such clips because of max_frames.

    >>> num_left_out(Encoding(sampling="fps", fps=5.0), np.array([2_000_000, 90_000_000]), np.array([60, 2700]))
    array([  0, 150])
    """
    all_of_them = num_stored_frames(_unlimited(encoding), durations_us, source_frames)
    return all_of_them - num_stored_frames(encoding, durations_us, source_frames)


def _unlimited(encoding: Encoding) -> Encoding:
    return encoding.model_copy(update={"max_frames": 2**62, "over_max_frames": "first"})  # above what can be set


def _shown_indices(timeline: Timeline, span: Span, encoding: Encoding) -> NDArray[np.int64]:
    """Return the frames that a player shows at the wanted times."""
    duration_us, num_shown = span.end_us - span.start_us, span.stop - span.shown
    num_frames = int(num_stored_frames(encoding, np.array([duration_us]), np.array([num_shown]))[0])
    if encoding.sampling != "fps" and num_shown < num_frames:
        return span.shown + _short_clip_indices(num_shown, num_frames, encoding.short_clip)
    step_us = 1e6 / encoding.fps if encoding.sampling == "fps" else duration_us / num_frames
    into_step = 0.5 if encoding.sampling == "segments" else 0.0
    wanted_us = span.start_us + (np.arange(num_frames) + into_step) * step_us
    shown = np.searchsorted(timeline.starts_us, wanted_us + _tick_us(timeline), side="right") - 1
    return np.clip(shown, span.shown, span.stop - 1)


def _nearest_indices(starts: NDArray[np.int64], end_us: int, encoding: Encoding) -> NDArray[np.int64]:
    """Return the frames nearest to the wanted times, each once if there are enough: the choice of version 1."""
    duration_us = end_us - int(starts[0])
    num_frames = int(num_stored_frames(encoding, np.array([duration_us]), np.array([len(starts)]))[0])
    match encoding.sampling:
        case "all":
            return np.arange(num_frames)
        case "fps":
            return nearest_frames(starts, starts[0] + np.arange(num_frames) * (1e6 / encoding.fps))
        case "uniform" | "segments":
            if len(starts) < num_frames:
                return _short_clip_indices(len(starts), num_frames, encoding.short_clip)
            steps = np.arange(num_frames) * (duration_us / num_frames)
            if encoding.sampling == "uniform":
                return _distinct(nearest_frames(starts, starts[0] + steps), len(starts))
            middles = starts[0] + steps + duration_us / (2 * num_frames)
            return _distinct(np.searchsorted(starts, middles, side="right") - 1, len(starts))


def nearest_frames(starts: NDArray[np.int64], wanted_us: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of the frame that starts nearest to each wanted time; a tie goes to the even index."""
    after = np.clip(np.searchsorted(starts, wanted_us, side="left"), 1, max(1, len(starts) - 1))
    before = after - 1
    after = np.minimum(after, len(starts) - 1)
    lead = np.abs(wanted_us - starts[before]) - np.abs(starts[after] - wanted_us)
    is_tie = np.abs(lead) <= _TIE_US
    takes_after = np.where(is_tie, after % 2 == 0, lead > 0)
    return np.where(takes_after, after, before)


def _short_clip_indices(num_present: int, num_frames: int, short_clip: ShortClip) -> NDArray[np.int64]:
    wanted = np.arange(num_frames)
    match short_clip:
        case "repeat_last":
            return np.minimum(wanted, num_present - 1)
        case "loop":
            return wanted % num_present
        case "quarantine":
            detail = f"the clip has {num_present} frames, {num_frames} are asked for (plan.encoding.short_clip)"
            raise VideoLost(Loss("too_short", detail))


def _distinct(indices: NDArray[np.int64], num_present: int) -> NDArray[np.int64]:
    """Return the indices moved as little as possible so that none occurs twice (gaps in a variable frame rate)."""
    order = np.arange(len(indices))
    pushed = np.maximum.accumulate(indices - order) + order
    return np.minimum(pushed, num_present - len(indices) + order)
