"""Run config: names, defaults, and what becomes of them in the stages."""

from dataclasses import fields
from typing import Any

import pytest
from video_assets.defs.status import dataset_status

from video_assets.defs.automation import pinned_run_config
from video_assets.defs.config import DatasetConfig, EncodingConfig, PlanConfig, SourceConfig, SplitConfig
from video_assets.defs.run_config import CONFIG_BY_OP, check_run_config
from video_assets.domain.encoding import Encoding
from video_assets.pipeline.settings import ShardingSettings, SourceSettings, SplitSettings
from video_assets_tests.datasets import Built


def test_the_defaults_are_those_of_the_stages() -> None:
    assert EncodingConfig().to_encoding() == Encoding()  # pyright: ignore[reportCallIssue]
    assert SplitConfig().to_settings() == SplitSettings()  # pyright: ignore[reportCallIssue]
    assert PlanConfig().to_settings() == ShardingSettings()  # pyright: ignore[reportCallIssue]
    given, default = SourceConfig().to_settings(), SourceSettings()  # pyright: ignore[reportCallIssue]
    assert (given.group_pattern, given.include, given.max_failed_fraction) == (
        default.group_pattern,
        default.include,
        default.max_failed_fraction,
    )
    assert given.limits.memory_bytes == default.limits.memory_bytes
    assert abs(given.limits.max_file_bytes - default.limits.max_file_bytes) < 10**6  # asked for in whole megabytes


def test_names_of_settings_are_pinned() -> None:
    """Pinned: scripts say them with --set and in run configs."""
    names = {op_name: sorted(model.model_fields) for op_name, model in CONFIG_BY_OP.items()}
    assert names["splits"] == ["seed", "test_fraction", "val_fraction"]
    assert names["plan"] == ["clips_per_shard", "encoding", "new_version", "retry_lost", "shard_megabytes"]
    assert names["dataset"] == ["licence", "near_duplicates_are_errors", "retired_grace_minutes", "text_index"]
    assert {"max_failed_fraction", "include", "group_pattern"} <= set(names["manifest"])
    of_the_manifest = ["multi_label"]
    assert [*EncodingConfig.model_fields, *of_the_manifest] == [field.name for field in fields(Encoding)]
    assert set(of_the_manifest) <= set(names["manifest"])


@pytest.mark.parametrize("model", [*CONFIG_BY_OP.values(), EncodingConfig])
def test_every_setting_has_a_description_and_a_default(model: Any) -> None:
    for name, field in model.model_fields.items():
        assert field.description, name
        assert not field.is_required(), name


def test_source_settings_survive_the_way_into_a_config_and_back() -> None:
    settings = SourceConfig(include=["a/*"], max_pixels=1000, clip_seconds=5.5).to_settings()  # pyright: ignore[reportCallIssue]
    assert SourceConfig.from_settings(settings, only_settled=settings.only_settled).to_settings() == settings


def test_the_commit_keeps_retired_files_for_a_while_by_default() -> None:
    assert DatasetConfig().retired_grace_minutes == 15  # pyright: ignore[reportCallIssue]


def test_what_starts_by_itself_goes_on_with_several_labels(label_sets_built: Built) -> None:
    config = pinned_run_config(label_sets_built.paths, only_settled=True)
    check_run_config(config)
    assert config["ops"]["manifest"]["config"]["multi_label"] is True
    assert SourceConfig(**config["ops"]["manifest"]["config"]).to_settings().multi_label
    assert "multi_label" not in config["ops"]["plan"]["config"]["encoding"]  # the manifest says it
    assert dataset_status(label_sets_built.paths)["encoding"]["multi_label"] is True
