"""What starts runs without anybody's click: two sensors and a schedule."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from video_assets.defs.failures import shown_as_failure
from video_assets.defs.jobs import PLAN_JOB, VERIFY_JOB, VERIFY_OP
from video_assets.defs.partitions import partition_order
from video_assets.defs.requests import (
    MAX_ATTEMPTS,
    failed_plan,
    is_under_way,
    keys_in_flight,
    request_commit,
    request_plan,
    request_shards,
)
from video_assets.defs.resources import Dataset, VideoSource
from video_assets.domain.splits import Split
from video_assets.pipeline.manifest.new_files import Decision, LookCursor, look
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.shards.pending import chunk_shards, read_backlog
from video_assets.run_config import as_run_config
from video_assets.settings import ManifestSettings, Settings
from video_assets.sources.read import list_source
from video_assets.storage.addresses import place_digest
from video_assets.storage.locks import current_holder
from video_assets.storage.paths import DatasetPaths

ONLY_SETTLED = as_run_config(Settings(manifest=ManifestSettings(only_settled=True)))
"""The run config of a plan that the sensor asks for. What is not given is the dataset's own."""


def new_videos_sensor(seconds: int, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Looks at the source."""

    @dg.sensor(
        name="new_videos",
        job_name=PLAN_JOB,
        minimum_interval_seconds=seconds,
        default_status=status,
        description="Looks at the source by name, size and time. When files stood still between two looks and differ "
        "from those of the last request, it requests one run of manifest, splits and plan under the pinned settings.",
    )
    def new_videos(context: dg.SensorEvaluationContext, source: VideoSource, dataset: Dataset) -> dg.SensorResult:
        """Lists, compares digests, and asks for a plan."""
        with shown_as_failure():
            paths = dataset.paths()
            if (builder := current_holder(paths.build_lock)) is not None:
                return dg.SensorResult(skip_reason=f"{builder} is at work on the dataset")
            settings = manifest_settings(paths) if paths.manifest.exists() else ManifestSettings()
            listed = list_source(source.path(), settings)
            place = place_digest(source.path()) + place_digest(paths.directory)
            decision = look(paths, listed, LookCursor.from_json(context.cursor).at(place))
            reason = "" if decision.kind == "build" else _why_to_wait(context.instance, paths, decision)
            cursor = decision.cursor.to_json()
            if reason:
                return dg.SensorResult(skip_reason=reason, cursor=cursor)
            request = request_plan(context.instance, paths, decision.cursor, ONLY_SETTLED)
        return dg.SensorResult([request], cursor=cursor)

    return new_videos


def _why_to_wait(instance: dg.DagsterInstance, paths: DatasetPaths, decision: Decision) -> str:
    """What the look said; nothing if the plan that was asked for failed, and is to be asked for again."""
    failed = failed_plan(instance, paths, decision.cursor) if decision.was_requested else None
    if failed is None:
        return decision.reason
    if not failed.is_given_up:
        return ""
    return (
        f"{decision.reason}, but their plan failed {MAX_ATTEMPTS} times; look at run {failed.run_id}, "
        f"then launch {PLAN_JOB}"
    )


def missing_shards_sensor(
    seconds: int,
    status: dg.DefaultSensorStatus,
    partitions: Mapping[Split, dg.DynamicPartitionsDefinition],
    jobs: Sequence[Any],
    shards_per_run: int,
) -> dg.SensorDefinition:
    """Looks at the plan and at the disk."""

    @dg.sensor(
        name="missing_shards",
        jobs=jobs,
        minimum_interval_seconds=seconds,
        default_status=status,
        description=f"Compares the plan with the disk: requests runs for missing or stale shards, {shards_per_run} at "
        "most in a run, and never while another run is at work on them; then one run of dataset.",
    )
    def missing_shards(context: dg.SensorEvaluationContext, dataset: Dataset) -> dg.SensorResult:
        """Reads the backlog and asks for what nobody works on."""
        with shown_as_failure():
            paths = dataset.paths()
            if not paths.encoding.exists():
                return dg.SensorResult(skip_reason="there is no plan yet")
            if (builder := current_holder(paths.build_lock)) is not None:
                return dg.SensorResult(skip_reason=f"{builder} is at work on the dataset")
            if is_under_way(context.instance, PLAN_JOB):
                return dg.SensorResult(skip_reason="a plan is being made")
            backlog = read_backlog(paths)
        if backlog.is_committed and not backlog.missing:
            return dg.SensorResult(skip_reason=f"all {backlog.num_shards} planned shards are committed")
        orders = partition_order(context.instance, partitions)
        in_flight = keys_in_flight(context.instance, orders)
        chunks = chunk_shards(backlog.missing, orders, in_flight, shards_per_run=shards_per_run)
        if backlog.missing:
            return request_shards(context.instance, paths, chunks, len(backlog.missing), len(in_flight))
        return request_commit(context.instance, paths, backlog)

    return missing_shards


def nightly_schedule(status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Looks again at what nobody looked at."""

    @dg.schedule(
        name="nightly",
        cron_schedule="30 3 * * *",
        job_name=VERIFY_JOB,
        default_status=status,
        description="Verifies the committed shards whose turn it is: each once in thirty nights.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """One verification a night."""
        day = context.scheduled_execution_time.date()
        return dg.RunRequest(
            run_key=day.isoformat(),
            run_config={"ops": {VERIFY_OP: {"config": {"day_number": (day - dt.date(2020, 1, 1)).days}}}},
        )

    return nightly


def nightly_refresh_schedule(status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """Plans once a night, whatever the sensor saw."""

    @dg.schedule(
        name="nightly_refresh",
        cron_schedule="0 3 * * *",
        job_name=PLAN_JOB,
        default_status=status,
        description="Looks at the source once a night under the pinned settings, and catches what the sensor missed.",
    )
    def nightly_refresh(context: dg.ScheduleEvaluationContext, dataset: Dataset) -> dg.RunRequest | dg.SkipReason:
        """One plan a night, of a dataset that exists."""
        paths = dataset.paths()
        if not paths.encoding.exists():
            return dg.SkipReason("there is no plan yet")
        return dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat())

    return nightly_refresh
