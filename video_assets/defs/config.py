"""Run config: the settings of `video_assets.settings` as Dagster's launchpad shows and checks them."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from video_assets.pipeline.noted_settings import settings_in_force, without_values_of
from video_assets.run_config import checked, settings_of
from video_assets.settings import (
    DatasetSettings,
    EncodingSettings,
    ManifestSettings,
    PlanSettings,
    Settings,
    SplitSettings,
)
from video_assets.storage.paths import DatasetPaths


class ManifestConfig(dg.Config, ManifestSettings):
    """How the manifest reads the source."""


class SplitConfig(dg.Config, SplitSettings):
    """How groups are assigned to train, test and val. Clips that were assigned stay where they are."""


class EncodingConfig(dg.Config, EncodingSettings):
    """How a clip becomes a record. Pinned by the first plan; a change needs plan.new_version."""


class PlanConfig(dg.Config, PlanSettings):
    """Which clips go to which shard, and the encoding of them all."""

    # Dagster shows a group of settings only if it is a Config itself.
    encoding: EncodingConfig = Field(  # pyright: ignore[reportIncompatibleVariableOverride]  (models are frozen)
        default=EncodingConfig(), description=PlanSettings.model_fields["encoding"].description
    )


class DatasetConfig(dg.Config, DatasetSettings):
    """The commit."""


def settings_of_run(run_config: Mapping[str, Any], paths: DatasetPaths, shown: Settings | None = None) -> Settings:
    """Return the settings of a run: what was changed in the launchpad, and the dataset's own for all others.

    The launchpad sends a value for every setting. One that is as it was `shown` (by default the default) counts as not
    given.

    Raises:
        SettingsError: if a setting is wrong, or does not go with the dataset's own.
    """
    return settings_in_force(paths, checked(without_values_of(settings_of(run_config), shown or Settings())))
