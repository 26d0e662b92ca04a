"""From a place full of labelled videos to a training-ready, validated TFRecord dataset.

`VideoDataset` is a dataset as a value, `build_video_dataset_defs` makes Dagster definitions of it, and
`VideoDatasetComponent` is the same as a component of `dg` projects. They are imported when they are first used: this
package alone imports nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from video_assets.defs.automation import Automation
    from video_assets.defs.video_dataset import VideoDatasetComponent, build_video_dataset_defs
    from video_assets.environment import VideoDataset

__all__ = ["Automation", "VideoDataset", "VideoDatasetComponent", "build_video_dataset_defs"]
_MODULES = {
    "Automation": "video_assets.defs.automation",
    "VideoDataset": "video_assets.environment",
    "VideoDatasetComponent": "video_assets.defs.video_dataset",
    "build_video_dataset_defs": "video_assets.defs.video_dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
