"""Reading for training."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from video_assets.reader.load import describe, load_dataset
from video_assets.reader.windows import Segments, Window

if TYPE_CHECKING:
    from video_assets.reader.augmentation import Augmentation, augment_clip
    from video_assets.reader.stored_clips import StoredClips

__all__ = ["Augmentation", "Segments", "StoredClips", "Window", "augment_clip", "describe", "load_dataset"]

_LATE = {"Augmentation": "augmentation", "augment_clip": "augmentation", "StoredClips": "stored_clips"}
"""The modules of names that are imported only when they are used: one needs TensorFlow, the other OpenCV."""


def __getattr__(name: str) -> Any:
    """Import what takes long when it is used."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
