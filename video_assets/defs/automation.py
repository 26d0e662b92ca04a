"""What starts runs without anybody's click: two sensors and three schedules, or automation conditions."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from video_assets.defs import run_requests
from video_assets.defs.graph import BUILD_JOB, PLAN_JOB, PRUNE_JOB, VERIFY_JOB, DatasetGraph, partition_order
from video_assets.defs.jobs import VERIFY_OP
from video_assets.defs.private_dagster import DATA_VERSION_TAG
from video_assets.defs.step_failures import errors_as_failures
from video_assets.pipeline.commit.retired import remove_expired
from video_assets.pipeline.manifest.new_files import Decision, LookCursor, look
from video_assets.pipeline.shards.pending import chunk_shards, read_backlog
from video_assets.sources.read import list_source
from video_assets.storage.addresses import place_digest
from video_assets.storage.locks import current_holder
from video_assets.storage.paths import DatasetPaths


class Automation(BaseModel):
    """What starts a dataset's runs by itself. Sensors and schedules are there, but stopped, unless they are asked for.

    Take sensors or conditions, not both: each asks for all that is to be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sensors: bool = Field(
        default=False,
        description="Whether sensors and schedules run from the start; otherwise somebody turns them on in the UI.",
    )
    sensor_seconds: int = Field(default=30, ge=1, description="How long sensors wait between two looks.")
    refresh_cron: str = Field(
        default="0 3 * * *", description="When to plan whatever the sensor saw, as a cron expression; empty: never."
    )
    verify_cron: str = Field(
        default="30 3 * * *",
        description="When to verify a thirtieth of the committed shards, as a cron expression; empty: never.",
    )
    prune_cron: str = Field(
        default="",
        description="When to delete the dataset's old runs from Dagster's history, as a cron expression; empty: never. "
        "`video-assets ui` does so at 04:00.",
    )
    timezone: str = Field(default="UTC", description="The time zone of all, such as Europe/Berlin.")
    conditions: bool = Field(
        default=False,
        description="Whether assets carry automation conditions: what is new in the key of videos is planned, missing "
        "shards are written, and whole plans are committed.",
    )

    @property
    def sensor_status(self) -> dg.DefaultSensorStatus:
        """What sensors do when an instance sees them for the first time."""
        return dg.DefaultSensorStatus.RUNNING if self.sensors else dg.DefaultSensorStatus.STOPPED

    @property
    def schedule_status(self) -> dg.DefaultScheduleStatus:
        """The same of schedules."""
        return dg.DefaultScheduleStatus.RUNNING if self.sensors else dg.DefaultScheduleStatus.STOPPED


def new_videos_sensor(graph: DatasetGraph, automation: Automation) -> dg.SensorDefinition:
    """Return what looks at the source."""

    @dg.sensor(
        name=graph.name("new_videos"),
        job_name=graph.name(PLAN_JOB),
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        required_resource_keys=graph.needs("source", "dataset"),
        description="Looks at the source by name, size and time. When files stood still between two looks and differ "
        "from those of the last request, it requests one run of manifest, splits and plan under the pinned settings.",
    )
    def new_videos(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Look at the source."""
        return look_for_videos(graph, context)

    return new_videos


def look_for_videos(graph: DatasetGraph, context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """List the source, compare digests, and ask for a plan."""
    with errors_as_failures():
        paths, source = graph.dataset_of(context).paths(), graph.source_of(context).path()
        if (builder := current_holder(paths.build_lock)) is not None:
            return dg.SensorResult(skip_reason=f"{builder} is at work on the dataset")
        listed = list_source(source, graph.settings_of({}, paths).manifest)
        known = LookCursor.from_json(context.cursor).at(place_digest(source) + place_digest(paths.directory))
        decision = look(paths, listed, known)
        reason = "" if decision.kind == "build" else _why_to_wait(context.instance, graph, paths, decision)
        cursor, seen = decision.cursor.to_json(), _observation(graph, known, decision.cursor)
        if reason:
            return dg.SensorResult(skip_reason=reason, cursor=cursor, asset_events=seen)
        # What is not given is the dataset's own.
        run_config = {"ops": {graph.name("manifest"): {"config": {"only_settled": True}}}}
        request = run_requests.request_plan(context.instance, paths, decision.cursor, run_config)
    return dg.SensorResult([request], cursor=cursor, asset_events=seen)


def _observation(graph: DatasetGraph, before: LookCursor, now: LookCursor) -> list[dg.AssetObservation]:
    """Return the new version of the videos where it is another, unless their key is somebody else's to tell."""
    if graph.videos is not None or before.seen == now.seen:
        return []
    return [dg.AssetObservation(graph.videos_key, tags={DATA_VERSION_TAG: now.seen})]


def _why_to_wait(instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths, decision: Decision) -> str:
    """What the look said; nothing if the plan that was asked for failed, and is to be asked for again."""
    failed = run_requests.failed_plan(instance, graph, paths, decision.cursor) if decision.was_requested else None
    if failed is None:
        return decision.reason
    if not failed.is_given_up:
        return ""
    return (
        f"{decision.reason}, but their plan failed {run_requests.MAX_ATTEMPTS} times; look at run {failed.run_id}, "
        f"then launch {graph.name(PLAN_JOB)}"
    )


def missing_shards_sensor(graph: DatasetGraph, automation: Automation, jobs: Sequence[Any]) -> dg.SensorDefinition:
    """Return what looks at the plan and at the disk."""
    shards_per_run = graph.dataset.shards_per_run

    @dg.sensor(
        name=graph.name("missing_shards"),
        jobs=jobs,
        minimum_interval_seconds=automation.sensor_seconds,
        default_status=automation.sensor_status,
        required_resource_keys=graph.needs("dataset"),
        description=f"Compares the plan with the disk: requests runs for missing or stale shards, {shards_per_run} at "
        "most in a run, and never while another run is at work on them; then one run of dataset.",
    )
    def missing_shards(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """Look at the plan and at the disk."""
        return look_for_shards(graph, context)

    return missing_shards


def look_for_shards(graph: DatasetGraph, context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Read the backlog, and ask for what nobody works on."""
    with errors_as_failures():
        paths = graph.dataset_of(context).paths()
        if (builder := current_holder(paths.build_lock)) is not None:
            return dg.SensorResult(skip_reason=f"{builder} is at work on the dataset")
        for job, doing in ((PLAN_JOB, "a plan is being made"), (BUILD_JOB, "a build is under way")):
            if run_requests.is_under_way(context.instance, graph, job, paths):
                return dg.SensorResult(skip_reason=doing)
        if not paths.plan.exists():
            return dg.SensorResult(skip_reason="there is no plan yet")
        remove_expired(paths)
        backlog = read_backlog(paths)
    if backlog.is_committed and not backlog.missing:
        return dg.SensorResult(skip_reason=f"all {backlog.num_shards} planned shards are committed")
    if not backlog.missing:
        return run_requests.request_commit(context.instance, graph, paths, backlog)
    in_flight = run_requests.keys_in_flight(context.instance, graph, paths)
    order = partition_order(context.instance, graph.partitions)
    chunks = chunk_shards(backlog.missing, order, in_flight, shards_per_run=graph.dataset.shards_per_run)
    return run_requests.request_shards(
        context.instance,
        graph,
        paths,
        chunks,
        num_missing=len(backlog.missing),
        num_in_flight=len(in_flight.intersection(backlog.missing)),
    )


def schedules(graph: DatasetGraph, automation: Automation) -> list[dg.ScheduleDefinition]:
    """Return the schedules that have a time."""
    made = (
        (automation.verify_cron, nightly_schedule),
        (automation.refresh_cron, nightly_refresh_schedule),
        (automation.prune_cron, nightly_prune_schedule),
    )
    return [make(graph, automation) for cron, make in made if cron]


def nightly_schedule(graph: DatasetGraph, automation: Automation) -> dg.ScheduleDefinition:
    """Return what verifies a part of the shards every night."""

    @dg.schedule(
        name=graph.name("nightly"),
        cron_schedule=automation.verify_cron,
        execution_timezone=automation.timezone,
        job_name=graph.name(VERIFY_JOB),
        default_status=automation.schedule_status,
        description="Verifies the committed shards whose turn it is: each once in thirty nights.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        """One verification a night."""
        day = context.scheduled_execution_time.date()
        config = {"day_number": (day - dt.date(2020, 1, 1)).days}
        return dg.RunRequest(
            run_key=day.isoformat(),
            run_config={"ops": {graph.name(VERIFY_OP): {"config": config}}},
            tags=graph.run_tags,
        )

    return nightly


def nightly_refresh_schedule(graph: DatasetGraph, automation: Automation) -> dg.ScheduleDefinition:
    """Return what plans every night, whatever the sensor saw."""

    @dg.schedule(
        name=graph.name("nightly_refresh"),
        cron_schedule=automation.refresh_cron,
        execution_timezone=automation.timezone,
        job_name=graph.name(PLAN_JOB),
        default_status=automation.schedule_status,
        required_resource_keys=graph.needs("dataset"),
        description="Looks at the source once a night under the pinned settings, and catches what the sensor missed.",
    )
    def nightly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """One plan a night, of a dataset that exists."""
        paths = graph.dataset_of(context).paths()
        if not paths.encoding.exists():
            return dg.SkipReason("there is no plan yet")
        return dg.RunRequest(run_key=context.scheduled_execution_time.date().isoformat(), tags=graph.run_tags)

    return nightly_refresh


def nightly_prune_schedule(graph: DatasetGraph, automation: Automation) -> dg.ScheduleDefinition:
    """Return what prunes the dataset's history every night."""
    return dg.ScheduleDefinition(
        name=graph.name("nightly_prune"),
        cron_schedule=automation.prune_cron,
        execution_timezone=automation.timezone,
        job_name=graph.name(PRUNE_JOB),
        default_status=automation.schedule_status,
        tags=graph.run_tags,
        description="Deletes the dataset's old runs, their events and logs; the newest of every asset and check stay.",
    )
