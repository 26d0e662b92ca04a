"""Run config as Dagster has it: the settings, and nothing else."""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import dagster as dg
import pytest
from pydantic import BaseModel, Field

from video_assets.defs.config import (
    DatasetConfig,
    ManifestConfig,
    PlanConfig,
    SplitConfig,
    config_schema,
    settings_of_run,
    shown_settings,
)
from video_assets.pipeline.noted_settings import dataset_settings
from video_assets.run_config import STEPS
from video_assets.setting_types import SettingsGroup
from video_assets.settings import DatasetSettings, ManifestSettings, PlanSettings, Settings, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built

CONFIGS: dict[type[SettingsGroup], type[dg.Config]] = {
    ManifestSettings: ManifestConfig,
    SplitSettings: SplitConfig,
    PlanSettings: PlanConfig,
    DatasetSettings: DatasetConfig,
}
KINDS = {bool: "BoolSourceType", int: "IntSourceType", float: "Float", str: "StringSourceType"}


def kind_of(annotation: Any) -> str:
    """What Dagster calls a type."""
    if get_origin(annotation) is Literal:
        return f"choice of {', '.join(get_args(annotation))}"
    if get_origin(annotation) is list:
        return f"[{kind_of(get_args(annotation)[0])}]"
    if get_origin(annotation) is dict:
        return f"{{String, {kind_of(get_args(annotation)[1])}}}"
    return KINDS[annotation]


def expected_fields(model: type[BaseModel], place: str) -> dict[str, tuple[str, object, str | None]]:
    """Kind, default and description of every setting, by its path."""
    found: dict[str, tuple[str, object, str | None]] = {}
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found[f"{place}{name}"] = ("group", field.default.model_dump(), field.description)
            found |= expected_fields(kind, f"{place}{name}.")
        else:
            found[f"{place}{name}"] = (kind_of(kind), field.default, field.description)
    return found


def shown_fields(shape: Any, place: str) -> dict[str, tuple[str, object, str | None]]:
    """The same, as the launchpad gets them."""
    found: dict[str, tuple[str, object, str | None]] = {}
    for name, field in shape.fields.items():
        assert not field.is_required, name
        found[f"{place}{name}"] = (shown_kind(field.config_type), field.default_value, field.description)
        if field.config_type.kind.name == "STRICT_SHAPE":
            found |= shown_fields(field.config_type, f"{place}{name}.")
    return found


def shown_kind(config_type: Any) -> str:
    if config_type.kind.name == "NONEABLE":
        return shown_kind(config_type.inner_type)
    if config_type.kind.name == "STRICT_SHAPE":
        return "group"
    if config_type.kind.name == "ENUM":
        return f"choice of {', '.join(value.config_value for value in config_type.enum_values)}"
    if config_type.kind.name == "ARRAY":
        return f"[{shown_kind(config_type.inner_type)}]"
    if config_type.kind.name == "MAP":
        return f"{{{config_type.key_type.key}, {shown_kind(config_type.inner_type)}}}"
    return str(config_type.key)


@pytest.mark.parametrize(("settings", "config"), CONFIGS.items(), ids=lambda model: model.__name__)
def test_the_launchpad_shows_every_setting_with_its_kind_default_and_words(
    settings: type[SettingsGroup], config: type[dg.Config]
) -> None:
    shape = config.to_config_schema().as_field().config_type
    assert shape.kind.name == "STRICT_SHAPE"  # what is no setting is refused
    assert shown_fields(shape, "") == expected_fields(settings, "")
    assert config.__doc__ == settings.__doc__


def test_every_step_that_has_settings_has_a_config() -> None:
    assert [field.annotation for field in Settings.model_fields.values()] == list(CONFIGS)


class _Columns(SettingsGroup):
    columns: dict[str, str] = Field(default={}, description="Which column is which.")
    names: list[str] = Field(default=[], description="Names.")


def test_a_setting_may_be_a_mapping() -> None:
    class Columns(dg.Config, _Columns):
        pass

    shape = Columns.to_config_schema().as_field().config_type
    assert shown_fields(shape, "") == expected_fields(_Columns, "")
    given: list[_Columns] = []

    @dg.asset
    def table(config: Columns) -> None:
        given.append(config)

    run_config = {"ops": {"table": {"config": {"columns": {"path": "video"}, "names": ["a"]}}}}
    assert dg.materialize([table], run_config=run_config).success
    assert (given[0].columns, given[0].names) == ({"path": "video"}, ["a"])


def test_the_launchpad_shows_the_datasets_own_settings_and_those_of_its_value(label_sets_built: Built) -> None:
    given = Settings(splits=SplitSettings(seed=7))
    shown = shown_settings(label_sets_built.paths, given)
    assert shown == dataset_settings(label_sets_built.paths).overlaid(given)
    fields = config_schema("manifest", shown)
    assert fields["multi_label"].default_value is True
    assert config_schema("splits", shown)["seed"].default_value == 7


def test_an_untouched_launchpad_changes_nothing_also_if_it_was_loaded_before_the_dataset(
    label_sets_built: Built,
) -> None:
    paths = label_sets_built.paths
    own = dataset_settings(paths)
    for shown in (own, Settings()):
        run_config = {"ops": {step: {"config": getattr(shown, step).model_dump()} for step in STEPS}}
        assert settings_of_run(run_config, paths, Settings(), shown) == own


def test_a_launchpad_of_a_dataset_that_cannot_be_read_shows_the_defaults(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path, "clips")
    paths.directory.mkdir()
    paths.encoding.write_text("{")
    assert shown_settings(paths, Settings()) == shown_settings(None, Settings()) == Settings()
