"""The code location: everything that Dagster shows, by name."""

import os
import warnings

import dagster as dg

from video_assets.defs.assets import dataset_asset, manifest, plan_asset, splits, videos
from video_assets.defs.checks import dataset_checks, shard_checks
from video_assets.defs.partitions import shard_partitions
from video_assets.defs.reporting import Reporting
from video_assets.defs.resources import (
    DEFAULT_NAME,
    NAME_VARIABLE,
    ROOT_VARIABLE,
    SOURCE_VARIABLE,
    WORKERS_VARIABLE,
    Dataset,
    Decoding,
    VideoSource,
)
from video_assets.defs.shards import shards_asset
from video_assets.domain.splits import SPLITS


def build_definitions(reporting: Reporting | None = None) -> dg.Definitions:
    """One dataset's assets and checks; source, root and name come from the environment."""
    name = os.environ.get(NAME_VARIABLE, DEFAULT_NAME)
    partitions = shard_partitions(os.environ.get(ROOT_VARIABLE, ""), name)
    with warnings.catch_warnings():
        # Backfill policies and partitioned checks are beta and preview: dagster is pinned below the next minor for that.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        shards = [shards_asset(split, partitions[split]) for split in SPLITS]
        checks = [check for split in SPLITS for check in shard_checks(split, partitions[split])]
    return dg.Definitions(
        assets=[videos, manifest, splits, plan_asset(partitions), *shards, dataset_asset],
        asset_checks=[*checks, *dataset_checks()],
        resources={
            "source": VideoSource(address=dg.EnvVar(SOURCE_VARIABLE)),
            "dataset": Dataset(root=dg.EnvVar(ROOT_VARIABLE), name=name),
            "reporting": reporting or Reporting(),
            "decoding": Decoding(num_workers=int(os.environ.get(WORKERS_VARIABLE, "0"))),
        },
        # Parallelism is the pool of decoding processes; a process for each step would pay for its imports.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What the UI, the daemon and the commands load."""
    return build_definitions()
