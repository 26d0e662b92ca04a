"""How a clip becomes a record: the settings that decide a record's bytes."""

from dataclasses import asdict, dataclass
from typing import Literal

Layout = Literal["tfds", "sequence_example", "movinets_helper"]
Sampling = Literal["uniform", "fps", "segments", "all"]
Resize = Literal["stretch", "short_side", "center_crop", "letterbox"]
ImageFormat = Literal["jpeg", "png"]
ShortClip = Literal["repeat_last", "loop", "quarantine"]
Compression = Literal["", "GZIP"]
"""Of a whole shard, as TensorFlow names it."""

ENCODER_VERSION = 1
"""Raised when the same settings and the same video would give other bytes than before."""


_LATER: dict[str, object] = {"audio_sample_rate": 0, "multi_label": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Settings of a dataset version; one for all of its shards. Ranges are checked by the run-config models.

    `multi_label` is a setting of the manifest, pinned here because a record's label depends on it.
    """

    layout: Layout = "tfds"
    sampling: Sampling = "uniform"
    num_frames: int = 10
    fps: float = 5.0
    max_frames: int = 300
    resolution: int = 224
    resize: Resize = "stretch"
    image_format: ImageFormat = "jpeg"
    jpeg_quality: int = 95
    short_clip: ShortClip = "repeat_last"
    audio_sample_rate: int = 0
    multi_label: bool = False

    @property
    def stores_images(self) -> bool:
        """Whether frames are stored as `image_format` says; if not, as float32 pixels."""
        return self.layout != "movinets_helper"

    @property
    def is_lossless(self) -> bool:
        """Whether a stored frame is the very frame that was decoded and resized."""
        return self.image_format == "png" or not self.stores_images

    @property
    def compression(self) -> Compression:
        """How the layout's reader expects a shard to be compressed."""
        return "GZIP" if self.layout == "movinets_helper" else ""

    def as_dict(self) -> dict[str, object]:
        """Plain values by field name, for JSON and for fingerprints.

        Fields that came after the first datasets are left out as long as they say nothing: the fingerprints of those
        stay what they are.
        """
        values = asdict(self)
        return {name: value for name, value in values.items() if name not in _LATER or value != _LATER[name]}


def changed_fields(old: Encoding, new: Encoding) -> dict[str, tuple[object, object]]:
    """Fields whose values differ, each with its old and new value.

    >>> changed_fields(Encoding(), Encoding(resolution=64))
    {'resolution': (224, 64)}
    """
    before, after = _LATER | old.as_dict(), _LATER | new.as_dict()
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}


def what_cannot_be_stored(encoding: Encoding) -> str:
    """What is asked for and the layout has no place for, as a sentence that names the settings; empty if it is nothing.

    >>> what_cannot_be_stored(Encoding())
    ''
    """
    layout = encoding.layout
    if encoding.audio_sample_rate and layout != "sequence_example":
        return (
            f"plan.encoding.audio_sample_rate is {encoding.audio_sample_rate}, but the layout {layout} has no "
            "place for sound; set it to 0, or plan.encoding.layout to sequence_example"
        )
    if encoding.multi_label and layout == "movinets_helper":
        return (
            f"manifest.multi_label is true, but a record of the layout {layout} has one label; "
            "set plan.encoding.layout to tfds or sequence_example, or manifest.multi_label to false"
        )
    return ""
