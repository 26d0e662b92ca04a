"""Which features of a stored record are read, and under which names; one table for all ways of reading them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import tensorflow as tf

from video_assets.domain.errors import SettingsError
from video_assets.settings import Layout


@dataclass(frozen=True, slots=True)
class ReadFeature:
    """One feature: its key in the record, and what it is called here. A list may have any length."""

    key: str
    name: Literal["images", "label", "id", "source", "timestamps_us", "size", "caption", "audio"]
    dtype: Literal["string", "int64", "float32"]
    is_list: bool = False


@dataclass(frozen=True, slots=True)
class RecordContract:
    """What is read of a `tf.train.Example`; or, with `steps`, of a `tf.train.SequenceExample` and its context.

    With `shape`, `images` is one serialized float32 tensor of the sizes that these features hold. `audio` is the list
    of steps that holds the sound where a dataset has any, all of it in one step.
    """

    features: tuple[ReadFeature, ...]
    steps: tuple[ReadFeature, ...] = ()
    shape: tuple[ReadFeature, ...] = ()
    audio: ReadFeature | None = None


_CONTRACTS: Final[dict[str, RecordContract]] = {
    "tfds": RecordContract(
        (
            ReadFeature("label", "label", "int64"),
            ReadFeature("id", "id", "string"),
            ReadFeature("source", "source", "string"),
            ReadFeature("video", "images", "string", is_list=True),
            ReadFeature("timestamps_us", "timestamps_us", "int64", is_list=True),
            ReadFeature("caption", "caption", "string", is_list=True),
        )
    ),
    "sequence_example": RecordContract(
        (
            ReadFeature("clip/label/index", "label", "int64"),
            ReadFeature("example/id", "id", "string"),
            ReadFeature("clip/data_path", "source", "string"),
            ReadFeature("timestamps_us", "timestamps_us", "int64", is_list=True),
            ReadFeature("caption/string", "caption", "string", is_list=True),
        ),
        steps=(ReadFeature("image/encoded", "images", "string"),),
        audio=ReadFeature("WAVEFORM/feature/floats", "audio", "float32"),
    ),
    "movinets_helper": RecordContract(
        (
            ReadFeature("label", "label", "int64"),
            ReadFeature("id", "id", "string"),
            ReadFeature("source", "source", "string"),
            ReadFeature("video", "images", "string"),
            ReadFeature("timestamps_us", "timestamps_us", "int64", is_list=True),
        ),
        shape=tuple(ReadFeature(key, "size", "int64") for key in ("n_frames", "width", "height", "n_channels")),
    ),
}


def record_contract(layout: Layout, *, multi_label: bool = False) -> RecordContract:
    """The contract of a layout; with `multi_label` its label is a list.

    Raises:
        SettingsError: if the layout is not known.
    """
    if layout not in _CONTRACTS:
        raise SettingsError(f"the layout {layout!r} cannot be read by this version")
    contract = _CONTRACTS[layout]
    if not multi_label:
        return contract
    features = (replace(f, is_list=True) if f.name == "label" else f for f in contract.features)
    return replace(contract, features=tuple(features))


def parse_record(layout: Layout, record: Any, *, multi_label: bool = False, with_audio: bool = False) -> dict[str, Any]:
    """Tensors of one serialized record.

    `images` string [T], or for a layout that stores pixels float32 [T, H, W, 3]; `label` int64 [], `id` and `source`
    string [], `timestamps_us` int64 [T]. With `multi_label`, `label` is int64 [N]; `with_audio`, `audio` float32 [N].

    Raises:
        SettingsError: if the layout is not known.
    """
    contract = record_contract(layout, multi_label=multi_label)
    sound = contract.audio if with_audio else None
    features = _features((*contract.features, *contract.shape))
    if contract.steps:
        steps: dict[str, Any] = {
            step.key: tf.io.FixedLenSequenceFeature([], tf.as_dtype(step.dtype)) for step in contract.steps
        }
        if sound is not None:
            steps[sound.key] = tf.io.RaggedFeature(tf.as_dtype(sound.dtype))
        context, lists = tf.io.parse_single_sequence_example(record, features, steps)
        parsed = {**context, **lists}
    else:
        parsed = tf.io.parse_single_example(record, features)
    found = {feature.name: parsed[feature.key] for feature in (*contract.features, *contract.steps)}
    if sound is not None:
        found["audio"] = parsed[sound.key].flat_values
    if contract.shape:
        pixels = tf.io.parse_tensor(found["images"], tf.float32)
        frames = tf.reshape(pixels, [parsed[size.key] for size in contract.shape])
        found["images"] = tf.ensure_shape(frames, [None, None, None, 3])
    return found


def _features(features: Iterable[ReadFeature]) -> dict[str, Any]:
    return {
        feature.key: tf.io.RaggedFeature(tf.as_dtype(feature.dtype))
        if feature.is_list
        else tf.io.FixedLenFeature([], tf.as_dtype(feature.dtype))
        for feature in features
    }


def decode_images(images: Any) -> Any:
    """Frames uint8 [T, H, W, 3]: of T encoded JPEG or PNG images of one size, or of pixels 0..255 as float32."""
    images = tf.convert_to_tensor(images)
    if images.dtype == tf.float32:
        return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)
    return tf.map_fn(
        lambda image: tf.io.decode_image(image, channels=3, expand_animations=False),
        images,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )


def multi_hot(labels: Any, num_classes: int) -> Any:
    """Indices int64 [N] as a vector float32 [num_classes]: 1 at each of them, 0 elsewhere."""
    return tf.minimum(tf.reduce_sum(tf.one_hot(labels, num_classes), axis=0), 1.0)
