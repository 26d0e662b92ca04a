"""Assets up to the plan, and the commit."""

from collections.abc import Iterator, Mapping

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.config import DatasetConfig, ManifestConfig, PlanConfig, SplitConfig, settings_of_run
from video_assets.defs.failures import shown_as_failure
from video_assets.defs.lineage import CODE_VERSION
from video_assets.defs.partitions import partition_order, register_shards
from video_assets.defs.requests import keys_in_flight
from video_assets.defs.resources import Dataset, Decoding, VideoSource
from video_assets.domain.progress import LineProgress
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.plan.stage import refuse_another_encoding
from video_assets.pipeline.plan.table import FINGERPRINT_COLUMNS, live_shards, read_plan

GROUP = "video_dataset"
OWNERS = ["team:video_assets"]
PLANNING, CONVERSION, COMMIT = ({"stage": stage} for stage in ("planning", "conversion", "commit"))
"""Tags, by which assets are found: tag:stage=conversion."""
_NO_VAL = " Empty unless splits.val_fraction, or a table's column split, asks for it."

videos = dg.AssetSpec(
    "videos",
    description="The labelled videos: a folder per class, or an annotation table. They are read, never written.",
    group_name=GROUP,
    kinds={"video"},
)


@dg.asset(
    deps=[videos],
    description="One row a clip: label, group, content hash, and what opening the video told. Only new and changed "
    "files are opened; files that cannot be used go to the quarantine, each with a reason.",
    group_name=GROUP,
    kinds={"parquet", "pyav"},
    owners=OWNERS,
    tags=PLANNING,
    code_version=CODE_VERSION,
)
def manifest(
    context: dg.AssetExecutionContext,
    config: ManifestConfig,  # noqa: ARG001  (what the launchpad shows; it does not tell what was given)
    source: VideoSource,
    dataset: Dataset,
    decoding: Decoding,
) -> dg.MaterializeResult:
    """List, open, hash and label."""
    with shown_as_failure():
        settings = settings_of_run(context.run.run_config, dataset.paths())
        refuse_another_encoding(dataset.paths(), settings)
        steps = dataset.steps(decoding, LineProgress(context.log.info))
        report = steps.manifest(source.path(), settings.manifest)
    return dg.MaterializeResult(
        metadata=metadata.of_manifest(report, dataset.paths()), data_version=dg.DataVersion(report.data_version())
    )


@dg.multi_asset(
    name="splits",
    can_subset=True,  # what runs is the same; a run that names train and test alone reports these
    specs=[
        dg.AssetSpec(
            f"{split}_split",
            deps=["manifest"],
            description=f"Clips of {split}: whole groups, stratified by class; a clip that was assigned never moves."
            + (_NO_VAL if split == "val" else ""),
            group_name=GROUP,
            kinds={"parquet"},
            owners=OWNERS,
            tags=PLANNING,
            code_version=CODE_VERSION,
        )
        for split in SPLITS
    ],
)
def splits(
    context: dg.AssetExecutionContext,
    config: SplitConfig,  # noqa: ARG001
    dataset: Dataset,
    decoding: Decoding,
) -> Iterator[dg.MaterializeResult]:
    """Assign groups to splits."""
    with shown_as_failure():
        settings = settings_of_run(context.run.run_config, dataset.paths())
        report = dataset.steps(decoding).splits(settings.splits)
    for split in SPLITS:
        if dg.AssetKey(f"{split}_split") in context.selected_asset_keys:
            version = dg.DataVersion(report.data_version(split))
            yield dg.MaterializeResult(
                asset_key=f"{split}_split", metadata=metadata.of_split(report, split), data_version=version
            )


def plan_asset(partitions: Mapping[Split, dg.DynamicPartitionsDefinition]) -> dg.AssetsDefinition:
    """The plan of a dataset whose shards are these partitions."""

    @dg.asset(
        name="plan",
        deps=[f"{split}_split" for split in SPLITS],
        description="Which clip goes to which shard, under which encoding: the dataset's lock file. Registers one "
        "partition of train_shards, test_shards or val_shards for each shard.",
        group_name=GROUP,
        kinds={"parquet"},
        owners=OWNERS,
        tags=PLANNING,
        code_version=CODE_VERSION,
    )
    def plan(
        context: dg.AssetExecutionContext,
        config: PlanConfig,  # noqa: ARG001
        dataset: Dataset,
        decoding: Decoding,
    ) -> dg.MaterializeResult:
        """Assign clips to shards and pin the encoding."""
        with shown_as_failure():
            settings = settings_of_run(context.run.run_config, dataset.paths())
            report = dataset.steps(decoding).plan(settings.plan)
            in_flight = keys_in_flight(context.instance, partition_order(context.instance, partitions))
            # By what is on disk now: another plan may have been made since, whose partitions must stay.
            planned = live_shards(read_plan(dataset.paths(), FINGERPRINT_COLUMNS).rows)
            register_shards(context.instance, partitions, planned, in_flight)
        return dg.MaterializeResult(
            metadata=metadata.of_plan(report, dataset.paths()), data_version=dg.DataVersion(report.data_version())
        )

    return plan


@dg.asset(
    name="dataset",
    deps=[f"{split}_shards" for split in SPLITS],
    description="The commit. Refuses while a planned shard is missing or unsound; otherwise swaps dataset_info.json "
    "last, so that readers see the old dataset or the new one.",
    group_name=GROUP,
    kinds={"tensorflow"},
    owners=OWNERS,
    tags=COMMIT,
    code_version=CODE_VERSION,
)
def dataset_asset(
    context: dg.AssetExecutionContext,
    config: DatasetConfig,  # noqa: ARG001
    dataset: Dataset,
    decoding: Decoding,
) -> dg.MaterializeResult:
    """Check every planned shard and commit."""
    with shown_as_failure():
        settings = settings_of_run(context.run.run_config, dataset.paths())
        report = dataset.steps(decoding).commit(settings.dataset)
    return dg.MaterializeResult(metadata=metadata.of_dataset(report), data_version=dg.DataVersion(report.data_version))
