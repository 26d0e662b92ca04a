"""Assets up to the plan, and the commit."""

from collections.abc import Iterator

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.config import config_schema
from video_assets.defs.failures import shown_as_failure
from video_assets.defs.graph import BUILD_JOB, COMMIT, PLANNING, DatasetGraph
from video_assets.defs.partitions import BACKFILL_TAG, partition_order, register_shards
from video_assets.defs.report import RunReport
from video_assets.defs.requests import keys_in_flight
from video_assets.domain.progress import LineProgress
from video_assets.domain.splits import SPLITS
from video_assets.pipeline.build import complete
from video_assets.pipeline.plan.plan_table import FINGERPRINT_COLUMNS, live_shards, read_plan
from video_assets.pipeline.plan.stage import refuse_another_encoding

_NO_VAL = " Empty unless splits.val_fraction, or a table's column split, asks for it."


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
        with shown_as_failure():
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
        with shown_as_failure():
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
        with shown_as_failure():
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
        with shown_as_failure():
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
