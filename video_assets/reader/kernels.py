"""TensorFlow's own reader, parser and image decoder without the rest of TensorFlow.

`import tensorflow` takes 4.5 seconds of a core, most of it for Keras, distribution and 2,000 modules of the Python API;
what verification calls are kernels in C++ whose bindings are there in 0.9. They are the very kernels that
`tf.data.TFRecordDataset`, `tf.io.parse_single_example` and `tf.io.decode_image` run, called directly, which also
costs a tenth a record. A later `import tensorflow` of the same process finds these modules loaded and adds the rest.
"""

import functools
import importlib.util
import math
import os
import re
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.encoding import Compression
from video_assets.reader.parsing import ReadFeature, record_contract
from video_assets.settings import Layout

_loading = threading.Lock()


class ReadingError(Exception):
    """What TensorFlow finds wrong with a file, a record or an image, in its words without its operations' names."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """The entries that are called, and the base of TensorFlow's errors."""

    read_records: Callable[[str, Compression], Any]
    parse_example: Callable[..., Any]
    parse_sequence: Callable[..., Any]
    parse_tensor: Callable[..., Any]
    decode_image: Callable[..., Any]
    constant: Callable[..., Any]
    Error: type[Exception]


def kernels() -> Kernels:
    """The kernels; the first call loads them, without the start-up messages that C++ writes past every setting."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Kernels:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _muted_standard_error():
        try:
            with _package_alone("tensorflow"):
                found = _from_parts()
        except (ImportError, AttributeError):  # another TensorFlow, laid out otherwise inside: by its public names
            found = _from_public_names()
        found.constant(0)  # looks for devices, and says so
    return found


def _from_parts() -> Kernels:
    from tensorflow.python import tf2

    tf2.enable()  # as `import tensorflow` does, before anything asks
    from tensorflow.python.framework import constant_op, errors_impl
    from tensorflow.python.lib.io import _pywrap_record_io
    from tensorflow.python.ops import gen_image_ops, gen_parsing_ops

    return Kernels(
        read_records=_pywrap_record_io.RecordIterator,
        parse_example=gen_parsing_ops.parse_example_v2,
        parse_sequence=gen_parsing_ops.parse_sequence_example_v2,
        parse_tensor=gen_parsing_ops.parse_tensor,
        decode_image=gen_image_ops.decode_image,
        constant=constant_op.constant,
        Error=errors_impl.OpError,
    )


def _from_public_names() -> Kernels:
    import tensorflow as tf

    return Kernels(
        read_records=lambda path, compression: (r.numpy() for r in tf.data.TFRecordDataset(path, compression)),
        parse_example=tf.raw_ops.ParseExampleV2,
        parse_sequence=tf.raw_ops.ParseSequenceExampleV2,
        parse_tensor=tf.raw_ops.ParseTensor,
        decode_image=tf.raw_ops.DecodeImage,
        constant=tf.constant,
        Error=tf.errors.OpError,
    )


@contextmanager
def _findings() -> Generator[None]:
    try:
        yield
    except UnicodeDecodeError as error:  # TensorFlow quotes the bytes that it cannot make sense of
        raise ReadingError("it is no message of the kind that is stored") from error
    except kernels().Error as error:
        first_line = str(getattr(error, "message", error)).splitlines()[0]
        raise ReadingError(re.sub(r"\{\{.*?\}\}\s*|\s*\[Op:.*", "", first_line)) from error


@contextmanager
def _package_alone(name: str) -> Generator[None]:
    """Within this, submodules of a package can be imported without running its `__init__`, if it was not run yet."""
    if name in sys.modules:
        yield
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(f"{name} is not installed")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[name]


def read_records(file: Path, compression: Compression = "") -> Iterator[bytes]:
    """The serialized records of a TFRecord file; their checksums are compared.

    Raises:
        ReadingError: a record is damaged or cut off.
    """
    with _findings():
        yield from kernels().read_records(str(file), compression)


def parse_record(layout: Layout, record: bytes, *, multi_label: bool = False) -> dict[str, Any]:
    """Numpy values of one record: `images` and `timestamps_us` [T], `label`, `id` and `source` [].

    With `multi_label`, `label` is [N]. Of a layout that stores pixels, `images` are float32 [T, H, W, 3].

    Raises:
        SettingsError: if the layout is not known.
        ReadingError: it is no such record, or lacks a feature.
    """
    arguments, names = _arguments(layout, multi_label=multi_label)
    serialized = kernels().constant(record, dtype="string")
    parse = kernels().parse_sequence if record_contract(layout).steps else kernels().parse_example
    with _findings():
        parsed = parse(serialized=serialized, **arguments)
    if record_contract(layout).steps:
        found = [*parsed.context_dense_values, *parsed.context_ragged_values, *parsed.feature_list_dense_values]
    else:
        found = [*parsed.dense_values, *parsed.ragged_values]
    sizes = [int(value) for name, value in zip(names, found, strict=True) if name == "size"]
    values = {name: value.numpy() for name, value in zip(names, found, strict=True) if name != "size"}
    return values | {"images": _parse_pixels(values["images"], sizes)} if sizes else values


def _parse_pixels(tensor: bytes, sizes: Sequence[int]) -> NDArray[np.float32]:
    with _findings():
        pixels = kernels().parse_tensor(serialized=kernels().constant(tensor, dtype="string"), out_type="float32")
    if pixels.shape.num_elements() != math.prod(sizes) or sizes[-1] != 3:
        raise ReadingError(f"its video is a tensor {tuple(pixels.shape)}, its sizes say {tuple(sizes)}")
    return pixels.numpy().reshape(sizes)


@functools.cache
def _arguments(layout: Layout, *, multi_label: bool) -> tuple[dict[str, Any], list[str]]:
    """What the parsing kernel of a layout is told, and the names of what it gives.

    Tensors wherever a tensor is meant: of anything else TensorFlow first asks whether it is a variable, for which it
    imports much of what is left out here. A default that is empty says that the feature must be there.
    """
    contract = record_contract(layout, multi_label=multi_label)
    single = [feature for feature in (*contract.features, *contract.shape) if not feature.is_list]
    lists = [feature for feature in contract.features if feature.is_list]
    names = [feature.name for feature in (*single, *lists, *contract.steps)]
    constant = kernels().constant
    defaults = [constant([], dtype=feature.dtype) for feature in single]
    shapes = [[]] * len(single)
    splits = ["int64"] * len(lists)
    if not contract.steps:
        return {
            "names": _keys([]),
            "sparse_keys": _keys([]),
            "dense_keys": _keys(single),
            "ragged_keys": _keys(lists),
            "dense_defaults": defaults,
            "num_sparse": 0,
            "sparse_types": [],
            "ragged_value_types": _types(lists),
            "ragged_split_types": splits,
            "dense_shapes": shapes,
        }, names
    return {
        "debug_name": constant(b"", dtype="string"),
        "context_sparse_keys": _keys([]),
        "context_dense_keys": _keys(single),
        "context_ragged_keys": _keys(lists),
        "feature_list_sparse_keys": _keys([]),
        "feature_list_dense_keys": _keys(contract.steps),
        "feature_list_ragged_keys": _keys([]),
        "feature_list_dense_missing_assumed_empty": constant([False] * len(contract.steps)),
        "context_dense_defaults": defaults,
        "Nfeature_list_dense": len(contract.steps),
        "context_ragged_value_types": _types(lists),
        "context_ragged_split_types": splits,
        "context_dense_shapes": shapes,
        "feature_list_dense_types": _types(contract.steps),
        "feature_list_dense_shapes": [[]] * len(contract.steps),
    }, names


def _keys(features: Sequence[ReadFeature]) -> Any:
    return kernels().constant([feature.key for feature in features], dtype="string")


def _types(features: Sequence[ReadFeature]) -> list[str]:
    return [feature.dtype for feature in features]


def decode_images(images: Sequence[bytes] | NDArray[np.float32]) -> NDArray[np.uint8]:
    """Frames uint8 [T, H, W, 3]: of T encoded JPEG or PNG images, or of pixels 0..255 as float32.

    Raises:
        ReadingError: an image cannot be decoded.
        ValueError: there is none, or they have several sizes.
    """
    if isinstance(images, np.ndarray) and images.dtype == np.float32:
        return np.clip(np.rint(images), 0, 255).astype(np.uint8)
    return np.stack([_decode_image(image) for image in images])


def _decode_image(image: bytes) -> NDArray[np.uint8]:
    contents = kernels().constant(image, dtype="string")
    with _findings():
        return kernels().decode_image(contents=contents, channels=3, expand_animations=False).numpy()


@contextmanager
def _muted_standard_error() -> Generator[None]:
    """Loses what C++ writes to standard error. What Python writes meanwhile arrives."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    python_stream = sys.stderr
    if python_stream is sys.__stderr__:
        # `kept` stays open: another thread may still hold this stream when it is no longer in place.
        sys.stderr = open(kept, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115  (stays open)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        sys.stderr = python_stream


@contextmanager
def kernels_meanwhile() -> Generator[Callable[[], None], None, None]:
    """Gives a function that begins to load the kernels in a thread of its own; its end waits for that thread.

    Checks read shards through them. To load them takes a second of one core, which passes while this
    process only waits for decoding processes. If it fails, the first check that needs it says why.
    """
    interval = sys.getswitchinterval()
    importing = threading.Thread(target=_try_kernels, name="loading of kernels")

    def begin() -> None:
        if importing.ident is None:
            # An import hardly ever lets go of the interpreter by itself; decoding processes wait for their next clip.
            sys.setswitchinterval(interval / 20)
            importing.start()

    try:
        yield begin
    finally:
        if importing.ident is not None:
            importing.join()
            sys.setswitchinterval(interval)


def _try_kernels() -> None:
    with suppress(Exception):  # they are loaded again, and that then raises, where they are needed
        kernels()
