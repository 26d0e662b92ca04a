"""What of Dagster is used although its documents do not name it. Nothing else may import from inside Dagster.

`AssetCheckEvaluationTargetMaterializationData`: without it an evaluation of a partition's check does not count as
current, and the UI shows the check as not yet run. Dagster makes it for checks that run as steps of their own partition
only; checks of a range, and those that the build command reports, must say it themselves. See dagster-io/dagster#27747.

The names of tags: `report_runless_asset_event` stores the tags of a materialization as they are. Runs write code
version and provenance under these names, and Dagster judges staleness by them.

`webserver_app`: Dagster's web server as an ASGI application, which its command makes and serves without a way to put
anything around it. A proxy before that command would leave the command's own port open to every web page, and its path
prefix is no secret: `/` leads there.

`stored_events`, `delete_events` and `events_file`: no public call deletes events that have no run, which are those of
the build command; `delete_run` leaves evaluations of checks in their table, and with SQLite an empty file per run. So
the history of a dataset that is built every night would grow for ever. See dagster-io/dagster#33785.
"""

import datetime as dt
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from sqlalchemy import select

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = [
    "CODE_VERSION_TAG",
    "DATA_VERSION_IS_OURS_TAG",
    "DATA_VERSION_TAG",
    "INPUT_DATA_VERSION_TAG",
    "INPUT_EVENT_POINTER_TAG",
    "NO_EVENT",
    "NO_RUN",
    "NO_VERSION",
    "AssetCheckEvaluationTargetMaterializationData",
    "StoredEvent",
    "delete_events",
    "events_file",
    "stored_events",
    "webserver_app",
]

DATA_VERSION_TAG = "dagster/data_version"
DATA_VERSION_IS_OURS_TAG = "dagster/data_version_is_user_provided"
CODE_VERSION_TAG = "dagster/code_version"
INPUT_DATA_VERSION_TAG = "dagster/input_data_version"
INPUT_EVENT_POINTER_TAG = "dagster/input_event_pointer"
NO_VERSION, NO_EVENT = "INITIAL", "NULL"
"""Of an input that was never materialized."""
NO_RUN = ""
"""The run of events that were reported without one."""
_ASSET_EVENTS = ("ASSET_MATERIALIZATION", "ASSET_OBSERVATION")
_AT_ONCE = 500
"""Rows that one statement deletes: SQLite takes no more than some thousand values."""


@contextmanager
def webserver_app(instance: dg.DagsterInstance, workspace: Path) -> "Generator[Starlette]":
    """Dagster's UI and API for the code locations of a workspace file, as an ASGI application."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context
    from dagster_webserver.version import __version__

    instance.optimize_for_webserver(
        statement_timeout=15_000, pool_recycle=3_600, max_overflow=20
    )  # as the command does
    with WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)]), version=__version__) as context:
        yield create_app_from_workspace_process_context(context, live_data_poll_rate=2000)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One event of an asset or a check, as it is stored. `subject` says of what: kind, asset, and check if it is one.

    `event_id` is its row in the log. Of a check, `execution_id` is its row among the executions.
    """

    subject: tuple[str, ...]
    partition: str | None
    run_id: str
    timestamp: float
    event_id: int | None
    execution_id: int | None = None


def stored_events(instance: dg.DagsterInstance, assets: Sequence[dg.AssetKey]) -> list[StoredEvent]:
    """Return all events of these assets and of their checks, each kind newest first.

    None if they are not stored in a database whose tables are Dagster's own.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return []
    log, checks = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    of_assets = select(log.dagster_event_type, log.asset_key, log.partition, log.run_id, log.timestamp, log.id)
    of_checks = select(
        checks.execution_status,
        checks.asset_key,
        checks.check_name,
        checks.partition,
        checks.run_id,
        checks.create_timestamp,
        checks.evaluation_event_storage_id,
        checks.id,
    )
    keys = [key.to_string() for key in assets]
    with storage.index_connection() as connection:
        mine = log.asset_key.in_(keys) & log.dagster_event_type.in_(_ASSET_EVENTS)
        told: Sequence[Any] = connection.execute(of_assets.where(mine).order_by(log.id.desc())).all()
        executed: Sequence[Any] = connection.execute(
            of_checks.where(checks.asset_key.in_(keys)).order_by(checks.id.desc())
        ).all()
    found = [
        StoredEvent((row.dagster_event_type, row.asset_key), row.partition, row.run_id, _seconds(row.timestamp), row.id)
        for row in told
    ]
    return found + [_execution(row) for row in executed]


def _execution(row: Any) -> StoredEvent:
    kind = "PLANNED" if row.execution_status == "PLANNED" else "EVALUATED"
    subject = (kind, row.asset_key, row.check_name)
    return StoredEvent(
        subject, row.partition, row.run_id, _seconds(row.create_timestamp), row.evaluation_event_storage_id, row.id
    )


def _seconds(moment: dt.datetime) -> float:
    """Return the seconds since 1970 of a time in UTC as the database has it, without a zone."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()


def delete_events(instance: dg.DagsterInstance, events: Sequence[StoredEvent]) -> None:
    """Delete these events, which `stored_events` gave and no run has."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage) or not events:
        return
    ids = [event.event_id for event in events if event.event_id is not None and event.run_id == NO_RUN]
    executions = [event.execution_id for event in events if event.execution_id is not None]
    log, tags, checks = SqlEventLogStorageTable, AssetEventTagsTable, AssetCheckExecutionsTable
    with storage.index_connection() as connection:
        for some in _parts(ids):
            connection.execute(tags.delete().where(tags.c.event_id.in_(some)))
            connection.execute(log.delete().where(log.c.id.in_(some)))
        for some in _parts(executions):
            connection.execute(checks.delete().where(checks.c.id.in_(some)))
    if isinstance(storage, SqliteEventLogStorage):  # it keeps each event a second time, in a file that no query reads
        with storage.run_connection(NO_RUN) as connection:
            connection.execute(log.delete())


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[begin : begin + _AT_ONCE] for begin in range(0, len(ids), _AT_ONCE))


def events_file(instance: dg.DagsterInstance, run_id: str) -> Path | None:
    """Return the file that SQLite keeps a run's events in; None with another storage."""
    storage = instance.event_log_storage
    return Path(storage.path_for_shard(run_id)) if isinstance(storage, SqliteEventLogStorage) else None
