"""Tell a Dagster instance what a build did outside of Dagster, so that the UI shows what runs would have left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.asset_checks import dataset_evaluation, shard_evaluation
from video_assets.defs.graph import DatasetGraph, register_shards
from video_assets.defs.lineage import Input, latest_input, latest_observation, lineage_tags, partitioned_input
from video_assets.defs.prune import owns_its_history, prune
from video_assets.defs.run_requests import keys_in_flight
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.checks.recorded import recorded_outcomes
from video_assets.pipeline.commit.stage import CommitReport
from video_assets.pipeline.manifest.stage import ManifestReport
from video_assets.pipeline.noted_settings import dataset_settings
from video_assets.pipeline.plan.plan_table import FINGERPRINT_COLUMNS, ReadPlan, read_plan
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.shards.stage import ShardReport, reused_shard
from video_assets.pipeline.splits.stage import SplitReport
from video_assets.storage.paths import DatasetPaths, VersionPaths, keys_of_split, parse_partition_key


def shard_materialization(
    graph: DatasetGraph,
    report: ShardReport,
    clips_per_second: float,
    *,
    paths: VersionPaths,
    labels: Sequence[str],
    plan: Input,
) -> dg.AssetMaterialization:
    """Return the event of a shard that is whole on disk, made from this version of the plan."""
    told = {**metadata.of_shard(report), "speed_of_the_run": f"{clips_per_second:,.1f} clips/s"}
    told["clips_per_second"] = round(clips_per_second, 1)  # a number: Dagster plots it over time
    return dg.AssetMaterialization(
        asset_key=graph.shards_key(parse_partition_key(report.key)[0]),
        partition=report.key,
        metadata={**told, **metadata.shard_sheet(report, paths, labels)},
        tags=lineage_tags(report.fingerprint, {graph.key("plan"): plan}),
    )


@dataclass
class ShardReports:
    """Reports shards and their checks, each as an event of its own."""

    paths: DatasetPaths
    graph: DatasetGraph
    instance: dg.DagsterInstance
    tell: Callable[[Any], None]
    plan: ReadPlan | None = None
    _checked: set[str] = field(default_factory=set[str])
    _inputs: dict[dg.AssetKey, Input] = field(default_factory=dict[dg.AssetKey, Input])
    """The latest event of each asset that was reported."""

    def shard(self, report: ShardReport, clips_per_second: float) -> None:
        """Report a shard that was written."""
        plan = self._read_plan()
        self.tell(
            shard_materialization(
                self.graph,
                report,
                clips_per_second,
                paths=self.paths.version(plan.pinned.version),
                labels=plan.labels,
                plan=self.input(self.graph.key("plan")),
            )
        )

    def evaluations(self, key: str, outcomes: Sequence[CheckOutcome]) -> list[dg.AssetCheckEvaluation]:
        """Return how the checks of a shard ended."""
        self._checked.add(key)
        asset = self.graph.shards_key(parse_partition_key(key)[0])
        return [shard_evaluation(self.instance, asset, outcome) for outcome in outcomes]

    def report_unknown(self) -> dict[dg.AssetKey, Input]:
        """Report shards that are right on disk and that the instance was not told of; return all shards as inputs."""
        fingerprints = self._read_plan().fingerprints()
        inputs: dict[dg.AssetKey, Input] = {}
        for split in SPLITS:
            mine = {key: fingerprints[key] for key in keys_of_split(list(fingerprints), split)}
            self._report_unknown(split, mine)
            inputs[self.graph.shards_key(split)] = partitioned_input(self.instance, self.graph.shards_key(split), mine)
        return inputs

    def _report_unknown(self, split: Split, fingerprints: Mapping[str, str]) -> None:
        plan = self._read_plan()
        statuses = self.instance.get_status_by_partition(
            self.graph.shards_key(split),
            partition_keys=list(fingerprints),
            partitions_def=self.graph.partitions[split],
        )
        for key in fingerprints:
            if not statuses or statuses.get(key) is None:
                self.shard(reused_shard(self.paths, plan, key), 0.0)
                if key not in self._checked:
                    outcomes = recorded_outcomes(self.paths, plan.pinned.version, key, fingerprints[key])
                    for evaluation in self.evaluations(key, outcomes):
                        self.tell(evaluation)

    def input(self, asset: dg.AssetKey) -> Input:
        """Return the latest version of an asset as an input of another."""
        if asset not in self._inputs:
            latest = latest_observation if asset == self.graph.videos_key else latest_input
            self._inputs[asset] = latest(self.instance, asset)
        return self._inputs[asset]

    def _read_plan(self) -> ReadPlan:
        if self.plan is None:
            self.plan = read_plan(self.paths, FINGERPRINT_COLUMNS)
        return self.plan


class RunReport(ShardReports):
    """Reports what the run of `dataset` does for other assets: the shards that it writes, and their checks."""

    def __init__(self, paths: DatasetPaths, graph: DatasetGraph, context: dg.AssetExecutionContext) -> None:
        super().__init__(paths, graph, context.instance, context.log_event)

    def begin(self) -> None:
        """Nothing is to be made ready."""

    def planned(self, manifest: ManifestReport, splits: SplitReport, plan: PlanReport) -> None:
        """Those steps were reported by their own assets."""

    def shard_checked(self, key: str, outcomes: Sequence[CheckOutcome], *, again: bool) -> None:  # noqa: ARG002
        """Report how the checks of a shard ended."""
        for evaluation in self.evaluations(key, outcomes):
            self.tell(evaluation)

    def committed(self, report: CommitReport) -> None:  # noqa: ARG002  (Dagster reports the asset that runs)
        """Report the shards that this instance does not know."""
        self.report_unknown()

    def finish(self) -> None:
        """All is reported."""


class InstanceReport(ShardReports):
    """Reports the steps of one build as events without a run: materializations and evaluations of checks."""

    def __init__(self, paths: DatasetPaths, instance: dg.DagsterInstance) -> None:
        super().__init__(paths, DatasetGraph.of_command(paths), instance, instance.report_runless_asset_event)
        self._repeated: list[dg.AssetCheckEvaluation] = []
        self._is_committed = False

    def planned(self, manifest: ManifestReport, splits: SplitReport, plan: PlanReport) -> None:
        """Report the manifest, the splits and the plan, and register the partitions of its shards."""
        key, paths = self.graph.key, self.paths
        of_manifest = metadata.of_manifest(manifest, paths)
        self._materialize(key("manifest"), manifest.data_version(), of_manifest, [self.graph.videos_key])
        for split, asset in zip(SPLITS, self.graph.split_keys, strict=True):
            told = metadata.of_split(splits, split)
            self._materialize(asset, splits.data_version(split), told, [key("manifest")])
        in_flight = keys_in_flight(self.instance, self.graph, paths)
        register_shards(self.instance, self.graph.partitions, plan.shards, in_flight)
        self._materialize(key("plan"), plan.data_version(), metadata.of_plan(plan, paths), self.graph.split_keys)
        self.plan = read_plan(paths, FINGERPRINT_COLUMNS)

    def shard_checked(self, key: str, outcomes: Sequence[CheckOutcome], *, again: bool) -> None:
        """Report how the checks of a shard ended, or keep it for `finish` if they were reported before."""
        evaluations = self.evaluations(key, outcomes)
        if again:
            self._repeated += evaluations
            return
        for evaluation in evaluations:
            self.tell(evaluation)

    def committed(self, report: CommitReport) -> None:
        """Report the commit and its checks; before them, shards that this instance does not know."""
        dataset, plan = self.graph.key("dataset"), self.graph.key("plan")
        tags = lineage_tags(report.data_version, {plan: self.input(plan), **self.report_unknown()})
        told = metadata.of_dataset(report, self.graph.card_address(report.version_dir))
        self.tell(dg.AssetMaterialization(dataset, metadata=told, tags=tags))
        for outcome in report.outcomes:
            self.tell(dataset_evaluation(self.instance, dataset, outcome))
        self._is_committed = True

    def finish(self) -> None:
        """Report what cannot be said without a run.

        Dagster's storage takes one evaluation of a check and a partition per run, and all events without a run count as
        one. So checks of a shard that was checked before are reported by a run of a single op.

        Then the history is pruned, if it is the dataset's own: nothing else may run here every night.
        """
        if self._repeated:
            self._report_checks_again(self._repeated)
            self._repeated = []
        if self._is_committed and owns_its_history(self.paths):
            prune(self.instance, self.graph, self.paths, dataset_settings(self.paths).dataset)

    def _report_checks_again(self, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:

        @dg.op(name="report_checks_again")
        def report_checks_again(context: dg.OpExecutionContext) -> None:
            for evaluation in evaluations:
                context.log_event(evaluation)  # pyright: ignore[reportArgumentType]  (it takes them)

        @dg.job(name="report_checks", tags=self.graph.run_tags)
        def report_checks() -> None:
            report_checks_again()

        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        report_checks.execute_in_process(instance=self.instance, run_config=quiet)

    def _materialize(
        self, asset: dg.AssetKey, data_version: str, told: Mapping[str, Any], made_from: Sequence[dg.AssetKey]
    ) -> None:
        tags = lineage_tags(data_version, {key: self.input(key) for key in made_from})
        self.tell(dg.AssetMaterialization(asset, metadata=told, tags=tags))
        self._inputs[asset] = latest_input(self.instance, asset)
