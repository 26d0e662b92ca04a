"""Parsed features, taken for what a layout says they are; each raises TypeError for another kind, KeyError for none."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.labels import LABEL_SEPARATOR


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
