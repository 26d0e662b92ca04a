"""Everything that Dagster shows, by name, put together for one dataset."""

import os
import warnings

import dagster as dg

from video_assets.defs.assets import dataset_asset, manifest, plan_asset, splits, videos
from video_assets.defs.automation import (
    missing_shards_sensor,
    new_videos_sensor,
    nightly_refresh_schedule,
    nightly_schedule,
)
from video_assets.defs.checks import dataset_checks, shard_checks
from video_assets.defs.jobs import dataset_jobs, verify_shards
from video_assets.defs.partitions import shard_partitions
from video_assets.defs.resources import Dataset, Decoding, Engine, VideoSource
from video_assets.defs.shards import shards_asset
from video_assets.domain.splits import SPLITS
from video_assets.environment import Environment, variable_name


def build_definitions() -> dg.Definitions:
    """One dataset's assets and checks; source, root and name come from the environment."""
    environment = Environment.read(os.environ)
    name, is_automatic = environment.name, environment.automation == "on"
    shards_per_run, seconds = environment.shards_per_run, environment.sensor_seconds
    sensor_status = dg.DefaultSensorStatus.RUNNING if is_automatic else dg.DefaultSensorStatus.STOPPED
    schedule_status = dg.DefaultScheduleStatus.RUNNING if is_automatic else dg.DefaultScheduleStatus.STOPPED
    partitions = shard_partitions(environment.root, name)
    jobs = dataset_jobs()
    with warnings.catch_warnings():
        # Backfill policies and partitioned checks are beta and preview: hence the pin below dagster's next minor.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        shards = [shards_asset(split, partitions[split], shards_per_run) for split in SPLITS]
        checks = [shard_checks(split, partitions[split]) for split in SPLITS]
    return dg.Definitions(
        assets=[videos, manifest, splits, plan_asset(partitions), *shards, dataset_asset],
        asset_checks=[*checks, dataset_checks()],
        jobs=[*jobs, verify_shards],
        sensors=[
            new_videos_sensor(seconds, sensor_status),
            missing_shards_sensor(seconds, sensor_status, partitions, jobs, shards_per_run),
        ],
        schedules=[nightly_schedule(schedule_status), nightly_refresh_schedule(schedule_status)],
        resources={
            "source": VideoSource(address=dg.EnvVar(variable_name("source"))),
            "dataset": Dataset(root=dg.EnvVar(variable_name("root")), name=name),
            "engine": Engine(
                kind=environment.engine,
                ray_address=environment.ray_address,
                cpus_per_shard=environment.cpus_per_shard,
            ),
            "decoding": Decoding(num_workers=environment.workers),
        },
        # Parallelism is the pool of decoding processes; a process for each step would pay for its imports.
        executor=dg.in_process_executor,
    )
