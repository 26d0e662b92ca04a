"""The assets: the videos, manifest, splits and plan; the shards, one partition each, with their checks; the dataset."""

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.asset_checks import DESCRIPTIONS, shard_evaluation
from video_assets.defs.config import config_schema
from video_assets.defs.graph import (
    BACKFILL_TAG,
    BUILD_JOB,
    COMMIT,
    CONVERSION,
    PLANNING,
    DatasetGraph,
    partition_order,
    register_shards,
)
from video_assets.defs.lineage import latest_input
from video_assets.defs.report import RunReport, shard_materialization
from video_assets.defs.run_requests import keys_in_flight
from video_assets.defs.step_failures import errors_as_failures, tried_again
from video_assets.domain.progress import LineProgress
from video_assets.domain.splits import SPLITS, Split
from video_assets.domain.text import sequence_of
from video_assets.pipeline.build import Rate, Steps, complete, shard_failures
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.plan.plan_table import FINGERPRINT_COLUMNS, ReadPlan, live_shards, read_plan
from video_assets.pipeline.plan.stage import refuse_another_encoding
from video_assets.report.escape import shown
from video_assets.storage.paths import keys_of_split

_NO_VAL = " Empty unless splits.val_fraction, or a table's column split, asks for it."
_NO_VAL_SHARDS = " No partitions unless splits.val_fraction, or a table, asks for val."
_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""What may pass (a full disk, a lost mount) is tried again; finished shards are not. A bad video never raises."""


def videos_asset(graph: DatasetGraph) -> dg.AssetSpec:
    """Return the videos of a dataset, which no other asset writes."""
    shared = graph.attributes(PLANNING)
    return dg.AssetSpec(
        graph.videos_key,
        description="The labelled videos: a folder per class, or an annotation table. They are read, never written.",
        group_name=shared["group_name"],
        tags=graph.tags,
        kinds={"video"},
        metadata={"source": graph.dataset.source or "none is given", "dataset": graph.dataset.name},
    )


def manifest_asset(graph: DatasetGraph) -> dg.AssetsDefinition:
    """Return the manifest of a dataset."""

    @dg.asset(
        key=graph.key("manifest"),
        deps=[graph.videos_key],
        description="One row per clip: label, group, content hash, and what opening the video told. Only new and "
        "changed files are opened; files that cannot be used go to the quarantine, each with a reason.",
        kinds={"parquet", "pyav"},
        config_schema=config_schema("manifest", graph.shown_settings),
        required_resource_keys=graph.needs("source", "dataset", "decoding"),
        **graph.attributes(PLANNING),
    )
    def manifest(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """List, open, hash and label."""
        with errors_as_failures():
            paths = graph.dataset_of(context).paths()
            settings = graph.settings_of(context.run.run_config, paths)
            refuse_another_encoding(paths, settings)
            steps = graph.dataset_of(context).steps(graph.decoding_of(context), LineProgress(context.log.info))
            report = steps.manifest(graph.source_of(context).path(), settings.manifest)
        return dg.MaterializeResult(
            metadata=metadata.of_manifest(report, paths), data_version=dg.DataVersion(report.data_version())
        )

    return manifest


def split_assets(graph: DatasetGraph) -> dg.AssetsDefinition:
    """Return the clips of each split: one step."""

    @dg.multi_asset(
        name=graph.name("splits"),
        can_subset=True,  # what runs is the same; a run that names train and test alone reports these
        specs=[
            dg.AssetSpec(
                key,
                deps=[graph.key("manifest")],
                description=f"Clips of {split}: whole groups, stratified by class; an assigned clip never moves."
                + (_NO_VAL if split == "val" else ""),
                kinds={"parquet"},
                **graph.attributes(PLANNING),
            )
            for split, key in zip(SPLITS, graph.split_keys, strict=True)
        ],
        config_schema=config_schema("splits", graph.shown_settings),
        required_resource_keys=graph.needs("dataset", "decoding"),
    )
    def splits(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Assign groups to splits."""
        with errors_as_failures():
            steps = graph.dataset_of(context).steps(graph.decoding_of(context))
            report = steps.splits(graph.settings_of(context.run.run_config, steps.paths).splits)
        for split, key in zip(SPLITS, graph.split_keys, strict=True):
            if key in context.selected_asset_keys:
                version = dg.DataVersion(report.data_version(split))
                yield dg.MaterializeResult(
                    asset_key=key, metadata=metadata.of_split(report, split), data_version=version
                )

    return splits


def plan_asset(graph: DatasetGraph) -> dg.AssetsDefinition:
    """Return the plan of a dataset."""

    @dg.asset(
        key=graph.key("plan"),
        deps=graph.split_keys,
        description="Which clip goes to which shard, under which encoding: the dataset's lock file. Registers one "
        "partition of train_shards, test_shards or val_shards for each shard.",
        kinds={"parquet"},
        config_schema=config_schema("plan", graph.shown_settings),
        required_resource_keys=graph.needs("dataset", "decoding"),
        **graph.attributes(PLANNING),
    )
    def plan(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Assign clips to shards and pin the encoding."""
        with errors_as_failures():
            paths = graph.dataset_of(context).paths()
            settings = graph.settings_of(context.run.run_config, paths).plan
            report = graph.dataset_of(context).steps(graph.decoding_of(context)).plan(settings)
            # By what is on disk now: another plan may have been made since, whose partitions must stay.
            planned = live_shards(read_plan(paths, FINGERPRINT_COLUMNS).rows)
            order = partition_order(context.instance, graph.partitions)
            in_flight = keys_in_flight(context.instance, graph, paths)
            if BACKFILL_TAG in context.run.tags:  # it may yet launch runs of shards that this plan supersedes
                in_flight.update(*order.values())
            register_shards(context.instance, graph.partitions, planned, in_flight)
        return dg.MaterializeResult(
            metadata=metadata.of_plan(report, paths), data_version=dg.DataVersion(report.data_version())
        )

    return plan


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
                    + (_NO_VAL_SHARDS if split == "val" else ""),
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


def _convert(context: dg.AssetExecutionContext, graph: DatasetGraph, split: Split) -> None:
    errors: list[str] = []
    with errors_as_failures():
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
    with errors_as_failures():
        steps = _steps(context, graph)
        plan = read_plan(steps.paths)
        checker = steps.checker(plan)
        for outcomes in checker.check(_selected_keys(context, plan, split)):
            for outcome in outcomes:
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


def dataset_asset(graph: DatasetGraph) -> dg.AssetsDefinition:
    """Return the committed dataset."""

    @dg.asset(
        key=graph.key("dataset"),
        deps=[graph.key("plan"), *map(graph.shards_key, SPLITS)],
        description="The commit. Swaps dataset_info.json last, so that readers see the old dataset or the new one. "
        "Alone it refuses while a planned shard is missing or unsound; in a run that plans, and in a backfill, it "
        "first writes those that are missing.",
        kinds={"tensorflow"},
        freshness_policy=graph.freshness,
        config_schema=config_schema("dataset", graph.shown_settings),
        required_resource_keys=graph.needs("dataset", "decoding", "engine"),
        **graph.attributes(COMMIT),
    )
    def dataset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """Check every planned shard and commit."""
        with errors_as_failures():
            place, decoding = graph.dataset_of(context), graph.decoding_of(context)
            steps = place.steps(decoding, LineProgress(context.log.info), graph.engine_of(context).shard_engine())
            settings = graph.settings_of(context.run.run_config, steps.paths).dataset
            if _writes_what_is_missing(context, graph):
                report = complete(steps, settings, [RunReport(steps.paths, graph, context)])
            else:
                report = steps.commit(settings)
        return dg.MaterializeResult(
            metadata=metadata.of_dataset(report, graph.card_address(report.version_dir)),
            data_version=dg.DataVersion(report.data_version),
        )

    return dataset


def _writes_what_is_missing(context: dg.AssetExecutionContext, graph: DatasetGraph) -> bool:
    """Return whether this run was asked for all of the dataset.

    Dagster knows a run's partitions before it begins, and so cannot launch those that its plan will add.
    """
    run = context.run
    plans = run.job_name == graph.name(BUILD_JOB) or graph.key("plan") in (run.asset_selection or ())
    return plans or BACKFILL_TAG in run.tags
