"""The third split in Dagster: assets that are always in the graph, with partitions only where val was asked for."""

import dagster as dg
import pytest

from video_assets.defs import automation
from video_assets.defs.graph import RANGE_END_TAG, RANGE_START_TAG, Dataset, shard_partitions
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.dataset_state import committed_counts
from video_assets.pipeline.noted_settings import split_settings
from video_assets.settings import SplitSettings
from video_assets_tests.datasets import NAME, RUN_CONFIG, TRAIN_SHARDS
from video_assets_tests.defs.location import PLANNING, Location, graph_of, recorded_statuses

THREE_WAY = {"ops": {**RUN_CONFIG["ops"], "splits": {"config": {"test_fraction": 0.25, "val_fraction": 0.25}}}}
ONLY_SETTLED = {"ops": {"manifest": {"config": {"only_settled": True}}}}
VAL_SHARDS = ["val-00000", "val-00001"]


def requests(location: Location) -> dict[str, list[str]]:
    """What one tick of the missing-shards sensor asks for: the first and last shard, by job."""
    context = dg.build_sensor_context(
        instance=location.instance, resources={"dataset": Dataset(root=str(location.paths.root), name=NAME)}
    )
    result = automation.look_for_shards(graph_of(location.paths), context)
    return {
        str(request.job_name): [request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]]
        for request in result.run_requests or []
    }


@pytest.mark.slow
def test_val_is_planned_requested_encoded_checked_and_committed(fresh: Location) -> None:
    result = fresh.run("manifest", "train_split", "test_split", "val_split", "plan", config=THREE_WAY)
    assert result.success
    metadata = result.asset_materializations_for_node("splits")
    assert {str(event.asset_key.path[0]): event.metadata["clips"].value for event in metadata} == {
        "train_split": 12,
        "test_split": 6,
        "val_split": 6,
    }
    assert requests(fresh) == {
        "encode_train_shards": ["train-00000", "train-00002"],
        "encode_test_shards": ["test-00000", "test-00001"],
        "encode_val_shards": VAL_SHARDS,
    }
    assert fresh.run_range("train-00000", "train-00002").success
    assert fresh.run_range("test-00000", "test-00001").success
    assert not fresh.run("dataset").success
    assert fresh.run_range(*VAL_SHARDS).success
    assert fresh.materialized("val_shards") == set(VAL_SHARDS)
    assert {key for key, info in fresh.checks(VAL_SHARDS).items() if info.latest_execution_status.value} == {
        (name, key) for name in SHARD_CHECKS for key in VAL_SHARDS
    }
    assert fresh.run("dataset").success
    assert committed_counts(fresh.paths, "1.0.0")["val"] == {"records": 6, "shards": 2}
    statuses = recorded_statuses(fresh.paths)
    assert {status.asset for status in statuses} == {"train_shards", "test_shards", "val_shards", "dataset"}
    assert all(status.passed for status in statuses)
    assert requests(fresh) == {}


def test_the_automation_keeps_the_fraction_of_val(fresh: Location) -> None:
    assert fresh.run("manifest", "train_split", "test_split", "val_split", "plan", config=THREE_WAY).success
    assert fresh.run("manifest", "train_split", "test_split", "val_split", config=ONLY_SETTLED).success
    assert split_settings(fresh.paths) == SplitSettings(test_fraction=0.25, val_fraction=0.25)


def test_a_dataset_without_val_is_planned_and_committed_with_its_empty_assets(known: Location) -> None:
    result = known.run("manifest", "train_split", "test_split", "val_split", "plan", config=RUN_CONFIG)
    assert result.success
    empty = {str(e.asset_key.path[0]): e for e in result.asset_materializations_for_node("splits")}["val_split"]
    assert (empty.metadata["clips"].value, empty.metadata["target_val_fraction"].value) == (0, 0.0)
    partitions = shard_partitions(str(known.paths.root), NAME)
    assert known.instance.get_dynamic_partitions(str(partitions["val"].name)) == []
    assert known.run("dataset").success
    assert set(committed_counts(known.paths, "1.0.0")) == {"train", "test"}


def test_a_run_that_names_train_and_test_alone_still_plans(fresh: Location) -> None:
    """As scripts do that are older than val."""
    result = fresh.run(*(asset for asset in PLANNING if asset != "val_split"), config=RUN_CONFIG)
    assert result.success
    found = {str(event.asset_key.path[0]) for event in result.asset_materializations_for_node("splits")}
    assert found == {"train_split", "test_split"}
    assert fresh.run_partition(TRAIN_SHARDS[0]).success
