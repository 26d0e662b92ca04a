"""Asset checks: of each shard, on its own partition, and of the dataset."""

from collections.abc import Iterator, Sequence

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from video_assets.defs.failures import shown_as_failure
from video_assets.defs.metadata import check_pictures
from video_assets.defs.resources import Dataset, Decoding
from video_assets.defs.runs import note_dataset
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.splits import Split
from video_assets.pipeline.checks.dataset import DATASET_CHECKS, DatasetAudit
from video_assets.pipeline.checks.shard import SHARD_CHECKS, ShardAudit
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.plan.table import live_shards, read_plan
from video_assets.report.escape import shown
from video_assets.storage.paths import keys_of_split

_DESCRIPTIONS = {
    "shard_is_complete": "The shard holds exactly its planned clips, in order; its bytes are those that were written.",
    "shard_decodes": "A sample decodes, through TensorFlow, to the planned shape, type, label and frame count.",
    "shard_matches_source": "A sample shows the frames that a full decode of the source shows at the stored times.",
    "no_leakage": "No group and no identical content is in two splits; clips of two splits that look alike are named.",
    "classes_covered": "Every class with several groups is in all splits.",
    "one_encoding": "All shards were written under the pinned encoding.",
    "nothing_lost": "Planned clips are stored, or quarantined with a reason, and no more than allowed are lost.",
}


def severity_of(outcome: CheckOutcome) -> dg.AssetCheckSeverity:
    """Dagster's word for the outcome's severity."""
    return dg.AssetCheckSeverity.ERROR if outcome.severity == "ERROR" else dg.AssetCheckSeverity.WARN


def shard_checks(split: Split, partitions: dg.DynamicPartitionsDefinition) -> dg.AssetChecksDefinition:
    """The checks of one split's shards: one step, for each shard is fetched and read once for all of them."""
    asset = f"{split}_shards"
    specs = [
        dg.AssetCheckSpec(name, asset=asset, description=_DESCRIPTIONS[name], partitions_def=partitions, blocking=True)
        for name in SHARD_CHECKS
    ]

    @dg.multi_asset_check(name=f"{asset}_checks", specs=specs, can_subset=True)
    def check(
        context: dg.AssetCheckExecutionContext, dataset: Dataset, decoding: Decoding
    ) -> Iterator[dg.AssetCheckEvaluation | dg.Output]:
        chosen = [spec for spec in specs if spec.key in context.selected_asset_check_keys]
        with shown_as_failure():
            paths = dataset.paths()
            note_dataset(context, paths)
            limits = manifest_settings(paths).limits
            plan = read_plan(paths)
            planned = keys_of_split(live_shards(plan.rows), split)
            for key in _selected_keys(context, planned):
                audit = ShardAudit(paths, plan, key, limits, decoding.make_pool(limits))
                for spec in chosen:
                    yield evaluation(context.instance, asset, audit.run(spec.name))
        for spec in chosen:
            yield dg.Output(None, output_name=spec.get_python_identifier())

    return check


def _selected_keys(context: dg.AssetCheckExecutionContext, planned: Sequence[str]) -> Sequence[str]:
    """The run's partitions, but those that a newer plan has superseded.

    A run without any, which "Execute all" on the checks page launches, means all shards.
    """
    if context.has_partition_key or context.has_partition_key_range:
        known = set(planned)
        return [key for key in context.partition_keys if key in known]
    return planned


def evaluation(instance: dg.DagsterInstance, asset: str, outcome: CheckOutcome) -> dg.AssetCheckEvaluation:
    """The outcome of a shard's check, tied to the shard's partition and its latest materialization.

    A returned AssetCheckResult is tied to its partition in runs of a single one only; in a range the UI would
    show every partition as skipped. Without its target an evaluation does not count as current.
    """
    key, words = dg.AssetKey(asset), shown(outcome.description)
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=outcome.name,
        passed=outcome.passed,
        partition=outcome.target,
        description=words,
        metadata={"what_was_found": words, **outcome.facts, **check_pictures(outcome.pictures)},
        severity=severity_of(outcome),
        blocking=True,
        target_materialization_data=_latest_materialization(instance, key, outcome.target),
    )


def _latest_materialization(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str
) -> AssetCheckEvaluationTargetMaterializationData | None:
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition]), limit=1
    ).records
    if not records:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=records[0].storage_id, run_id=records[0].run_id, timestamp=records[0].timestamp
    )


def dataset_checks() -> dg.AssetChecksDefinition:
    """The checks of the committed dataset: one step, for they share what they read."""
    specs = [dg.AssetCheckSpec(name, asset="dataset", description=_DESCRIPTIONS[name]) for name in DATASET_CHECKS]

    @dg.multi_asset_check(name="dataset_checks", specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext, dataset: Dataset) -> Iterator[dg.AssetCheckResult]:
        with shown_as_failure():
            note_dataset(context, dataset.paths())
            settings = manifest_settings(dataset.paths())
            audit = DatasetAudit(dataset.paths(), settings.max_failed_fraction)
            for spec in specs:
                if spec.key in context.selected_asset_check_keys:
                    yield _result(audit.run(spec.name))

    return check


def _result(outcome: CheckOutcome) -> dg.AssetCheckResult:
    words = shown(outcome.description)
    return dg.AssetCheckResult(
        check_name=outcome.name,
        passed=outcome.passed,
        severity=severity_of(outcome),
        description=words,
        metadata={"what_was_found": words, **outcome.facts, **check_pictures(outcome.pictures)},
    )
