"""Read stored records with TensorFlow: one table of features per layout, for the checks and for training.

TensorFlow is imported by the first call, not with this module: orchestration imports the checks but never runs them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Compression
from video_assets.domain.errors import SettingsError
from video_assets.setting_types import Layout


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


READ_BYTES: Final = 1 << 20
_BATCH_RECORDS: Final = 16
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


def load_tensorflow() -> ModuleType:
    """Import TensorFlow and return it. The first call takes three to six seconds of one core."""
    import tensorflow as tf

    return tf


def record_contract(layout: Layout, *, multi_label: bool = False) -> RecordContract:
    """Return the contract of a layout; with `multi_label` its label is a list.

    Raises:
        SettingsError: If the layout is not known.
    """
    if layout not in _CONTRACTS:
        raise SettingsError(f"the layout {layout!r} cannot be read by this version")
    contract = _CONTRACTS[layout]
    if not multi_label:
        return contract
    features = (replace(f, is_list=True) if f.name == "label" else f for f in contract.features)
    return replace(contract, features=tuple(features))


def parse_record(layout: Layout, record: Any, *, multi_label: bool = False, with_audio: bool = False) -> dict[str, Any]:
    """Return the tensors of one serialized record.

    `images` string [T], or for a layout that stores pixels float32 [T, H, W, 3]; `label` int64 [], `id` and `source`
    string [], `timestamps_us` int64 [T]. With `multi_label`, `label` is int64 [N]; `with_audio`, `audio` float32 [N].

    Raises:
        SettingsError: If the layout is not known.
    """
    tf = load_tensorflow()
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
    tf = load_tensorflow()
    return {
        feature.key: tf.io.RaggedFeature(tf.as_dtype(feature.dtype))
        if feature.is_list
        else tf.io.FixedLenFeature([], tf.as_dtype(feature.dtype))
        for feature in features
    }


def decode_images(images: Any) -> Any:
    """Return frames uint8 [T, H, W, 3] from T encoded images of one size, or from pixels float32 0..255."""
    tf = load_tensorflow()
    images = tf.convert_to_tensor(images)
    if images.dtype == tf.float32:
        return tf.cast(tf.clip_by_value(tf.round(images), 0.0, 255.0), tf.uint8)
    return tf.map_fn(_decode_image, images, fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8))


def _decode_image(image: Any) -> Any:
    return load_tensorflow().io.decode_image(image, channels=3, expand_animations=False)


def multi_hot(labels: Any, num_classes: int) -> Any:
    """Return indices int64 [N] as a vector float32 [num_classes]: 1 at each of them, 0 elsewhere."""
    tf = load_tensorflow()
    return tf.minimum(tf.reduce_sum(tf.one_hot(labels, num_classes), axis=0), 1.0)


class ReadingError(Exception):
    """TensorFlow cannot read a file, a record or an image. The message is TensorFlow's, without names of operations.

    `record_index` is the record's place in its file, where a record is meant.
    """

    def __init__(self, message: str, record_index: int | None = None) -> None:
        super().__init__(message)
        self.record_index = record_index


def parsed_records(
    file: Path,
    layout: Layout,
    compression: Compression = "",
    *,
    multi_label: bool = False,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the index and the values of each record of a local TFRecord file, and compare the checksums of all.

    The values are those of `parse_record` as numpy arrays, texts as bytes.

    Raises:
        SettingsError: If the layout is not known.
        ReadingError: If a record is damaged or cut off, or is not a record of this layout.
    """
    contract = record_contract(layout, multi_label=multi_label)
    for batch in _batches(file, compression, 1 if contract.shape else _BATCH_RECORDS):
        yield from _parsed(layout, contract, batch)


_Batch = list[tuple[int, Any]]
"""Serialized records as tensors, with their indices."""


def _batches(file: Path, compression: Compression, size: int) -> Iterator[_Batch]:
    tf = load_tensorflow()
    waiting: _Batch = []
    index = 0
    try:
        for record in tf.data.TFRecordDataset(str(file), compression, buffer_size=READ_BYTES):
            waiting.append((index, record))
            if len(waiting) == size:
                yield waiting
                waiting = []
            index += 1
    except (tf.errors.OpError, UnicodeDecodeError) as error:
        yield waiting  # a record before may be wrong as well
        raise ReadingError(_reason(error), index) from error
    yield waiting


def _parsed(layout: Layout, contract: RecordContract, batch: _Batch) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the values of some records; one by one where TensorFlow refuses any of them, or they hold pixels."""
    tf = load_tensorflow()
    if len(batch) > 1:
        try:
            columns = _columns(contract, tf.stack([record for _, record in batch]))
        except (tf.errors.OpError, UnicodeDecodeError):
            pass  # which one it is, parsing one by one tells
        else:
            for number, (index, _) in enumerate(batch):
                yield index, {name: values[number] for name, values in columns.items()}
            return
    multi_label = any(feature.name == "label" and feature.is_list for feature in contract.features)
    for index, record in batch:
        try:
            parsed = parse_record(layout, record, multi_label=multi_label)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            raise ReadingError(_reason(error), index) from error
        yield index, {name: tensor.numpy() for name, tensor in parsed.items()}


def _columns(contract: RecordContract, records: Any) -> dict[str, Sequence[Any]]:
    """Return the values of several records: of each feature a value, or an array, for each record.

    Parsing 16 records in one call takes a tenth of the time of 16 calls. Not by `map` of `tf.data`: to trace a function
    for each file costs as much as to parse 50 records one by one.
    """
    tf = load_tensorflow()
    features = _features(contract.features)
    if not contract.steps:
        parsed = tf.io.parse_example(records, features)
        return {feature.name: _rows(parsed[feature.key]) for feature in contract.features}
    steps = {step.key: tf.io.FixedLenSequenceFeature([], tf.as_dtype(step.dtype)) for step in contract.steps}
    parsed, lists, lengths = tf.io.parse_sequence_example(records, features, steps)
    found = {feature.name: _rows(parsed[feature.key]) for feature in contract.features}
    for step in contract.steps:
        rows = zip(lists[step.key].numpy(), lengths[step.key].numpy(), strict=True)
        found[step.name] = [row[:length] for row, length in rows]
    return found


def _rows(tensor: Any) -> Sequence[Any]:
    if not hasattr(tensor, "row_splits"):
        return tensor.numpy()
    values, splits = tensor.values.numpy(), tensor.row_splits.numpy()
    return [values[start:stop] for start, stop in pairwise(splits)]


def decode_frames(images: Any) -> NDArray[np.uint8]:
    """Return `decode_images` as a numpy array. Images are decoded one by one: mapped eagerly, they take twice as long.

    Raises:
        ReadingError: If an image cannot be decoded, there is none, or they have several sizes.
    """
    if not len(images):
        raise ReadingError("there are no frames")
    try:
        if isinstance(images[0], bytes):
            return np.stack([_decode_image(image).numpy() for image in images])
        return decode_images(images).numpy()
    except (load_tensorflow().errors.OpError, ValueError) as error:  # ValueError: several sizes
        raise ReadingError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Return what TensorFlow found wrong, without the names of its operations."""
    if isinstance(error, UnicodeDecodeError):  # TensorFlow quotes the bytes that it cannot parse
        return "it is not a serialized record"
    text = str(getattr(error, "message", error))
    return re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*|\s*\[\[.*|in user code:.*Error: ", "", text, flags=re.DOTALL)
