"""`video-assets verify`: every check again, on what is on disk; and what is known twice there.

The tables of the last commit, the labels in the manifest and the pinned settings in the plan can be compared, and made
again from one another.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from video_assets.domain.checks import COMPARED_RECORDS, CheckOutcome
from video_assets.domain.errors import FileDamaged, SettingsError
from video_assets.domain.hashing import is_seal_whole
from video_assets.media.workers.pool import num_cores
from video_assets.pipeline.checks.dataset import DATASET_CHECKS, DatasetAudit, one_of_each_codec
from video_assets.pipeline.checks.shard import SHARD_CHECKS, ShardAudit, read_ahead
from video_assets.pipeline.classes import LABELS_NOTE, labels_data
from video_assets.pipeline.commit.retired import remove_expired
from video_assets.pipeline.dataset_state import committed_counts, committed_version, unfinished_commit
from video_assets.pipeline.dataset_warnings import dataset_warnings, warnings_as_dicts
from video_assets.pipeline.noted_settings import PINNED_NOTE, manifest_settings
from video_assets.pipeline.plan.plan_table import ReadPlan, plan_digest
from video_assets.pipeline.shared_pools import SharedPools
from video_assets.records.framing import is_whole_frame
from video_assets.storage.files import sha256_if_there
from video_assets.storage.locks import current_holder
from video_assets.storage.paths import (
    DatasetPaths,
    VersionPaths,
    parse_partition_key,
    parse_shard_file_name,
    partition_key,
)
from video_assets.storage.quarantine import quarantined
from video_assets.storage.sidecars import ABSENT, Checksums, read_checksums, read_sidecar
from video_assets.storage.tables import INDEX, read_notes, read_table


@dataclass(frozen=True, slots=True)
class SecondCopy:
    """What a file must hold, and which one says so."""

    says: str
    data: bytes


def table_copies(paths: DatasetPaths) -> dict[Path, Path]:
    """The whole copies of the dataset's tables that the last commit made, by where the tables themselves belong."""
    for version in reversed(paths.versions()):
        version_paths = paths.version(version)
        checksums = read_checksums(version_paths.checksums)
        if checksums is not None:
            return {
                paths.directory / place.relative_to(version_paths.tables): place
                for name, digest in checksums.files.items()
                if (place := version_paths.directory / name).is_relative_to(version_paths.tables)
                and sha256_if_there(place) == digest
            }
    return {}


def labels_by_manifest(paths: DatasetPaths) -> SecondCopy | None:
    """`labels.txt`; None if the manifest is damaged, or of an earlier version of this package."""
    text = _note(paths.manifest, LABELS_NOTE)
    if text is None:
        return None
    return SecondCopy(paths.manifest.name, labels_data(json.loads(text)))


def encoding_by_plan(paths: DatasetPaths) -> SecondCopy | None:
    """`encoding.json`; None as above."""
    text = _note(paths.plan, PINNED_NOTE)
    return None if text is None else SecondCopy(paths.plan.name, text.encode("utf-8"))


def _note(table: Path, name: str) -> str | None:
    try:
        return (read_notes(table) or {}).get(name)
    except FileDamaged:
        return None


CHECK = "bytes_are_as_written"
_SHARDS_PER_PROCESS = 32
"""For so many shards one more process reads: each takes three seconds of a core to load TensorFlow."""


@dataclass(frozen=True, slots=True)
class StoredPlace:
    """Where a clip's record lies in its shard: number, and frame [offset, offset + length)."""

    record: int
    clip_id: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is not the one that was written. Of a shard, `places` are its damaged records, if it is known which.

    `version` is the version directory's name, empty for a table of the dataset.
    """

    path: Path
    reason: str
    version: str = ""
    places: Sequence[StoredPlace] = ()

    @property
    def sentence(self) -> str:
        """The file, its records and clips, and what is wrong."""
        records = "; ".join(f"record {place.record}, clip {place.clip_id}" for place in self.places[:5])
        more = f" and {len(self.places) - 5} more records" if len(self.places) > 5 else ""
        return f"{self.path.name}{f' ({records}{more})' if records else ''} {self.reason}"

    @property
    def key(self) -> str:
        """The partition key of the shard that this is a shard's file or sidecar of; empty for any other file."""
        parsed = parse_shard_file_name(self.path.name)
        name = partition_key(*parsed[1:]) if parsed else self.path.stem
        try:
            parse_partition_key(name)
        except SettingsError:
            return ""
        return name


def find_damage(paths: DatasetPaths) -> list[Damage]:
    """Everything under the dataset's folder that is not as it was written, by its checksums alone: nothing is decoded.

    Looked at are its tables and lists, and in each version directory the committed files, and shards that are not
    committed yet. Not looked at: retired shards, what a sensor remembers, Dagster's own storage.
    """
    damage = list(_damaged_tables(paths))
    for version in paths.versions():
        version_paths = paths.version(version)
        checksums = read_checksums(version_paths.checksums)
        damage += _damaged_committed(version_paths, checksums)
        damage += _damaged_shards(version_paths, known=checksums.files if checksums else ())
    return damage


def is_of_commit(paths: DatasetPaths, damage: Damage) -> bool:
    """Whether a damaged file belongs to a commit, and not to what is built on it just now."""
    if not damage.version:
        return False
    version = paths.version(damage.version)
    checksums = read_checksums(version.checksums)
    return checksums is None or str(damage.path.relative_to(version.directory)) in checksums.files


def integrity_outcomes(damage: Sequence[Damage], paths: DatasetPaths) -> list[CheckOutcome]:
    """As a check: one outcome for each damaged file, or one that says that there is none."""
    if not damage:
        return [CheckOutcome(name=CHECK, passed=True, description="every file is as it was written, bit by bit")]
    return [
        CheckOutcome(
            name=CHECK,
            passed=False,
            description=item.sentence,
            target=item.key or str(item.path.relative_to(paths.directory)),
        )
        for item in damage
    ]


def _damaged_tables(paths: DatasetPaths) -> Iterator[Damage]:
    for path in paths.tables():
        if path.suffix != ".parquet":
            continue
        whole = is_seal_whole(path.read_bytes())
        if not whole:
            yield Damage(path, "has lost its checksum" if whole is None else "is not as it was written")
    labels = labels_by_manifest(paths)
    # A manifest never appears before its labels; `encoding.json` may come after its plan.
    wanted = {*table_copies(paths)} | ({paths.labels} if labels is not None else set())
    for original in sorted(wanted):
        if not original.exists():
            yield Damage(original, "is missing")
    for path, second in ((paths.labels, labels), (paths.encoding, encoding_by_plan(paths))):
        if second is not None and path.exists() and path.read_bytes() != second.data:
            yield Damage(path, f"is not what {second.says} says")


def _damaged_committed(paths: VersionPaths, checksums: Checksums | None) -> Iterator[Damage]:
    if checksums is None:
        if paths.checksums.exists():
            yield Damage(paths.checksums, "is not as it was written", paths.version)
        elif paths.dataset_info.exists():
            yield Damage(paths.checksums, "is missing", paths.version)
        return
    for name in checksums.files:
        path = paths.directory / name
        digest = sha256_if_there(path)
        if digest is None:
            if not checksums.allows(name, ABSENT):
                yield Damage(path, _why_absent(path), paths.version)
        elif not checksums.allows(name, digest):
            yield Damage(path, "is not as it was committed", paths.version, damaged_places(paths, path))


def _damaged_shards(paths: VersionPaths, known: Iterable[str]) -> Iterator[Damage]:
    """Shards that are not committed yet, and all of them where nothing says what was committed."""
    committed = set(known)
    for place in paths.sidecars():
        shard, sidecar_path = paths.shard(*place), paths.sidecar(*place)
        sidecar = read_sidecar(sidecar_path)
        if sidecar is None and str(sidecar_path.relative_to(paths.directory)) not in committed:
            yield Damage(sidecar_path, "is not as it was written", paths.version)
        if sidecar is None or shard.name in committed:
            continue
        digest = sha256_if_there(shard)
        if digest is None:
            yield Damage(shard, _why_absent(shard), paths.version)
        elif digest != sidecar.sha256:
            yield Damage(shard, "is not as it was written", paths.version, damaged_places(paths, shard))


def _why_absent(path: Path) -> str:
    return "is not a regular file, nor a link to one" if path.exists() else "is missing"


def damaged_places(paths: VersionPaths, shard: Path) -> list[StoredPlace]:
    """The records of a shard whose own checksums are wrong, by what its sidecar or else the index says about it."""
    parsed = parse_shard_file_name(shard.name)
    if parsed is None:
        return []
    with shard.open("rb") as file:
        damaged: list[StoredPlace] = []
        for place in stored_places(paths, partition_key(*parsed[1:])):
            file.seek(place.offset)
            if not is_whole_frame(file.read(place.length)):
                damaged.append(place)
    return damaged


def stored_places(paths: VersionPaths, key: str) -> list[StoredPlace]:
    """Where each record of a shard lies; nothing if both its sidecar and the index are damaged."""
    sidecar = read_sidecar(paths.sidecar(*parse_partition_key(key)))
    if sidecar is not None:
        return [StoredPlace(i, clip.clip_id, clip.offset, clip.length) for i, clip in enumerate(sidecar.clips)]
    try:
        index = read_table(paths.index, INDEX, ["clip_id", "shard", "offset", "length"])
    except FileDamaged:
        return []
    rows = index[index["shard"] == key].sort_values("offset")
    columns = (rows["clip_id"].tolist(), rows["offset"].tolist(), rows["length"].tolist())
    return [StoredPlace(i, *values) for i, values in enumerate(zip(*columns, strict=True))]


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
    always = one_of_each_codec(paths, audit.plan)
    outcomes: list[CheckOutcome] = []
    keys = list(audit.plan.fingerprints())
    with SharedPools() as pools:
        audits = (ShardAudit(paths, audit.plan, key, settings.limits, pools, max_records, always) for key in keys)
        num_processes = min(num_cores(), 1 + len(keys) // _SHARDS_PER_PROCESS)
        for shard in read_ahead(audits, pools, num_processes):
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
