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
from video_assets.defs.resources import (
    AUTOMATION_VARIABLE,
    DEFAULT_NAME,
    NAME_VARIABLE,
    ROOT_VARIABLE,
    SOURCE_VARIABLE,
    Dataset,
    VideoSource,
    decoding_from_environment,
    engine_from_environment,
    sensor_seconds_from_environment,
    shards_per_run_from_environment,
)
from video_assets.defs.shards import shards_asset
from video_assets.domain.splits import SPLITS


def build_definitions() -> dg.Definitions:
    """One dataset's assets and checks; source, root and name come from the environment."""
    name = os.environ.get(NAME_VARIABLE, DEFAULT_NAME)
    is_automatic = os.environ.get(AUTOMATION_VARIABLE) == "on"
    shards_per_run = shards_per_run_from_environment()
    seconds = sensor_seconds_from_environment()
    sensor_status = dg.DefaultSensorStatus.RUNNING if is_automatic else dg.DefaultSensorStatus.STOPPED
    schedule_status = dg.DefaultScheduleStatus.RUNNING if is_automatic else dg.DefaultScheduleStatus.STOPPED
    partitions = shard_partitions(os.environ.get(ROOT_VARIABLE, ""), name)
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
            "source": VideoSource(address=dg.EnvVar(SOURCE_VARIABLE)),
            "dataset": Dataset(root=dg.EnvVar(ROOT_VARIABLE), name=name),
            "engine": engine_from_environment(),
            "decoding": decoding_from_environment(),
        },
        # Parallelism is the pool of decoding processes; a process for each step would pay for its imports.
        executor=dg.in_process_executor,
    )
