"""The shards of a split: one partition each."""

from collections.abc import Iterator, Sequence
from functools import partial

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.assets import CONVERSION, GROUP, OWNERS
from video_assets.defs.failures import shown_as_failure, tried_again
from video_assets.defs.lineage import CODE_VERSION, Input, latest_input, lineage_tags
from video_assets.defs.resources import Dataset, Decoding, Engine
from video_assets.domain.progress import LineProgress
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.pipeline.build import Rate, shard_failures
from video_assets.pipeline.plan.table import ReadPlan, live_shards, read_plan
from video_assets.pipeline.shards.pending import SHARDS_PER_RUN
from video_assets.pipeline.shards.stage import ShardReport
from video_assets.report.escape import shown
from video_assets.storage.paths import VersionPaths

_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""What may pass (a full disk, a lost mount) is tried again; finished shards are not. A bad video never raises."""


def shards_asset(
    split: Split, partitions: dg.DynamicPartitionsDefinition, shards_per_run: int = SHARDS_PER_RUN
) -> dg.AssetsDefinition:
    """The shards of one split."""

    @dg.asset(
        name=f"{split}_shards",
        deps=["plan"],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(shards_per_run),
        description=f"TFRecord shards of {split}, one partition each. A shard whose file already has the planned "
        "fingerprint is left as it is; one that fails does not stop the others."
        + (" No partitions unless splits.val_fraction, or a table, asks for val." if split == "val" else ""),
        group_name=GROUP,
        kinds={"tfrecord", "pyav"},
        owners=OWNERS,
        tags=CONVERSION,
        code_version=CODE_VERSION,
        pool="video_shards",
    )
    def shards(
        context: dg.AssetExecutionContext, dataset: Dataset, decoding: Decoding, engine: Engine
    ) -> Iterator[dg.MaterializeResult]:
        """Converts the planned clips of the selected shards."""
        with tried_again(context, _RETRIES):
            yield from _converted(context, dataset, decoding, engine)

    return shards


def _converted(
    context: dg.AssetExecutionContext,
    dataset: Dataset,
    decoding: Decoding,
    engine: Engine,
) -> Iterator[dg.MaterializeResult]:
    paths, rate = dataset.paths(), Rate()
    done: dict[str, tuple[ShardReport, float]] = {}
    errors: list[str] = []
    with shown_as_failure():
        plan = read_plan(paths)
        steps = dataset.steps(decoding, LineProgress(context.log.info), engine.shard_engine())
        keys = _planned_keys(context, plan)
        event = partial(
            shard_materialization,
            context.asset_key,
            paths=paths.version(plan.pinned.version),
            labels=plan.labels,
            plan=latest_input(context.instance, dg.AssetKey("plan")),
        )
        for report in steps.shards(plan, keys):
            if report.error:
                context.log.error(shown(report.error))
                errors.append(shown(report.error))
                continue
            # At once, so that a run that fails or is killed later keeps what it finished.
            done[report.key] = report, rate.after(report)
            context.log_event(event(*done[report.key]))
    if errors:
        raise dg.Failure(description=shard_failures(errors, len(keys)))
    yield dg.MaterializeResult()
    # Dagster has just written an event of its own for each key, with one data version for all of them.
    for report, clips_per_second in done.values():
        context.log_event(event(report, clips_per_second))


def _planned_keys(context: dg.AssetExecutionContext, plan: ReadPlan) -> list[str]:
    """Return the run's partitions, but those that a newer plan has superseded."""
    selected, planned = set(context.partition_keys), set(live_shards(plan.rows))
    if superseded := sorted(selected - planned):
        context.log.info("left out, for a newer plan has put others in their place: %s", sequence_of(superseded))
    return sorted(selected & planned)


def shard_materialization(
    asset_key: dg.AssetKey,
    report: ShardReport,
    clips_per_second: float,
    *,
    paths: VersionPaths,
    labels: Sequence[str],
    plan: Input,
) -> dg.AssetMaterialization:
    """Return the event of a shard that is whole on disk, made from this version of the plan."""
    told = metadata.of_shard(report) | {"run_clips_per_second": clips_per_second}
    return dg.AssetMaterialization(
        asset_key=asset_key,
        partition=report.key,
        metadata=told | metadata.shard_sheet(report, paths, labels),
        tags=lineage_tags(report.fingerprint, {"plan": plan}),
    )
