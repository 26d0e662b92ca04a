"""All layouts by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from video_assets.domain.errors import SettingsError
from video_assets.records import sequence_example, tfds, video_tensor
from video_assets.records.clip_record import ClipRecord
from video_assets.setting_types import Layout


@dataclass(frozen=True, slots=True)
class LayoutCodec:
    """How one layout encodes a clip as a record, and decodes it."""

    encode_record: Callable[[ClipRecord], bytes]
    decode_record: Callable[[bytes, Sequence[str]], ClipRecord]


_CODECS: dict[Layout, LayoutCodec] = {
    "tfds": LayoutCodec(tfds.encode_record, tfds.decode_record),
    "sequence_example": LayoutCodec(sequence_example.encode_record, sequence_example.decode_record),
    "movinets_helper": LayoutCodec(video_tensor.encode_record, video_tensor.decode_record),
}


def layout_codec(layout: Layout) -> LayoutCodec:
    """Return the codec of a layout.

    Raises:
        SettingsError: If there is no such layout.
    """
    codec = _CODECS.get(layout)
    if codec is None:
        raise SettingsError(f"plan.encoding.layout is {layout!r}; this version writes {', '.join(_CODECS)}")
    return codec
