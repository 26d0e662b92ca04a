"""How stored clips match the windows of frames that MoViNet was trained on.

Source: Kondratyuk et al., MoViNets (arXiv 2103.11511), and the training settings published with it in TF Model Garden,
`official/projects/movinet/configs/yaml/movinet_a*_k600_8x8.yaml`: `feature_shape` and `temporal_stride` of
`train_data`, on Kinetics 600 at 25 frames a second. Base and stream models of one size have the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.sampling import num_stored_frames

KINETICS_FRAMES_PER_SECOND = 25
RATE_TOLERANCE = 0.1
"""A clip feeds a model at its own rate if its frames come at most this part slower or faster."""


@dataclass(frozen=True, slots=True)
class ModelWindow:
    """What a published model was trained on: `num_frames` frames, one in every `stride` frames of Kinetics."""

    model_id: str
    num_frames: int
    stride: int
    resolution: int

    @property
    def name(self) -> str:
        """Return the model's name in the paper."""
        return f"MoViNet-{self.model_id.upper()}"

    @property
    def frames_per_second(self) -> float:
        """Return the rate of the window's frames."""
        return KINETICS_FRAMES_PER_SECOND / self.stride

    @property
    def seconds(self) -> float:
        """Return how long a part of a video one window shows."""
        return self.num_frames / self.frames_per_second


MODEL_WINDOWS = (
    ModelWindow("a0", 50, 5, 172),
    ModelWindow("a1", 50, 5, 172),
    ModelWindow("a2", 50, 5, 224),
    ModelWindow("a3", 64, 2, 256),
    ModelWindow("a4", 32, 3, 290),
    ModelWindow("a5", 32, 2, 320),
)


@dataclass(frozen=True, slots=True)
class WindowMatch:
    """How clips match a window: `num_looped` are shorter than it, `num_cut` longer; the others are as long."""

    num_clips: int
    num_looped: int
    num_cut: int

    @property
    def is_perfect(self) -> bool:
        """Return whether every clip is exactly as long as the window."""
        return not self.num_looped and not self.num_cut


@dataclass(frozen=True, slots=True)
class RateMatch:
    """How the rate of stored frames matches a model's own.

    `frames_per_second` is the median of the clips; one in every `stride` stored frames comes nearest to the model's
    rate. `num_native` clips then are within `RATE_TOLERANCE` of it.
    """

    frames_per_second: float
    stride: int
    num_native: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings with which clips match a window better.

    `num_padded` videos have fewer frames than would be stored; `num_native` clips would come at the model's own rate.
    """

    settings: tuple[tuple[str, object], ...]
    match: WindowMatch
    num_padded: int
    num_native: int = 0

    @property
    def settings_text(self) -> str:
        """Return the settings as `--set` takes them."""
        return " ".join(f"{name}={value}" for name, value in self.settings)


@dataclass(frozen=True, slots=True)
class ModelMatch:
    """How a dataset matches one model's window, and which settings would match better, the best first."""

    window: ModelWindow
    match: WindowMatch
    proposals: tuple[Proposal, ...]
    rate: RateMatch

    @property
    def is_native(self) -> bool:
        """Return whether every clip feeds the model at its own rate."""
        return self.rate.num_native == self.match.num_clips


def match_window(frames: NDArray[np.int64], num_frames: int, stride: int = 1) -> WindowMatch:
    """Return how clips of so many stored frames, (N,) int64, match a window of every `stride`-th frame.

    The window's last frame is `(num_frames - 1) * stride` frames after its first. TF Model Garden silently loops a
    clip that is shorter (`sample_sequence` takes indices modulo the clip's length).

    >>> match_window(np.array([10, 50, 300]), num_frames=50)
    WindowMatch(num_clips=3, num_looped=1, num_cut=1)
    """
    needed = (num_frames - 1) * stride + 1
    return WindowMatch(len(frames), int((frames < needed).sum()), int((frames > needed).sum()))


def match_rate(rates: NDArray[np.float64], window: ModelWindow) -> RateMatch:
    """Return how clips of so many stored frames per second, (N,) float64, match the rate of a model.

    >>> match_rate(np.array([25.0, 24.0, 10.0]), MODEL_WINDOWS[0])   # 5 frames per second
    RateMatch(frames_per_second=24.0, stride=5, num_native=2)
    """
    median = float(np.median(rates)) if len(rates) else 0.0
    stride = max(1, round(median / window.frames_per_second))
    error = np.abs(rates / stride / window.frames_per_second - 1)
    return RateMatch(median, stride, int((error <= RATE_TOLERANCE + 1e-9).sum()))


def stored_rates(
    encoding: Encoding, durations_us: NDArray[np.int64], source_frames: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how many frames per second are stored of clips of these durations and frame counts, (N,) float64.

    >>> stored_rates(Encoding(num_frames=10), np.array([2_000_000, 20_000_000]), np.array([60, 600]))
    array([5. , 0.5])
    """
    source = source_frames / np.maximum(durations_us, 1) * 1e6
    match encoding.sampling:
        case "uniform" | "segments":
            return np.minimum(source, encoding.num_frames / np.maximum(durations_us, 1) * 1e6)
        case "fps":
            return np.minimum(source, encoding.fps)
        case "all":
            return source


def match_models(
    encoding: Encoding,
    frames: NDArray[np.int64],
    durations_us: NDArray[np.int64],
    source_frames: NDArray[np.int64],
    windows: Sequence[ModelWindow] = MODEL_WINDOWS,
) -> tuple[ModelMatch, ...]:
    """Return how clips of so many stored frames match each model, and better settings; all arrays are (N,) int64."""
    rates = stored_rates(encoding, durations_us, source_frames)
    found: list[ModelMatch] = []
    for window in windows:
        rate = match_rate(rates, window)
        match = match_window(frames, window.num_frames, rate.stride)
        as_it_is = ModelMatch(window, match, (), rate)
        is_good = as_it_is.is_native and not match.num_looped
        proposals = () if is_good else _proposals(window, encoding, durations_us, source_frames)
        found.append(ModelMatch(window, match, proposals, rate))
    return tuple(found)


def _proposals(
    window: ModelWindow, encoding: Encoding, durations_us: NDArray[np.int64], source_frames: NDArray[np.int64]
) -> tuple[Proposal, ...]:
    """Return the model's own frame rate and the window's number of frames over the whole clip, the better first.

    The own rate is better, unless most clips are too short to fill a window at it.
    """
    rate = round(window.frames_per_second, 4)
    at_rate = encoding.replace(sampling="fps", fps=rate, max_frames=max(encoding.max_frames, window.num_frames))
    sampling = encoding.sampling if encoding.sampling in ("uniform", "segments") else "uniform"
    whole = encoding.replace(sampling=sampling, num_frames=window.num_frames)
    proposals: list[Proposal] = []
    for other, num_padded in ((at_rate, 0), (whole, int((source_frames < window.num_frames).sum()))):
        match = match_window(num_stored_frames(other, durations_us, source_frames), window.num_frames)
        native = match_rate(stored_rates(other, durations_us, source_frames), window).num_native
        settings = _settings_between(encoding, other)
        if settings:
            proposals.append(Proposal(settings, match, num_padded, native))
    return tuple(sorted(proposals, key=lambda proposal: proposal.match.num_looped * 2 > len(durations_us)))


def _settings_between(before: Encoding, after: Encoding) -> tuple[tuple[str, object], ...]:
    changed = changed_fields(before, after)
    order = ("sampling", "fps", "num_frames", "max_frames")
    return tuple((f"plan.encoding.{name}", changed[name][1]) for name in order if name in changed)


def nearest_model(resolution: int, windows: Sequence[ModelWindow] = MODEL_WINDOWS) -> ModelWindow:
    """Return the smallest model whose frames are nearest to this size.

    >>> nearest_model(224).name
    'MoViNet-A2'
    """
    return min(windows, key=lambda window: (abs(window.resolution - resolution), window.model_id))


def frames_to_read(frames: NDArray[np.int64], window: ModelWindow, stride: int = 1) -> int:
    """Return how many frames to ask Model Garden for: the window's, or fewer where even the longest clip is shorter.

    >>> frames_to_read(np.array([10, 10]), MODEL_WINDOWS[0])
    10
    """
    longest = (int(frames.max()) - 1) // stride + 1 if len(frames) else window.num_frames
    return min(window.num_frames, longest)
