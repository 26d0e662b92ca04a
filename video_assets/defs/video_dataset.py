"""The Dagster definitions of one dataset, to stand beside those of other datasets and of anything else."""

from collections.abc import Mapping, Sequence

import dagster as dg

from video_assets.defs.assets import dataset_asset, manifest_asset, plan_asset, split_assets, videos_asset
from video_assets.defs.automation import Automation, missing_shards_sensor, new_videos_sensor, schedules
from video_assets.defs.checks import dataset_checks
from video_assets.defs.graph import DatasetGraph
from video_assets.defs.jobs import dataset_jobs, prune_job, verify_job
from video_assets.defs.shards import shards_asset
from video_assets.domain.splits import SPLITS
from video_assets.environment import VideoDataset


def build_video_dataset_defs(
    dataset: VideoDataset,
    *,
    key_prefix: str | Sequence[str] = (),
    group: str = "",
    owners: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    videos: dg.AssetKey | str | Sequence[str] | None = None,
    pool: str = "",
    automation: Automation | None = None,
    freshness: dg.FreshnessPolicy | None = None,
) -> dg.Definitions:
    """Return the assets, checks, jobs, sensors, schedules and resources of one dataset.

    Everything is named after the key prefix, so that any number of datasets, and definitions of others, merge
    (`dg.Definitions.merge`). No executor is set: the dataset's jobs bring their own, runs of assets use yours.

    Args:
        dataset: What to build, from what, and under which settings.
        key_prefix: The prefix of asset keys; other names begin with its parts, joined by two underscores.
        group: The assets' group; by default the prefix, or `video_dataset` without one.
        owners: The assets' owners, such as `team:vision` or an e-mail address.
        tags: Tags of all assets, beside their stage.
        videos: The key of an asset that writes the videos; by default the videos are an asset of this dataset, which
            the new-videos sensor observes.
        pool: The concurrency pool of shards; by default one of this dataset alone.
        automation: Sensors, schedules and conditions; by default sensors and schedules are there, and stopped.
        freshness: The freshness policy of the committed dataset.
    """
    prefix = (key_prefix,) if isinstance(key_prefix, str) and key_prefix else tuple(key_prefix)
    graph = DatasetGraph(
        dataset=dataset,
        prefix=prefix,
        group=group,
        owners=owners,
        tags=tags or {},
        videos=None if videos is None else dg.AssetKey.from_coercible(videos),
        pool=pool,
        freshness=freshness,
        has_conditions=automation is not None and automation.conditions,
    )
    automation = automation or Automation()
    jobs = dataset_jobs(graph)
    return dg.Definitions(
        assets=[
            *([videos_asset(graph)] if videos is None else []),
            manifest_asset(graph),
            split_assets(graph),
            plan_asset(graph),
            *(shards_asset(graph, split) for split in SPLITS),
            dataset_asset(graph),
        ],
        asset_checks=[dataset_checks(graph)],
        jobs=[*jobs, verify_job(graph), prune_job(graph)],
        sensors=[new_videos_sensor(graph, automation), missing_shards_sensor(graph, automation, jobs)],
        schedules=schedules(graph, automation),
        resources=graph.resources(),
    )
