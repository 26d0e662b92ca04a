"""The stages one after another, as the assets call them, but without Dagster and without other processes."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pandas as pd

from video_assets.domain.checks import COMPARED_RECORDS
from video_assets.domain.clips import VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import SPLITS, Split
from video_assets.media.workers.pool import PoolResult
from video_assets.pipeline.build import Steps
from video_assets.pipeline.checks.shard import ShardAudit, read_ahead
from video_assets.pipeline.commit.stage import CommitReport, commit_dataset
from video_assets.pipeline.manifest.stage import ManifestReport, build_manifest
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.plan.stage import PlanReport, build_plan
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.stage import ShardReport, build_shards
from video_assets.pipeline.splits.stage import SplitReport, build_splits
from video_assets.settings import DEFAULT_LIMITS, DatasetSettings, ManifestSettings, PlanSettings, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import read_quarantine

ENCODING = Encoding(resolution=32, num_frames=5)
SHARDING = PlanSettings(clips_per_shard=4)
SPLITTING = SplitSettings(test_fraction=0.25)
LIMITS = DEFAULT_LIMITS


@dataclass
class InThisProcess:
    """Does a pool's jobs right here, and remembers them. The real pool is tested by itself; it costs a second each."""

    jobs: list[Any] = field(default_factory=list)

    def __call__(self) -> Any:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prepare(self, function: Callable[[Any], Any], job: Any) -> None:
        """What jobs need is loaded by them."""

    def map(
        self,
        function: Callable[[Any], Any],
        jobs: Iterable[Any],
        *,
        window: int | None = None,
        fetch: Callable[[Any], Any] | None = None,
    ) -> Iterator[PoolResult[Any, Any]]:
        for job in map(fetch, jobs) if fetch else jobs:
            self.jobs.append(job)
            begun = time.perf_counter()
            try:
                outcome = function(job)
            except VideoLost as lost:
                outcome = lost.loss
            yield PoolResult(job, outcome, time.perf_counter() - begun, 0, 1)


def audit_of(
    paths: DatasetPaths,
    key: str,
    max_records: int | None = COMPARED_RECORDS,
    always: Set[str] = frozenset(),
    pool: InThisProcess | None = None,
) -> ShardAudit:
    """The checks of a shard, which was read. The pool, if any is given, compares its records with their source."""
    audit = ShardAudit(paths, read_plan(paths), key, LIMITS, lambda *_: pool or InThisProcess(), max_records, always)
    return next(read_ahead([audit], lambda *_: InThisProcess()))


@dataclass
class Stages:
    """A dataset that is built stage by stage; each stage gives its report."""

    source: Path
    paths: DatasetPaths

    def manifest(
        self, pool: InThisProcess | None = None, *, new_version: bool = False, **settings: Any
    ) -> ManifestReport:
        # Tests of other things have one class.
        given = ManifestSettings.model_validate({"allow_single_class": True, **settings})
        return build_manifest(self.source, self.paths, given, pool or InThisProcess(), new_version=new_version)

    def splits(self, settings: SplitSettings = SPLITTING) -> SplitReport:
        return build_splits(self.paths, settings)

    def plan(
        self,
        encoding: Encoding = ENCODING,
        sharding: PlanSettings = SHARDING,
        version_source: DatasetPaths | None = None,
        **settings: Any,
    ) -> PlanReport:
        settings = {"encoding": encoding.settings, **settings}
        return build_plan(self.paths, sharding.replace(**settings), version_source=version_source)

    def shards(self, keys: Iterable[str] | None = None, pool: Any = None) -> list[ShardReport]:
        wanted = shards_to_build(self.paths) if keys is None else list(keys)
        return list(build_shards(self.paths, wanted, LIMITS, pool or InThisProcess()))

    def commit(self, max_failed_fraction: float = 0.1, **settings: Any) -> CommitReport:
        check = steps_of(self.paths).checker(read_plan(self.paths)).check
        return commit_dataset(self.paths, DatasetSettings(**settings), check, max_failed_fraction=max_failed_fraction)

    def up_to_plan(self) -> PlanReport:
        self.manifest()
        self.splits()
        return self.plan()

    def everything(self, **options: Any) -> CommitReport:
        self.up_to_plan()
        self.shards()
        return self.commit(**options)

    def split_of(self) -> dict[str, str]:
        """The split of every clip, by its id."""
        there: list[Split] = [name for name in SPLITS if self.paths.split(name).exists()]
        found = {name: pd.read_parquet(self.paths.split(name))["clip_id"] for name in there}
        return {str(clip_id): name for name, clip_ids in found.items() for clip_id in clip_ids}

    def quarantined(self) -> dict[str, tuple[str, str]]:
        """Reason and sentence of every lost clip, by its source."""
        rows = read_quarantine(self.paths.quarantine)
        return {s: (r, d) for s, r, d in zip(rows["source"], rows["reason"], rows["detail"], strict=True)}


def steps_of(paths: DatasetPaths, pool: InThisProcess | None = None) -> Steps:
    """The conductor's steps, with clips decoded in this process."""
    return Steps(paths=paths, pools_for=lambda *_: pool or InThisProcess())


def copied_source(videos: Path, folder: Path) -> Path:
    """A copy of a source, times of its files included, for a test that changes it."""
    return Path(shutil.copytree(videos, folder / "videos"))
