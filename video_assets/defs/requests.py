"""Run requests for what a plan still lacks: its shards in runs of neighbours, then the commit; no work twice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import dagster as dg

from video_assets.defs.jobs import COMMIT_JOB, shards_job_name
from video_assets.defs.partitions import RANGE_END_TAG, RANGE_START_TAG
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.pipeline.manifest.new_files import LookCursor
from video_assets.pipeline.shards.pending import Backlog, Chunk
from video_assets.storage.addresses import place_digest, place_name
from video_assets.storage.paths import DatasetPaths

DATASET_TAG = "video_assets/dataset"
"""On every run that our sensors ask for: the dataset's folder. Datasets on one instance share asset names."""
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
WORK_TAG = "video_assets/work"
MAX_ATTEMPTS = 3
"""Runs that the same shards get before the sensor leaves them to a person."""
MAX_REQUESTS = 100
"""Runs that one look asks for; each costs Dagster some queries, and a look has a minute."""


def is_under_way(instance: dg.DagsterInstance, job_name: str) -> bool:
    """Whether a run of this job has begun, or waits to."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=UNFINISHED), limit=1))


def keys_in_flight(instance: dg.DagsterInstance, orders: Mapping[Split, Sequence[str]]) -> set[str]:
    """Shards that an unfinished run covers, whoever launched it."""
    places: dict[str, tuple[Split, int]] = {
        key: (split, number) for split, order in orders.items() for number, key in enumerate(order)
    }
    keys: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        first = run.tags.get(RANGE_START_TAG, run.tags.get("dagster/partition", ""))
        last = run.tags.get(RANGE_END_TAG, first)
        if first in places and last in places:
            split, begin = places[first]
            keys.update(orders[split][begin : places[last][1] + 1])
    return keys


def _work_of(paths: DatasetPaths, what: str) -> str:
    """The name of some work: of this dataset only, for others on the same instance may plan the same shards."""
    return f"{place_digest(paths.directory)} {what}"


def _attempts(instance: dg.DagsterInstance, work: str) -> int:
    return instance.get_runs_count(dg.RunsFilter(tags={WORK_TAG: work}))


def _request(
    paths: DatasetPaths,
    work: str,
    attempt: int,
    *,
    job_name: str | None = None,
    run_config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] = MappingProxyType({}),
) -> dg.RunRequest:
    """A run for some work. Dagster passes over a key that had a run, so each attempt has its own."""
    return dg.RunRequest(
        run_key=f"{work}-{attempt}",
        job_name=job_name,
        run_config=run_config,
        tags={**tags, WORK_TAG: work, DATASET_TAG: place_name(paths.directory)},
    )


def request_plan(
    instance: dg.DagsterInstance, paths: DatasetPaths, cursor: LookCursor, run_config: Mapping[str, Any]
) -> dg.RunRequest:
    """A plan of the files that the cursor says were asked for."""
    work = _arrivals(paths, cursor)
    # By its attempts, so that it is another one also after somebody reset the cursor.
    return _request(paths, work, _attempts(instance, work), run_config=run_config)


@dataclass(frozen=True, slots=True)
class FailedPlan:
    """A plan that was asked for and failed, and whether it had all its attempts."""

    run_id: str
    is_given_up: bool


def failed_plan(instance: dg.DagsterInstance, paths: DatasetPaths, cursor: LookCursor) -> FailedPlan | None:
    """The last plan of the files that were asked for, if it failed and there was no other plan after it."""
    work = _arrivals(paths, cursor)
    records = instance.get_run_records(dg.RunsFilter(tags={WORK_TAG: work}), limit=1)
    if not records or records[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        return None
    planned = instance.get_latest_materialization_event(dg.AssetKey("plan"))
    if planned is not None and planned.timestamp > (records[0].end_time or 0):
        return None
    return FailedPlan(records[0].dagster_run.run_id, _attempts(instance, work) >= MAX_ATTEMPTS)


def _arrivals(paths: DatasetPaths, cursor: LookCursor) -> str:
    return _work_of(paths, f"arrivals {cursor.number} {cursor.requested}")


def request_shards(
    instance: dg.DagsterInstance, paths: DatasetPaths, chunks: Iterable[Chunk], num_missing: int, num_in_flight: int
) -> dg.SensorResult:
    """Runs for these shards, `MAX_REQUESTS` at most; none for those that had `MAX_ATTEMPTS`."""
    requests: list[dg.RunRequest] = []
    given_up: list[str] = []
    for chunk in chunks:
        if len(requests) == MAX_REQUESTS:
            break
        work = _work_of(paths, chunk.digest)
        attempt = _attempts(instance, work)
        if attempt >= MAX_ATTEMPTS:
            given_up += chunk.keys
            continue
        requests.append(
            _request(
                paths,
                work,
                attempt,
                job_name=shards_job_name(chunk.split),
                tags={RANGE_START_TAG: chunk.keys[0], RANGE_END_TAG: chunk.keys[-1]},
            )
        )
    if requests:
        return dg.SensorResult(requests)
    reason = f"{num_missing} shards are missing or damaged, {num_in_flight} of them are being encoded"
    if given_up:
        named = sequence_of(given_up)
        reason += f"; given up after {MAX_ATTEMPTS} runs: {named}; look at their runs, then materialize them"
    return dg.SensorResult(skip_reason=reason)


def request_commit(instance: dg.DagsterInstance, paths: DatasetPaths, backlog: Backlog) -> dg.SensorResult:
    """A run of `dataset` for this plan, unless one is under way or it was refused `MAX_ATTEMPTS` times."""
    if is_under_way(instance, COMMIT_JOB):
        return dg.SensorResult(skip_reason="the commit is under way")
    work = _work_of(paths, f"commit {backlog.plan_digest}")
    attempt = _attempts(instance, work)
    if attempt >= MAX_ATTEMPTS:
        reason = f"the commit was refused {MAX_ATTEMPTS} times; look at its runs, then materialize dataset"
        return dg.SensorResult(skip_reason=reason)
    return dg.SensorResult([_request(paths, work, attempt, job_name=COMMIT_JOB)])
