"""`video-assets build`: one writer, one pool of decoding processes, the conductor, and what is said in the end."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, SettingsError, VideoAssetsError
from video_assets.domain.progress import Progress, silent
from video_assets.domain.text import MAX_NAMED
from video_assets.pipeline.build import BuildListener, BuildReport, Steps, build
from video_assets.pipeline.checks.recorded import CheckStatus, check_statuses
from video_assets.pipeline.commit.retired import remove_expired
from video_assets.pipeline.dataset_state import committed_counts, committed_version, committed_warnings
from video_assets.pipeline.dataset_warnings import dataset_warnings, warnings_as_dicts
from video_assets.pipeline.plan.plan_table import FINGERPRINT_COLUMNS, read_plan
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.pipeline.shards.stage import ShardEngine
from video_assets.pipeline.shared_pools import SharedPools
from video_assets.pipeline.splits.stage import SplitReport, conflicts_and_look_alikes
from video_assets.report.escape import shown
from video_assets.settings import Settings
from video_assets.storage.addresses import store_modules
from video_assets.storage.failures import failure_sentence
from video_assets.storage.files import read_lines
from video_assets.storage.locks import building, known_to_writer
from video_assets.storage.paths import DatasetPaths, partition_key
from video_assets.storage.quarantine import quarantined, read_quarantine
from video_assets.storage.tables import LEFT_OUT, are_among, read_table


@dataclass(slots=True, kw_only=True)
class BuildResult:
    """What a build did; `refused` is empty, or the sentence that says why there is no new dataset.

    `interrupted` names the build before this one if it was killed.
    """

    paths: DatasetPaths
    source: str
    report: BuildReport = field(default_factory=BuildReport)
    checks: Sequence[CheckStatus] = ()
    seconds: float = 0.0
    refused: str = ""
    interrupted: str = ""
    is_usage_error: bool = False

    @property
    def exit_code(self) -> int:
        """0: built and valid; 1: refused or invalid; 2: wrong settings."""
        if self.is_usage_error:
            return EXIT_USAGE
        is_invalid = any(check.makes_invalid for check in self.checks)
        return EXIT_FAILED if self.refused or is_invalid else EXIT_OK

    def refuse(self, error: VideoAssetsError | OSError) -> None:
        """Note why there is no new dataset, or why Dagster does not know of it."""
        sentence = str(error) if isinstance(error, VideoAssetsError) else failure_sentence(error, doing="opened")
        self.refused = "; ".join(filter(None, (self.refused, shown(sentence))))
        self.is_usage_error |= isinstance(error, SettingsError)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object of `--json`."""
        manifest, splits, plan = self.report.manifest, self.report.splits, self.report.plan
        version = plan.pinned.version if plan is not None else committed_version(self.paths)
        gone = manifest.gone if manifest is not None else ()
        ignored = splits.official_ignored if splits is not None else ()
        return {
            "source": self.source,
            **self.report.reading.as_dict(),
            "warnings": warnings_as_dicts(self._warnings(version)),
            "root": str(self.paths.root),
            "name": self.paths.name,
            "version_dir": str(self.paths.version(version).directory) if version else "",
            "splits": committed_counts(self.paths, version) if version else {},
            **(_counts(self.paths, self.report) if plan is not None else _NO_COUNTS),
            "shards_replaced": [{"shard": key, "reason": why} for key, why in self.report.replaced.items()],
            "quarantined": quarantined(self.paths.quarantine),
            "left_out": read_table(self.paths.left_out, LEFT_OUT).to_dict("records"),
            "classes": read_lines(self.paths.labels),
            "gone": len(gone),
            "gone_clips": list(gone[:MAX_NAMED]),
            "official_splits_ignored": len(ignored),
            "clips_that_stay": [asdict(item) for item in ignored[:MAX_NAMED]],
            **conflicts_and_look_alikes(splits or SplitReport({}, 0.0)),
            "checks": [check.as_dict() for check in self.checks],
            "seconds": round(self.seconds, 3),
            "refused": self.refused,
            "committed": self.report.commit is not None,
            "interrupted": self.interrupted,
            "exit_code": self.exit_code,
        }

    def _warnings(self, version: str) -> Sequence[SourceWarning]:
        if self.report.commit is not None:
            return [*self.report.commit.warnings, *committed_warnings(self.paths, version)]
        if self.report.manifest is not None:
            return dataset_warnings(self.paths, version)
        return self.report.reading.warnings


_NO_COUNTS = {"clips_encoded": 0, "clips_reused": 0, "shards_written": 0, "shards_reused": 0}


def run_build(
    source: Path,
    paths: DatasetPaths,
    settings: Settings,
    *,
    num_workers: int = 0,
    engine: ShardEngine | None = None,
    progress: Progress = silent,
    listeners: Sequence[BuildListener] = (),
) -> BuildResult:
    """Build or grow a dataset, and say what was done.

    `num_workers` of 0 is one decoding process per core. What a build was refused for is in the result, beside what it
    finished before.

    Raises:
        KeyboardInterrupt: if it was interrupted. What is finished is kept.
    """
    begun = time.monotonic()
    result = BuildResult(paths=paths, source=str(source.absolute()))
    try:
        with (
            building(paths, "video-assets build") as killed,
            SharedPools(num_workers, store_modules(source)) as pools,
        ):
            result.interrupted = str(killed or "")
            if engine is None:  # else shards are written elsewhere
                result.paths = paths = known_to_writer(paths)
            remove_expired(paths)
            steps = Steps(paths=paths, pools_for=pools, progress=progress, engine=engine, within_build=True)
            try:
                build(steps, source, settings, result.report, listeners)
            except (VideoAssetsError, OSError) as error:
                result.refuse(error)
            for listener in listeners:
                listener.finish()
    except (VideoAssetsError, OSError) as error:
        result.refuse(error)
    if paths.plan.exists():
        plan = read_plan(paths, FINGERPRINT_COLUMNS)
        result.checks = check_statuses(paths, plan.pinned.version, plan.fingerprints())
    result.seconds = time.monotonic() - begun
    return result


def _counts(paths: DatasetPaths, report: BuildReport) -> dict[str, int]:
    """Count clips and shards: those that this build wrote, and those that were there already."""
    plan = read_plan(paths, ["split", "shard_index", "clip_id"])
    lost = read_quarantine(paths.quarantine)
    lost_ids = set(lost.loc[lost["stage"] == "shards", "clip_id"])
    stored = plan.rows[~are_among(plan.rows["clip_id"], lost_ids)].groupby(["split", "shard_index"]).size()
    missing = set(shards_to_build(paths)) if report.commit is None else set[str]()
    counts: Counter[str] = Counter(_NO_COUNTS)
    for (split, index), num_stored in stored.items():
        key = partition_key(split, int(index))
        if key in missing:
            continue
        shard = report.shards.get(key)
        if shard is None or shard.sidecar is None or shard.was_reused:
            counts.update(shards_reused=1, clips_reused=int(num_stored))
        else:
            counts.update(shards_written=1, clips_encoded=shard.num_encoded, clips_reused=shard.num_copied)
    return dict(counts)
