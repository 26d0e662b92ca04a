"""What a run gives its steps, checked: a wrong value is named with what is allowed."""

import re
from typing import Any

import pytest

from video_assets.defs.config import EncodingConfig
from video_assets.defs.run_config import CONFIG_BY_OP, check_run_config, config_problems
from video_assets.domain.errors import SettingsError

ENCODING_NAMES = ", ".join(EncodingConfig.model_fields)
SHOULD = "Input should be"
PLAN_SETTINGS = "encoding, clips_per_shard, shard_megabytes, retry_lost, new_version"


def problems(op_name: str, values: object) -> list[str]:
    return config_problems(op_name, CONFIG_BY_OP[op_name], values)


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
