"""`video-assets status`: how a dataset stands, by what is on disk."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from video_assets.pipeline.checks.recorded import check_statuses, unchecked_shards
from video_assets.pipeline.commit.retired import remove_expired, waiting
from video_assets.pipeline.dataset_state import committed_counts, unfinished_commit
from video_assets.pipeline.dataset_warnings import dataset_warnings, warnings_as_dicts
from video_assets.pipeline.noted_settings import dataset_settings, noted_source
from video_assets.pipeline.plan.plan_table import plan_digest, read_plan
from video_assets.pipeline.shards.pending import missing_shards
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import quarantined

_NOTHING_PLANNED: Mapping[str, Any] = {
    "version_dir": "",
    "splits": {},
    "encoding": {},
    "shards_planned": 0,
    "shards_missing": [],
    "shards_unchecked": [],
    "checks": [],
    "unfinished": "",
    "is_valid": False,
}


def dataset_status(paths: DatasetPaths) -> dict[str, Any]:
    """Return the JSON object of `status --json`.

    Raises:
        SettingsError: if there is no such dataset.
    """
    paths.refuse_missing()
    remove_expired(paths)
    known: dict[str, Any] = {
        "root": str(paths.root),
        "name": paths.name,
        "versions": paths.versions(),
        "source": noted_source(paths),
        "settings": dataset_settings(paths).model_dump(),
        "retired": [asdict(item) for item in waiting(paths)],
        "quarantined": quarantined(paths.quarantine),
        "warnings": warnings_as_dicts(dataset_warnings(paths)),
    }
    if not paths.plan.exists():  # the first build was refused, or ended before it had planned
        return {**known, **_NOTHING_PLANNED}
    plan = read_plan(paths)
    version, fingerprints = plan.pinned.version, plan.fingerprints()
    missing = list(missing_shards(paths.version(version), fingerprints))
    checks = check_statuses(paths, version, fingerprints)
    unchecked = unchecked_shards(paths, version, fingerprints)
    counts = committed_counts(paths, version)
    unfinished = unfinished_commit(paths.version(version), plan_digest(plan, fingerprints))
    return known | {
        "warnings": warnings_as_dicts(dataset_warnings(paths, version)),
        "version_dir": str(paths.version(version).directory),
        "splits": counts,
        "encoding": plan.pinned.encoding.as_dict(),
        "shards_planned": len(fingerprints),
        "shards_missing": missing,
        "shards_unchecked": unchecked,
        "checks": [check.as_dict() for check in checks],
        "unfinished": unfinished.sentence,
        "is_valid": bool(counts)
        and not missing
        and not unfinished.is_mixed
        and not any(check.makes_invalid for check in checks),
    }
