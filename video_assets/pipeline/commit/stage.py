"""Stage 5: the commit: check every planned shard, and swap the metadata that readers open."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import BuildRefused
from video_assets.domain.splits import Split
from video_assets.domain.statistics import DatasetStatistics
from video_assets.domain.text import counted, sequence_of
from video_assets.pipeline.checks.dataset import DATASET_CHECKS, DatasetAudit
from video_assets.pipeline.classes import indices_of_sets, known_labels
from video_assets.pipeline.commit.card_files import card_files, class_rows, commit_statistics
from video_assets.pipeline.commit.changes import commit_notes
from video_assets.pipeline.commit.committed_records import Committed
from video_assets.pipeline.commit.look_alikes import ComparedClips, across, commit_warnings, kept_pairs
from video_assets.pipeline.commit.publish import (
    commit_place,
    copied_tables,
    publish,
    text_indexes,
    write_text_indexes,
)
from video_assets.pipeline.commit.retired import remove_expired, retire
from video_assets.pipeline.dataset_state import committed_records
from video_assets.pipeline.dataset_warnings import warnings_of
from video_assets.pipeline.manifest.manifest_table import ReadManifest, frames_left_out
from video_assets.pipeline.plan.plan_table import ReadPlan, plan_digest, read_plan
from video_assets.pipeline.shards.pending import is_as_planned
from video_assets.records.dataset_info import dataset_info_json
from video_assets.records.tfds import features_json
from video_assets.settings import DatasetSettings
from video_assets.storage.addresses import ask_each
from video_assets.storage.files import file_sha256, file_status, remove_temporaries, was_written_after
from video_assets.storage.paths import (
    FILEPATH_TEMPLATE,
    DatasetPaths,
    VersionPaths,
    parse_partition_key,
    partition_key,
)
from video_assets.storage.quarantine import replace_stage
from video_assets.storage.sidecars import Sidecar, read_checksums
from video_assets.storage.tables import DAMAGE, INDEX, IS_CUT, LABEL_INDICES, QUARANTINE, table_bytes


@dataclass(slots=True, kw_only=True)
class CommitReport:
    """The committed dataset, in numbers."""

    version_dir: str
    records: dict[Split, int] = field(default_factory=dict)
    shards: dict[Split, int] = field(default_factory=dict)
    num_bytes: dict[Split, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    was_changed: bool = False
    licence: str = ""
    classes: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    outcomes: Sequence[CheckOutcome] = ()
    data_version: str = ""
    warnings: Sequence[SourceWarning] = ()
    encoding: Mapping[str, Any] = field(default_factory=dict[str, Any])


def commit_dataset(
    paths: DatasetPaths,
    settings: DatasetSettings,
    check: Callable[[Iterable[str]], Iterable[Sequence[CheckOutcome]]],
    *,
    max_failed_fraction: float,
    plan: ReadPlan | None = None,
) -> CommitReport:
    """Commit the plan: its shards become the dataset.

    Shards that the committed dataset does not hold yet are checked first: `check` is called with their keys.
    All that readers open changes in one step; until then they see the old dataset. Files of retired shards stay for a
    while after the commit that retired them, for readers that opened the dataset before it. `plan` is the plan on disk,
    if it was read already.

    Raises:
        BuildRefused: if a planned shard is missing or unsound, or a check of the dataset fails; it is named.
        FileDamaged: if a table or `labels.txt`, which readers would get, is not as it was written.
    """
    manifest = ReadManifest.of(paths)
    known_labels(paths, manifest.notes)
    plan = plan or read_plan(paths)
    version_paths = paths.version(plan.pinned.version)
    earlier = ComparedClips.read(version_paths)
    audit = DatasetAudit(paths, max_failed_fraction, settings.near_duplicates_are_errors, earlier, plan, manifest)
    sidecars = _sound_shards(audit, version_paths)
    indexes = text_indexes(version_paths, sidecars, is_asked_for=settings.text_index)
    _refuse_unsound(outcome for of_shard in check(_uncommitted(version_paths, sidecars)) for outcome in of_shard)
    _record_losses(paths, sidecars)
    outcomes = [audit.run(name) for name in DATASET_CHECKS]
    _refuse_unsound(outcomes)
    report = _report(version_paths, plan.pinned.splits, sidecars)
    index, schema = _index(sidecars), INDEX
    if plan.pinned.encoding.multi_label:
        schema = schema.append(LABEL_INDICES)
        index[LABEL_INDICES.name] = indices_of_sets(index["label"], plan.labels)
    encoding = plan.pinned.encoding
    if encoding.encoder_version > 1 and encoding.sampling in ("fps", "all"):  # older indices stay as they are
        schema = schema.append(IS_CUT)
        lengths = manifest.lengths.reindex(index["clip_id"]).fillna(0)
        index[IS_CUT.name] = frames_left_out(lengths, encoding) > 0
    damage = [clip.damage for sidecar in sidecars.values() for clip in sidecar.clips]
    if any(damage):
        schema = schema.append(DAMAGE)
        index[DAMAGE.name] = damage
    digest = plan_digest(plan, audit.fingerprints)
    place = commit_place(version_paths, digest)
    notes = commit_notes(paths, plan.pinned.version, index, digest, settings)
    committed = Committed(
        paths=paths,
        manifest=manifest,
        plan=plan,
        notes=notes,
        sidecars=sidecars,
        index=index,
        records=report.records,
        shards=report.shards,
        num_bytes=report.num_bytes,
        outcomes=outcomes,
        folder=place.folder,
    )
    statistics, (warnings, pairs) = commit_statistics(committed), commit_warnings(committed, earlier)
    pairs |= {across(*splits): found for splits, found in audit.look_alikes.items()}
    report.warnings = warnings_of(paths, manifest, index, encoding)
    report.licence, report.outcomes, report.data_version = notes.licence, outcomes, digest
    report.encoding = plan.pinned.encoding.used()
    report.classes = {row.label: dict(row.clips) for row in class_rows(index, plan)}
    contents = {
        **dict(copied_tables(paths, version_paths)),
        version_paths.index.name: table_bytes(index, schema, {**notes.as_notes(), **kept_pairs(index, pairs)}),
        **card_files(committed, statistics, [*report.warnings, *warnings]),
        **_metadata(committed, statistics, warnings),
    }
    write_text_indexes(version_paths, indexes)
    report.was_changed = publish(version_paths, contents, sidecars, place)
    retire(version_paths, sidecars.keys(), settings.retired_grace_minutes)
    expired = remove_expired(paths, keep_minutes=settings.retired_grace_minutes)
    report.removed = [name for name in expired if not name.startswith(version_paths.commits.name)]
    remove_temporaries(version_paths.directory)
    return report


def _sound_shards(audit: DatasetAudit, version_paths: VersionPaths) -> dict[str, Sidecar]:
    """The sidecar of every planned shard.

    Raises:
        BuildRefused: if there is no planned shard, or one is missing, stale or changed on disk.
    """
    fingerprints = audit.fingerprints
    if not fingerprints:
        raise BuildRefused("the plan has no shards; materialize manifest, splits and plan first")
    found, committed = audit.sidecars, file_status(version_paths.dataset_info)
    are_planned = ask_each(
        version_paths.directory,
        lambda item: is_as_planned(version_paths, *item, found[item[0]], committed),
        fingerprints.items(),
    )
    missing = [key for key, is_there in zip(fingerprints, are_planned, strict=True) if not is_there]
    if missing:
        named = sequence_of(missing)
        assets = " and ".join(f"{split}_shards" for split in audit.plan.pinned.splits)
        raise BuildRefused(
            f"{len(missing)} of {len(fingerprints)} planned shards are missing, stale or damaged: {named}. "
            f"Materialize these partitions of {assets}, then dataset."
        )
    return {key: sidecar for key, sidecar in found.items() if sidecar is not None}


def _uncommitted(version_paths: VersionPaths, sidecars: Mapping[str, Sidecar]) -> list[str]:
    """Shards that the committed dataset does not hold, or holds with other bytes.

    One that a repair wrote again is the committed one, bit by bit, however new its file.
    """
    committed = file_status(version_paths.dataset_info)
    if committed is None:
        return list(sidecars)
    records, checksums = committed_records(version_paths), read_checksums(version_paths.checksums)
    digests = checksums.files if checksums is not None else {}

    def is_fresh(item: tuple[str, Sidecar]) -> bool:
        is_known = records.get(item[0]) == item[1].records
        sidecar = version_paths.sidecar(*parse_partition_key(item[0]))
        if is_known and was_written_after(sidecar.stat(), committed):
            return digests.get(str(sidecar.relative_to(version_paths.directory))) != file_sha256(sidecar)
        return not is_known

    are_fresh = ask_each(version_paths.directory, is_fresh, sidecars.items())
    return [key for key, fresh in zip(sidecars, are_fresh, strict=True) if fresh]


def _refuse_unsound(outcomes: Iterable[CheckOutcome]) -> None:
    if failed := [outcome for outcome in outcomes if outcome.makes_invalid]:
        raise BuildRefused(_refusal(failed))


def _refusal(failed: Sequence[CheckOutcome]) -> str:
    named = "; ".join(
        f"{outcome.name}{f' of {outcome.target}' if outcome.target else ''}: {outcome.description}"
        for outcome in failed[:5]
    )
    more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"the dataset is not committed, for {counted(len(failed), 'check fails', 'checks fail')}: {named}{more}"


def _record_losses(paths: DatasetPaths, sidecars: Mapping[str, Sidecar]) -> None:
    rows = [
        {
            "source": loss.source,
            "clip_id": loss.clip_id,
            "label": loss.label,
            "reason": loss.reason,
            "detail": loss.detail,
            "size_bytes": -1,
            "mtime_ns": -1,
        }
        for sidecar in sidecars.values()
        for loss in sidecar.losses
    ]
    frame = pd.DataFrame(rows, columns=[name for name in QUARANTINE.names if name != "stage"])
    replace_stage(paths.quarantine, "shards", frame)


def _report(version_paths: VersionPaths, splits: Sequence[Split], sidecars: Mapping[str, Sidecar]) -> CommitReport:
    report = CommitReport(version_dir=str(version_paths.directory))
    for split in splits:
        mine = [sidecar for key, sidecar in sidecars.items() if parse_partition_key(key)[0] == split]
        report.records[split] = sum(sidecar.records for sidecar in mine)
        report.shards[split] = len(mine)
        report.num_bytes[split] = sum(sidecar.bytes for sidecar in mine)
    return report


def _index(sidecars: Mapping[str, Sidecar]) -> pd.DataFrame:
    """Return one row per record, made by columns: ten million dictionaries would fill a machine's memory."""
    clips = [clip for sidecar in sidecars.values() for clip in sidecar.clips]
    keys = [key for key, sidecar in sidecars.items() for _ in sidecar.clips]
    columns = {name: [getattr(clip, name) for clip in clips] for name in INDEX.names if name not in _OF_THE_SHARD}
    columns["split"] = [parse_partition_key(key)[0] for key in keys]
    columns["shard"] = keys
    columns["signature"] = [bytes.fromhex(clip.signature) for clip in clips]
    return pd.DataFrame(columns, columns=INDEX.names)


_OF_THE_SHARD = ("split", "shard", "signature")


def _metadata(
    committed: Committed, statistics: DatasetStatistics | None, warnings: Sequence[SourceWarning]
) -> dict[str, bytes]:
    """What readers open, by name, in the order in which it is written: `dataset_info.json` last."""
    paths, version_paths, plan = committed.paths, committed.version_paths, committed.plan
    encoding, labels = plan.pinned.encoding, plan.labels
    lengths: dict[Split, list[int]] = {
        split: [
            committed.sidecars[key].records if (key := partition_key(split, index)) in committed.sidecars else 0
            for index in range(plan.pinned.num_shards[split])
        ]
        for split in plan.pinned.splits
    }
    has_captions = encoding.layout != "movinets_helper" and bool(plan.rows["caption"].notna().any())
    info = dataset_info_json(
        name=paths.name,
        version=plan.pinned.version,
        description=f"{counted(sum(committed.records.values()), 'labelled clip')} of "
        f"{counted(len(labels), 'class', 'classes')}",
        encoding=encoding.as_dict(),
        plan_digest=committed.notes.plan,
        filepath_template=FILEPATH_TEMPLATE,
        shard_lengths=lengths,
        num_bytes=committed.num_bytes,
        notes=committed.notes.as_dict(),
        licence=committed.notes.licence,
        citation=str(committed.notes.settings.get("citation", "")),
        has_captions=has_captions,
        num_label_classes=len(labels) if encoding.multi_label else 0,
        statistics=statistics,
        warnings=warnings,
    )
    # Names before their number: readers take the number of classes from the names, never the other way round.
    texts = {version_paths.label_names: "".join(f"{label}\n" for label in labels)}
    if encoding.layout == "tfds":
        texts[version_paths.features] = features_json(
            image_format=encoding.image_format,
            num_classes=len(labels),
            has_captions=has_captions,
            multi_label=encoding.multi_label,
        )
    texts[version_paths.dataset_info] = info
    return {path.name: text.encode("utf-8") for path, text in texts.items()}
