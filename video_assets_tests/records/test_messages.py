"""Example messages made without TensorFlow: the very bytes that TensorFlow makes."""

from collections.abc import Mapping
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.records.clip_record import FeatureValue
from video_assets.records.messages import parse_example, parse_tensor, serialize_example, serialize_tensor

int64s = st.integers(-(2**63), 2**63 - 1)
values: st.SearchStrategy[FeatureValue] = st.one_of(
    st.binary(max_size=40),
    int64s,
    st.lists(int64s, max_size=5).map(lambda numbers: np.array(numbers, np.int64)),
    st.lists(st.binary(max_size=20), max_size=5),
)
features = st.dictionaries(st.text(max_size=10), values, min_size=1, max_size=6)


def theirs(tensorflow: ModuleType, given_features: Mapping[str, FeatureValue]) -> bytes:
    """The same features, serialized by TensorFlow."""
    train = tensorflow.train
    made = {}
    for name, value in given_features.items():
        if isinstance(value, int | np.ndarray):
            made[name] = train.Feature(
                int64_list=train.Int64List(value=np.atleast_1d(np.asarray(value, np.int64)).tolist())
            )
        elif not isinstance(value, float):
            many = [value] if isinstance(value, bytes) else list(value)
            made[name] = train.Feature(bytes_list=train.BytesList(value=many))
    return train.Example(features=train.Features(feature=made)).SerializeToString(deterministic=True)


@given(given_features=features)
def test_the_bytes_are_those_of_tensorflow(tensorflow: ModuleType, given_features: dict[str, FeatureValue]) -> None:
    assert serialize_example(given_features) == theirs(tensorflow, given_features)


@given(features)
def test_features_are_read_as_they_were_written(given_features: dict[str, FeatureValue]) -> None:
    parsed = parse_example(serialize_example(given_features))
    assert set(parsed) == set(given_features)
    for name, value in given_features.items():
        if isinstance(value, int | np.ndarray):
            assert isinstance(parsed[name], np.ndarray)
            assert parsed[name].tolist() == np.atleast_1d(np.asarray(value, np.int64)).tolist()  # pyright: ignore[reportAttributeAccessIssue]
        elif not isinstance(value, float):
            assert parsed[name] == ([value] if isinstance(value, bytes) else list(value))


@given(features)
def test_the_order_of_features_changes_no_byte(given_features: dict[str, FeatureValue]) -> None:
    assert serialize_example(dict(reversed(given_features.items()))) == serialize_example(given_features)


def test_an_example_is_pinned() -> None:
    """Pinned: `tf.train.Example` on the wire; an upgrade of protobuf must not change a shard's bytes."""
    example = serialize_example({"b": [b"x", b""], "a": np.array([1, -1], np.int64), "c": 300})
    assert example.hex() == (
        "0a310a140a0161120f1a0d0a0b01ffffffffffffffffff010a0c0a016212070a050a01780a000a0b0a016312061a040a02ac02"
    )


def test_what_tensorflow_wrote_is_read(tensorflow: ModuleType) -> None:
    train = tensorflow.train
    made = {"n": train.Feature(int64_list=train.Int64List(value=[3])), "none": train.Feature(),
            "f": train.Feature(float_list=train.FloatList(value=[1.5]))}  # fmt: skip
    parsed = parse_example(train.Example(features=train.Features(feature=made)).SerializeToString())
    assert {name: list(value) for name, value in parsed.items()} == {"n": [3], "f": [1.5]}


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05abc", b"not an example"])
def test_what_is_no_example_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="bytes that are no"):
        parse_example(data)


@pytest.mark.parametrize("value", ["text", np.array([1.5]), [1], ["text"], None])
def test_a_value_of_another_kind_is_an_error_and_not_converted(value: object) -> None:
    with pytest.raises(TypeError):
        serialize_example({"a": value})  # pyright: ignore[reportArgumentType]


shapes = st.lists(st.integers(0, 4), max_size=4)


@given(shape=shapes, seed=st.integers(0, 2**32 - 1))
def test_a_tensor_is_the_bytes_that_tensorflow_serializes(tensorflow: ModuleType, shape: list[int], seed: int) -> None:
    tensor = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    data = serialize_tensor(tensor)
    assert data == tensorflow.io.serialize_tensor(tensor).numpy()
    assert (tensorflow.io.parse_tensor(data, tensorflow.float32).numpy() == tensor).all()
    parsed = parse_tensor(data)
    assert parsed.shape == tensor.shape
    assert (parsed == tensor).all()


def test_a_tensor_is_pinned() -> None:
    """Pinned: `tf.io.serialize_tensor` on the wire."""
    assert serialize_tensor(np.array([[1.0, -2.0]], np.float32)).hex() == "08011208120208011202080222080000803f000000c0"


def test_a_view_of_a_tensor_is_serialized_in_its_own_order() -> None:
    tensor = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert (parse_tensor(serialize_tensor(tensor.transpose(2, 0, 1))) == tensor.transpose(2, 0, 1)).all()


def test_a_tensor_whose_shape_asks_for_other_bytes_is_an_error() -> None:
    data = serialize_tensor(np.zeros([2, 3], np.float32))
    with pytest.raises(ValueError, match=r"a tensor of shape \[2, 7\] is said to be 24 bytes of float32"):
        parse_tensor(data.replace(b"\x08\x03", b"\x08\x07"))


def test_a_tensor_of_another_type_is_an_error(tensorflow: ModuleType) -> None:
    with pytest.raises(ValueError, match="a tensor of type number 4 is not float32, which is 1"):
        parse_tensor(tensorflow.io.serialize_tensor(np.zeros(3, np.uint8)).numpy())
