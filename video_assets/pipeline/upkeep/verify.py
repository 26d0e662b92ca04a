"""`video-assets verify`: every check again, on what is on disk."""

import time
from dataclasses import replace
from typing import Any

from video_assets.domain.checks import COMPARED_RECORDS, CheckOutcome
from video_assets.pipeline.checks.dataset import DATASET_CHECKS, DatasetAudit
from video_assets.pipeline.checks.shard import SHARD_CHECKS, ShardAudit
from video_assets.pipeline.commit.retired import remove_expired
from video_assets.pipeline.dataset_state import committed_counts, committed_version, unfinished_commit
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.plan.table import ReadPlan, plan_digest
from video_assets.pipeline.pool import SharedPools
from video_assets.pipeline.said_aloud import dataset_warnings, warnings_as_dicts
from video_assets.pipeline.upkeep.integrity import find_damage, integrity_outcomes, is_of_commit
from video_assets.reader.parsing import load_tensorflow_quietly
from video_assets.storage.locks import current_holder
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import quarantined


def verify_dataset(paths: DatasetPaths, *, all_records: bool) -> dict[str, Any]:
    """Compares every file with its checksum and runs all checks; gives the JSON object of `--json`.

    Beside a running build only what is committed is judged, by the tables of the commit: the build's own are ahead.

    Raises:
        SettingsError: if there is no such dataset.
        BuildRefused: if there is no plan.
    """
    paths.refuse_missing()
    remove_expired(paths)
    begun = time.monotonic()
    load_tensorflow_quietly()
    builder = current_holder(paths.build_lock)
    damage = find_damage(paths)
    if builder is not None and (version := committed_version(paths)):
        paths = replace(paths, committed=version)
        damage = [item for item in damage if is_of_commit(paths, item)]
    outcomes = integrity_outcomes(damage, paths)
    version, splits = "", dict[str, dict[str, int]]()
    if all(item.version for item in damage):  # without its tables nothing more can be asked
        version, more = _all_checks(paths, all_records=all_records)
        outcomes += more
        splits = committed_counts(paths, version)
    return {
        "root": str(paths.root),
        "version_dir": str(paths.version(version).directory) if version else str(paths.directory),
        "splits": splits,
        "checks": [_as_dict(outcome) for outcome in outcomes],
        "quarantined": quarantined(paths.quarantine) if version else [],
        "warnings": warnings_as_dicts(dataset_warnings(paths, version)),
        "is_valid": not any(outcome.makes_invalid for outcome in outcomes),
        "beside": "" if builder is None else str(builder),
        "seconds": round(time.monotonic() - begun, 3),
    }


def _all_checks(paths: DatasetPaths, *, all_records: bool) -> tuple[str, list[CheckOutcome]]:
    """The planned version, and what its checks say."""
    settings = manifest_settings(paths)
    audit = DatasetAudit(paths, settings.max_failed_fraction)
    max_records = None if all_records else COMPARED_RECORDS
    outcomes: list[CheckOutcome] = []
    with SharedPools() as pools:
        for key in audit.plan.fingerprints():
            shard = ShardAudit(paths, audit.plan, key, settings.limits, pools(settings.limits), max_records)
            outcomes += [shard.run(name) for name in SHARD_CHECKS]
    outcomes += [audit.run(name) for name in DATASET_CHECKS]
    outcomes.append(_is_finished(paths, audit.plan))
    return audit.plan.pinned.version, outcomes


def _is_finished(paths: DatasetPaths, plan: ReadPlan) -> CheckOutcome:
    found = unfinished_commit(paths.version(plan.pinned.version), plan_digest(plan, plan.fingerprints()))
    return CheckOutcome(
        name="commit_is_finished",
        passed=not found.sentence,
        description=found.sentence or "all that readers open is of one commit",
        severity="ERROR" if found.is_mixed else "WARN",
    )


def _as_dict(outcome: CheckOutcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "target": outcome.target,
        "passed": outcome.passed,
        "severity": outcome.severity,
        "description": outcome.description,
        "facts": dict(outcome.facts),
    }
