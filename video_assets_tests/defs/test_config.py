"""Run config: defaults, ranges, and a wrong value that is named with what is allowed."""

import re
from dataclasses import fields
from typing import Any

import pytest

from video_assets.defs.automation import pinned_run_config
from video_assets.defs.config import DatasetConfig, EncodingConfig, PlanConfig, SourceConfig, SplitConfig
from video_assets.defs.run_config import CONFIG_BY_OP, check_run_config, config_problems
from video_assets.defs.status import dataset_status
from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import SettingsError
from video_assets.pipeline.settings import ShardingSettings, SourceSettings, SplitSettings
from video_assets_tests.datasets import Built


def problems(op_name: str, values: object) -> list[str]:
    return config_problems(op_name, CONFIG_BY_OP[op_name], values)


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


ENCODING_NAMES = ", ".join(EncodingConfig.model_fields)
SHOULD = "Input should be"
PLAN_SETTINGS = "encoding, clips_per_shard, shard_megabytes, retry_lost, new_version"


@pytest.mark.parametrize(
    ("op_name", "values", "sentence"),
    [
        ("splits", {"test_fraction": 1.5}, f"splits.test_fraction is 1.5: {SHOULD} less than or equal to 1"),
        (
            "splits",
            {"test_fraction": 0.5, "val_fraction": 0.6},
            "splits.val_fraction is 0.6: Value error, together with test_fraction 0.5 it is above 1",
        ),
        ("splits", {"test_fraction": float("nan")}, f"splits.test_fraction is nan: {SHOULD} less than or equal to 1"),
        ("splits", {"seed": 2**63}, f"splits.seed is {2**63}: {SHOULD} less than {2**63}"),
        (
            "manifest",
            {"max_failed_fraction": -1},
            f"manifest.max_failed_fraction is -1: {SHOULD} greater than or equal to 0",
        ),
        ("manifest", {"include": "a/*"}, f"manifest.include is 'a/*': {SHOULD} a valid list"),
        (
            "manifest",
            {"group_pattern": "*"},
            "manifest.group_pattern is '*': Value error, not a regular expression: nothing to repeat at position 0",
        ),
        (
            "plan",
            {"encoding": {"resolution": 7}},
            f"plan.encoding.resolution is 7: {SHOULD} greater than or equal to 8",
        ),
        (
            "plan",
            {"encoding": {"resize": "squash"}},
            f"plan.encoding.resize is 'squash': {SHOULD} 'stretch', 'short_side', 'center_crop' or 'letterbox'",
        ),
        (
            "plan",
            {"encoding": {"jpeg_quality": 101}},
            f"plan.encoding.jpeg_quality is 101: {SHOULD} less than or equal to 100",
        ),
        ("plan", {"encoding": {"fps": 0}}, f"plan.encoding.fps is 0: {SHOULD} greater than 0"),
        ("plan", {"encodng": {}}, f"plan.encodng is not a setting; settings of plan are {PLAN_SETTINGS}"),
        (
            "plan",
            {"encoding": {"size": 224}},
            f"plan.encoding.size is not a setting; settings of plan.encoding are {ENCODING_NAMES}",
        ),
        ("plan", [1], "plan.config is [1]: it must be a mapping of settings"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(
    op_name: str, values: object, sentence: str
) -> None:
    assert problems(op_name, values) == [sentence]


def test_every_wrong_setting_is_named_at_once() -> None:
    assert len(problems("plan", {"clips_per_shard": -1, "encoding": {"fps": -1, "resolution": 1}})) == 3


def test_a_long_value_is_cut_in_the_message() -> None:
    (sentence,) = problems("plan", {"encoding": {"resize": "x" * 1000}})
    assert len(sentence) < 200


@pytest.mark.parametrize("values", [{}, {"encoding": {}}, {"encoding": {"fps": 3}, "new_version": True}])
def test_right_settings_have_no_problems(values: dict[str, Any]) -> None:
    assert problems("plan", values) == []


def test_the_config_of_every_step_is_checked_by_the_first() -> None:
    wrong = {"ops": {"splits": {"config": {"test_fraction": 2}}, "plan": {"config": {"encoding": {"fps": 0}}}}}
    with pytest.raises(SettingsError) as error:
        check_run_config(wrong)
    assert str(error.value) == (
        "splits.test_fraction is 2: Input should be less than or equal to 1; "
        "plan.encoding.fps is 0: Input should be greater than 0"
    )


@pytest.mark.parametrize("run_config", [{}, {"ops": {}}, {"ops": {"plan": None}}, {"ops": {"plan": {"config": None}}}])
def test_no_config_is_right(run_config: dict[str, Any]) -> None:
    check_run_config(run_config)


def test_the_commit_keeps_retired_files_for_a_while_by_default() -> None:
    assert DatasetConfig().retired_grace_minutes == 15  # pyright: ignore[reportCallIssue]


def test_what_starts_by_itself_goes_on_with_several_labels(label_sets_built: Built) -> None:
    config = pinned_run_config(label_sets_built.paths, only_settled=True)
    check_run_config(config)
    assert config["ops"]["manifest"]["config"]["multi_label"] is True
    assert SourceConfig(**config["ops"]["manifest"]["config"]).to_settings().multi_label
    assert "multi_label" not in config["ops"]["plan"]["config"]["encoding"]  # the manifest says it
    assert dataset_status(label_sets_built.paths)["encoding"]["multi_label"] is True


@pytest.mark.parametrize(
    ("manifest", "encoding", "told"),
    [
        ({"multi_label": True}, {"layout": "movinets_helper"}, "manifest.multi_label is true, but a record of the"),
        ({}, {"audio_sample_rate": 8000}, "plan.encoding.audio_sample_rate is 8000, but the layout tfds has no place"),
    ],
)
def test_what_the_plan_would_refuse_is_refused_before_any_video_is_opened(
    manifest: dict[str, Any], encoding: dict[str, Any], told: str
) -> None:
    ops = {"manifest": {"config": manifest}, "plan": {"config": {"encoding": encoding}}}
    with pytest.raises(SettingsError, match=f"^{re.escape(told)}"):
        check_run_config({"ops": ops})
