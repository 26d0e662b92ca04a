"""The shards of a split: one partition each, with their checks."""

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.checks import DESCRIPTIONS, shard_evaluation
from video_assets.defs.failures import shown_as_failure, tried_again
from video_assets.defs.graph import CONVERSION, DatasetGraph
from video_assets.defs.lineage import Input, latest_input, lineage_tags
from video_assets.domain.progress import LineProgress
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.pipeline.build import Rate, Steps, shard_failures
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.plan.plan_table import ReadPlan, live_shards, read_plan
from video_assets.pipeline.shards.stage import ShardReport
from video_assets.report.escape import shown
from video_assets.storage.paths import VersionPaths, keys_of_split, parse_partition_key

_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""What may pass (a full disk, a lost mount) is tried again; finished shards are not. A bad video never raises."""


def shards_asset(graph: DatasetGraph, split: Split) -> dg.AssetsDefinition:
    """Return the shards of one split and their checks.

    It may be subset, which has two reasons: checks can be executed alone, and no output is asked for. So the one event
    of each shard is written as soon as its file is whole, with its own data version, and stays if the run is killed.
    """
    key, partitions = graph.shards_key(split), graph.partitions[split]
    with warnings.catch_warnings():
        # Backfill policies and partitioned checks are beta and preview: hence the pin below dagster's next minor.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        checks = [
            dg.AssetCheckSpec(name, asset=key, description=DESCRIPTIONS[name], partitions_def=partitions, blocking=True)
            for name in SHARD_CHECKS
        ]

        @dg.multi_asset(
            name=graph.name(f"{split}_shards"),
            can_subset=True,
            specs=[
                dg.AssetSpec(
                    key,
                    deps=[graph.key("plan")],
                    partitions_def=partitions,
                    description=f"TFRecord shards of {split}, one partition each. A shard whose file already has the "
                    "planned fingerprint is left as it is; one that fails does not stop the others."
                    + (_NO_VAL if split == "val" else ""),
                    kinds={"tfrecord", "pyav"},
                    **graph.attributes(CONVERSION),
                )
            ],
            check_specs=checks,
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.multi_run(graph.dataset.shards_per_run),
            required_resource_keys=graph.needs("dataset", "decoding", "engine"),
            pool=graph.shard_pool,
        )
        def shards(context: dg.AssetExecutionContext) -> Iterator[Any]:
            """Convert the planned clips of the selected shards, and check them."""
            if context.selected_asset_keys:
                with tried_again(context, _RETRIES):
                    _convert(context, graph, split)
            chosen = [check for check in checks if check.key in context.selected_asset_check_keys]
            if chosen:
                yield from _checked(context, graph, split, chosen)

    return shards


_NO_VAL = " No partitions unless splits.val_fraction, or a table, asks for val."


def _convert(context: dg.AssetExecutionContext, graph: DatasetGraph, split: Split) -> None:
    errors: list[str] = []
    with shown_as_failure():
        steps = _steps(context, graph)
        plan = read_plan(steps.paths)
        event = partial(
            shard_materialization,
            graph,
            paths=steps.paths.version(plan.pinned.version),
            labels=plan.labels,
            plan=latest_input(context.instance, graph.key("plan")),
        )
        keys, rate = _selected_keys(context, plan, split), Rate()
        for report in steps.shards(plan, keys):
            if report.error:
                context.log.error(shown(report.error))
                errors.append(shown(report.error))
            else:
                context.log_event(event(report, rate.after(report)))
    if errors:
        raise dg.Failure(description=shard_failures(errors, len(keys)))


def _checked(
    context: dg.AssetExecutionContext, graph: DatasetGraph, split: Split, chosen: Sequence[dg.AssetCheckSpec]
) -> Iterator[dg.AssetCheckEvaluation | dg.Output]:
    names = {check.name for check in chosen}
    with shown_as_failure():
        steps = _steps(context, graph)
        plan = read_plan(steps.paths)
        checker = steps.checker(plan)
        for key in _selected_keys(context, plan, split):
            for outcome in checker.check(key):
                if outcome.name in names:
                    yield shard_evaluation(context.instance, graph.shards_key(split), outcome)
    for check in chosen:
        yield dg.Output(None, output_name=check.get_python_identifier())


def _steps(context: dg.AssetExecutionContext, graph: DatasetGraph) -> Steps:
    engine = graph.engine_of(context).shard_engine()
    return graph.dataset_of(context).steps(graph.decoding_of(context), LineProgress(context.log.info), engine)


def _selected_keys(context: dg.AssetExecutionContext, plan: ReadPlan, split: Split) -> list[str]:
    """Return the run's partitions, but those that a newer plan has superseded.

    A run without any, which "Execute all" on the checks page launches, means all shards.
    """
    planned = live_shards(plan.rows)
    if not (context.has_partition_key or context.has_partition_key_range):
        return keys_of_split(planned, split)
    selected = set(context.partition_keys)
    if superseded := sorted(selected.difference(planned)):
        context.log.info("left out, for a newer plan has put others in their place: %s", sequence_of(superseded))
    return sorted(selected.intersection(planned))


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
