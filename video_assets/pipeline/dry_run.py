"""`video-assets plan`: what a build would do, without doing it."""

import tempfile
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from video_assets.domain.clips import LostSource
from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.errors import BuildRefused, SettingsError, VideoAssetsError
from video_assets.domain.forecast import (
    QUALITIES,
    Forecast,
    Work,
    forecast_build,
    lower_quality,
    quality_within,
    size_at_quality,
    smaller_frames,
)
from video_assets.domain.progress import Progress, silent
from video_assets.domain.text import MAX_NAMED, format_size
from video_assets.media.workers.pool import num_cores
from video_assets.pipeline.build import Steps
from video_assets.pipeline.dataset_state import refuse_lost
from video_assets.pipeline.dataset_warnings import dataset_warnings, warnings_as_dicts
from video_assets.pipeline.manifest.manifest_table import NotedReading, read_clip_lengths, stored_frames
from video_assets.pipeline.manifest.stage import ManifestReport, TooManyLost
from video_assets.pipeline.noted_settings import PinnedSettings, encoding_to_plan, settings_in_force
from video_assets.pipeline.plan.expected_build import Trial, trial_jobs, trial_limits, try_clips
from video_assets.pipeline.plan.model_fit import plan_fit
from video_assets.pipeline.plan.stage import (
    PlanReport,
    needs_new_version,
    planned_clips_per_shard,
    refuse_another_encoding,
)
from video_assets.pipeline.shared_pools import SharedPools, open_pool
from video_assets.pipeline.splits.stage import SplitReport, TooManyConflicts, conflicts_and_look_alikes
from video_assets.report.model_garden import model_rows
from video_assets.settings import PlanSettings, Settings
from video_assets.sources.read import read_source
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.files import temporary_prefix
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.quarantine import quarantined


class DryRunRefused(BuildRefused):
    """A build would be refused for clips that it loses; the facts name them."""

    def __init__(self, sentence: str, quarantined: Sequence[Mapping[str, str]]) -> None:
        super().__init__(sentence)
        self.facts = {"quarantined": quarantined}


def run_plan(
    source: Path,
    paths: DatasetPaths,
    settings: Settings,
    *,
    num_workers: int = 0,
    budget_bytes: float | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Return the JSON object of `plan --json`. Nothing is written into the root.

    The stages run on a copy of the dataset's tables in a temporary folder. Then some clips are encoded.

    Raises:
        SettingsError, BuildRefused: as the build would; or if no JPEG quality makes the dataset fit the budget.
    """
    settings = settings_in_force(paths, settings)
    num_processes, begun = num_workers or num_cores(), time.monotonic()
    asked = read_source(source.absolute(), settings.manifest)
    with _telling_how_read(asked):
        refuse_another_encoding(paths, settings)
        encoding = encoding_to_plan(
            PinnedSettings.of_plan(paths), settings.plan, multi_label=settings.manifest.multi_label
        )
        if budget_bytes is not None and encoding.image_format != "jpeg":
            raise SettingsError("a size budget chooses the JPEG quality; set plan.encoding.image_format=jpeg as well")
        limits = settings.manifest.limits
        with tempfile.TemporaryDirectory(prefix=temporary_prefix("plan")) as folder:
            copy = DatasetPaths(Path(folder), paths.name)
            planned = _plan_on_copy(asked, source.absolute(), paths, copy, settings, num_processes, progress, begun)
            fit = plan_fit(copy, planned.plan, root=str(paths.root))
            lost = quarantined(copy.quarantine)
            lengths = read_clip_lengths(copy)
            warnings = warnings_as_dicts(dataset_warnings(copy))
            encodings = _encodings(encoding, with_budget=budget_bytes is not None)
            jobs = trial_jobs(copy, planned.plan, encodings, limits)
            trial = try_clips(jobs, partial(open_pool, num_processes, trial_limits(limits)), num_processes)
        forecasts = _Forecasts(paths, planned, lengths, trial, settings.plan, num_processes)
        return {
            "source": str(source.absolute()),
            **planned.manifest.reading.as_dict(),
            "warnings": warnings,
            "root": str(paths.root),
            **_counts(planned, paths),
            **forecasts.as_planned(),
            "alternatives": forecasts.alternatives(),
            "budget": forecasts.within(budget_bytes) if budget_bytes is not None else None,
            "model_fit": model_rows(fit.fits),
            "model_garden": fit.yaml,
            "model_garden_recipes": fit.recipes,
            "quarantined": lost,
        }


@contextmanager
def _telling_how_read(asked: SourceClips) -> Generator[None]:
    """Add to an error how the source was read: `--json` says it of a refused plan too."""
    try:
        yield
    except VideoAssetsError as error:
        error.facts = {**NotedReading.of(asked).as_dict(), **error.facts}
        raise


@dataclass(frozen=True, slots=True)
class _Planned:
    """What the stages up to the plan reported, and how long listing and probing took."""

    manifest: ManifestReport
    splits: SplitReport
    plan: PlanReport
    listing_seconds: float


def _plan_on_copy(
    asked: SourceClips,
    source: Path,
    paths: DatasetPaths,
    copy: DatasetPaths,
    settings: Settings,
    num_processes: int,
    progress: Progress,
    begun: float,
) -> _Planned:
    """Run the stages up to the plan on a copy of the dataset's tables.

    `asked` is what was read of the source from `begun` on, by the monotonic clock.
    """
    _copy_tables(paths, copy)
    with SharedPools(num_processes) as pools:
        steps = Steps(paths=copy, pools_for=pools, progress=progress, version_source=paths)
        try:
            manifest = steps.manifest(source, settings.manifest, asked, new_version=settings.plan.new_version)
        except TooManyLost as error:  # the quarantine goes with the temporary folder
            told = f"{error.found} All are named by --json; {error.remedy}."
            raise DryRunRefused(told, quarantined(copy.quarantine)) from error
    listing_seconds = time.monotonic() - begun
    try:
        splits = steps.splits(settings.splits)
    except TooManyConflicts as error:
        raise DryRunRefused(str(error), [_as_dict(item) for item in error.lost]) from error
    plan = steps.plan(settings.plan)
    return _Planned(manifest, splits, plan, listing_seconds)


def _as_dict(item: LostSource) -> dict[str, str]:
    return {"source": item.source, "reason": item.loss.reason, "detail": item.loss.detail}


def _copy_tables(paths: DatasetPaths, copy: DatasetPaths) -> None:
    for table in (paths.manifest, paths.split_history):  # the stages look for them in the copy, which has no versions
        if not table.exists():
            refuse_lost(paths, table)
    for file in (
        paths.manifest,
        paths.quarantine,
        paths.arrivals,
        paths.labels,
        paths.plan,
        paths.encoding,
        paths.split_history,
    ):
        if file.exists():
            target = copy.directory / file.relative_to(paths.directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())


def _counts(planned: _Planned, paths: DatasetPaths) -> dict[str, Any]:
    """Return what would be built, as JSON values."""
    manifest, splits, plan = planned.manifest, planned.splits, planned.plan
    shards = Counter(parse_partition_key(key)[0] for key in plan.shards)
    records = plan.rows.groupby("split").size().to_dict()
    return {
        "version_dir": str(paths.version(plan.pinned.version).directory),
        "splits": {split: {"records": int(count), "shards": shards[split]} for split, count in records.items()},
        "shards_to_write": len(plan.to_write),
        "shards_superseded": len(plan.superseded),
        "encoding": plan.pinned.encoding.as_dict(),
        "clips_per_shard": plan.pinned.clips_per_shard,
        "not_stored": plan.not_stored,
        "classes": manifest.labels,
        "gone": len(manifest.gone),
        "gone_clips": list(manifest.gone[:MAX_NAMED]),
        "official_splits_ignored": len(splits.official_ignored),
        "clips_that_stay": splits.clips_that_stay,
        **conflicts_and_look_alikes(splits),
    }


def _encodings(encoding: Encoding, *, with_budget: bool) -> list[Encoding]:
    """Return the encodings to try: the planned one, its alternatives, and qualities for a budget."""
    qualities = [encoding.replace(jpeg_quality=quality) for quality in QUALITIES] if with_budget else []
    return list(dict.fromkeys([encoding, smaller_frames(encoding), lower_quality(encoding), *qualities]))


@dataclass(frozen=True, slots=True)
class _Forecasts:
    """What a trial says about the plan, its alternatives and a budget, as JSON values."""

    paths: DatasetPaths
    planned: _Planned
    lengths: pd.DataFrame
    trial: Trial
    sharding: PlanSettings
    num_processes: int

    @property
    def _encoding(self) -> Encoding:
        return self.planned.plan.pinned.encoding

    def as_planned(self) -> dict[str, Any]:
        """Return what building the new shards takes."""
        plan = self.planned.plan
        rows = plan.new_rows()
        forecast = self._forecast(rows, len(plan.to_write), self._encoding)
        return {
            **self._numbers(forecast),
            "estimated_bytes": int(self._forecast(plan.rows_to_write(), len(plan.to_write), self._encoding).num_bytes),
            "estimated_clips": len(rows),
            "estimated_bytes_error": round(forecast.bytes_error, 4),
            "clips_tried": self.trial.num_stored,
            "trial_seconds": round(self.trial.seconds, 3),
            "workers": self.num_processes,
        }

    def alternatives(self) -> list[dict[str, Any]]:
        """Return what all clips take under other settings; of a dataset that exists, as a new version."""
        other = [("smaller frames", smaller_frames(self._encoding)), ("lower quality", lower_quality(self._encoding))]
        return [
            {"name": name, "set": self._assignments(encoding), **self._numbers(self._whole(encoding))}
            for name, encoding in other
        ]

    def within(self, budget_bytes: float) -> dict[str, Any]:
        """Return the highest JPEG quality with which all of the dataset takes no more than the budget.

        Raises:
            BuildRefused: if even the lowest takes more.
        """
        sizes = {quality: self._whole(self._encoding.replace(jpeg_quality=quality)).num_bytes for quality in QUALITIES}
        quality = quality_within(budget_bytes, sizes)
        if quality is None:
            raise BuildRefused(
                f"no JPEG quality brings the dataset under {format_size(budget_bytes)}: at quality {min(sizes)} it "
                f"takes {format_size(sizes[min(sizes)])}. Take smaller or fewer frames: plan.encoding.resolution is "
                f"{self._encoding.resolution}, plan.encoding.num_frames {self._encoding.num_frames}."
            )
        return {
            "bytes": int(budget_bytes),
            "jpeg_quality": quality,
            "estimated_bytes": int(size_at_quality(quality, sizes)),
            "set": self._assignments(self._encoding.replace(jpeg_quality=quality)),
        }

    def _whole(self, encoding: Encoding) -> Forecast:
        """Return what a build of all clips takes."""
        rows = self.planned.plan.rows
        clips_per_shard = planned_clips_per_shard(self.sharding, encoding)
        num_shards = sum(-(-int(count) // clips_per_shard) for count in rows["split"].value_counts())
        return self._forecast(rows, num_shards, encoding)

    def _forecast(self, rows: pd.DataFrame, num_shards: int, encoding: Encoding) -> Forecast:
        frames = stored_frames(self.lengths.reindex(rows["clip_id"]), encoding)
        work = Work(num_clips=len(rows), num_frames=int(frames.sum()), num_shards=num_shards)
        return forecast_build(self.trial.clips.get(encoding, ()), work, encoding, self.num_processes)

    def _numbers(self, forecast: Forecast) -> dict[str, Any]:
        return {
            "estimated_bytes": int(forecast.num_bytes),
            "estimated_minutes": round((forecast.seconds + self.planned.listing_seconds) / 60, 4),
            "estimated_core_minutes": round((forecast.core_seconds + self.planned.listing_seconds) / 60, 4),
        }

    def _assignments(self, encoding: Encoding) -> list[str]:
        """Return what `--set` takes to get from the plan to this encoding."""
        changed = changed_fields(self._encoding, encoding)
        assignments = [f"plan.encoding.{name}={new}" for name, (_, new) in changed.items()]
        return [*assignments, "plan.new_version=true"] if changed and needs_new_version(self.paths) else assignments
