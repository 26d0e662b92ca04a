"""Dagster's storages while a build works on them: the same files as without, with less work."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from video_assets.defs.kept_storage import kept_storage


@dg.asset
def number() -> int:
    return 7


def maker_of(storage: ModuleType) -> Any:
    """What a storage makes its engines with."""
    return vars(storage)["create_engine"]


def run_twice(home: Path, *, kept: bool) -> None:
    """Two runs on a new instance."""
    with ExitStack() as stack:
        if kept:
            stack.enter_context(kept_storage())
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(home)))
        for _ in range(2):
            assert dg.materialize([number], instance=instance).success


def layout_of(home: Path) -> dict[str, Any]:
    """Every table of every database as it is made, and the revision that is noted."""
    found: dict[str, Any] = {}
    for file in sorted(home.rglob("*.db")):
        with closing(sqlite3.connect(file)) as database:
            tables = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
            revision = database.execute("SELECT version_num FROM alembic_version").fetchall()
        name = "a run's" if len(file.stem) == 36 else file.name  # a run's file bears its id
        found.setdefault(name, []).append((tables, revision))
    return found


def test_the_files_are_laid_out_as_dagster_lays_them_out(tmp_path: Path) -> None:
    for name, kept in (("kept", True), ("plain", False)):
        (tmp_path / name).mkdir()
        run_twice(tmp_path / name, kept=kept)
    layouts = layout_of(tmp_path / "kept")
    assert layouts == layout_of(tmp_path / "plain")
    assert len(layouts["a run's"]) == 2
    assert all(revision for files in layouts.values() for _, revision in files)


def test_what_was_stored_is_there_afterwards(tmp_path: Path) -> None:
    run_twice(tmp_path, kept=True)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert len(instance.get_runs()) == 2
        assert len(instance.fetch_materializations(number.key, limit=9).records) == 2
        assert all(instance.all_logs(run.run_id) for run in instance.get_runs())


def test_revisions_are_read_once_and_engines_are_made_once_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    load = ScriptDirectory._load_revisions

    def counted(self: ScriptDirectory) -> Iterator[Any]:
        read.append(self.dir)
        return load(self)

    monkeypatch.setattr(ScriptDirectory, "_load_revisions", counted)
    run_twice(tmp_path, kept=True)
    assert len(read) == 1
    with kept_storage():
        address = f"sqlite:///{tmp_path}/a.db"
        make, make_in_runs = maker_of(sqlite_event_log), maker_of(sqlite_run_storage)
        assert make(address) is make_in_runs(address)
        assert make(address, echo=True) is not make(address)


def test_nothing_of_it_stays(tmp_path: Path) -> None:
    before = (vars(ScriptDirectory)["from_config"], maker_of(sqlite_event_log))
    with kept_storage():
        assert maker_of(sqlite_event_log) is not before[1]
    assert (vars(ScriptDirectory)["from_config"], maker_of(sqlite_event_log)) == before
