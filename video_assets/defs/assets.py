"""Assets up to the plan, and the commit."""

from collections.abc import Iterator, Mapping

import dagster as dg

from video_assets.defs import metadata
from video_assets.defs.config import DatasetConfig, PlanConfig, SourceConfig, SplitConfig
from video_assets.defs.failures import shown_as_failure
from video_assets.defs.partitions import partition_order, register_shards
from video_assets.defs.reporting import Reporting
from video_assets.defs.requests import keys_in_flight
from video_assets.defs.resources import Dataset, Decoding, VideoSource
from video_assets.defs.run_config import check_run_config, given_fields
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.commit.stage import commit_dataset
from video_assets.pipeline.manifest.stage import build_manifest, kept_settings, manifest_settings
from video_assets.pipeline.plan.last_build import expect_build, read_last_build
from video_assets.pipeline.plan.model_windows import plan_fit
from video_assets.pipeline.plan.stage import build_plan
from video_assets.pipeline.splits.stage import build_splits
from video_assets.pipeline.write_locks import writing_tables

CODE_VERSION = "1"
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
    config: SourceConfig,
    source: VideoSource,
    dataset: Dataset,
    decoding: Decoding,
    reporting: Reporting,
) -> dg.MaterializeResult:
    """Lists, probes, hashes, labels."""
    with shown_as_failure():
        check_run_config(context.run.run_config)
        given = given_fields(context.run.run_config, "manifest")
        settings = kept_settings(dataset.paths(), config.to_settings(), given)
        make_pool = decoding.make_pool(settings.limits)
        with writing_tables(dataset.paths(), "manifest"):
            report = build_manifest(source.path(), dataset.paths(), settings, make_pool, reporting.progress(context))
    return dg.MaterializeResult(metadata=metadata.of_manifest(report, dataset.paths()))


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
def splits(context: dg.AssetExecutionContext, config: SplitConfig, dataset: Dataset) -> Iterator[dg.MaterializeResult]:
    """Assigns groups to splits."""
    with shown_as_failure():
        check_run_config(context.run.run_config)
        with writing_tables(dataset.paths(), "splits"):
            report = build_splits(dataset.paths(), config.to_settings())
    for split in SPLITS:
        if dg.AssetKey(f"{split}_split") in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=f"{split}_split", metadata=metadata.of_split(report, split))


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
    def plan(context: dg.AssetExecutionContext, config: PlanConfig, dataset: Dataset) -> dg.MaterializeResult:
        """Assigns clips to shards and pins the encoding."""
        with shown_as_failure():
            check_run_config(context.run.run_config)
            paths, encoding, settings = dataset.paths(), config.encoding.to_encoding(), config.to_settings()
            new_version, retry_lost = config.new_version, config.retry_lost
            with writing_tables(paths, "plan"):
                last_build = read_last_build(paths)
                report = build_plan(paths, encoding, settings, new_version=new_version, retry_lost=retry_lost)
                in_flight = keys_in_flight(context.instance, partition_order(context.instance, partitions))
                register_shards(context.instance, partitions, report.shards, in_flight)
            expected = expect_build(paths, report, last_build)
        fit = plan_fit(dataset.paths(), report)
        return dg.MaterializeResult(
            metadata=metadata.of_plan(report, fit, expected), data_version=dg.DataVersion(report.data_version())
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
    context: dg.AssetExecutionContext, config: DatasetConfig, dataset: Dataset, decoding: Decoding
) -> dg.MaterializeResult:
    """Checks every planned shard and commits."""
    with shown_as_failure():
        check_run_config(context.run.run_config)
        paths = dataset.paths()
        settings = manifest_settings(paths)
        with writing_tables(paths, "dataset"):
            report = commit_dataset(
                paths,
                settings.limits,
                decoding.make_pool(settings.limits),
                max_failed_fraction=settings.max_failed_fraction,
                near_duplicates_are_errors=config.near_duplicates_are_errors,
                retired_grace_minutes=config.retired_grace_minutes,
                text_index=config.text_index,
                licence=config.licence.strip(),
            )
    return dg.MaterializeResult(metadata=metadata.of_dataset(report))
