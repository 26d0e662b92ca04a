"""What a record is made of, before it becomes bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.labels import split_labels

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
