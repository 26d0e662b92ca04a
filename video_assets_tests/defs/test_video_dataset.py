"""Several datasets in one code location, beside somebody else's definitions."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from video_assets import Automation, VideoDataset, VideoDatasetComponent, build_video_dataset_defs
from video_assets.pipeline import shared_pools
from video_assets.pipeline.noted_settings import PinnedSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS
from video_assets_tests.defs.location import failures
from video_assets_tests.pipeline.stages import InThisProcess

pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")  # Dagster's own reading of YAML
SETTINGS: dict[str, Any] = {
    "splits": {"test_fraction": 0.25},
    "plan": {"clips_per_shard": 4},
    "encoding": {"resolution": 32, "num_frames": 5},
}
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def a_dataset(name: str = "ucf", **values: Any) -> VideoDataset:
    return VideoDataset.model_validate({"name": name, "source": "/videos", "root": "/datasets", **values})


def a_strangers_definitions() -> dg.Definitions:
    """Named as ours are without a prefix, with an executor of their own."""

    @dg.asset(required_resource_keys={"source"})
    def manifest() -> None: ...

    @dg.asset
    def plan() -> None: ...

    @dg.asset
    def dataset() -> None: ...

    job = dg.define_asset_job("build_dataset", selection="manifest")
    return dg.Definitions(
        assets=[manifest, plan, dataset],
        jobs=[job],
        schedules=[dg.ScheduleDefinition(name="nightly", cron_schedule="0 1 * * *", job=job)],
        resources={"source": dg.ResourceDefinition.hardcoded_resource(1)},
        executor=dg.multiprocess_executor,
    )


def names_of(definitions: dg.Definitions) -> dict[str, list[str]]:
    repository = definitions.get_repository_def()
    return {
        "assets": sorted(key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()),
        "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
        "resources": sorted(repository.get_top_level_resources()),
        "pools": sorted({pool for asset in definitions.resolve_all_asset_keys() for pool in pools(definitions, asset)}),
    }


def pools(definitions: dg.Definitions, key: dg.AssetKey) -> set[str]:
    assets = definitions.resolve_assets_def(key)
    return {assets.op.pool} if assets.is_executable and assets.op.pool else set()


def test_two_datasets_and_a_strangers_definitions_merge_and_no_name_is_shared() -> None:
    mine = [build_video_dataset_defs(a_dataset(name), key_prefix=["sets", name]) for name in ("ucf", "jester")]
    merged = dg.Definitions.merge(*mine, a_strangers_definitions())
    names = names_of(merged)
    assert merged.executor is dg.multiprocess_executor
    assert len(names["assets"]) == 2 * 10 + 3
    for kind, found in names.items():
        ours = [name for name in found if name.startswith(("sets/", "sets__"))]
        assert len(ours) == len(set(found)) - len([name for name in found if name not in ours]), kind
    assert names["jobs"].count("build_dataset") == 1
    assert {"sets__ucf__build_dataset", "sets__jester__plan_dataset"} <= set(names["jobs"])
    assert names["schedules"] == [
        "nightly",
        *sorted(f"sets__{n}__{s}" for n in ("jester", "ucf") for s in ("nightly", "nightly_refresh")),
    ]
    assert "sets__ucf__dataset" in names["resources"]
    assert names["pools"] == ["sets__jester__video_shards", "sets__ucf__video_shards"]


def test_what_belongs_to_the_user_is_the_users() -> None:
    definitions = build_video_dataset_defs(
        a_dataset(),
        key_prefix="ucf",
        group="vision",
        owners=["team:vision"],
        tags={"domain": "sports"},
        videos=dg.AssetKey(["raw", "ucf101"]),
        pool="gpu_box",
        automation=Automation(sensors=True, sensor_seconds=7, refresh_cron="", timezone="Europe/Berlin"),
        freshness=dg.FreshnessPolicy.cron(deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=3)),
    )
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert "ucf/videos" not in specs
    assert [dep.asset_key for dep in specs["ucf/manifest"].deps] == [dg.AssetKey(["raw", "ucf101"])]
    assert {spec.group_name for key, spec in specs.items() if key.startswith("ucf/")} == {"vision"}
    assert specs["ucf/dataset"].owners == ["team:vision"]
    assert specs["ucf/dataset"].tags["domain"] == "sports"
    assert specs["ucf/dataset"].freshness_policy is not None
    names = names_of(definitions)
    assert names["schedules"] == ["ucf__nightly"]
    assert names["pools"] == ["gpu_box"]
    sensor = definitions.resolve_sensor_def("ucf__new_videos")
    assert (sensor.minimum_interval_seconds, sensor.default_status) == (7, dg.DefaultSensorStatus.RUNNING)
    assert definitions.resolve_schedule_def("ucf__nightly").execution_timezone == "Europe/Berlin"


def test_the_launchpad_is_filled_with_the_datasets_settings() -> None:
    definitions = build_video_dataset_defs(a_dataset(**SETTINGS), key_prefix="ucf")
    schema = definitions.resolve_assets_def(dg.AssetKey(["ucf", "plan"])).op.config_schema
    assert schema is not None
    shape: Any = schema.as_field().config_type
    assert shape.fields["clips_per_shard"].default_value == 4
    encoding = shape.fields["encoding"]
    assert encoding.default_value["num_frames"] == 5
    assert encoding.config_type.fields["resolution"].default_value == 32
    assert encoding.config_type.fields["jpeg_quality"].default_value == 95


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "UCF 101"}, "it must begin with a small letter"),
        ({"encoding": {"num_frames": 0}}, "encoding.num_frames"),
        ({"encodin": {}}, "encodin"),
        ({"encoding": {"fps": 3}, "plan": {"encoding": {"fps": 3}}}, "encoding is given twice"),
        ({"encoding": {"layout": "tfds", "audio_sample_rate": 8000}}, "no place for sound"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        a_dataset(**values)


def test_the_package_alone_imports_neither_dagster_nor_pydantic() -> None:
    code = "import sys, video_assets as v; print([m for m in ('dagster', 'pydantic') if m in sys.modules], dir(v))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.startswith("[] ")
    assert "VideoDatasetComponent" in found


YAML = """
name: ucf
source: "{{ videos }}"
root: /datasets
key_prefix: [sets, ucf]
videos: raw/ucf101
encoding: {num_frames: 16}
splits: {test_fraction: 0.1}
automation: {sensors: true, refresh_cron: "0 5 * * *"}
freshness: {fail_after_hours: 30}
"""


def test_the_component_is_the_same_dataset_written_in_yaml() -> None:
    component = VideoDatasetComponent.resolve_from_yaml(YAML, scope={"videos": "/videos"})
    value = a_dataset(encoding={"num_frames": 16}, splits={"test_fraction": 0.1})
    assert component.settings.model_dump(exclude_unset=True) == value.settings.model_dump(exclude_unset=True)
    from_yaml = component.build_defs(dg.ComponentTree.for_test().load_context)
    from_python = build_video_dataset_defs(value, key_prefix=["sets", "ucf"], videos=["raw", "ucf101"])
    assert names_of(from_yaml) == names_of(from_python)
    assert from_yaml.resolve_schedule_def("sets__ucf__nightly_refresh").cron_schedule == "0 5 * * *"
    assert from_yaml.resolve_sensor_def("sets__ucf__new_videos").default_status == dg.DefaultSensorStatus.RUNNING


def test_the_components_schema_describes_every_attribute_and_says_its_range() -> None:
    schema = VideoDatasetComponent.model().model_json_schema()
    models = [schema, *schema["$defs"].values()]
    bare = [name for model in models for name, field in model["properties"].items() if "description" not in field]
    assert bare == []
    quality = schema["$defs"]["EncodingAttributesModel"]["properties"]["jpeg_quality"]
    assert {"minimum": 1, "maximum": 100, "type": "integer"} in quality["anyOf"]
    with pytest.raises(ValidationError, match="test_fraction"):
        VideoDatasetComponent.resolve_from_yaml("{name: a, source: /v, root: /d, splits: {test_fraction: 2}}")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.mark.slow
def test_one_job_builds_a_dataset_with_a_prefix_beside_another_one(
    instance: dg.DagsterInstance, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_pools, "open_pool", lambda *_: InThisProcess())
    ucf, other = (a_dataset(n, source=str(videos), root=str(tmp_path), **SETTINGS) for n in ("ucf", "other"))
    merged = dg.Definitions.merge(
        build_video_dataset_defs(ucf, key_prefix="ucf"), build_video_dataset_defs(other, key_prefix="other")
    )
    planned = merged.resolve_job_def("other__plan_dataset").execute_in_process(instance=instance, run_config=_QUIET)
    built = merged.resolve_job_def("ucf__build_dataset").execute_in_process(
        instance=instance, run_config=_QUIET, raise_on_error=False
    )
    assert planned.success
    assert built.success, failures(built)

    paths = DatasetPaths(tmp_path, "ucf")
    assert paths.version("1.0.0").dataset_info.exists()
    pinned = PinnedSettings.of_plan(paths)
    assert pinned is not None
    assert (pinned.encoding.resolution, pinned.encoding.num_frames, pinned.clips_per_shard) == (32, 5, 4)
    for split, keys in (("train", TRAIN_SHARDS), ("test", TEST_SHARDS)):
        events = instance.fetch_materializations(dg.AssetKey(["ucf", f"{split}_shards"]), limit=100).records
        told = {record.partition_key: record.asset_materialization for record in events}
        assert len(events) == len(told) == len(keys)
        for event in told.values():
            assert event is not None
            assert event.tags is not None
            assert event.tags["dagster/code_version"]
            assert "dagster/input_data_version/ucf/plan" in event.tags
        assert instance.get_materialized_partitions(dg.AssetKey(["other", f"{split}_shards"])) == set()
    assert not DatasetPaths(tmp_path, "other").version("1.0.0").dataset_info.exists()
