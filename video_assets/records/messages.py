"""TensorFlow's Example and Tensor messages, without TensorFlow.

Built from field numbers (source: `feature.proto` and `example.proto` of `tensorflow/core/example`, `tensor.proto` and
`tensor_shape.proto` of `tensorflow/core/framework`) in a descriptor pool of our own, so that they do not clash with
TensorFlow's when both are loaded into one process.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from video_assets.records.clip_record import FeatureValue

_PACKAGE = "tensorflow"
_Field = descriptor_pb2.FieldDescriptorProto


def _add_message(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: Iterable[tuple[str, int, int, int, str]]
) -> descriptor_pb2.DescriptorProto:
    message = file.message_type.add(name=name)
    for field_name, number, label, kind, type_name in fields:
        field = message.field.add(name=field_name, number=number, label=label, type=kind)
        if type_name:
            field.type_name = f".{_PACKAGE}.{type_name}"
    return message


def _add_map(file: descriptor_pb2.FileDescriptorProto, name: str, field_name: str, value_type: str) -> None:
    """Add a message whose only field is a map from string to `value_type`, written as protobuf expects maps."""
    entry_name = "".join(part.capitalize() for part in field_name.split("_")) + "Entry"
    entry_fields = [(field_name, 1, _Field.LABEL_REPEATED, _Field.TYPE_MESSAGE, f"{name}.{entry_name}")]
    message = _add_message(file, name, entry_fields)
    entry = message.nested_type.add(name=entry_name)
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
    value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_MESSAGE)
    value.type_name = f".{_PACKAGE}.{value_type}"


def _describe() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package=_PACKAGE, syntax="proto3")
    many, one = _Field.LABEL_REPEATED, _Field.LABEL_OPTIONAL
    _add_message(file, "BytesList", [("value", 1, many, _Field.TYPE_BYTES, "")])
    _add_message(file, "FloatList", [("value", 1, many, _Field.TYPE_FLOAT, "")])
    _add_message(file, "Int64List", [("value", 1, many, _Field.TYPE_INT64, "")])
    kinds = [("bytes_list", 1, "BytesList"), ("float_list", 2, "FloatList"), ("int64_list", 3, "Int64List")]
    feature = _add_message(file, "Feature", [(n, i, one, _Field.TYPE_MESSAGE, t) for n, i, t in kinds])
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    _add_map(file, "Features", "feature", "Feature")
    _add_message(file, "FeatureList", [("feature", 1, many, _Field.TYPE_MESSAGE, "Feature")])
    _add_map(file, "FeatureLists", "feature_list", "FeatureList")
    _add_message(file, "Example", [("features", 1, one, _Field.TYPE_MESSAGE, "Features")])
    sequence = [
        ("context", 1, one, _Field.TYPE_MESSAGE, "Features"),
        ("feature_lists", 2, one, _Field.TYPE_MESSAGE, "FeatureLists"),
    ]
    _add_message(file, "SequenceExample", sequence)
    _add_message(file, "Dim", [("size", 1, one, _Field.TYPE_INT64, "")])
    _add_message(file, "TensorShape", [("dim", 2, many, _Field.TYPE_MESSAGE, "Dim")])
    tensor = [
        ("dtype", 1, one, _Field.TYPE_INT32, ""),  # an enumeration, which has the same bytes
        ("tensor_shape", 2, one, _Field.TYPE_MESSAGE, "TensorShape"),
        ("tensor_content", 4, one, _Field.TYPE_BYTES, ""),
    ]
    _add_message(file, "Tensor", tensor)
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_describe())
# Classes made at run time have no static type.
_EXAMPLE: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.Example"))
_SEQUENCE_EXAMPLE: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.SequenceExample"))
_TENSOR: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.Tensor"))
_DT_FLOAT = 1  # source: tensorflow/core/framework/types.proto

ParsedFeatures = dict[str, list[bytes] | NDArray[Any]]
"""Features by name: bytes as a list, integers as an int64 array, floats as a float32 array."""


def _set_feature(feature: Any, value: FeatureValue) -> None:
    if isinstance(value, bytes):
        feature.bytes_list.value.append(value)
    elif isinstance(value, int):
        feature.int64_list.value.append(value)
    elif isinstance(value, float):
        feature.float_list.value.append(value)
    elif isinstance(value, np.ndarray):
        values = feature.float_list.value if value.dtype == np.float32 else feature.int64_list.value
        values.extend(value.tolist())
    else:
        feature.bytes_list.value.extend(value)


def serialize_example(features: Mapping[str, FeatureValue]) -> bytes:
    """Return a serialized `tf.train.Example`; the order in which features are given does not change the bytes."""
    example = _EXAMPLE()
    for name in sorted(features):
        _set_feature(example.features.feature[name], features[name])
    return example.SerializeToString(deterministic=True)


def serialize_sequence_example(
    context: Mapping[str, FeatureValue], feature_lists: Mapping[str, Iterable[FeatureValue]]
) -> bytes:
    """Return a serialized `tf.train.SequenceExample`, one feature per step in lists; the same values, the same bytes."""
    example = _SEQUENCE_EXAMPLE()
    for name in sorted(context):
        _set_feature(example.context.feature[name], context[name])
    for name in sorted(feature_lists):
        steps = example.feature_lists.feature_list[name]
        for value in feature_lists[name]:
            _set_feature(steps.feature.add(), value)
    return example.SerializeToString(deterministic=True)


def serialize_tensor(values: NDArray[np.float32]) -> bytes:
    """Return the bytes that `tf.io.serialize_tensor` gives for float32 values of any shape."""
    tensor = _TENSOR(dtype=_DT_FLOAT, tensor_content=np.ascontiguousarray(values, "<f4").tobytes())
    tensor.tensor_shape.SetInParent()  # a scalar has a shape too, without dimensions
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor.SerializeToString(deterministic=True)


def parse_tensor(data: bytes) -> NDArray[np.float32]:
    """Return the values of a serialized float32 tensor, read-only.

    Raises:
        ValueError: If the bytes are not such a tensor, or its shape asks for another number of values.
    """
    try:
        tensor = _TENSOR.FromString(data)
    except DecodeError as error:
        raise ValueError(f"{len(data)} bytes are not a serialized tensor") from error
    if tensor.dtype != _DT_FLOAT:
        raise ValueError(f"a tensor of type number {tensor.dtype} is not float32, which is {_DT_FLOAT}")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if len(tensor.tensor_content) != 4 * math.prod(shape):
        raise ValueError(f"a tensor of shape {shape} is said to be {len(tensor.tensor_content)} bytes of float32")
    return np.frombuffer(tensor.tensor_content, "<f4").reshape(shape)


def parse_example(data: bytes) -> ParsedFeatures:
    """Return the features of a serialized `tf.train.Example`.

    Raises:
        ValueError: If the bytes are not such a message.
    """
    return _parse_features(_parsed(_EXAMPLE, data).features)


def parse_sequence_example(data: bytes) -> tuple[ParsedFeatures, dict[str, list[bytes] | NDArray[Any]]]:
    """Return context and lists of a serialized `tf.train.SequenceExample`; a list's steps are joined into one value.

    Raises:
        ValueError: If the bytes are not such a message.
    """
    example = _parsed(_SEQUENCE_EXAMPLE, data)
    lists: dict[str, list[bytes] | NDArray[Any]] = {}
    for name, steps in example.feature_lists.feature_list.items():
        if all(step.WhichOneof("kind") == "int64_list" for step in steps.feature):
            lists[name] = np.array([number for step in steps.feature for number in step.int64_list.value], np.int64)
        elif any(step.WhichOneof("kind") == "float_list" for step in steps.feature):
            lists[name] = np.concatenate([np.array(step.float_list.value, np.float32) for step in steps.feature])
        else:
            lists[name] = [data for step in steps.feature for data in step.bytes_list.value]
    return _parse_features(example.context), lists


def _parsed(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise ValueError(f"{len(data)} bytes that are no {kind.DESCRIPTOR.name}: {error}") from error


def _parse_features(features: Any) -> ParsedFeatures:
    parsed: ParsedFeatures = {}
    for name, feature in features.feature.items():
        if feature.WhichOneof("kind") == "int64_list":
            parsed[name] = np.array(feature.int64_list.value, np.int64)
        elif feature.WhichOneof("kind") == "float_list":
            parsed[name] = np.array(feature.float_list.value, np.float32)
        elif feature.WhichOneof("kind") == "bytes_list":
            parsed[name] = list(feature.bytes_list.value)
    return parsed
