"""The code location of one dataset on a real Dagster instance, and what its event log says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckPartitionInfo

from video_assets.definitions import build_definitions
from video_assets.defs.graph import DatasetGraph
from video_assets.environment import VideoDataset
from video_assets.pipeline import shared_pools
from video_assets.pipeline.checks.recorded import CheckStatus, check_statuses
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import RUN_CONFIG
from video_assets_tests.pipeline.stages import InThisProcess

PLANNING = ("manifest", "train_split", "test_split", "val_split", "plan")
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_QUIET: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Location:
    """A dataset's definitions, and an instance to run them on."""

    source: Path
    paths: DatasetPaths
    definitions: dg.Definitions
    instance: dg.DagsterInstance

    def run(self, *assets: str, config: Mapping[str, Any] | None = None, **options: Any) -> dg.ExecuteInProcessResult:
        """Materializes assets and runs their checks."""
        return self.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            run_config={**(config or {}), **_QUIET},
            raise_on_error=False,
            **options,
        )

    def plan(self) -> None:
        """Manifest, splits and plan under the settings of the shared dataset."""
        assert self.run(*PLANNING, config=RUN_CONFIG).success

    def run_partition(self, key: str) -> dg.ExecuteInProcessResult:
        """One shard."""
        return self.run(f"{key.partition('-')[0]}_shards", partition_key=key)

    def run_range(self, first: str, last: str) -> dg.ExecuteInProcessResult:
        """Shards of one split from the first to the last."""
        tags = {RANGE_START: first, RANGE_END: last}
        return self.run(f"{first.partition('-')[0]}_shards", tags=tags)

    def checks(self, keys: Sequence[str]) -> dict[tuple[str, str], AssetCheckPartitionInfo]:
        """How each check stands at each partition: by check and key."""
        asset = f"{keys[0].partition('-')[0]}_shards"
        check_keys = [dg.AssetCheckKey(dg.AssetKey(asset), name) for name in SHARD_CHECKS]
        found = self.instance.event_log_storage.get_asset_check_partition_info(check_keys, partition_keys=list(keys))
        return {(info.check_key.name, str(info.partition_key)): info for info in found}

    def materialized(self, asset: str) -> set[str]:
        """Partitions that were materialized."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(asset)))

    def latest(self, key: str) -> dg.AssetMaterialization:
        """The latest materialization of a shard."""
        asset = dg.AssetKey(f"{key.partition('-')[0]}_shards")
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key]), limit=1
        ).records
        found = records[0].asset_materialization
        assert found is not None
        return found


def graph_of(paths: DatasetPaths, source: Path | str = "") -> DatasetGraph:
    """The graph of a dataset without a prefix and without settings of its own."""
    return DatasetGraph(dataset=VideoDataset(name=paths.name, source=str(source), root=str(paths.root)))


def open_location(
    monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, source: Path, paths: DatasetPaths
) -> Location:
    """The code location as the environment makes it. Decoding goes on in this process, to save its start."""
    for name, value in (("SOURCE", str(source)), ("ROOT", str(paths.root)), ("NAME", paths.name), ("WORKERS", "1")):
        monkeypatch.setenv(f"VIDEO_ASSETS_{name}", value)
    monkeypatch.setattr(shared_pools, "open_pool", lambda *_: InThisProcess())
    return Location(source, paths, build_definitions(), instance)


def recorded_statuses(paths: DatasetPaths) -> list[CheckStatus]:
    """How the checks stand, as `status` tells it."""
    plan = read_plan(paths)
    return check_statuses(paths, plan.pinned.version, plan.fingerprints())


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """What each step that failed by itself said."""
    found: dict[str, str] = {}
    for event in result.all_events:
        if event.is_step_failure:
            known = event.step_failure_data.user_failure_data
            text = known.description if known is not None else event.step_failure_data.error_display_string
            found[str(event.step_key)] = str(text)
    return found
