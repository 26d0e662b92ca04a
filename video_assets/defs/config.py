"""Run config: the settings of `video_assets.settings` as Dagster's launchpad shows and checks them."""

import dagster as dg
from pydantic import Field

from video_assets.settings import DatasetSettings, EncodingSettings, ManifestSettings, PlanSettings, SplitSettings


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
