"""Decode the frames that are wanted of a clip, once each, and of a JPEG only the part that is wanted."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from video_assets.reader.augmentation import Augmentation, clip_seeds, cut
from video_assets.reader.parsing import decode_images
from video_assets.reader.windows import HASH_BASE, Views, draw_numbers
from video_assets.setting_types import ImageFormat

_JPEG_MARGIN_PX = 2
"""Colour is stored at half the resolution, and a pixel's colour depends on its neighbours': columns decoded beyond a
part's edges make its own ones those of the whole frame. Rows need none (compared over 2,000 random parts)."""


@dataclass(frozen=True, slots=True)
class StoredFrames:
    """The frames of one record: encoded images, string [T], or pixels, float32 [T, H, W, 3], if there is no format."""

    images: Any
    image_format: ImageFormat | None

    @property
    def size(self) -> Any:
        """Return height and width, int32 [2], from the first frame's header."""
        if self.image_format == "jpeg":
            return tf.io.extract_jpeg_shape(self.images[0])[:2]
        if self.image_format == "png":  # source: PNG specification, 11.2.1: width and height at byte 16, big-endian
            return tf.io.decode_raw(tf.strings.substr(self.images[0], 16, 8), tf.int32, little_endian=False)[::-1]
        return tf.shape(self.images)[1:3]

    def decode(self, indices: Any, box: Any = None) -> Any:
        """Return frames uint8 [N, H, W, 3], or a part of each: top, left, height and width."""
        wanted, places = tf.unique(indices)
        images = tf.gather(self.images, wanted)
        if box is None:
            frames = decode_images(images)
        elif self.image_format == "jpeg":
            frames = _decode_jpeg_parts(images, box, self.size[1])
        else:
            frames = cut(decode_images(images), box)
        # Of a window that fits, no frame comes twice: spare it a copy of all pixels.
        return tf.cond(tf.size(wanted) == tf.size(places), lambda: frames, lambda: tf.gather(frames, places))


def _decode_jpeg_parts(images: Any, box: Any, width: Any) -> Any:
    top, left, rows, columns = tf.unstack(tf.cast(box, tf.int32), num=4)
    start = tf.maximum(left - _JPEG_MARGIN_PX, 0)
    stop = tf.minimum(left + columns + _JPEG_MARGIN_PX, width)
    window = tf.stack([top, start, rows, stop - start])
    parts = tf.map_fn(
        lambda image: tf.image.decode_and_crop_jpeg(image, window, channels=3),
        images,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )
    return parts[:, :, left - start : left - start + columns]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewDecoder:
    """Makes the views of a clip from its record; with an augmentation, each view is changed in its own way."""

    views: Views
    image_format: ImageFormat | None
    augmentation: Augmentation | None
    seed: int

    def decode(self, parsed: dict[str, Any], epoch: Any) -> dict[str, Any]:
        """Return `video` uint8 [T, H, W, 3] and `timestamps_us` int64 [T]; of several views [V, T, …]."""
        frames = StoredFrames(parsed["images"], self.image_format)
        times = parsed["timestamps_us"]
        if self.views == Views() and self.augmentation is None:
            return {"video": decode_images(frames.images), "timestamps_us": times}
        num_stored = tf.shape(frames.images, tf.int64)[0]
        indices = self._frame_indices(parsed["id"], epoch, num_stored)
        if self.augmentation is None:
            video = self._plain_views(frames, indices)
        else:
            video = self._changed_views(frames, indices, parsed["id"], epoch)
        times = tf.repeat(tf.gather(times, indices), self.views.num_crops or 1, axis=0)
        if self.views.num_views == 1:
            video, times = video[0], times[0]
        return {"video": video, "timestamps_us": times}

    def _frame_indices(self, clip_id: Any, epoch: Any, num_stored: Any) -> Any:
        """Return the places of the wanted frames, int64 [windows, T]."""
        chosen = self.views.frames
        if chosen is None:
            return tf.range(num_stored)[None]
        draws = None if not chosen.num_draws else _draw_for_clip(clip_id, self.seed, epoch, chosen.num_draws)
        indices = chosen.frame_indices(num_stored, draws, tf)
        return tf.ensure_shape(indices, [chosen.num_windows, chosen.num_frames])

    def _plain_views(self, frames: StoredFrames, indices: Any) -> Any:
        """Return uint8 [V, T, H, W, 3]: each frame is decoded once, however many windows and crops show it."""
        flat = tf.reshape(indices, [-1])
        if self.views.num_crops is None:
            return self._grouped(frames.decode(flat), indices)
        boxes = self._boxes(frames)
        corner = tf.reduce_min(boxes[:, :2], axis=0)
        around = tf.reduce_max(boxes[:, :2] + boxes[:, 2:], axis=0) - corner
        decoded = frames.decode(flat, tf.concat([corner, around], axis=0))
        offset = tf.concat([corner, [0, 0]], axis=0)
        crops = [cut(decoded, boxes[number] - offset) for number in range(self.views.num_crops)]
        video = tf.stack([self._grouped(crop, indices) for crop in crops], axis=1)
        shape = tf.shape(video)
        return self._with_known_shape(tf.reshape(video, tf.concat([[-1], shape[2:]], axis=0)))

    def _changed_views(self, frames: StoredFrames, indices: Any, clip_id: Any, epoch: Any) -> Any:
        """Return uint8 [V, T, H, W, 3], of each view only the part that its own random crop shows."""
        augmentation = self.augmentation
        assert augmentation is not None

        def view(number: Any) -> Any:
            box = boxes[number % (self.views.num_crops or 1)]
            seeds = clip_seeds(clip_id, self.seed, epoch, None if is_single else number)
            inner = augmentation.draw_box(box[2:], seeds[0]) + tf.concat([box[:2], [0, 0]], axis=0)
            part = frames.decode(indices[number // (self.views.num_crops or 1)], inner)
            return augmentation.change_part(part, box[2:], seeds)

        boxes, is_single = self._boxes(frames), self.views.num_views == 1
        if is_single:
            return view(0)[None]
        signature = tf.TensorSpec([None, None, None, 3], tf.uint8)
        return self._with_known_shape(tf.map_fn(view, tf.range(self.views.num_views), fn_output_signature=signature))

    def _boxes(self, frames: StoredFrames) -> Any:
        size = frames.size
        return self.views.boxes(size[0], size[1], tf)

    def _grouped(self, flat: Any, indices: Any) -> Any:
        """Return frames [windows * T, H, W, 3] as [windows, T, H, W, 3]."""
        return self._with_known_shape(tf.reshape(flat, tf.concat([tf.shape(indices), tf.shape(flat)[1:]], axis=0)))

    def _with_known_shape(self, video: Any) -> Any:
        num_frames = None if self.views.frames is None else self.views.frames.num_frames
        return tf.ensure_shape(video, [None, num_frames, None, None, 3])


def _draw_for_clip(clip_id: Any, seed: int, epoch: Any, num_draws: int) -> Any:
    """Return what `windows.draw_for_clip` gives, as a tensor int64 [num_draws]."""
    values = tf.cast(tf.io.decode_raw(clip_id, tf.uint8), tf.uint64)
    powers = tf.math.cumprod(tf.fill(tf.shape(values), tf.constant(HASH_BASE, tf.uint64)))
    clip_number = tf.reduce_sum((values + 1) * powers, keepdims=True)
    drawn = draw_numbers(clip_number, seed, tf.cast(epoch, tf.uint64)[None], num_draws)
    return tf.cast(drawn, tf.int64)
