"""Asset checks: of each shard, on its own partition, and of the dataset."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from video_assets.defs.failures import shown_as_failure
from video_assets.defs.pictures import check_pictures
from video_assets.defs.resources import Dataset, Decoding
from video_assets.domain.checks import CheckOutcome
from video_assets.domain.splits import Split
from video_assets.pipeline.audit import DATASET_CHECKS, DatasetAudit
from video_assets.pipeline.manifest import manifest_settings
from video_assets.pipeline.plan import read_plan
from video_assets.pipeline.verify import SHARD_CHECKS, ShardAudit
from video_assets.report.escape import shown
from video_assets.storage.paths import parse_partition_key

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


def shard_checks(split: Split, partitions: dg.DynamicPartitionsDefinition) -> list[dg.AssetChecksDefinition]:
    """The checks of one split's shards."""
    return [_shard_check(name, split, partitions) for name in SHARD_CHECKS]


def _shard_check(name: str, split: Split, partitions: dg.DynamicPartitionsDefinition) -> dg.AssetChecksDefinition:
    asset = f"{split}_shards"

    @dg.asset_check(asset=asset, name=name, description=_DESCRIPTIONS[name], partitions_def=partitions, blocking=True)
    def check(context: dg.AssetCheckExecutionContext, dataset: Dataset, decoding: Decoding) -> Any:
        with shown_as_failure():
            paths = dataset.paths()
            limits = manifest_settings(paths).limits
            plan = read_plan(paths)
            audit = partial(ShardAudit, paths, plan, limits=limits, make_pool=decoding.make_pool(limits))
            keys = _selected_keys(context, [key for key in plan.fingerprints() if parse_partition_key(key)[0] == split])
            yield from evaluate_partitions(context, asset, (audit(key=key).run(name) for key in keys))

    return check


def _selected_keys(context: dg.AssetCheckExecutionContext, planned: Sequence[str]) -> Sequence[str]:
    """The run's partitions. A run without any, which "Execute all" on the checks page launches, means all shards."""
    if context.has_partition_key or context.has_partition_key_range:
        return context.partition_keys
    return planned


def evaluate_partitions(
    context: dg.AssetCheckExecutionContext, asset: str, outcomes: Iterator[CheckOutcome]
) -> Iterator[dg.AssetCheckEvaluation | dg.Output]:
    """An evaluation for each outcome's own partition, in runs of one partition and of many.

    A returned AssetCheckResult is tied to its partition in runs of a single one only; in a range the UI would
    show every partition as skipped. Without its target an evaluation does not count as current.
    """
    for outcome in outcomes:
        yield evaluation(context.instance, asset, outcome)
    yield dg.Output(None)


def evaluation(instance: dg.DagsterInstance, asset: str, outcome: CheckOutcome) -> dg.AssetCheckEvaluation:
    """The outcome of a shard's check, tied to the shard's partition and its latest materialization."""
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


def dataset_checks() -> list[dg.AssetChecksDefinition]:
    """The checks of the committed dataset."""
    return [_dataset_check(name) for name in DATASET_CHECKS]


def _dataset_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset="dataset", name=name, description=_DESCRIPTIONS[name])
    def check(dataset: Dataset) -> dg.AssetCheckResult:
        with shown_as_failure():
            settings = manifest_settings(dataset.paths())
            outcome = DatasetAudit(dataset.paths(), settings.max_failed_fraction).run(name)
        words = shown(outcome.description)
        return dg.AssetCheckResult(
            passed=outcome.passed,
            severity=severity_of(outcome),
            description=words,
            metadata={"what_was_found": words, **outcome.facts, **check_pictures(outcome.pictures)},
        )

    return check
