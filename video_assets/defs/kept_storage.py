"""Let Dagster's SQLite storages do things once that they do for every event, while this process works on them.

For every event they make an SQLAlchemy engine, which has to compile every statement anew; and for every run they read
the 90 revisions of their tables' layout again, to note that a file just made has the latest. Together that is more than
a second of a core of a build of four runs.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy.engine import Engine, create_engine

_STORAGES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)


@contextmanager
def kept_storage() -> Generator[None]:
    """Within this, there is one engine for each file, and the revisions are read once.

    The engines keep no connection open: that is settled by the pool that Dagster asks for, as before.
    """
    engines: dict[str, Engine] = {}
    scripts: dict[tuple[str | None, ...], ScriptDirectory] = {}
    read_scripts = ScriptDirectory.from_config

    def engine_of(address: str, **options: Any) -> Engine:
        key = repr((address, sorted(options.items(), key=lambda option: option[0])))
        if key not in engines:
            engines[key] = create_engine(address, **options)
        return engines[key]

    def scripts_of(config: Config) -> ScriptDirectory:
        key = tuple(config.get_main_option(name) for name in ("script_location", "version_locations"))
        if key not in scripts:
            scripts[key] = read_scripts(config)
        return scripts[key]

    with ExitStack() as restoring:
        restoring.callback(lambda: [engine.dispose() for engine in engines.values()])
        for storage in _STORAGES:
            restoring.enter_context(_replaced(storage, "create_engine", engine_of))
        restoring.enter_context(_replaced(ScriptDirectory, "from_config", staticmethod(scripts_of)))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Generator[None]:
    original = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)
