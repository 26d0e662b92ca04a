"""Run config: the settings of `video_assets.settings` as Dagster's launchpad shows and checks them."""

from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from typing import Any, TypeVar

import dagster as dg
from pydantic import Field, create_model

from video_assets.domain.errors import VideoAssetsError
from video_assets.pipeline.noted_settings import dataset_settings, settings_in_force, without_values_of
from video_assets.run_config import checked, settings_of
from video_assets.setting_types import SettingsGroup
from video_assets.settings import (
    DatasetSettings,
    EncodingSettings,
    ManifestSettings,
    PlanSettings,
    Settings,
    SplitSettings,
)
from video_assets.storage.addresses import is_remote
from video_assets.storage.paths import DatasetPaths

_Config = TypeVar("_Config", bound=dg.Config)


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


_CONFIGS: dict[str, type[dg.Config]] = {
    "manifest": ManifestConfig,
    "splits": SplitConfig,
    "plan": PlanConfig,
    "dataset": DatasetConfig,
}


def config_schema(step: str, settings: Settings) -> dict[str, dg.Field]:
    """Return what the launchpad shows and takes for a step; its defaults are the settings that the dataset gives.

    It is not taken as an asset's parameter: a Config says of no setting whether it was given.
    """
    return _with_defaults(_CONFIGS[step], getattr(settings, step)).to_fields_dict()


def _with_defaults(config: type[_Config], given: SettingsGroup) -> type[_Config]:
    fields: dict[str, Any] = {}
    for name in given.model_fields_set:
        field, value = copy(config.model_fields[name]), getattr(given, name)
        kind: Any = field.annotation
        if isinstance(value, SettingsGroup):
            kind = _with_defaults(kind, value)
            value = kind()
        field.default = value
        fields[name] = (kind, field)
    return create_model(config.__name__, __base__=config, __doc__=config.__doc__, **fields) if fields else config


def shown_settings(paths: DatasetPaths | None, given: Settings) -> Settings:
    """Return what the launchpad shows: what the dataset's value gives, and the dataset's own settings.

    Of a dataset that cannot be read now, or lies in an object store, it shows the defaults: loading a code location
    must not wait for a network.
    """
    own = Settings()
    if paths is not None and not is_remote(paths.root):
        with suppress(VideoAssetsError, OSError):  # the first step of a run says what is wrong
            own = dataset_settings(paths)
    return own.overlaid(given)


def settings_of_run(
    run_config: Mapping[str, Any], paths: DatasetPaths, given: Settings, shown: Settings | None = None
) -> Settings:
    """Return the settings of a run: what was changed in the launchpad, then what the dataset's value gives.

    All others are the dataset's own. The launchpad sends a value for every setting. One that is as it was `shown`
    counts as not changed, so that a launchpad that was loaded before the dataset was built changes nothing.

    Raises:
        SettingsError: if a setting is wrong, or does not go with the dataset's own.
    """
    before = Settings().overlaid(given) if shown is None else shown
    changed = checked(without_values_of(settings_of(run_config), before))
    return settings_in_force(paths, given.overlaid(changed))
