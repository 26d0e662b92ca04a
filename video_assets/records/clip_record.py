"""A clip before it becomes a record's bytes and after, and how its parts are read from parsed features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.labels import LABEL_SEPARATOR, split_labels

FeatureValue = bytes | int | float | NDArray[np.int64] | NDArray[np.float32] | Sequence[bytes]
"""One value or several, of a type that `tf.train.Feature` holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipRecord:
    """One clip as it is stored.

    `images` holds T encoded images in the order of their times; for a layout that stores pixels, `frames` (T, H, W, 3)
    uint8 RGB holds them instead. `timestamps_us` (T,) int64 are the presentation times of the source frames.
    `height_px` and `width_px` are those of every image, 0 where unknown. `caption` is empty where there is none.
    `audio` (N,) float32 is the clip's sound, mono: empty if the video has none, None if none was asked for. It begins
    at `audio_start_us`, on the time line of `timestamps_us`. `note` says if decoding took another way and why; it is
    empty otherwise. A clip of several labels has all of them in `label`, the index of the first in `label_index` and
    those of the others, in their order, in `other_label_indices`.
    """

    clip_id: str
    source: str
    label: str
    label_index: int
    images: Sequence[bytes] = ()
    timestamps_us: NDArray[np.int64]
    frames: NDArray[np.uint8] | None = None
    height_px: int = 0
    width_px: int = 0
    note: str = ""
    caption: str = ""
    audio: NDArray[np.float32] | None = None
    audio_sample_rate: int = 0
    audio_start_us: int = 0
    other_label_indices: Sequence[int] = ()

    @property
    def labels(self) -> list[str]:
        """Return all labels, in the order of `label`."""
        return split_labels(self.label, multi_label=len(self.other_label_indices) > 0)

    @property
    def label_indices(self) -> NDArray[np.int64]:
        """Return the indices of all labels, in their order: (N,) int64."""
        return np.array([self.label_index, *self.other_label_indices], np.int64)

    @property
    def num_frames(self) -> int:
        """Return T."""
        return len(self.images) if self.frames is None else len(self.frames)


class FeatureReader:
    """Gives the parsed features of a record by name, each as the type that it must have."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str:
        """Return a feature that is one UTF-8 text."""
        match self._values[name]:
            case [bytes() as text]:
                return text.decode("utf-8")
            case other:
                raise TypeError(f"{name} is {type(other).__name__}, not one text")

    def text_if_any(self, name: str) -> str:
        """Return a feature that is one UTF-8 text; empty if the record does not have it."""
        return self.text(name) if name in self else ""

    def images(self, name: str) -> list[bytes]:
        """Return a feature of encoded images."""
        values = self._values[name]
        if not isinstance(values, list):
            raise TypeError(f"{name} holds no images")
        return cast("list[bytes]", values)

    def integer(self, name: str) -> int:
        """Return a feature that is one integer."""
        values = self.integers(name)
        if len(values) != 1:
            raise TypeError(f"{name} holds {len(values)} integers, not one")
        return int(values[0])

    def labels(self, name: str, names: Sequence[str]) -> tuple[str, int, tuple[int, ...]]:
        """Return a stored label, its first class's index and the others' indices.

        The label is empty if one of them has no name.
        """
        indices = [int(index) for index in self.integers(name)]
        if not indices:
            raise TypeError(f"{name} holds 0 integers, not one or more")
        is_named = all(0 <= index < len(names) for index in indices)
        label = LABEL_SEPARATOR.join(names[index] for index in indices) if is_named else ""
        return label, indices[0], tuple(indices[1:])

    def integers(self, name: str) -> NDArray[np.int64]:
        """Return a feature of integers, (N,) int64."""
        values = self._values[name]
        if not isinstance(values, np.ndarray) or values.dtype != np.int64:
            raise TypeError(f"{name} holds no integers")
        return cast("NDArray[np.int64]", values)

    def floats(self, name: str) -> NDArray[np.float32]:
        """Return a feature of floats, (N,) float32."""
        values = self._values[name]
        if not isinstance(values, np.ndarray) or values.dtype != np.float32:
            raise TypeError(f"{name} holds no floats")
        return cast("NDArray[np.float32]", values)
