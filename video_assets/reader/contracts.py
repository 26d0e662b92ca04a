"""Which features of a stored record are read, and under which names; one table for all ways of reading them."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from video_assets.domain.encoding import Layout
from video_assets.domain.errors import SettingsError


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
