"""`video-assets build`: materialize the very assets and checks of the code location, in this process."""

import os
import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError  # what Dagster lets through when its storage fails

from video_assets.defs.build_result import BuildResult, count_shards, tell_planned
from video_assets.defs.calm_sqlite import calm_sqlite
from video_assets.defs.instance import dagster_home, open_instance
from video_assets.defs.interrupts import WasInterrupted, noted_interrupts, spare_capture
from video_assets.defs.kept_storage import kept_storage
from video_assets.defs.location import build_definitions
from video_assets.defs.partitions import RANGE_END_TAG, RANGE_START_TAG, partition_order, shard_partitions
from video_assets.defs.reporting import Reporting
from video_assets.defs.resources import (
    NAME_VARIABLE,
    ROOT_VARIABLE,
    SOURCE_VARIABLE,
    WORKERS_VARIABLE,
    shards_per_run_from_environment,
)
from video_assets.defs.runs import BUILD_TAG, dataset_tags, end_dead_runs
from video_assets.defs.settings_file import config_for
from video_assets.defs.status import check_statuses
from video_assets.domain.errors import SettingsError, VideoAssetsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.checks.compared import kept_comparisons
from video_assets.pipeline.plan.table import FINGERPRINT_COLUMNS, live_shards, read_plan
from video_assets.pipeline.shards.pending import runs_of_neighbours, shards_to_build
from video_assets.pipeline.write_locks import building
from video_assets.report.escape import shown
from video_assets.storage.addresses import place_name
from video_assets.storage.failures import failure_sentence, open_files_remedy
from video_assets.storage.paths import DatasetPaths

_PLANNING = ("manifest", "splits", "plan")


class _Refused(Exception):
    """A run failed; carries what it said."""

    def __init__(self, sentence: str, *, is_usage_error: bool) -> None:
        super().__init__(sentence)
        self.is_usage_error = is_usage_error


@dataclass(frozen=True)
class _Runner:
    """Runs selections of the code location's assets in this process."""

    definitions: dg.Definitions
    instance: dg.DagsterInstance
    paths: DatasetPaths
    was_interrupted: WasInterrupted

    def run(
        self, assets: Sequence[str], run_config: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Runs some assets and their checks.

        Raises:
            _Refused: if a step failed.
            KeyboardInterrupt: if it was interrupted; the run is ended.
        """
        job = self.definitions.resolve_implicit_global_asset_job_def()
        try:
            result = job.execute_in_process(
                instance=self.instance,
                asset_selection=[dg.AssetKey(name) for name in assets],
                run_config={**run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                tags={**(tags or {}), BUILD_TAG: place_name(self.paths.directory), **dataset_tags(self.paths)},
                raise_on_error=False,
            )
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:  # before or after its steps
            end_dead_runs(self.instance, self.paths)
            raise KeyboardInterrupt from error
        if self.was_interrupted():
            raise KeyboardInterrupt
        if not result.success:
            raise _failure_of(result)
        return result


def _failure_of(result: dg.ExecuteInProcessResult) -> _Refused:
    sentences: list[str] = []
    is_usage_error = False
    for event in result.all_events:
        if not event.is_step_failure or "blocking checks failed" in str(event.step_failure_data.error_display_string):
            continue
        data = event.step_failure_data
        known = data.user_failure_data
        if known is not None and known.description:
            sentences.append(known.description)
            error = known.metadata.get("error")
            is_usage_error |= error is not None and error.value == "SettingsError"
        else:
            innermost = data.error
            while innermost is not None and innermost.cause is not None:
                innermost = innermost.cause
            what = innermost.message.strip() if innermost is not None else "no reason is known"
            sentences.append(f"the step {event.step_key} broke, which is a bug or a fault of the machine: {what}")
    sentence = "; ".join(sentences) or "a blocking check failed"
    return _Refused(sentence, is_usage_error=is_usage_error)


def run_build(source: Path, paths: DatasetPaths, run_config: Mapping[str, Any], *, num_workers: int = 0) -> BuildResult:
    """Builds or grows a dataset, and says what was done.

    Raises:
        KeyboardInterrupt: if it was interrupted. What is finished is kept.
    """
    begun = time.monotonic()
    result = BuildResult(paths=paths, source=str(source.absolute()))
    # The code location is configured by the environment, here as in the UI.
    os.environ[SOURCE_VARIABLE], os.environ[ROOT_VARIABLE] = str(source.absolute()), str(paths.root)
    os.environ[NAME_VARIABLE], os.environ[WORKERS_VARIABLE] = paths.name, str(num_workers)
    try:
        with (
            building(paths, "video-assets build") as killed,
            _kept_standard_error() as terminal,
            kept_comparisons(),
            calm_sqlite(dagster_home(paths)),
            kept_storage(),
            open_instance(paths) as instance,
            noted_interrupts() as was_interrupted,
        ):
            result.interrupted = str(killed or "")
            end_dead_runs(instance, paths)
            spare_capture(instance)
            runner = _Runner(build_definitions(Reporting(terminal=terminal)), instance, paths, was_interrupted)
            _build_and_check(runner, run_config, result)
    except (VideoAssetsError, OSError, SQLAlchemyError, sqlite3.Error) as error:
        result.refused = "; ".join(filter(None, (result.refused, shown(_sentence_of(error, paths)))))
        result.is_usage_error |= isinstance(error, SettingsError)
    result.seconds = time.monotonic() - begun
    return result


def _build_and_check(runner: _Runner, run_config: Mapping[str, Any], result: BuildResult) -> None:
    try:
        _build(runner, run_config, result)
    except _Refused as refused:
        result.refused, result.is_usage_error = str(refused), refused.is_usage_error
    if runner.paths.plan.exists():
        result.checks = check_statuses(runner.instance, runner.paths)


def _sentence_of(error: Exception, paths: DatasetPaths) -> str:
    """What stopped the build outside of its steps."""
    if isinstance(error, VideoAssetsError):
        return str(error)
    if isinstance(error, OSError):
        return failure_sentence(error, doing="opened")
    reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    if "unable to open database" in reason:  # all that SQLite says, also when too many files are open
        reason = f"{reason} ({open_files_remedy()} if that is too few)"
    return (
        f"Dagster's storage in {dagster_home(paths)} cannot be used: {reason}; make room there, see that it may be "
        "written, or name another place in DAGSTER_HOME; the same build then goes on from what is finished"
    )


@contextmanager
def _kept_standard_error() -> Generator[int]:
    """The descriptor of what standard error is before Dagster has it go elsewhere."""
    descriptor = os.dup(2)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _build(runner: _Runner, run_config: Mapping[str, Any], result: BuildResult) -> None:
    paths, instance = runner.paths, runner.instance
    planning = ("manifest", *(f"{split}_split" for split in SPLITS), "plan")
    planned = runner.run(planning, config_for(run_config, _PLANNING))
    tell_planned(planned, result)
    plan = read_plan(paths)
    result.version_dir = str(paths.version(plan.pinned.version).directory)
    failed: list[_Refused] = []
    todo = _shards_to_run(paths, instance)
    for split, first, last in runs_of_shards(paths, instance, todo):
        try:
            runner.run((f"{split}_shards",), {}, {RANGE_START_TAG: first, RANGE_END_TAG: last})
        except _Refused as refused:
            failed.append(refused)
    count_shards(instance, todo, result)
    if failed:
        raise _Refused("; ".join(map(str, failed)), is_usage_error=any(r.is_usage_error for r in failed))
    runner.run(("dataset",), config_for(run_config, ("dataset",)))


def _shards_to_run(paths: DatasetPaths, instance: dg.DagsterInstance) -> set[str]:
    """Planned shards that are missing or stale on disk, or that this instance does not know of yet."""
    known: set[str] = set()
    for split in SPLITS:
        known |= set(instance.get_materialized_partitions(dg.AssetKey(f"{split}_shards")))
    planned = live_shards(read_plan(paths, FINGERPRINT_COLUMNS).rows)
    return set(shards_to_build(paths)).union(key for key in planned if key not in known)


def runs_of_shards(
    paths: DatasetPaths, instance: dg.DagsterInstance, todo: set[str]
) -> Iterator[tuple[Split, str, str]]:
    """Runs of neighbours among the partitions, as many in one as sensors take: split, first and last key."""
    order = partition_order(instance, shard_partitions(str(paths.root), paths.name))
    for split, keys in runs_of_neighbours(todo, order, shards_per_run_from_environment()):
        yield split, keys[0], keys[-1]
