"""Reading for training."""

from typing import TYPE_CHECKING, Any

from video_assets.reader.describe import describe
from video_assets.reader.load import load_dataset

if TYPE_CHECKING:
    from video_assets.reader.augmentation import Augmentation, augment_clip

__all__ = ["Augmentation", "augment_clip", "describe", "load_dataset"]


def __getattr__(name: str) -> Any:
    """Import augmentation only when it is used: it needs TensorFlow, whose import takes seconds."""
    if name not in {"Augmentation", "augment_clip"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from video_assets.reader import augmentation

    return getattr(augmentation, name)
