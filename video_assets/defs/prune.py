"""Prune Dagster's history of a dataset: what is old goes, the newest of every asset, partition and check stays."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from video_assets.defs.graph import DATASET_TAG, PRUNE_JOB, DatasetGraph, partition_order
from video_assets.defs.instance import dagster_home
from video_assets.defs.private_dagster import StoredEvent, delete_events, events_file, stored_events
from video_assets.domain.errors import SettingsError
from video_assets.settings import DatasetSettings
from video_assets.storage.addresses import place_name
from video_assets.storage.files import file_status
from video_assets.storage.paths import DatasetPaths

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_DAY_SECONDS = 86_400
_PAGE = 1000
_FREE_SHARE, _FREE_PAGES = 0.25, 250
"""A database is compacted if more of its pages, and more than a megabyte, are free."""
_WAIT_SECONDS = 2.0
"""How long the compaction of a database waits for others that use it; the next time does as well."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was deleted of the history, and what it takes now. Bytes and files are 0 where it is not the dataset's own.

    `runs_kept` counts finished runs.
    """

    home: str
    runs_deleted: int
    runs_kept: int
    events_deleted: int
    bytes_before: int
    bytes_after: int
    num_files: int


def owns_its_history(paths: DatasetPaths) -> bool:
    """Return whether the instance is kept with the dataset, and so has no events of others."""
    return dagster_home(paths) == paths.dagster_home


def refuse_history_of_others(paths: DatasetPaths) -> None:
    """Refuse to prune an instance of which the command does not know under which names the dataset is there.

    Raises:
        SettingsError: if DAGSTER_HOME names one.
    """
    if not owns_its_history(paths):
        raise SettingsError(
            f"DAGSTER_HOME is {dagster_home(paths)}, an instance that other assets may share: run the dataset's job "
            f"{PRUNE_JOB} there; or unset DAGSTER_HOME to prune the history that is kept with the dataset"
        )


def prune(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths, settings: DatasetSettings
) -> PruneReport:
    """Delete finished runs, with their events and logs, and events without a run, that are more or older than allowed.

    What holds the newest materialization, observation or evaluation of an asset, a partition or a check stays, whatever
    its age. On an instance that others use as well, only runs of this dataset are deleted.
    """
    is_own, home = owns_its_history(paths), dagster_home(paths)
    before, _ = _size(home) if is_own else (0, 0)
    since = time.time() - settings.history_days * _DAY_SECONDS
    live = {graph.shards_key(split): order for split, order in partition_order(instance, graph.partitions).items()}
    tags = {} if is_own else {DATASET_TAG: place_name(paths.directory)}
    finished = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, tags=tags))
    old = [
        record.dagster_run.run_id
        for number, record in enumerate(finished)
        if number >= settings.history_runs or record.create_timestamp.timestamp() < since
    ]
    needed = _runs_of_newest(instance, graph, live) if old else set[str]()
    deleted = [run_id for run_id in old if run_id not in needed]
    for run_id in deleted:
        _delete_run(instance, run_id)
    events: list[StoredEvent] = []
    if is_own:
        runs = {record.dagster_run.run_id for record in instance.get_run_records()}
        stored = stored_events(instance, graph.keys)
        events = old_events(stored, live, runs, num_kept=settings.history_runs, since=since)
        delete_events(instance, events)
        _compact(home)
    after, num_files = _size(home) if is_own else (0, 0)
    return PruneReport(str(home), len(deleted), len(finished) - len(deleted), len(events), before, after, num_files)


def old_events(
    events: Iterable[StoredEvent],
    live: Mapping[dg.AssetKey, Sequence[str]],
    runs: Set[str],
    *,
    num_kept: int,
    since: float,
) -> list[StoredEvent]:
    """Return the events that go: not of a run that is there, not the newest, and more or older than allowed.

    Args:
        events: Those of each kind newest first.
        live: Partitions of partitioned assets. The newest event of any other partition is as good as any.
        runs: Ids of all runs; their events stay with them.
        num_kept: How many events of an asset or a check stay.
        since: Seconds since 1970; what is older goes.
    """
    events = list(events)
    newest = newest_events(events, live)
    numbers, old = Counter[tuple[str, ...]](), list[StoredEvent]()
    for event in events:
        numbers[event.subject] += 1
        is_old = numbers[event.subject] > num_kept or event.timestamp < since
        if is_old and event not in newest and event.run_id not in runs:
            old.append(event)
    return old


def newest_events(events: Iterable[StoredEvent], live: Mapping[dg.AssetKey, Sequence[str]]) -> set[StoredEvent]:
    """Return the first of the events of each subject, or of each of its live partitions."""
    partitions = {key.to_string(): set(keys) for key, keys in live.items()}
    newest: dict[tuple[tuple[str, ...], str | None], StoredEvent] = {}
    for event in events:
        asset = event.subject[1]
        if asset not in partitions or event.partition in partitions[asset]:
            newest.setdefault((event.subject, event.partition), event)
    return set(newest.values())


def _runs_of_newest(
    instance: dg.DagsterInstance, graph: DatasetGraph, live: Mapping[dg.AssetKey, Sequence[str]]
) -> set[str]:
    """Return the runs without which Dagster would not know how an asset, a partition or a check stands."""
    runs = {record.run_id for key in graph.keys for record in _newest(instance, key, live.get(key))}
    return runs | {event.run_id for event in newest_events(stored_events(instance, graph.keys), live)}


def _newest(
    instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str] | None
) -> Iterator[dg.EventLogRecord]:
    """Yield the newest materialization of an asset, or of each of its partitions."""
    if partitions is None:
        yield from instance.fetch_materializations(key, limit=1).records
        return
    wanted, cursor = set(partitions), None
    while wanted:
        found = instance.fetch_materializations(key, limit=_PAGE, cursor=cursor)
        for record in found.records:
            if record.partition_key in wanted:
                wanted.discard(record.partition_key)
                yield record
        if not found.has_more:
            return
        cursor = found.cursor


def _delete_run(instance: dg.DagsterInstance, run_id: str) -> None:
    instance.delete_run(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    if file := events_file(instance, run_id):
        for name in (file.name, f"{file.name}-wal", f"{file.name}-shm"):
            file.with_name(name).unlink(missing_ok=True)


def _compact(home: Path) -> None:
    """Give back what deleted rows took, where it is much; SQLite itself only uses it again."""
    for path in home.rglob("*.db"):
        with (
            suppress(sqlite3.OperationalError),  # somebody else is at it
            closing(sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)) as database,
        ):
            (free,), (pages,) = (
                database.execute(f"PRAGMA {what}").fetchone() for what in ("freelist_count", "page_count")
            )
            if free > max(_FREE_PAGES, pages * _FREE_SHARE):
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _size(home: Path) -> tuple[int, int]:
    """Return bytes and number of the files of an instance."""
    sizes = [status.st_size for path in home.rglob("*") if (status := file_status(path)) is not None]
    return sum(sizes), len(sizes)
