"""Tell a Dagster instance what a build did outside of Dagster, so that the UI shows what runs would have left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.checks import dataset_evaluation, shard_evaluation
from video_assets.defs.lineage import Input, latest_input, lineage_tags, partitioned_input
from video_assets.defs.partitions import partition_order, register_shards, shard_partitions
from video_assets.defs.requests import keys_in_flight
from video_assets.defs.shards import shard_materialization
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.splits import SPLITS
from video_assets.pipeline.checks.recorded import recorded_outcomes
from video_assets.pipeline.commit.stage import CommitReport
from video_assets.pipeline.manifest.stage import ManifestReport
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.plan.table import ReadPlan, read_plan
from video_assets.pipeline.shards.stage import ShardReport, reused_shard
from video_assets.pipeline.splits.stage import SplitReport
from video_assets.storage.paths import DatasetPaths, keys_of_split, parse_partition_key

_SPLIT_ASSETS = {split: f"{split}_split" for split in SPLITS}
_SHARD_ASSETS = {split: f"{split}_shards" for split in SPLITS}


@dataclass
class InstanceReport:
    """Reports the steps of one build as events without a run: materializations and evaluations of checks."""

    paths: DatasetPaths
    instance: dg.DagsterInstance
    _plan: ReadPlan | None = None
    _inputs: dict[str, Input] = field(default_factory=dict[str, Input])
    """The latest event of each asset that was reported."""
    _checked: set[str] = field(default_factory=set[str])
    _repeated: list[dg.AssetCheckEvaluation] = field(default_factory=list[dg.AssetCheckEvaluation])

    def planned(self, manifest: ManifestReport, splits: SplitReport, plan: PlanReport) -> None:
        """Report the manifest, the splits and the plan, and register the partitions of its shards."""
        self._materialize("manifest", manifest.data_version(), metadata.of_manifest(manifest, self.paths), ("videos",))
        for split, asset in _SPLIT_ASSETS.items():
            self._materialize(asset, splits.data_version(split), metadata.of_split(splits, split), ("manifest",))
        partitions = shard_partitions(str(self.paths.root), self.paths.name)
        in_flight = keys_in_flight(self.instance, partition_order(self.instance, partitions))
        register_shards(self.instance, partitions, plan.shards, in_flight)
        told = metadata.of_plan(plan, self.paths)
        self._materialize("plan", plan.data_version(), told, tuple(_SPLIT_ASSETS.values()))
        self._plan = read_plan(self.paths)

    def shard(self, report: ShardReport, clips_per_second: float) -> None:
        """Report a shard that was written."""
        assert self._plan is not None
        split, _ = parse_partition_key(report.key)
        version = self.paths.version(self._plan.pinned.version)
        event = shard_materialization(
            dg.AssetKey(_SHARD_ASSETS[split]),
            report,
            clips_per_second,
            paths=version,
            labels=self._plan.labels,
            plan=self._input("plan"),
        )
        self.instance.report_runless_asset_event(event)

    def shard_checked(self, key: str, outcomes: Sequence[CheckOutcome], *, again: bool) -> None:
        """Report how the checks of a shard ended, or keep it for `finish` if they were reported before."""
        asset = _SHARD_ASSETS[parse_partition_key(key)[0]]
        evaluations = [shard_evaluation(self.instance, asset, outcome) for outcome in outcomes]
        self._checked.add(key)
        if again:
            self._repeated += evaluations
            return
        for evaluation in evaluations:
            self.instance.report_runless_asset_event(evaluation)

    def committed(self, report: CommitReport) -> None:
        """Report the commit and its checks; before them, shards that this instance does not know."""
        assert self._plan is not None
        fingerprints = self._plan.fingerprints()
        inputs: dict[str, Input] = {}
        for split, asset in _SHARD_ASSETS.items():
            mine = {key: fingerprints[key] for key in keys_of_split(list(fingerprints), split)}
            self._report_unknown(asset, mine)
            inputs[asset] = partitioned_input(self.instance, dg.AssetKey(asset), mine)
        event = dg.AssetMaterialization(
            "dataset", metadata=metadata.of_dataset(report), tags=lineage_tags(report.data_version, inputs)
        )
        self.instance.report_runless_asset_event(event)
        for outcome in report.outcomes:
            self.instance.report_runless_asset_event(dataset_evaluation(self.instance, outcome))

    def finish(self) -> None:
        """Report what cannot be said without a run.

        Dagster's storage takes one evaluation of a check and a partition per run, and all events without a run count as
        one. So checks of a shard that was checked before are reported by a run of a single op.
        """
        evaluations = self._repeated
        if not evaluations:
            return

        @dg.op(name="report_checks_again")
        def report_checks(context: dg.OpExecutionContext) -> None:
            for evaluation in evaluations:
                context.log_event(evaluation)  # pyright: ignore[reportArgumentType]  (it takes them)

        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        report_checks.to_job(name="report_checks").execute_in_process(instance=self.instance, run_config=quiet)
        self._repeated = []

    def _report_unknown(self, asset: str, fingerprints: Mapping[str, str]) -> None:
        """Report shards that are right on disk and that another instance was told of, or none."""
        assert self._plan is not None
        partitions = shard_partitions(str(self.paths.root), self.paths.name)
        split = next(name for name, known in _SHARD_ASSETS.items() if known == asset)
        statuses = self.instance.get_status_by_partition(
            dg.AssetKey(asset), partition_keys=list(fingerprints), partitions_def=partitions[split]
        )
        for key in fingerprints:
            if not statuses or statuses.get(key) is None:
                self.shard(reused_shard(self.paths, self._plan, key), 0.0)
                version, fingerprint = self._plan.pinned.version, fingerprints[key]
                if key not in self._checked:
                    outcomes = recorded_outcomes(self.paths, version, key, fingerprint)
                    self.shard_checked(key, outcomes, again=False)

    def _materialize(self, asset: str, data_version: str, told: Mapping[str, Any], made_from: Sequence[str]) -> None:
        tags = lineage_tags(data_version, {name: self._input(name) for name in made_from})
        self.instance.report_runless_asset_event(dg.AssetMaterialization(asset, metadata=told, tags=tags))
        self._inputs[asset] = latest_input(self.instance, dg.AssetKey(asset))

    def _input(self, asset: str) -> Input:
        if asset not in self._inputs:
            self._inputs[asset] = latest_input(self.instance, dg.AssetKey(asset))
        return self._inputs[asset]
