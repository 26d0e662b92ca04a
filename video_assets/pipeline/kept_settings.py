"""Settings that a dataset keeps: those by which a clip is in it, and in which group."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from video_assets.pipeline.manifest import manifest_settings
from video_assets.pipeline.settings import SourceSettings
from video_assets.storage.paths import DatasetPaths

KEPT_SETTINGS: Final = ("group_pattern", "include")
"""Left out in a later build, a group would come apart into train and test, and clips that were not wanted come in."""


def kept_settings(paths: DatasetPaths, settings: SourceSettings, given: Collection[str]) -> SourceSettings:
    """The settings with what the dataset was built with last, for those of `KEPT_SETTINGS` that are not `given`."""
    kept = [name for name in KEPT_SETTINGS if name not in given]
    if not kept or not paths.manifest.exists():
        return settings
    before = manifest_settings(paths)
    return replace(settings, **{name: getattr(before, name) for name in kept})
