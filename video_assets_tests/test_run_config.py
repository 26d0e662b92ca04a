"""Settings from a run config, a file and --set: checked before anything is run, and wrong ones named."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field

from video_assets import run_config
from video_assets.domain.errors import SettingsError
from video_assets.run_config import as_run_config_yaml, read_settings, settings_of
from video_assets.setting_types import SettingsGroup
from video_assets.settings import EncodingSettings, Settings

ENCODING_NAMES = ", ".join(EncodingSettings.model_fields)
SHOULD = "Input should be"
PLAN_SETTINGS = "encoding, clips_per_shard, shard_megabytes, retry_lost, new_version"


def problems(step: str, values: object) -> str:
    with pytest.raises(SettingsError) as error:
        settings_of({"ops": {step: {"config": values}}})
    return str(error.value)


def config(*assignments: str, text: str | None = None, folder: Path | None = None) -> dict[str, Any]:
    """What is set, by step."""
    file = None
    if text is not None and folder is not None:
        file = folder / "run.yaml"
        file.write_text(text, "utf-8")
    return read_settings(file, assignments).model_dump(exclude_unset=True)


def refusal(*assignments: str, text: str | None = None, folder: Path | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        config(*assignments, text=text, folder=folder)
    return str(error.value)


def test_nothing_given_sets_nothing() -> None:
    assert read_settings(None, []) == Settings()


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("plan.encoding.resolution=64", {"plan": {"encoding": {"resolution": 64}}}),
        ("plan.encoding.fps=5", {"plan": {"encoding": {"fps": 5.0}}}),
        ("plan.encoding.fps=1e2", {"plan": {"encoding": {"fps": 100.0}}}),  # YAML 1.1 takes 1e2 for a text
        ("plan.encoding.image_format=png", {"plan": {"encoding": {"image_format": "png"}}}),
        ("plan.new_version=true", {"plan": {"new_version": True}}),
        ("splits.test_fraction = 0.3", {"splits": {"test_fraction": 0.3}}),
        ("splits.seed=-7", {"splits": {"seed": -7}}),
        ("manifest.include=[a/*, 'b/*']", {"manifest": {"include": ["a/*", "b/*"]}}),
        ("manifest.group_pattern=", {"manifest": {"group_pattern": ""}}),
        (r"manifest.group_pattern=[a-z]+_(\d+)", {"manifest": {"group_pattern": r"[a-z]+_(\d+)"}}),
        (r"manifest.group_pattern='g=(\d+)'", {"manifest": {"group_pattern": r"g=(\d+)"}}),
        ("manifest.group_pattern=007", {"manifest": {"group_pattern": "007"}}),
    ],
)
def test_an_assignment_sets_a_typed_value(assignment: str, expected: dict[str, Any]) -> None:
    assert config(assignment) == expected


def test_assignments_add_up_and_the_last_one_wins() -> None:
    found = config("plan.encoding.fps=1", "plan.encoding.resolution=64", "plan.encoding.fps=2", "splits.seed=1")
    assert found == {"plan": {"encoding": {"fps": 2.0, "resolution": 64}}, "splits": {"seed": 1}}


def test_assignments_win_over_the_file_and_leave_the_rest_of_it(tmp_path: Path) -> None:
    text = "ops:\n  plan:\n    config:\n      clips_per_shard: 3\n      encoding: {fps: 7, resolution: 64}\n"
    found = config("plan.encoding.fps=2", text=text, folder=tmp_path)
    assert found == {"plan": {"clips_per_shard": 3, "encoding": {"fps": 2.0, "resolution": 64}}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "ops: {}", "ops: {plan: {}}", "ops: {plan: {config: null}}"])
def test_a_file_may_say_nothing(tmp_path: Path, text: str) -> None:
    assert config("plan.clips_per_shard=4", text=text, folder=tmp_path) == {"plan": {"clips_per_shard": 4}}


def test_ops_of_a_dataset_under_a_key_prefix_are_its_steps(tmp_path: Path) -> None:
    text = "ops: {sports__ucf__plan: {config: {clips_per_shard: 8}}}"
    assert config(text=text, folder=tmp_path) == {"plan": {"clips_per_shard": 8}}


def test_what_else_the_launchpad_takes_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("execution: {config: {}}\nops: {}\n")
    assert read_settings(tmp_path / "run.yaml", []) == Settings()


@pytest.mark.parametrize("assignment", ["plan", "plan=3", "=3", "plan.clips_per_shard", "plan..x=1", ".x=1", ""])
def test_an_assignment_of_another_form_is_refused_with_an_example(assignment: str) -> None:
    message = f"--set {assignment!r} must look like ASSET.FIELD=VALUE, such as plan.encoding.resolution=172"
    assert refusal(assignment) == message


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "train_shards.x=1",
            "--set 'train_shards.x=1': train_shards has no settings; use manifest, splits, plan, dataset",
        ),
        (
            "plan.encoding.fps=fast",
            "plan.encoding.fps is 'fast': Input should be a valid number, unable to parse string as a number",
        ),
        (
            "plan.clips=3",
            (
                "plan.clips is not a setting; settings of plan are encoding, clips_per_shard, shard_megabytes, "
                "retry_lost, new_version"
            ),
        ),
        ("plan.clips_per_shard.x=1", "plan.clips_per_shard is {'x': 1}: Input should be a valid integer"),
    ],
)
def test_a_wrong_assignment_names_field_value_and_what_is_allowed(assignment: str, message: str) -> None:
    assert refusal(assignment) == message


def test_all_wrong_settings_are_named_together() -> None:
    assert refusal("splits.test_fraction=2", "plan.encoding.fps=0") == (
        "splits.test_fraction is 2: Input should be less than or equal to 1; "
        "plan.encoding.fps is 0: Input should be greater than 0"
    )


def test_a_setting_below_one_that_is_no_group_is_refused() -> None:
    message = "--set 'plan.clips_per_shard.x=1': clips_per_shard is not a group of settings"
    assert refusal("plan.clips_per_shard=1", "plan.clips_per_shard.x=1") == message


def test_a_value_that_is_no_yaml_is_refused() -> None:
    assert refusal("manifest.include=[a").startswith("--set 'manifest.include=[a': the value cannot be read: ")


@pytest.mark.parametrize("text", ["ops:", "ops: 3", "ops: [plan]", "ops: {plan: 3}", "[1]", "text", "7"])
def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path, text: str) -> None:
    message = f"the run config {tmp_path}/run.yaml must look like the launchpad's: ops: <asset>: config: …"
    assert refusal(text=text, folder=tmp_path) == message


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("plan: {encoding: {fps: 3}}", "plan"),
        ("ops: {plan: {encoding: {fps: 3}}}", "ops.plan.encoding"),
        ("opps: {plan: {config: {}}}", "opps"),
    ],
)
def test_settings_in_a_place_where_none_are_read_are_refused(tmp_path: Path, text: str, named: str) -> None:
    assert refusal(text=text, folder=tmp_path) == (
        f"the run config {tmp_path}/run.yaml has {named}, where no settings are read; "
        "it must look like the launchpad's: ops: <asset>: config: …"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ops: {nothing: {}}", "nothing has no settings; settings are those of manifest, splits, plan, dataset"),
        ("ops: {plan: {config: [1]}}", "plan.config is [1]: it must be a mapping of settings"),
        ("ops: {plan: {config: {encoding: {fps: 0}}}}", "plan.encoding.fps is 0: Input should be greater than 0"),
    ],
)
def test_a_wrong_setting_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(text=text, folder=tmp_path) == message


@pytest.mark.parametrize("text", ["{", "a: !!python/object/apply:os.system ['false']", "\x00"])
def test_a_file_that_is_no_plain_yaml_is_refused_by_name(tmp_path: Path, text: str) -> None:
    assert refusal(text=text, folder=tmp_path).startswith(f"the run config {tmp_path}/run.yaml cannot be read: ")


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"^the run config {tmp_path}/none\.yaml cannot be read: .*No such file"):
        read_settings(tmp_path / "none.yaml", [])


def test_a_run_config_that_is_written_gives_the_same_settings() -> None:
    settings = read_settings(None, ["plan.encoding.fps=4", "dataset.retired_grace_minutes=0"])
    assert settings_of(yaml.safe_load(as_run_config_yaml(settings))) == settings


@pytest.mark.parametrize(
    ("step", "values", "sentence"),
    [
        ("splits", {"test_fraction": 1.5}, f"splits.test_fraction is 1.5: {SHOULD} less than or equal to 1"),
        (
            "splits",
            {"test_fraction": 0.5, "val_fraction": 0.6},
            "splits.test_fraction 0.5 and splits.val_fraction 0.6 are together 1.1; at most 1 can be held out",
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
        (
            "plan",
            {"encodng": {}},
            f"plan.encodng is not a setting; settings of plan are {PLAN_SETTINGS}. Did you mean plan.encoding?",
        ),
        (
            "plan",
            {"encoding": {"size": 224}},
            (
                f"plan.encoding.size is not a setting; settings of plan.encoding are {ENCODING_NAMES}"
                ". Did you mean plan.encoding.resize?"
            ),
        ),
        ("plan", [1], "plan.config is [1]: it must be a mapping of settings"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(step: str, values: object, sentence: str) -> None:
    assert problems(step, values) == sentence


def test_every_wrong_setting_is_named_at_once() -> None:
    assert problems("plan", {"clips_per_shard": -1, "encoding": {"fps": -1, "resolution": 1}}).count(SHOULD) == 3


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(problems("plan", {"encoding": {"resize": "x" * 1000}})) < 200


@pytest.mark.parametrize("values", [{}, {"encoding": {}}, {"encoding": {"fps": 3}, "new_version": True}])
def test_right_settings_have_no_problems(values: dict[str, Any]) -> None:
    settings_of({"ops": {"plan": {"config": values}}})


def test_the_config_of_every_step_is_checked_by_the_first() -> None:
    wrong = {"ops": {"splits": {"config": {"test_fraction": 2}}, "plan": {"config": {"encoding": {"fps": 0}}}}}
    with pytest.raises(SettingsError) as error:
        settings_of(wrong)
    assert str(error.value) == (
        "splits.test_fraction is 2: Input should be less than or equal to 1; "
        "plan.encoding.fps is 0: Input should be greater than 0"
    )


@pytest.mark.parametrize("given", [{}, {"ops": {}}, {"ops": {"plan": None}}, {"ops": {"plan": {"config": None}}}])
def test_no_config_is_right(given: dict[str, Any]) -> None:
    assert settings_of(given) == Settings()


@pytest.mark.parametrize(
    ("manifest", "encoding", "told"),
    [
        ({"multi_label": True}, {"layout": "movinets_helper"}, "manifest.multi_label is true, but a record of the"),
        (
            {},
            {"layout": "tfds", "audio_sample_rate": 8000},
            "plan.encoding.audio_sample_rate is 8000, but the layout tfds has no place",
        ),
    ],
)
def test_what_the_plan_would_refuse_is_refused_before_any_video_is_opened(
    manifest: dict[str, Any], encoding: dict[str, Any], told: str
) -> None:
    ops = {"manifest": {"config": manifest}, "plan": {"config": {"encoding": encoding}}}
    with pytest.raises(SettingsError, match=f"^{re.escape(told)}"):
        settings_of({"ops": ops})


class _Columns(SettingsGroup):
    columns: dict[str, str] = Field(default={})
    videos: str | None = None
    splits: list[int] = Field(default=[])


class _Dialects(SettingsGroup):
    manifest: _Columns = _Columns()


@pytest.fixture
def dialects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of other kinds than today's: a mapping, a text that may be missing, a list of numbers."""
    monkeypatch.setattr(run_config, "Settings", _Dialects)


@pytest.mark.usefixtures("dialects")
@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        (
            "manifest.columns={path: video_name, label: 'tag: x'}",
            {"columns": {"path": "video_name", "label": "tag: x"}},
        ),
        ("manifest.columns.path=[video]", {"columns": {"path": "[video]"}}),
        ("manifest.columns.label=007", {"columns": {"label": "007"}}),
        ("manifest.videos=007", {"videos": "007"}),
        ("manifest.videos=[a]", {"videos": "[a]"}),
        ("manifest.videos=null", {"videos": None}),
        ("manifest.splits=[1, 3]", {"splits": [1, 3]}),
    ],
)
def test_mappings_lists_and_texts_that_may_be_missing_can_be_assigned(
    assignment: str, expected: dict[str, Any]
) -> None:
    assert config(assignment) == {"manifest": expected}


@pytest.mark.usefixtures("dialects")
@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("manifest.columns=[path]", "manifest.columns is ['path']: Input should be a valid dictionary"),
        ("manifest.columns={path: 3}", "manifest.columns.path is 3: Input should be a valid string"),
        ("manifest.columns.path.x=3", "manifest.columns.path is {'x': 3}: Input should be a valid string"),
        (
            "manifest.column.path=3",
            (
                "manifest.column is not a setting; settings of manifest are columns, videos, splits. "
                "Did you mean manifest.columns?"
            ),
        ),
    ],
)
def test_a_wrong_entry_of_a_mapping_is_named(assignment: str, message: str) -> None:
    assert refusal(assignment) == message
