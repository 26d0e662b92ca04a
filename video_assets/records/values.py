"""What a record is made of, before it becomes bytes and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.labels import LABEL_SEPARATOR, split_labels

FeatureValue = bytes | int | float | NDArray[np.int64] | NDArray[np.float32] | Sequence[bytes]
"""One value or several, of a kind that `tf.train.Feature` holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClipRecord:
    """One clip, ready to be stored.

    `images` holds T encoded images in the order of their times, or `frames` (T, H, W, 3) uint8 RGB holds their pixels,
    for a layout that stores no images; `timestamps_us` (T,) int64 are the presentation
    times of the source frames that they show; `height_px` and `width_px` are those of every image, 0 where they are
    not known. `caption` is empty where there is none. `audio` (N,) float32 is the clip's sound, mono; empty where the
    video has none, None where none was asked for; it begins at `audio_start_us`, on the time line of `timestamps_us`.
    `note` is empty, or says that decoding took another way and why.
    A clip of several labels has them all in `label`, the index of the first in `label_index` and those of the others,
    in their order, in `other_label_indices`.
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
        """All labels, in the order of `label`."""
        return split_labels(self.label, multi_label=len(self.other_label_indices) > 0)

    @property
    def label_indices(self) -> NDArray[np.int64]:
        """Indices of all labels, in their order: (N,) int64."""
        return np.array([self.label_index, *self.other_label_indices], np.int64)

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.images) if self.frames is None else len(self.frames)


def read_text(features: Mapping[str, object], name: str) -> str:
    """One UTF-8 text."""
    match features[name]:
        case [bytes() as text]:
            return text.decode("utf-8")
        case other:
            raise TypeError(f"{name} is {type(other).__name__}, not one text")


def read_images(features: Mapping[str, object], name: str) -> list[bytes]:
    """Encoded images."""
    values = features[name]
    if not isinstance(values, list):
        raise TypeError(f"{name} holds no images")
    return cast("list[bytes]", values)


def read_integer(features: Mapping[str, object], name: str) -> int:
    """One integer."""
    values = read_integers(features, name)
    if len(values) != 1:
        raise TypeError(f"{name} holds {len(values)} integers, not one")
    return int(values[0])


def read_labels(features: Mapping[str, object], name: str, names: Sequence[str]) -> tuple[str, int, tuple[int, ...]]:
    """A stored label with the index of the first class and those of the others; it is empty if one has no name."""
    indices = [int(index) for index in read_integers(features, name)]
    if not indices:
        raise TypeError(f"{name} holds 0 integers, not one or more")
    is_named = all(0 <= index < len(names) for index in indices)
    label = LABEL_SEPARATOR.join(names[index] for index in indices) if is_named else ""
    return label, indices[0], tuple(indices[1:])


def read_integers(features: Mapping[str, object], name: str) -> NDArray[np.int64]:
    """(N,) int64."""
    values = features[name]
    if not isinstance(values, np.ndarray) or values.dtype != np.int64:
        raise TypeError(f"{name} holds no integers")
    return cast("NDArray[np.int64]", values)


def read_floats(features: Mapping[str, object], name: str) -> NDArray[np.float32]:
    """(N,) float32."""
    values = features[name]
    if not isinstance(values, np.ndarray) or values.dtype != np.float32:
        raise TypeError(f"{name} holds no floats")
    return cast("NDArray[np.float32]", values)
