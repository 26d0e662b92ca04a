"""Run requests for what a plan still lacks: its shards in runs of neighbours, then the commit; no work twice."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import dagster as dg

from video_assets.defs.graph import (
    COMMIT_JOB,
    DATASET_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    DatasetGraph,
    partition_order,
)
from video_assets.defs.jobs import shards_job_name
from video_assets.domain.splits import SPLITS, Split
from video_assets.domain.text import counted, sequence_of
from video_assets.pipeline.manifest.new_files import LookCursor
from video_assets.pipeline.shards.pending import Backlog, Chunk
from video_assets.storage.addresses import place_digest, place_name
from video_assets.storage.paths import DatasetPaths

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


def is_under_way(instance: dg.DagsterInstance, graph: DatasetGraph, job: str, paths: DatasetPaths) -> bool:
    """Return whether a run of this job on this dataset has begun, or waits to."""
    wanted = dg.RunsFilter(job_name=graph.name(job), statuses=UNFINISHED, tags=_of_dataset(paths))
    return bool(instance.get_runs(wanted, limit=1))


def keys_in_flight(instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths) -> set[str]:
    """Return the shards of this dataset that an unfinished run covers, launched by a sensor or by hand."""
    orders = partition_order(instance, graph.partitions)
    places = {split: {key: number for number, key in enumerate(order)} for split, order in orders.items()}
    keys: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        first = run.tags.get(RANGE_START_TAG, run.tags.get("dagster/partition", ""))
        last = run.tags.get(RANGE_END_TAG, first)
        for split in _splits_of(run, graph, paths):
            if first in places[split] and last in places[split]:
                keys.update(orders[split][places[split][first] : places[split][last] + 1])
    return keys


def _splits_of(run: dg.DagsterRun, graph: DatasetGraph, paths: DatasetPaths) -> list[Split]:
    """Return the splits of this dataset that a run may write shards of; none where it is of something else.

    A run of our jobs has the dataset's tag. One that somebody launched on assets says which they are.
    """
    if run.tags.get(DATASET_TAG, place_name(paths.directory)) != place_name(paths.directory):
        return []
    if run.asset_selection:
        return [split for split in SPLITS if graph.shards_key(split) in run.asset_selection]
    return [split for split in SPLITS if run.job_name == graph.name(shards_job_name(split))]


def _of_dataset(paths: DatasetPaths) -> dict[str, str]:
    return {DATASET_TAG: place_name(paths.directory)}


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
        tags={**tags, WORK_TAG: work, **_of_dataset(paths)},
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


def failed_plan(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths, cursor: LookCursor
) -> FailedPlan | None:
    """The last plan of the files that were asked for, if it failed and there was no other plan after it."""
    work = _arrivals(paths, cursor)
    records = instance.get_run_records(dg.RunsFilter(tags={WORK_TAG: work}), limit=1)
    if not records or records[0].dagster_run.status is not dg.DagsterRunStatus.FAILURE:
        return None
    planned = instance.get_latest_materialization_event(graph.key("plan"))
    if planned is not None and planned.timestamp > (records[0].end_time or 0):
        return None
    return FailedPlan(records[0].dagster_run.run_id, _attempts(instance, work) >= MAX_ATTEMPTS)


def _arrivals(paths: DatasetPaths, cursor: LookCursor) -> str:
    return _work_of(paths, f"arrivals {cursor.number} {cursor.requested}")


def request_shards(
    instance: dg.DagsterInstance,
    graph: DatasetGraph,
    paths: DatasetPaths,
    chunks: Iterable[Chunk],
    *,
    num_missing: int,
    num_in_flight: int,
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
                job_name=graph.name(shards_job_name(chunk.split)),
                tags={RANGE_START_TAG: chunk.keys[0], RANGE_END_TAG: chunk.keys[-1]},
            )
        )
    if requests:
        return dg.SensorResult(requests)
    reason = (
        f"{counted(num_missing, 'shard is', 'shards are')} missing or damaged, {num_in_flight} of them being encoded"
    )
    if given_up:
        named = sequence_of(given_up)
        reason += f"; given up after {MAX_ATTEMPTS} runs: {named}; look at their runs, then materialize them"
    return dg.SensorResult(skip_reason=reason)


def request_commit(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths, backlog: Backlog
) -> dg.SensorResult:
    """A run of `dataset` for this plan, unless one is under way or it was refused `MAX_ATTEMPTS` times."""
    if is_under_way(instance, graph, COMMIT_JOB, paths):
        return dg.SensorResult(skip_reason="the commit is under way")
    work = _work_of(paths, f"commit {backlog.plan_digest}")
    attempt = _attempts(instance, work)
    if attempt >= MAX_ATTEMPTS:
        reason = f"the commit was refused {MAX_ATTEMPTS} times; look at its runs, then materialize dataset"
        return dg.SensorResult(skip_reason=reason)
    return dg.SensorResult([_request(paths, work, attempt, job_name=graph.name(COMMIT_JOB))])
