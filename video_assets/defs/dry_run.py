"""`video-assets plan`: what a build would do, without doing it."""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from video_assets.defs.config import PlanConfig, SourceConfig, SplitConfig
from video_assets.defs.resources import Decoding
from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.domain.estimates import QUALITIES, lower_quality, quality_within, size_at_quality, smaller_frames
from video_assets.pipeline.dataset_state import refuse_lost
from video_assets.pipeline.manifest.stage import TooManyLost, build_manifest, kept_settings
from video_assets.pipeline.plan.forecast import BuildTrial, Estimate, TrialSettings, try_build, with_clip_limit
from video_assets.pipeline.plan.model_windows import plan_fit
from video_assets.pipeline.plan.stage import PlanReport, build_plan, needs_new_version, planned_clips_per_shard
from video_assets.pipeline.settings import MAX_NAMED
from video_assets.pipeline.shards.pending import chunked_shards, shards_of
from video_assets.pipeline.splits.stage import build_splits
from video_assets.report.recipes import model_rows
from video_assets.report.screens import format_size
from video_assets.report.terminal import TerminalProgress
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.quarantine import quarantined

MAX_TRIED_CLIPS = 64
MAX_TRIAL_SECONDS = 20.0


class DryRunRefused(BuildRefused):
    """A build would be refused; `quarantined` is what `--json` tells of the clips that it is about."""

    def __init__(self, sentence: str, quarantined: Sequence[Mapping[str, str]]) -> None:
        super().__init__(sentence)
        self.quarantined = quarantined


def run_plan(
    source: Path,
    paths: DatasetPaths,
    run_config: Mapping[str, Any],
    *,
    num_workers: int = 0,
    budget_bytes: float | None = None,
) -> dict[str, Any]:
    """The JSON object of `plan --json`. Nothing is written into the root.

    The stages run for real, on a copy of the dataset's tables in a temporary folder; then some clips are encoded.

    Raises:
        SettingsError, BuildRefused: as the build would; or if no JPEG quality makes the dataset fit the budget.
    """
    ops = {name: entry.get("config") or {} for name, entry in run_config.get("ops", {}).items()}
    given = ops.get("manifest", {})
    settings = kept_settings(paths, SourceConfig(**given).to_settings(), given)
    plan_config = PlanConfig(**ops.get("plan", {}))
    encoding = replace(plan_config.encoding.to_encoding(), multi_label=settings.multi_label)
    if budget_bytes is not None and encoding.image_format != "jpeg":
        raise SettingsError("a size budget chooses the JPEG quality; set plan.encoding.image_format=jpeg as well")
    decoding = Decoding(num_workers=num_workers)
    trial_settings = TrialSettings(
        max_clips=MAX_TRIED_CLIPS,
        max_seconds=MAX_TRIAL_SECONDS,
        workers=decoding.workers,
    )
    with tempfile.TemporaryDirectory(prefix="video-assets-plan-") as folder:
        copy = DatasetPaths(Path(folder), paths.name)
        _copy_tables(paths, copy)
        begun = time.monotonic()
        make_pool = decoding.make_pool(settings.limits)
        try:
            manifest = build_manifest(source.absolute(), copy, settings, make_pool, TerminalProgress(sys.stderr))
        except TooManyLost as error:  # the quarantine goes with the temporary folder
            told = f"{error.found} All are named by --json; {error.remedy}."
            raise DryRunRefused(told, quarantined(copy.quarantine)) from error
        listing_seconds = time.monotonic() - begun
        split = build_splits(copy, SplitConfig(**ops.get("splits", {})).to_settings())
        report = build_plan(
            copy,
            replace(plan_config.to_settings(), encoding=encoding),
            version_source=paths,
        )
        fit = plan_fit(copy, report, root=str(paths.root))
        lost = quarantined(copy.quarantine)
        limits = with_clip_limit(settings.limits, trial_settings)
        trial_pool = decoding.make_pool(limits)
        encodings = list(dict.fromkeys(_encodings(encoding, with_budget=budget_bytes is not None)))
        trial = try_build(copy, report, report.rows, encodings, limits, trial_pool, trial_settings)
    forecast = _Forecast(trial, report, plan_config, listing_seconds, paths)
    is_new = {key: key in set(report.added) for key in report.shards}
    counts = report.rows.groupby("split").size().to_dict()
    shards = Counter(parse_partition_key(key)[0] for key in report.shards)
    return {
        "source": str(source.absolute()),
        "root": str(paths.root),
        "version_dir": str(paths.version(report.pinned.version).directory),
        "splits": {split: {"records": int(count), "shards": shards[split]} for split, count in counts.items()},
        "shards_to_write": sum(is_new.values()),
        "shards_superseded": len(report.superseded),
        **forecast.as_planned(),
        "alternatives": forecast.alternatives(),
        "budget": forecast.within(budget_bytes) if budget_bytes is not None else None,
        "encoding": report.pinned.encoding.as_dict(),
        "clips_per_shard": report.pinned.clips_per_shard,
        "not_stored": report.not_stored,
        "classes": manifest.labels,
        "gone": len(manifest.gone),
        "gone_clips": list(manifest.gone[:MAX_NAMED]),
        "official_splits_ignored": len(split.official_ignored),
        "clips_that_stay": split.clips_that_stay,
        "model_fit": model_rows(fit.fits),
        "model_garden": fit.yaml,
        "quarantined": lost,
    }


def _encodings(encoding: Encoding, *, with_budget: bool) -> Sequence[Encoding]:
    qualities = [replace(encoding, jpeg_quality=quality) for quality in QUALITIES] if with_budget else []
    return [encoding, smaller_frames(encoding), lower_quality(encoding), *qualities]


@dataclass(frozen=True)
class _Forecast:
    """What a trial says about the plan, its alternatives and a budget, as JSON values."""

    trial: BuildTrial
    report: PlanReport
    config: PlanConfig
    listing_seconds: float
    paths: DatasetPaths

    @property
    def _encoding(self) -> Encoding:
        return self.report.pinned.encoding

    def as_planned(self) -> dict[str, Any]:
        """The build of what is new."""
        planned = self.trial.estimate(self._encoding, shards_of(self.trial.rows, self.report.added))
        return {
            **self._numbers(planned),
            "estimated_clips": planned.num_clips,
            "estimated_bytes_error": round(planned.bytes_error, 4),
            "clips_tried": self.trial.num_tried,
            "trial_seconds": round(self.trial.seconds, 3),
            "workers": self.trial.settings.workers.num_workers,
        }

    def alternatives(self) -> list[dict[str, Any]]:
        """The same clips under other settings; of a dataset that exists, all of its clips, as a new version."""
        other = [("smaller frames", smaller_frames(self._encoding)), ("lower quality", lower_quality(self._encoding))]
        return [
            {"name": name, "set": self._assignments(encoding), **self._numbers(self._whole(encoding))}
            for name, encoding in other
        ]

    def within(self, budget_bytes: float) -> dict[str, Any]:
        """The highest JPEG quality with which all of the dataset takes no more than the budget.

        Raises:
            BuildRefused: if even the lowest takes more.
        """
        sizes = {quality: self._whole(replace(self._encoding, jpeg_quality=quality)).num_bytes for quality in QUALITIES}
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
            "set": self._assignments(replace(self._encoding, jpeg_quality=quality)),
        }

    def _whole(self, encoding: Encoding) -> Estimate:
        clips_per_shard = planned_clips_per_shard(self.config.to_settings(), encoding)
        return self.trial.estimate(encoding, chunked_shards(self.trial.rows, clips_per_shard))

    def _numbers(self, estimate: Estimate) -> dict[str, Any]:
        return {
            "estimated_bytes": int(estimate.num_bytes),
            "estimated_minutes": round((estimate.seconds + self.listing_seconds) / 60, 4),
            "estimated_core_minutes": round((estimate.core_seconds + self.listing_seconds) / 60, 4),
        }

    def _assignments(self, encoding: Encoding) -> list[str]:
        """What `--set` takes, to get from the plan to this encoding."""
        changed = changed_fields(self._encoding, encoding)
        assignments = [f"plan.encoding.{name}={new}" for name, (_, new) in changed.items()]
        return [*assignments, "plan.new_version=true"] if changed and needs_new_version(self.paths) else assignments


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
