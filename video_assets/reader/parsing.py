"""Records as TensorFlow itself reads them: an implementation that shares nothing with the writer."""

from typing import Any

import tensorflow as tf

from video_assets.domain.encoding import Layout
from video_assets.domain.errors import SettingsError


def parse_record(layout: Layout, record: Any) -> dict[str, Any]:
    """Tensors of one serialized record.

    `images` string [T], `label` int64 [], `id` and `source` string [], `timestamps_us` int64 [T].

    Raises:
        SettingsError: if the layout is not known.
    """
    if layout == "sequence_example":
        return _parse_sequence_example(record)
    if layout != "tfds":
        raise SettingsError(f"the layout {layout!r} cannot be read by this version")
    features = {
        "video": tf.io.RaggedFeature(tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "id": tf.io.FixedLenFeature([], tf.string),
        "source": tf.io.FixedLenFeature([], tf.string),
        "timestamps_us": tf.io.RaggedFeature(tf.int64),
    }
    parsed = tf.io.parse_single_example(record, features)
    parsed["images"] = parsed.pop("video")
    return parsed


def _parse_sequence_example(record: Any) -> dict[str, Any]:
    context_features = {
        "clip/label/index": tf.io.FixedLenFeature([], tf.int64),
        "example/id": tf.io.FixedLenFeature([], tf.string),
        "clip/data_path": tf.io.FixedLenFeature([], tf.string),
        "timestamps_us": tf.io.RaggedFeature(tf.int64),
    }
    steps = {"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string)}
    context, lists = tf.io.parse_single_sequence_example(record, context_features, steps)
    return {
        "images": lists["image/encoded"],
        "label": context["clip/label/index"],
        "id": context["example/id"],
        "source": context["clip/data_path"],
        "timestamps_us": context["timestamps_us"],
    }


def decode_images(images: Any) -> Any:
    """Frames uint8 [T, H, W, 3] of T encoded JPEG or PNG images of one size."""
    return tf.map_fn(
        lambda image: tf.io.decode_image(image, channels=3, expand_animations=False),
        images,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )
