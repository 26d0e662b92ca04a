"""The code location as the server loads it: from nothing but an installed package, fast, with these names."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import video_assets
from video_assets.domain.errors import SettingsError

PROJECT = Path(video_assets.__file__).parents[1]
HEAVY = ("tensorflow", "cv2", "av", "tensorflow_datasets")

_LIST = """
import json, sys
from video_assets.definitions import defs
definitions = defs()
repository = definitions.get_repository_def()
graph = repository.asset_graph
print(json.dumps({
    "heavy": [name for name in %r if name in sys.modules],
    "assets": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
    "checks": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys),
    "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
    "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
    "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
    "resources": sorted(repository.get_top_level_resources()),
    "deps": {key.to_user_string(): sorted(k.to_user_string() for k in graph.get(key).parent_keys)
             for key in graph.get_all_asset_keys()},
    "partitioned": sorted(key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned),
    "blocking": sorted(f"{key.asset_key.to_user_string()}: {key.name}" for key in graph.asset_check_keys
                       if graph.get(key).blocking),
    "statuses": sorted({str(each.default_status.value) for each in
                        [*repository.sensor_defs, *repository.schedule_defs]}),
}))
"""


def empty_environment() -> dict[str, str]:
    """Nothing that could configure anything."""
    return {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LD_LIBRARY_PATH", "TMPDIR")}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the location holds, told by a process of its own in an empty environment."""
    found = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:video_assets", "-c", _LIST % (HEAVY,)],
        capture_output=True,
        text=True,
        check=False,
        env=empty_environment(),
        cwd=tmp_path_factory.mktemp("elsewhere"),
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.slow
def test_dagster_accepts_the_code_location_in_an_empty_environment(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(PROJECT / "workspace.yaml")]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=empty_environment(), cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "Validation successful for code location video_assets" in found.stdout + found.stderr
    ours = [line for line in found.stderr.splitlines() if "Warning" in line and "/video_assets/" in line]
    assert ours == []


def test_loading_imports_neither_tensorflow_nor_a_codec(listed: dict[str, object]) -> None:
    assert listed["heavy"] == []


def test_the_assets_and_what_they_come_from_are_those_of_the_graph(listed: dict[str, object]) -> None:
    assert listed["deps"] == {
        "videos": [],
        "manifest": ["videos"],
        "train_split": ["manifest"],
        "test_split": ["manifest"],
        "val_split": ["manifest"],
        "plan": ["test_split", "train_split", "val_split"],
        "train_shards": ["plan"],
        "test_shards": ["plan"],
        "val_shards": ["plan"],
        "dataset": ["plan", "test_shards", "train_shards", "val_shards"],
    }
    assert listed["partitioned"] == ["test_shards", "train_shards", "val_shards"]


def test_the_checks_are_those_of_shards_and_of_the_dataset(listed: dict[str, object]) -> None:
    of_shards = [
        f"{split}_shards: {name}"
        for split in ("test", "train", "val")
        for name in ("shard_decodes", "shard_is_complete", "shard_matches_source")
    ]
    of_dataset = [f"dataset: {name}" for name in ("classes_covered", "no_leakage", "nothing_lost", "one_encoding")]
    assert listed["checks"] == sorted([*of_dataset, *of_shards])
    assert listed["blocking"] == sorted(of_shards)


def test_jobs_sensors_schedules_and_resources_have_these_names(listed: dict[str, object]) -> None:
    assert listed["jobs"] == [
        "build_dataset",
        "commit_dataset",
        "encode_test_shards",
        "encode_train_shards",
        "encode_val_shards",
        "plan_dataset",
        "prune_history",
        "verify_shards",
    ]
    assert listed["sensors"] == ["missing_shards", "new_videos"]
    assert listed["schedules"] == ["nightly", "nightly_prune", "nightly_refresh"]
    assert listed["resources"] == ["dataset", "decoding", "engine", "source"]


def test_a_fresh_clone_starts_nothing_by_itself(listed: dict[str, object]) -> None:
    assert listed["statuses"] == ["STOPPED"]


def test_a_run_takes_as_many_shards_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    from video_assets.definitions import build_definitions

    monkeypatch.setenv("VIDEO_ASSETS_SHARDS_PER_RUN", "7")
    definitions = build_definitions()
    policy = definitions.resolve_assets_def("train_shards").backfill_policy
    assert policy is not None
    assert policy.max_partitions_per_run == 7
    assert "7 at most in a run" in str(definitions.resolve_sensor_def("missing_shards").description)

    monkeypatch.setenv("VIDEO_ASSETS_SHARDS_PER_RUN", "none")
    with pytest.raises(SettingsError, match=r"VIDEO_ASSETS_SHARDS_PER_RUN is 'none': Input should be a valid integer"):
        build_definitions()


def test_every_asset_has_an_owner_a_description_a_kind_a_code_version_and_its_stage() -> None:
    from video_assets.definitions import build_definitions

    specs = build_definitions().resolve_all_asset_specs()
    for spec in specs:
        assert spec.description, spec.key
        assert spec.kinds, spec.key
        assert spec.group_name == "video_dataset", spec.key
        if spec.key.to_user_string() != "videos":
            assert spec.owners == ["team:video_assets"], spec.key
            assert spec.code_version, spec.key
            assert spec.tags["stage"] in ("planning", "conversion", "commit"), spec.key


@pytest.mark.parametrize(("variable", "least"), [("VIDEO_ASSETS_SENSOR_SECONDS", 1), ("VIDEO_ASSETS_WORKERS", 0)])
def test_a_number_in_the_environment_that_is_none_is_named(
    variable: str, least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from video_assets.definitions import build_definitions

    monkeypatch.setenv(variable, "30s")
    with pytest.raises(SettingsError, match=f"{variable} is '30s': Input should be a valid integer"):
        build_definitions()
    monkeypatch.setenv(variable, str(least))
    build_definitions()
