"""Random changes to clips: the same for all frames of a clip, and the same again for the same seed.

The functions of single changes take a `seed` as TensorFlow's stateless functions do: integers, shape [2]. The same seed
gives the same change, whatever ran before and on however many threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from video_assets.domain.errors import SettingsError
from video_assets.reader.stream import RANDOM, epoch_seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What may happen to a clip; the defaults are usual for action recognition.

    A crop covers `min_area` to 1 of the frame, is at most `max_aspect_change` times as wide or as narrow as the frame,
    and is resized to `size_px` squared, or to the size of the frames. Clips are mirrored with `flip_probability`: set
    it to 0 where left and right distinguish classes. `brightness` is the largest change as a part of white, `contrast`
    the largest change of the factor.
    """

    size_px: int | None = None
    min_area: float = 0.3
    max_aspect_change: float = 4 / 3
    flip_probability: float = 0.5
    brightness: float = 0.125
    contrast: float = 0.2

    def __post_init__(self) -> None:
        """Refuse values that no clip can be changed by."""
        self._check("size_px", self.size_px is None or self.size_px >= 1, "at least 1, or None")
        self._check("min_area", 0 < self.min_area <= 1, "above 0 and at most 1")
        self._check("max_aspect_change", self.max_aspect_change >= 1, "at least 1")
        self._check("flip_probability", 0 <= self.flip_probability <= 1, "from 0 to 1")
        self._check("brightness", 0 <= self.brightness <= 1, "from 0 to 1")
        self._check("contrast", 0 <= self.contrast < 1, "from 0 to below 1")

    def draw_box(self, size: Any, seed: Any) -> Any:
        """Return a crop of frames of this height and width, int32 [4]: top, left, height and width."""
        return _random_box(size, seed, self.min_area, self.max_aspect_change)

    def change_part(self, part: Any, size: Any, seeds: Any) -> Any:
        """Return a crop uint8 [T, h, w, 3] in its final size, mirrored or not, lighter or darker.

        `size` is height and width of the frame, which it gets without `size_px`.
        """
        video = _resized(part, size, self.size_px)
        video = random_horizontal_flip(video, seeds[1], probability=self.flip_probability)
        return random_light(video, seeds[2], brightness=self.brightness, contrast=self.contrast)

    def _check(self, name: str, is_right: bool, rule: str) -> None:
        if not is_right:
            raise SettingsError(f"augmentation.{name} is {getattr(self, name)}; it must be {rule}")


def augment_clip(clip: dict[str, Any], augmentation: Augmentation, *, seed: int, epoch: Any = 0) -> dict[str, Any]:
    """Return the clip with a changed `video`, uint8 [T, H, W, 3]; the change depends only on seed, epoch and its `id`.

    `load_dataset(…, augmentation=…)` calls this with the current epoch. By hand:

        clips = load_dataset("root/clips/1.0.0", "train")
        clips = clips.map(lambda clip: augment_clip(clip, Augmentation(size_px=172), seed=1))
    """
    size = tf.shape(clip["video"])[1:3]
    seeds = clip_seeds(clip["id"], seed, epoch)
    part = cut(clip["video"], augmentation.draw_box(size, seeds[0]))
    return {**clip, "video": augmentation.change_part(part, size, seeds)}


def clip_seeds(clip_id: Any, seed: int, epoch: Any, view: Any = None) -> Any:
    """Return the seeds of crop, mirroring and light, int64 [3, 2], for a clip or for one of its views."""
    of_clip = tf.strings.to_hash_bucket_fast(clip_id, 2**63 - 1)
    key = RANDOM.fold_in(epoch_seed(seed, epoch), of_clip)
    return RANDOM.split(key if view is None else RANDOM.fold_in(key, view), 3)


def random_resized_crop(
    video: Any, seed: Any, *, size_px: int | None = None, min_area: float = 0.3, max_aspect_change: float = 4 / 3
) -> Any:
    """Return a part of every frame, the same in all, resized by linear interpolation: uint8 [T, size_px, size_px, 3].

    Without `size_px` the frames keep their height and width. The area is drawn evenly from `min_area` to 1 of the
    frame, the change of aspect evenly in its logarithm. In a frame of 100 by 100, an area of 0.5 and a change of 2 make
    a crop of 100 by 50; a crop larger than the frame is cut to it.
    """
    size = tf.shape(video)[1:3]
    return _resized(cut(video, _random_box(size, seed, min_area, max_aspect_change)), size, size_px)


def cut(video: Any, box: Any) -> Any:
    """Return a part of every frame, uint8 [T, height, width, 3]; the box is its top, left, height and width."""
    top, left, rows, columns = tf.unstack(tf.cast(box, tf.int32), num=4)
    return video[:, top : top + rows, left : left + columns]


def _random_box(size: Any, seed: Any, min_area: float, max_aspect_change: float) -> Any:
    height, width = size[0], size[1]
    drawn = tf.random.stateless_uniform([4], seed)
    area = min_area + (1 - min_area) * drawn[0]
    change = tf.exp((2 * drawn[1] - 1) * tf.math.log(tf.constant(max_aspect_change, tf.float32)))
    rows = _part(height, tf.sqrt(area / change))
    columns = _part(width, tf.sqrt(area * change))
    top = tf.cast(drawn[2] * tf.cast(height - rows + 1, tf.float32), tf.int32)
    left = tf.cast(drawn[3] * tf.cast(width - columns + 1, tf.float32), tf.int32)
    return tf.stack([top, left, rows, columns])


def _resized(part: Any, size: Any, size_px: int | None) -> Any:
    resized = tf.image.resize(part, size if size_px is None else [size_px, size_px], antialias=True)
    return _as_uint8(tf.ensure_shape(resized, [None, size_px, size_px, 3]))


def random_horizontal_flip(video: Any, seed: Any, *, probability: float = 0.5) -> Any:
    """Return the clip, or with this probability its mirror image: uint8 [T, H, W, 3]."""
    is_flipped = tf.random.stateless_uniform([], seed) < probability
    return tf.where(is_flipped, tf.reverse(video, axis=[2]), video)


def random_light(video: Any, seed: Any, *, brightness: float = 0.125, contrast: float = 0.2) -> Any:
    """Return the clip lighter or darker, and with more or less contrast around its mean colour: uint8 [T, H, W, 3].

    With a brightness of 0.125 at most 32 of 255 are added or subtracted; with a contrast of 0.2, differences from the
    clip's mean become 0.8 to 1.2 times as large. Values are cut to 0 to 255.
    """
    drawn = tf.random.stateless_uniform([2], seed, minval=-1.0, maxval=1.0)
    values = tf.cast(video, tf.float32)
    mean = tf.reduce_mean(values, axis=[0, 1, 2])
    return _as_uint8((values - mean) * (1 + contrast * drawn[0]) + mean + 255 * brightness * drawn[1])


def _part(length: Any, share: Any) -> Any:
    """Return a share of a length in pixels: at least one, at most all."""
    return tf.clip_by_value(tf.cast(tf.round(share * tf.cast(length, tf.float32)), tf.int32), 1, length)


def _as_uint8(values: Any) -> Any:
    return tf.cast(tf.clip_by_value(tf.round(values), 0.0, 255.0), tf.uint8)


def change_alike(video: Any, layer: Any) -> Any:
    """Return a clip uint8 [T, H, W, 3] that one of Keras's image layers changed in the same way in all frames.

    `layer` is one of those that have `get_random_transformation`, such as `keras.layers.RandomRotation(0.1)`. What it
    draws comes from its own `seed`, in the order in which clips come.
    """
    layer.build([None, *video.shape[1:]])
    change = layer.get_random_transformation(video[0], training=True)
    return _as_uint8(layer.transform_images(tf.cast(video, tf.float32), change, training=True))


def change_by_some(video: Any, layers: Sequence[Any], seed: Any, *, num_layers: int = 2) -> Any:
    """Return a clip changed by `num_layers` of Keras's image layers, drawn by `seed`; the same in all frames.

    This is RandAugment (Cubuk et al., arXiv 1909.13719) for clips. `keras.layers.RandAugment` itself computes all
    eleven of its layers for each one that it draws, which takes 1.1 s for 16 frames of 224.
    """
    for number in range(num_layers):
        drawn = RANDOM.stateless_uniform([], RANDOM.fold_in(seed, number), 0, len(layers), tf.int32)
        video = tf.switch_case(drawn, [partial(change_alike, video, layer) for layer in layers])
    return video


def mix_clips(video: Any, label: Any, layer: Any) -> tuple[Any, Any]:
    """Return clips uint8 [B, T, H, W, 3] and labels float32 [B, C] that were mixed in pairs, all frames alike.

    `layer` is `keras.layers.MixUp()` or `keras.layers.CutMix()`. To it the frames of a clip are channels of one image.
    """
    folded = tf.transpose(tf.cast(video, tf.float32), [0, 2, 3, 1, 4])
    shape = tf.shape(folded)
    images = tf.reshape(folded, tf.concat([shape[:3], [-1]], axis=0))
    mixed = layer({"images": images, "labels": tf.cast(label, tf.float32)}, training=True)
    unfolded = tf.transpose(tf.reshape(mixed["images"], shape), [0, 3, 1, 2, 4])
    return _as_uint8(tf.ensure_shape(unfolded, video.shape)), mixed["labels"]
