"""How stored clips match the windows of frames that MoViNet was trained on.

Source: Kondratyuk et al., MoViNets (arXiv 2103.11511), and the training settings published with it in TF Model Garden,
`official/projects/movinet/configs/yaml/movinet_a*_k600_8x8.yaml`: `feature_shape` and `temporal_stride` of
`train_data`, on Kinetics 600 at 25 frames a second. Base and stream models of one size have the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.sampling import num_stored_frames

KINETICS_FRAMES_PER_SECOND = 25


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
class WindowFit:
    """How clips match a window: `num_looped` are shorter than it, `num_cut` longer; the others are as long."""

    num_clips: int
    num_looped: int
    num_cut: int

    @property
    def is_perfect(self) -> bool:
        """Return whether every clip is exactly as long as the window."""
        return not self.num_looped and not self.num_cut


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings with which clips match a window better. `num_padded` videos have fewer frames than would be stored."""

    settings: tuple[tuple[str, object], ...]
    fit: WindowFit
    num_padded: int

    @property
    def words(self) -> str:
        """Return the settings as `--set` takes them."""
        return " ".join(f"{name}={value}" for name, value in self.settings)


@dataclass(frozen=True, slots=True)
class ModelFit:
    """How a dataset matches one model's window, and which settings would match better, the best first."""

    window: ModelWindow
    fit: WindowFit
    proposals: tuple[Proposal, ...]


def window_fit(frames: NDArray[np.int64], num_frames: int, stride: int = 1) -> WindowFit:
    """Return how clips of so many stored frames, (N,) int64, match a window of every `stride`-th frame.

    The window's last frame is `(num_frames - 1) * stride` frames after its first. TF Model Garden silently loops a
    clip that is shorter (`sample_sequence` takes indices modulo the clip's length).

    >>> window_fit(np.array([10, 50, 300]), num_frames=50)
    WindowFit(num_clips=3, num_looped=1, num_cut=1)
    """
    needed = (num_frames - 1) * stride + 1
    return WindowFit(len(frames), int((frames < needed).sum()), int((frames > needed).sum()))


def model_fits(
    encoding: Encoding,
    frames: NDArray[np.int64],
    durations_us: NDArray[np.int64],
    source_frames: NDArray[np.int64],
    windows: Sequence[ModelWindow] = MODEL_WINDOWS,
) -> tuple[ModelFit, ...]:
    """Return how clips of so many stored frames match each model, and better settings; all arrays are (N,) int64."""
    return tuple(
        ModelFit(window, fit, () if fit.is_perfect else _proposals(window, encoding, durations_us, source_frames))
        for window in windows
        for fit in (window_fit(frames, window.num_frames),)
    )


def _proposals(
    window: ModelWindow, encoding: Encoding, durations_us: NDArray[np.int64], source_frames: NDArray[np.int64]
) -> tuple[Proposal, ...]:
    """Return two proposals: the window's number of frames over the whole clip, and the model's own frame rate."""
    prefix = "plan.encoding."
    whole: list[tuple[str, object]] = [(f"{prefix}num_frames", window.num_frames)]
    if encoding.sampling not in ("uniform", "segments"):
        whole.insert(0, (f"{prefix}sampling", "uniform"))
    num_padded = int((source_frames < window.num_frames).sum())
    proposals = [Proposal(tuple(whole), WindowFit(len(durations_us), 0, 0), num_padded)]
    rate = round(window.frames_per_second, 4)
    at_rate = replace(encoding, sampling="fps", fps=rate, max_frames=max(encoding.max_frames, window.num_frames))
    if at_rate != encoding:
        settings: list[tuple[str, object]] = [(f"{prefix}sampling", "fps"), (f"{prefix}fps", rate)]
        if at_rate.max_frames != encoding.max_frames:
            settings.append((f"{prefix}max_frames", at_rate.max_frames))
        fit = window_fit(num_stored_frames(at_rate, durations_us, source_frames), window.num_frames)
        proposals.append(Proposal(tuple(settings), fit, 0))
    return tuple(proposals)


def nearest_model(resolution: int, windows: Sequence[ModelWindow] = MODEL_WINDOWS) -> ModelWindow:
    """Return the smallest model whose frames are nearest to this size.

    >>> nearest_model(224).name
    'MoViNet-A2'
    """
    return min(windows, key=lambda window: (abs(window.resolution - resolution), window.model_id))


def frames_to_read(frames: NDArray[np.int64], window: ModelWindow) -> int:
    """Return how many frames to ask Model Garden for: the window's, or fewer where even the longest clip is shorter.

    >>> frames_to_read(np.array([10, 10]), MODEL_WINDOWS[0])
    10
    """
    return min(window.num_frames, int(frames.max())) if len(frames) else window.num_frames
