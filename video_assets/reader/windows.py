"""Which stored frames, and which part of them, a model sees of a clip: the same for every framework.

The arithmetic is of whole numbers and runs on numpy's arrays and on TensorFlow's tensors alike (`xp` is the module of
either), so that `load_dataset` and `StoredClips` draw the same windows.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.errors import SettingsError

Position = Literal["random", "center", "first", "even"]
ShortClipRule = Literal["repeat_last", "loop"]

_DRAW_BITS = 31
_GOLDEN: Final = 0x9E3779B97F4A7C15
HASH_BASE: Final = 6364136223846793005


@dataclass(frozen=True, slots=True)
class Window:
    """`num_frames` frames of a clip, one in every `stride` stored frames, at one or several places.

    For 60 stored frames, `num_frames=16` and `stride=2`, a window spans 31 frames and may start at the frames 0 to 29.

    Args:
        num_frames: Frames of a window.
        stride: Stored frames from one frame of a window to the next; or a range, both ends included, from which each
            window draws one, as far as windows fit into the clip.
        position: Where windows start: `random`, drawn anew in each epoch; `center`; `first`, at the first frame; or
            `even`, from the first possible start to the last one at equal distances (a single one in the middle).
        num_windows: How many windows of one clip.
        short_clip: What follows after the last frame of a clip that is shorter than a window: `repeat_last` repeats it,
            `loop` begins again with the first.
    """

    num_frames: int
    stride: int | tuple[int, int] = 1
    position: Position = "random"
    num_windows: int = 1
    short_clip: ShortClipRule = "repeat_last"

    def __post_init__(self) -> None:
        """Refuse values that no window has."""
        _check("window.num_frames", self.num_frames, self.num_frames >= 1, "at least 1")
        least, most = self._strides
        _check("window.stride", self.stride, 1 <= least <= most, "at least 1, or a range such as (1, 4)")
        _check("window.position", self.position, self.position in get_args(Position), _one_of(Position))
        _check("window.num_windows", self.num_windows, self.num_windows >= 1, "at least 1")
        _check("window.short_clip", self.short_clip, self.short_clip in get_args(ShortClipRule), _one_of(ShortClipRule))
        if self.num_windows > 1 and self.position in {"center", "first"}:
            raise SettingsError(
                f"window.num_windows is {self.num_windows}, but position={self.position!r} is one place; "
                "for several windows use position='even' or 'random'"
            )
        if least < most and self.position != "random":
            raise SettingsError(
                f"window.stride is {self.stride}, a range to draw from, but position={self.position!r} draws nothing; "
                "give one stride, or position='random'"
            )

    @property
    def num_draws(self) -> int:
        """Return how many random numbers choose the frames."""
        return 2 * self.num_windows if self.position == "random" else 0

    @property
    def _strides(self) -> tuple[int, int]:
        return self.stride if isinstance(self.stride, tuple) else (self.stride, self.stride)

    def frame_indices(self, num_stored: Any, draws: Any, xp: Any) -> Any:
        """Return the places of the wanted frames among `num_stored`, int64 [num_windows, num_frames].

        >>> Window(num_frames=4, stride=5, position="even", num_windows=3).frame_indices(20, None, np)
        array([[ 0,  5, 10, 15],
               [ 2,  7, 12, 17],
               [ 4,  9, 14, 19]])
        """
        least, most = self._strides
        stride: Any = np.full(self.num_windows, least)
        if least < most:
            longest = xp.minimum((num_stored - 1) // max(self.num_frames - 1, 1), most)
            stride = least + _within(draws[self.num_windows :], xp.maximum(longest, least) - least + 1)
        last_start = xp.maximum(num_stored - 1 - stride * (self.num_frames - 1), 0)
        start = self._starts(last_start, draws)
        places = start[:, None] + stride[:, None] * np.arange(self.num_frames)
        return places % num_stored if self.short_clip == "loop" else xp.minimum(places, num_stored - 1)

    def _starts(self, last_start: Any, draws: Any) -> Any:
        """Return the first frame of each window, int64 [num_windows], given the last that it can be."""
        if self.position == "random":
            return _within(draws[: self.num_windows], last_start + 1)
        if self.position == "first":
            return last_start * 0
        if self.num_windows == 1:
            return last_start // 2
        return last_start * np.arange(self.num_windows) // (self.num_windows - 1)


@dataclass(frozen=True, slots=True)
class Segments:
    """One frame of each of `num_frames` equal parts of a clip, as temporal segment networks see it.

    Source: Wang et al., Temporal Segment Networks (arXiv 1608.00859). With `jitter` each frame is drawn anew from its
    part in every epoch, otherwise it is the part's middle. A clip with fewer frames than parts gives some frames twice.
    """

    num_frames: int
    jitter: bool = True

    def __post_init__(self) -> None:
        """Refuse values that no clip can be divided by."""
        _check("segments.num_frames", self.num_frames, self.num_frames >= 1, "at least 1")

    @property
    def num_windows(self) -> int:
        """Return 1: all segments are one view of the clip."""
        return 1

    @property
    def num_draws(self) -> int:
        """Return how many random numbers choose the frames."""
        return self.num_frames if self.jitter else 0

    def frame_indices(self, num_stored: Any, draws: Any, xp: Any) -> Any:
        """Return the places of the wanted frames among `num_stored`, int64 [1, num_frames].

        >>> Segments(num_frames=4, jitter=False).frame_indices(20, None, np)
        array([[ 2,  7, 12, 17]])
        """
        parts = np.arange(self.num_frames)
        if not self.jitter:
            return ((2 * parts + 1) * num_stored // (2 * self.num_frames))[None]
        starts = parts * num_stored // self.num_frames
        sizes = xp.maximum((parts + 1) * num_stored // self.num_frames - starts, 1)
        return (starts + _within(draws, sizes))[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What is wanted of each clip: frames, or None for all of them, and square crops, or None for whole frames.

    Each window gives `num_crops` views, one after another. Without `crop_px` a crop's side is the short side of the
    frame. One crop is in the middle; three are at the beginning, in the middle and at the end of the longer side.
    """

    frames: Window | Segments | None = None
    num_crops: Literal[1, 3] | None = None
    crop_px: int | None = None

    @classmethod
    def chosen(
        cls,
        *,
        window: Window | None,
        segments: Segments | None,
        num_crops: Literal[1, 3] | None,
        crop_px: int | None,
        short_side_px: int,
    ) -> "Views":
        """Return the views that the arguments of a reader ask for; frames have this short side.

        Raises:
            SettingsError: If they contradict one another, or a crop is larger than a frame.
        """
        if window is not None and segments is not None:
            raise SettingsError("window and segments both choose the frames; give one of them")
        _check("num_crops", num_crops, num_crops in {None, 1, 3}, "1 or 3, or None for whole frames")
        if crop_px is not None:
            is_right = 1 <= crop_px <= short_side_px
            _check("crop_px", crop_px, is_right, f"from 1 to {short_side_px}, the short side of the stored frames")
            num_crops = num_crops or 1
        return cls(frames=window or segments, num_crops=num_crops, crop_px=crop_px)

    @property
    def num_views(self) -> int:
        """Return how many views one clip gives."""
        return (self.frames.num_windows if self.frames else 1) * (self.num_crops or 1)

    def boxes(self, height: Any, width: Any, xp: Any) -> Any:
        """Return the crops of a frame, int [num_crops, 4]: top, left, height and width of each.

        >>> Views(num_crops=3).boxes(100, 180, np).tolist()
        [[0, 0, 100, 100], [0, 40, 100, 100], [0, 80, 100, 100]]
        """
        if self.num_crops is None:
            return xp.stack([[height * 0, width * 0, height, width]])
        side = xp.minimum(height, width) if self.crop_px is None else height * 0 + self.crop_px
        below, beside = height - side, width - side
        middle = [below // 2, beside // 2, side, side]
        if self.num_crops == 1:
            return xp.stack([middle])
        is_wide = xp.minimum(xp.maximum(width - height + 1, 0), 1)  # of a square too, three crops lie side by side
        is_high = 1 - is_wide
        first = [below // 2 * is_wide, beside // 2 * is_high, side, side]
        last = [first[0] + below * is_high, first[1] + beside * is_wide, side, side]
        return xp.stack([first, middle, last])


def draw_numbers(clip_number: Any, seed: int, epoch: Any, num_draws: int) -> Any:
    """Return numbers from 0 to 2**31 - 1, uint64 [num_draws], that depend only on clip, seed and epoch.

    `clip_number` and `epoch` are uint64 [1], as arrays or as tensors. Source of the mixing: Steele et al., Fast
    Splittable Pseudorandom Number Generators (SplitMix64), and Stafford's variant 13 of its finalizer.
    """
    key = _mixed(_mixed(_mixed(epoch * 0 + seed % 2**64) + epoch) + clip_number)
    counters = np.arange(1, num_draws + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    return _mixed(key + counters) // 2 ** (64 - _DRAW_BITS)


def _mixed(numbers: Any) -> Any:
    numbers = numbers + _GOLDEN
    numbers = (numbers ^ numbers // 2**30) * 0xBF58476D1CE4E5B9
    numbers = (numbers ^ numbers // 2**27) * 0x94D049BB133111EB
    return numbers ^ numbers // 2**31


def draw_for_clip(clip_id: bytes, seed: int, epoch: int, num_draws: int) -> NDArray[np.int64]:
    """Return the random numbers of a clip in an epoch, int64 [num_draws]; `reader.frames` has it for tensors."""
    values = np.frombuffer(clip_id, np.uint8).astype(np.uint64)
    powers = np.cumprod(np.full(len(values), HASH_BASE, np.uint64))
    clip_number = np.sum((values + 1) * powers, keepdims=True)
    return draw_numbers(clip_number, seed, np.array([epoch], np.uint64), num_draws).astype(np.int64)


def _within(draws: Any, counts: Any) -> Any:
    """Return each number from 0 to 2**31 - 1 as one from 0 to its count - 1, all as likely."""
    return draws * counts // 2**_DRAW_BITS


def _check(name: str, value: object, is_right: bool, rule: str) -> None:
    if not is_right:
        raise SettingsError(f"{name} is {value!r}; it must be {rule}")


def _one_of(choices: Any) -> str:
    return "one of " + ", ".join(get_args(choices))
