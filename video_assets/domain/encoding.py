"""How a clip becomes a record: the settings that decide a record's bytes."""

from typing import Literal, Self

from video_assets.settings import EncodingSettings

Compression = Literal["", "GZIP"]
"""Of a whole shard, as TensorFlow names it."""

ENCODER_VERSION = 2
"""Raised when the same settings and the same video would give other bytes than before.

A dataset keeps the version that its first plan had, and grows under it. Version 1 takes the frames nearest to the
wanted times, lays bare streams out at the demuxer's rate, takes the largest of several video tracks, and ignores the
container's crop. Version 2 does what the rest of this package says.
"""


_LATER: dict[str, object] = {
    "audio_sample_rate": 0,
    "multi_label": False,
    "over_max_frames": "first",
    "deinterlace": False,
    "hdr": "clip",
}


class Encoding(EncodingSettings):
    """The encoding of a dataset version; one for all of its shards.

    `multi_label` is a setting of the manifest, pinned here because a record's label depends on it. `encoder_version` is
    no setting: it is the newest where a version of a dataset begins, and stays.
    """

    multi_label: bool = False
    encoder_version: int = ENCODER_VERSION

    @classmethod
    def of(cls, settings: EncodingSettings, *, multi_label: bool, encoder_version: int = ENCODER_VERSION) -> Self:
        """Return the encoding that these settings ask for."""
        values = settings.model_dump() | {"multi_label": multi_label, "encoder_version": encoder_version}
        return cls.model_validate(values)

    @property
    def settings(self) -> EncodingSettings:
        """The settings that ask for it."""
        return EncodingSettings.model_validate(self.model_dump(exclude={"multi_label", "encoder_version"}))

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
        """Return plain values by field name, for JSON and for fingerprints.

        Fields that came after the first datasets are left out as long as they say nothing: the fingerprints of those
        stay what they are. The encoder's version has a place of its own in both.
        """
        values = self.model_dump(exclude={"encoder_version"})
        return {name: value for name, value in values.items() if name not in _LATER or value != _LATER[name]}

    def used(self) -> dict[str, object]:
        """Return the fields that make a difference under the others, for people to look at.

        >>> "fps" in Encoding().used(), "fps" in Encoding(sampling="fps").used()
        (False, True)
        """
        unused = {"fps"} if self.sampling != "fps" else set[str]()
        unused |= {"max_frames"} if self.sampling in ("uniform", "segments") else {"num_frames", "short_clip"}
        unused |= set() if self.image_format == "jpeg" and self.stores_images else {"jpeg_quality"}
        unused |= set() if self.stores_images else {"image_format"}
        return {name: value for name, value in self.as_dict().items() if name not in unused}


def changed_fields(old: Encoding, new: Encoding) -> dict[str, tuple[object, object]]:
    """Return the fields whose values differ, each with its old and new value.

    >>> changed_fields(Encoding(), Encoding(resolution=64))
    {'resolution': (224, 64)}
    """
    before, after = _LATER | old.as_dict(), _LATER | new.as_dict()
    return {name: (before[name], after[name]) for name in before if before[name] != after[name]}
