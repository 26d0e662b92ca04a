"""Run config from a file and from --set, checked before anything is run."""

from pathlib import Path
from typing import Any

import pytest

from video_assets.defs.settings_file import config_for, read_run_config
from video_assets.domain.errors import SettingsError


def config(*assignments: str, text: str | None = None, folder: Path | None = None) -> dict[str, Any]:
    """What is set, by step."""
    file = None
    if text is not None and folder is not None:
        file = folder / "run.yaml"
        file.write_text(text, "utf-8")
    return {name: entry["config"] for name, entry in read_run_config(file, assignments)["ops"].items()}


def refusal(*assignments: str, text: str | None = None, folder: Path | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        config(*assignments, text=text, folder=folder)
    return str(error.value)


def test_nothing_given_sets_nothing() -> None:
    assert read_run_config(None, []) == {"ops": {}}


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


def test_what_else_the_launchpad_takes_is_let_through(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("execution: {config: {}}\nops: {}\n")
    assert read_run_config(tmp_path / "run.yaml", []) == {"execution": {"config": {}}, "ops": {}}


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
        read_run_config(tmp_path / "none.yaml", [])


def test_each_run_gets_the_config_of_its_own_steps() -> None:
    run_config = read_run_config(None, ["plan.clips_per_shard=4", "dataset.retired_grace_minutes=0"])
    assert config_for(run_config, ("manifest", "plan")) == {"ops": {"plan": {"config": {"clips_per_shard": 4}}}}
    assert config_for(run_config, ("manifest",)) == {}
