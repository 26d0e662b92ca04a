"""How the asset checks stand, from the instance's event log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from video_assets.defs.instance import dagster_home, open_instance
from video_assets.defs.runs import runs_of_others
from video_assets.domain.checks import makes_invalid
from video_assets.domain.splits import SPLITS
from video_assets.pipeline.checks.dataset import DATASET_CHECKS
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.dataset_state import committed_counts
from video_assets.pipeline.plan.table import FINGERPRINT_COLUMNS, live_shards, read_plan
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.storage.paths import DatasetPaths, keys_of_split
from video_assets.storage.quarantine import quarantined


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """The latest outcome of one check; for a check of shards, of all live shards together."""

    name: str
    asset: str
    passed: bool
    severity: str
    description: str = ""
    failed_partitions: tuple[str, ...] = ()

    @property
    def makes_invalid(self) -> bool:
        """Whether the dataset must not be used."""
        return makes_invalid(passed=self.passed, severity=self.severity)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "asset": self.asset,
            "passed": self.passed,
            "severity": self.severity,
            "description": self.description,
            "failed_partitions": list(self.failed_partitions),
        }


def check_statuses(instance: dg.DagsterInstance, paths: DatasetPaths) -> list[CheckStatus]:
    """Every check that has an outcome, those of shards first.

    On an instance that several datasets share, an outcome of another one's shard of the same name is none.
    """
    live = live_shards(read_plan(paths, FINGERPRINT_COLUMNS).rows)
    found = [
        status
        for split in SPLITS
        for name in SHARD_CHECKS
        if (status := _shard_status(instance, paths, f"{split}_shards", name, keys_of_split(live, split)))
    ]
    keys = [dg.AssetCheckKey(dg.AssetKey("dataset"), name) for name in DATASET_CHECKS]
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    others = runs_of_others(instance, paths, (record.run_id for record in latest.values()))
    latest = {key: record for key, record in latest.items() if record.run_id not in others}
    return found + [status for key in keys if (status := _status_of(latest, key)) is not None]


def _shard_status(
    instance: dg.DagsterInstance, paths: DatasetPaths, asset: str, name: str, keys: list[str]
) -> CheckStatus | None:
    check_key = dg.AssetCheckKey(dg.AssetKey(asset), name)
    infos = instance.event_log_storage.get_asset_check_partition_info([check_key], partition_keys=keys)
    others = runs_of_others(instance, paths, (info.latest_planned_run_id for info in infos))
    infos = [info for info in infos if info.latest_planned_run_id not in others]
    done = [info for info in infos if info.latest_execution_status != AssetCheckExecutionRecordStatus.PLANNED]
    if not done:
        return None
    failed = tuple(
        sorted(
            str(info.partition_key)
            for info in done
            if info.latest_execution_status == AssetCheckExecutionRecordStatus.FAILED
        )
    )
    description = f"passed for {len(done) - len(failed)} of {len(keys)} shards"
    if failed:
        description += f"; failed for {', '.join(failed[:5])}: {_reason(instance, check_key, failed[0])}"
    return CheckStatus(name, asset, not failed, "ERROR", description, failed)


def _reason(instance: dg.DagsterInstance, check_key: dg.AssetCheckKey, partition: str) -> str:
    for record in instance.event_log_storage.get_asset_check_execution_history(check_key, limit=100):
        evaluation = (
            record.event.dagster_event.asset_check_evaluation_data
            if record.event and record.event.dagster_event
            else None
        )
        if evaluation is not None and evaluation.partition == partition:
            return evaluation.description or ""
    return ""


def _status_of(latest: Mapping[dg.AssetCheckKey, Any], key: dg.AssetCheckKey) -> CheckStatus | None:
    record = latest.get(key)
    if record is None or record.event is None or record.event.dagster_event is None:
        return None
    if record.status == AssetCheckExecutionRecordStatus.PLANNED:
        return None  # its step never ran
    evaluation = record.event.dagster_event.asset_check_evaluation_data
    return CheckStatus(key.name, "dataset", evaluation.passed, evaluation.severity.value, evaluation.description or "")


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
