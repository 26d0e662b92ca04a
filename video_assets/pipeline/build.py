"""The conductor: manifest, splits, plan, shards, checks and commit, one after the other.

Each step is a method of `Steps` and hands its report on as a value. `build` calls them in order; Dagster's assets call
one each; a dry run, a repair and the tests call those that they need.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.errors import BuildRefused
from video_assets.domain.progress import Progress, after_first, silent
from video_assets.domain.text import counted
from video_assets.pipeline.checks.dataset import DATASET_CHECKS, DatasetAudit, one_of_each_codec
from video_assets.pipeline.checks.recorded import (
    checked_keys,
    record_dataset_checks,
    record_shard_checks,
    unchecked_shards,
)
from video_assets.pipeline.checks.shard import SHARD_CHECKS, ShardAudit, read_ahead
from video_assets.pipeline.commit.stage import CommitReport, commit_dataset
from video_assets.pipeline.dataset_state import committed_records
from video_assets.pipeline.manifest.manifest_table import NotedReading
from video_assets.pipeline.manifest.stage import ManifestReport, build_manifest
from video_assets.pipeline.noted_settings import manifest_settings, settings_in_force
from video_assets.pipeline.plan.expected_build import expect_build, read_last_build
from video_assets.pipeline.plan.plan_table import ReadPlan, read_plan
from video_assets.pipeline.plan.stage import PlanReport, build_plan, refuse_another_encoding
from video_assets.pipeline.shards.pending import shards_to_build, why_not_current
from video_assets.pipeline.shards.stage import ShardEngine, ShardReport, build_shards
from video_assets.pipeline.shared_pools import PoolsFor, reading_pool
from video_assets.pipeline.splits.stage import SplitReport, build_splits
from video_assets.reader.shard_reading import prepare_to_read
from video_assets.settings import DatasetSettings, Limits, ManifestSettings, PlanSettings, Settings, SplitSettings
from video_assets.sources.read import read_source
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.files import remove_temporaries
from video_assets.storage.locks import writing_shards, writing_tables
from video_assets.storage.paths import DatasetPaths

MAX_ERRORS = 5
"""Failed shards that a refusal names."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps that build one dataset, each on its own.

    `engine` builds shards elsewhere; None: in decoding processes of this machine. `within_build` says that the caller
    holds the build lock alone, so that no step asks for it again. `version_source` is where existing versions are
    looked for, if that is another place: a dry run works on copies of the tables.
    """

    paths: DatasetPaths
    pools_for: PoolsFor
    progress: Progress = silent
    engine: ShardEngine | None = None
    within_build: bool = False
    version_source: DatasetPaths | None = None

    def manifest(
        self,
        source: Path,
        settings: ManifestSettings,
        asked: SourceClips | None = None,
        *,
        new_version: bool = False,
    ) -> ManifestReport:
        """List, open and label the videos; see `build_manifest`. `asked` is what was read of the source, if it was."""
        with writing_tables(self.paths, "manifest", within_build=self.within_build):
            make_pool = self.pools_for(settings.limits)
            return build_manifest(
                source,
                self.paths,
                settings,
                make_pool,
                self.progress,
                asked=asked,
                new_version=new_version,
                version_source=self.version_source,
            )

    def splits(self, settings: SplitSettings) -> SplitReport:
        """Assign clips to train, test and val; see `build_splits`."""
        with writing_tables(self.paths, "splits", within_build=self.within_build):
            make_pool = self.pools_for(manifest_settings(self.paths).limits) if settings.group_near_duplicates else None
            return build_splits(self.paths, settings, make_pool, version_source=self.version_source)

    def plan(self, settings: PlanSettings) -> PlanReport:
        """Assign clips to shards; see `build_plan`."""
        with writing_tables(self.paths, "plan", within_build=self.within_build):
            last_build = read_last_build(self.paths)
            report = build_plan(self.paths, settings, version_source=self.version_source)
        report.expected = expect_build(self.paths, report, last_build)
        return report

    def shards(self, plan: ReadPlan, keys: Sequence[str]) -> Iterator[ShardReport]:
        """Write these shards, and give each one's report as soon as it is whole; see `build_shards`."""
        limits = manifest_settings(self.paths).limits
        with writing_shards(self.paths, "shards", within_build=self.within_build):
            yield from build_shards(
                self.paths, keys, limits, self.pools_for(limits), self.progress, plan, engine=self.engine
            )

    def checker(self, plan: ReadPlan) -> "ShardChecker":
        """Return what checks the shards of this plan."""
        remove_temporaries(self.paths.check_record(plan.pinned.version, "").parent)
        return ShardChecker(self.paths, plan, manifest_settings(self.paths).limits, self.pools_for)

    def prepare_checks(self) -> None:
        """Begin to load what reads shards, in the process that will read them."""
        with reading_pool(self.pools_for)() as pool:
            pool.prepare(prepare_to_read, None)

    def commit(self, settings: DatasetSettings, checker: "ShardChecker | None" = None) -> CommitReport:
        """Make the planned shards the dataset; see `commit_dataset`. A checker spares shards that it knows."""
        with writing_tables(self.paths, "dataset", within_build=self.within_build):
            known = checker or self.checker(read_plan(self.paths))
            allowed = manifest_settings(self.paths).max_failed_fraction
            return commit_dataset(self.paths, settings, known.check, max_failed_fraction=allowed, plan=known.plan)

    def check_dataset(self) -> list[CheckOutcome]:
        """Check the committed dataset, and write the outcomes down."""
        audit = DatasetAudit(self.paths, manifest_settings(self.paths).max_failed_fraction)
        outcomes = [audit.run(name) for name in DATASET_CHECKS]
        record_dataset_checks(self.paths, audit.plan.pinned.version, outcomes)
        return outcomes


@dataclass
class ShardChecker:
    """Checks shards against plan and source, each once for as long as its file stays the same."""

    paths: DatasetPaths
    plan: ReadPlan
    limits: Limits
    pools_for: PoolsFor
    _known: dict[str, tuple[str, list[CheckOutcome]]] = field(default_factory=dict)

    def check(self, keys: Iterable[str]) -> Iterator[list[CheckOutcome]]:
        """Yield the outcomes of all checks of each shard, in this order, and write them down."""
        keys = list(keys)
        known = {key for key in keys if self._is_known(key)}
        checked = self._check([key for key in keys if key not in known])
        for key in keys:
            yield self._known[key][1] if key in known else next(checked)

    def _check(self, keys: Iterable[str]) -> Iterator[list[CheckOutcome]]:
        for audit in read_ahead(map(self._audit, keys), self.pools_for):
            outcomes = [audit.run(name) for name in SHARD_CHECKS]
            fingerprint = self.fingerprints[audit.key]
            record_shard_checks(self.paths, self.plan.pinned.version, audit.key, fingerprint, outcomes)
            self._known[audit.key] = audit.stamp, outcomes
            yield outcomes

    def _is_known(self, key: str) -> bool:
        stamp, _ = self._known.get(key, ("", []))
        return bool(stamp) and stamp == self._audit(key).stamp

    def _audit(self, key: str) -> ShardAudit:
        return ShardAudit(self.paths, self.plan, key, self.limits, self.pools_for, always=self.always_compared)

    @cached_property
    def always_compared(self) -> frozenset[str]:
        """The clips that are compared with their source whatever else is drawn."""
        return one_of_each_codec(self.paths, self.plan)

    @cached_property
    def fingerprints(self) -> Mapping[str, str]:
        """Fingerprint of every planned shard, by partition key."""
        return self.plan.fingerprints()


class BuildListener(Protocol):
    """Who is told what a build did, step by step."""

    def begin(self) -> None:
        """Get ready: the first clip of the first stage that takes time is done, or there is none."""

    def planned(self, manifest: ManifestReport, splits: SplitReport, plan: PlanReport) -> None:
        """Take the reports of the first three steps."""

    def shard(self, report: ShardReport, clips_per_second: float) -> None:
        """Take the report of a shard that is whole on disk, and the rate of the build so far."""

    def shard_checked(self, key: str, outcomes: Sequence[CheckOutcome], *, again: bool) -> None:
        """Take the outcomes of a shard's checks; `again` says that a shard of this key was checked before."""

    def committed(self, report: CommitReport) -> None:
        """Take the report of the commit, with the outcomes of the dataset's checks."""

    def finish(self) -> None:
        """Wait until all that was told has arrived, and raise what failed."""


@dataclass(slots=True)
class BuildReport:
    """What a build did, as far as it came. Reports of steps have no clips once the shards are begun."""

    reading: NotedReading = field(default_factory=NotedReading)
    manifest: ManifestReport | None = None
    splits: SplitReport | None = None
    plan: PlanReport | None = None
    shards: dict[str, ShardReport] = field(default_factory=dict[str, ShardReport])
    replaced: dict[str, str] = field(default_factory=dict[str, str])
    """Committed shards that were written again, each with the reason."""
    commit: CommitReport | None = None


def build(
    steps: Steps,
    source: Path,
    settings: Settings,
    report: BuildReport,
    listeners: Sequence[BuildListener] = (),
) -> None:
    """Build or grow a dataset: every step once, under the build lock that the caller holds.

    `report` is filled step by step, so that it tells how far a build came that was refused. A shard that fails does not
    stop the others; the commit then does not begin. Once decoding processes are at work, what takes long and is needed
    later begins beside them: TensorFlow is loaded for the checks, and `begin` of the listeners is called.

    Raises:
        SettingsError: if a setting is wrong.
        BuildRefused: if a step refuses, a shard could not be written, or a check fails.
    """
    begin = _once(*(listener.begin for listener in listeners))
    progress = after_first(begin, steps.progress)
    # A video that comes alone may be unreadable: then no shard is written, and there is nothing to check.
    progress = after_first(_once(steps.prepare_checks), progress, min_clips=2)
    steps = replace(steps, progress=progress)
    settings = settings_in_force(steps.paths, settings)
    asked = read_source(source, settings.manifest)
    report.reading = NotedReading.of(asked)
    refuse_another_encoding(steps.paths, settings)
    report.manifest = steps.manifest(source, settings.manifest, asked, new_version=settings.plan.new_version)
    del asked  # of a large source it takes as much memory as all tables
    report.splits = steps.splits(settings.splits)
    report.plan = steps.plan(settings.plan)
    for listener in listeners:
        listener.planned(report.manifest, report.splits, report.plan)
    report.manifest = report.manifest.without_clips()
    report.splits = report.splits.without_clips()
    report.plan = report.plan.without_clips()
    complete(steps, settings.dataset, listeners, report, begin=begin)


def complete(
    steps: Steps,
    settings: DatasetSettings,
    listeners: Sequence[BuildListener],
    report: BuildReport | None = None,
    *,
    begin: Callable[[], object] = lambda: None,
) -> CommitReport:
    """Write the planned shards that are missing, check them, and commit: a build's second half.

    `begin` is called once nothing is left to decode.

    Raises:
        BuildRefused: if there is no plan, a shard could not be written, or a check fails.
    """
    report = report or BuildReport()
    plan = read_plan(steps.paths)
    _write_shards(steps, plan, report, listeners)
    begin()
    checker = steps.checker(plan)
    _check_shards(checker, report, listeners, steps.progress)
    report.commit = steps.commit(settings, checker)
    record_dataset_checks(steps.paths, plan.pinned.version, report.commit.outcomes)
    for listener in listeners:
        listener.committed(report.commit)
    return report.commit


def _write_shards(steps: Steps, plan: ReadPlan, report: BuildReport, listeners: Sequence[BuildListener]) -> None:
    todo, rate = shards_to_build(steps.paths), Rate()
    report.replaced = _why_replaced(steps.paths, plan, todo)
    for shard in steps.shards(plan, todo):
        report.shards[shard.key] = shard.without_clips()
        if not shard.error:
            clips_per_second = rate.after(shard)
            for listener in listeners:
                listener.shard(shard, clips_per_second)
    if failed := [shard.error for shard in report.shards.values() if shard.error]:
        raise BuildRefused(shard_failures(failed, len(todo)))


def _why_replaced(paths: DatasetPaths, plan: ReadPlan, keys: Iterable[str]) -> dict[str, str]:
    """Return why these shards are written again, of those that the committed dataset holds."""
    version = paths.version(plan.pinned.version)
    records, fingerprints = committed_records(version), plan.fingerprints()
    return {key: why_not_current(version, key, fingerprints[key]) for key in keys if records.get(key)}


def shard_failures(errors: Sequence[str], num_shards: int) -> str:
    """Return the sentence about shards that could not be written."""
    named = "; ".join(errors[:MAX_ERRORS])
    return f"{len(errors)} of {counted(num_shards, 'shard')} failed; the others are stored. {named}"


@dataclass(slots=True)
class Rate:
    """How many clips were encoded per second since this was made."""

    begun: float = field(default_factory=time.monotonic)
    num_clips: int = 0

    def after(self, shard: ShardReport) -> float:
        """Count one more shard, and return the rate."""
        self.num_clips += shard.num_encoded
        return round(self.num_clips / max(1e-9, time.monotonic() - self.begun), 2)


def _check_shards(
    checker: ShardChecker, report: BuildReport, listeners: Sequence[BuildListener], progress: Progress
) -> None:
    """Check what this build wrote, and what was never checked: shards of a build that was interrupted, for one."""
    unchecked = unchecked_shards(checker.paths, checker.plan.pinned.version, checker.fingerprints)
    todo = [key for key in checker.fingerprints if key in report.shards or key in unchecked]
    count = progress("checking", len(todo), 0)
    known = checked_keys(checker.paths, todo)
    for key, outcomes in zip(todo, checker.check(todo), strict=True):
        count(1, 0)
        for listener in listeners:
            listener.shard_checked(key, outcomes, again=key in known)


def _once(*actions: Callable[[], object]) -> Callable[[], None]:
    """Return what does all of this, the first time that it is called."""
    waiting = list(actions)

    def begin() -> None:
        while waiting:
            waiting.pop(0)()

    return begin
