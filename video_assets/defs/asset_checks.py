"""Asset checks: of each shard, on its own partition, and of the dataset."""

from collections.abc import Iterator

import dagster as dg

from video_assets.defs.graph import DatasetGraph
from video_assets.defs.metadata import of_check
from video_assets.defs.private_dagster import AssetCheckEvaluationTargetMaterializationData
from video_assets.defs.step_failures import errors_as_failures
from video_assets.domain.checks import CheckOutcome
from video_assets.pipeline.checks.dataset import DATASET_CHECKS
from video_assets.report.escape import shown

DESCRIPTIONS = {
    "shard_is_complete": "The shard holds exactly its planned clips, in order; its bytes are those that were written.",
    "shard_decodes": "A sample decodes, through TensorFlow, to the planned shape, type, label and frame count.",
    "shard_matches_source": "A sample shows the frames that a full decode of the source shows at the stored times.",
    "no_leakage": "No group and no identical content is in two splits; clips of two splits that look alike are named.",
    "classes_covered": "Every class is in all splits; those with too few groups for that are named.",
    "one_encoding": "All shards were written under the pinned encoding.",
    "nothing_lost": "Planned clips are stored, or quarantined with a reason, and no more than allowed are lost.",
}
_WRITE_AGAIN = "Materialize this partition again. No other shard is written for it."
REMEDIES = {
    "shard_is_complete": _WRITE_AGAIN,
    "shard_decodes": _WRITE_AGAIN,
    "shard_matches_source": "Compare the two frames. If the video is right, materialize this partition again; if the "
    "video was changed, run build_dataset, which writes its clips anew.",
    "no_leakage": "Give clips that belong together one group (manifest.group_pattern, or the column group of a table) "
    "and build a new version (plan.new_version), or take one of them out of the source.",
    "classes_covered": "Add videos of another group to the classes that are named. Clips that are assigned stay.",
    "one_encoding": "Materialize the shard that is named again.",
    "nothing_lost": "Run build_dataset, which writes what is missing. Replace the videos that the quarantine names, or "
    "accept their loss with manifest.max_failed_fraction.",
}
"""What to do where a check fails."""


def shard_evaluation(
    instance: dg.DagsterInstance, asset: dg.AssetKey, outcome: CheckOutcome
) -> dg.AssetCheckEvaluation:
    """Return the outcome of a shard's check, tied to the shard's partition and its latest materialization.

    A returned AssetCheckResult is tied to its partition in runs of a single one only; in a range the UI would
    show every partition as skipped.
    """
    return _evaluation(instance, asset, outcome, partition=outcome.target)


def dataset_evaluation(
    instance: dg.DagsterInstance, asset: dg.AssetKey, outcome: CheckOutcome
) -> dg.AssetCheckEvaluation:
    """Return the outcome of a check of the dataset, tied to its latest materialization."""
    return _evaluation(instance, asset, outcome, partition=None)


def _evaluation(
    instance: dg.DagsterInstance, asset: dg.AssetKey, outcome: CheckOutcome, *, partition: str | None
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=outcome.name,
        passed=outcome.passed,
        partition=partition,
        description=shown(outcome.description),
        metadata=of_check(outcome, "" if outcome.passed else REMEDIES[outcome.name]),
        severity=_severity(outcome),
        blocking=partition is not None,
        target_materialization_data=_latest_materialization(instance, asset, partition),
    )


def _severity(outcome: CheckOutcome) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if outcome.severity == "ERROR" else dg.AssetCheckSeverity.WARN


def _latest_materialization(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """Return what an evaluation is about; without it the evaluation does not count as current."""
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=None if partition is None else [partition])
    records = instance.fetch_materializations(wanted, limit=1).records
    if not records:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=records[0].storage_id, run_id=records[0].run_id, timestamp=records[0].timestamp
    )


def dataset_checks(graph: DatasetGraph) -> dg.AssetChecksDefinition:
    """Return the checks of the committed dataset: one step, for they share what they read."""
    asset = graph.key("dataset")
    specs = [dg.AssetCheckSpec(name, asset=asset, description=DESCRIPTIONS[name]) for name in DATASET_CHECKS]

    @dg.multi_asset_check(
        name=graph.name("dataset_checks"),
        specs=specs,
        can_subset=True,
        required_resource_keys=graph.needs("dataset", "decoding"),
    )
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = {spec.name for spec in specs if spec.key in context.selected_asset_check_keys}
        with errors_as_failures():
            for outcome in graph.dataset_of(context).steps(graph.decoding_of(context)).check_dataset():
                if outcome.name in chosen:
                    yield _result(outcome, asset)

    return check


def _result(outcome: CheckOutcome, asset: dg.AssetKey) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=outcome.name,
        passed=outcome.passed,
        severity=_severity(outcome),
        description=shown(outcome.description),
        metadata=of_check(outcome, "" if outcome.passed else REMEDIES[outcome.name]),
    )
