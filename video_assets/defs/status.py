"""`video-assets status`: how a dataset stands."""

from collections.abc import Mapping
from typing import Any

from video_assets.defs.check_status import check_statuses
from video_assets.defs.instance import dagster_home, open_instance
from video_assets.pipeline.committed import committed_counts
from video_assets.pipeline.current_shards import shards_to_build
from video_assets.pipeline.read_plan import read_plan
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import quarantined

_NOTHING_PLANNED: Mapping[str, Any] = {
    "version_dir": "",
    "splits": {},
    "encoding": {},
    "shards_planned": 0,
    "shards_missing": [],
    "checks": [],
    "is_valid": False,
}


def dataset_status(paths: DatasetPaths) -> dict[str, Any]:
    """The JSON object of `status --json`.

    Raises:
        SettingsError: if there is no such dataset.
    """
    paths.refuse_missing()
    known: dict[str, Any] = {
        "root": str(paths.root),
        "name": paths.name,
        "versions": paths.versions(),
        "quarantined": quarantined(paths.quarantine),
    }
    if not paths.plan.exists():  # the first build was refused, or ended before it had planned
        return {**known, **_NOTHING_PLANNED}
    plan = read_plan(paths)
    missing = shards_to_build(paths)
    checks = []
    if (dagster_home(paths) / "dagster.yaml").exists():
        with open_instance(paths) as instance:
            checks = check_statuses(instance, paths)
    counts = committed_counts(paths, plan.pinned.version)
    is_valid = bool(counts) and not missing and not any(check.makes_invalid for check in checks)
    return known | {
        "version_dir": str(paths.version(plan.pinned.version).directory),
        "splits": counts,
        "encoding": plan.pinned.encoding.as_dict(),
        "shards_planned": len(plan.fingerprints()),
        "shards_missing": missing,
        "checks": [check.as_dict() for check in checks],
        "is_valid": is_valid,
    }
