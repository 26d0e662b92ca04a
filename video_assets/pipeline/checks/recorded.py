"""How the checks of a dataset stand: written down when they ran, and read by `status` and by builds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from video_assets.domain.checks import CheckOutcome, Severity, makes_invalid
from video_assets.domain.hashing import OPEN_SEAL, is_seal_whole, sealed
from video_assets.domain.splits import SPLITS
from video_assets.pipeline.checks.dataset import DATASET_CHECKS
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.storage.addresses import ask_each
from video_assets.storage.files import json_text, read_if_there, write_bytes
from video_assets.storage.paths import DatasetPaths, keys_of_split

_DATASET = "dataset"


@dataclass(frozen=True, slots=True)
class CheckStatus:
    """The latest outcome of one check; for a check of shards, of all live shards of a split together."""

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
        """Return the entry of `checks` in `--json`."""
        return {
            "name": self.name,
            "asset": self.asset,
            "passed": self.passed,
            "severity": self.severity,
            "description": self.description,
            "failed_partitions": list(self.failed_partitions),
        }


@dataclass(frozen=True, slots=True)
class _Noted:
    """One outcome as it is on disk."""

    passed: bool
    severity: Severity
    description: str
    facts: Mapping[str, str | int | float | bool]


def record_shard_checks(
    paths: DatasetPaths, version: str, key: str, fingerprint: str, outcomes: Sequence[CheckOutcome]
) -> None:
    """Write down how the checks of one shard ended; the fingerprint says for which content."""
    _write(paths.check_record(version, key), fingerprint, outcomes)
    _mark(paths.version(version).failed_checks / key, outcomes)


def record_dataset_checks(paths: DatasetPaths, version: str, outcomes: Sequence[CheckOutcome]) -> None:
    """Write down how the checks of the committed dataset ended."""
    _write(paths.check_record(version, _DATASET), "", outcomes)
    _mark(paths.version(version).failed_checks / _DATASET, outcomes)


def _mark(place: Path, outcomes: Sequence[CheckOutcome]) -> None:
    """Leave a mark where a check failed: who looks for failures every half a minute lists one folder."""
    if any(outcome.makes_invalid for outcome in outcomes):
        write_bytes(place, b"")
    elif place.is_file():  # of a store, `exists` asks for folders of this name too
        place.unlink()


def unchecked_shards(paths: DatasetPaths, version: str, fingerprints: Mapping[str, str]) -> list[str]:
    """Return the keys of the shards that have no recorded outcome for their planned content."""
    noted = _read_all(paths, version, fingerprints)
    return [key for key in fingerprints if not noted[key]]


def checked_keys(paths: DatasetPaths, keys: Sequence[str]) -> frozenset[str]:
    """Return those of which a shard was ever checked, of whichever version and content."""
    versions = paths.versions()

    def was_checked(key: str) -> bool:
        return any(paths.check_record(version, key).is_file() for version in versions)

    return frozenset(
        key for key, found in zip(keys, ask_each(paths.directory, was_checked, keys), strict=True) if found
    )


def recorded_outcomes(paths: DatasetPaths, version: str, key: str, fingerprint: str) -> list[CheckOutcome]:
    """Return how the checks of one shard ended, without pictures; empty if nobody checked this content."""
    noted = _read(paths.check_record(version, key), fingerprint)
    return [
        CheckOutcome(
            name=name,
            target=key,
            passed=outcome.passed,
            severity=outcome.severity,
            description=outcome.description,
            facts=outcome.facts,
        )
        for name, outcome in noted.items()
    ]


def check_statuses(paths: DatasetPaths, version: str, fingerprints: Mapping[str, str]) -> list[CheckStatus]:
    """Return every check that has an outcome, those of shards first.

    An outcome of a shard that was planned anew since does not count.
    """
    noted = _read_all(paths, version, fingerprints)
    found: list[CheckStatus] = []
    for split in SPLITS:
        keys = keys_of_split(list(fingerprints), split)
        found += [
            status
            for name in SHARD_CHECKS
            if (status := _shard_status(f"{split}_shards", name, {key: noted[key] for key in keys}))
        ]
    of_dataset = _read(paths.check_record(version, _DATASET), "")
    return found + [
        CheckStatus(name, "dataset", of_dataset[name].passed, of_dataset[name].severity, of_dataset[name].description)
        for name in DATASET_CHECKS
        if name in of_dataset
    ]


def _shard_status(asset: str, name: str, noted: Mapping[str, Mapping[str, _Noted]]) -> CheckStatus | None:
    """Return one check of all shards of a split; None if it never ran on any of them."""
    done = {key: outcomes[name] for key, outcomes in noted.items() if name in outcomes}
    if not done:
        return None
    failed = tuple(sorted(key for key, outcome in done.items() if not outcome.passed))
    description = f"passed for {len(done) - len(failed)} of {len(noted)} shards"
    if failed:
        description += f"; failed for {', '.join(failed[:5])}: {done[failed[0]].description}"
    severities = {done[key].severity for key in failed}
    severity = "WARN" if severities == {"WARN"} else "ERROR"
    return CheckStatus(name, asset, not failed, severity, description, failed)


def _write(file: Path, fingerprint: str, outcomes: Sequence[CheckOutcome]) -> None:
    checks = {
        outcome.name: {
            "passed": outcome.passed,
            "severity": outcome.severity,
            "description": outcome.description,
            "facts": dict(outcome.facts),
        }
        for outcome in outcomes
    }
    values = {"fingerprint": fingerprint, "checks": checks, "seal": OPEN_SEAL}
    write_bytes(file, sealed(json_text(values).encode("utf-8")))


def _read_all(paths: DatasetPaths, version: str, fingerprints: Mapping[str, str]) -> dict[str, Mapping[str, _Noted]]:
    def read(item: tuple[str, str]) -> Mapping[str, _Noted]:
        return _read(paths.check_record(version, item[0]), item[1])

    return dict(zip(fingerprints, ask_each(paths.directory, read, fingerprints.items()), strict=True))


def _read(file: Path, fingerprint: str) -> Mapping[str, _Noted]:
    """Return the outcomes by check; empty where there are none, or those of another content, or damaged ones.

    Outcomes are made again by the next build, so a damaged record is no more than a missing one.
    """
    data = read_if_there(file)
    if data is None or not is_seal_whole(data):
        return {}
    try:
        values = json.loads(data)
        if values["fingerprint"] != fingerprint:
            return {}
        return {name: _Noted(**outcome) for name, outcome in values["checks"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
