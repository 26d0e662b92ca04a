"""Stage 3: the plan, the dataset's lock file: which clip goes to which shard, under which encoding."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from video_assets.domain.clips import DAMAGE_REASONS, PASSING_REASONS
from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.domain.forecast import ExpectedBuild, usual_record_bytes
from video_assets.domain.hashing import json_digest
from video_assets.domain.plan import assign_shards
from video_assets.domain.splits import Split
from video_assets.pipeline.dataset_state import refuse_lost
from video_assets.pipeline.noted_settings import PinnedSettings, encoding_to_plan, manifest_settings, settings_note
from video_assets.pipeline.plan.plan_table import live_shards, not_stored_words, partition_keys, planned_rows
from video_assets.records.layouts import layout_codec
from video_assets.settings import ManifestSettings, PlanSettings, Settings, what_cannot_be_stored
from video_assets.storage.files import NOT_THERE, read_lines
from video_assets.storage.paths import (
    FIRST_VERSION,
    DatasetPaths,
    VersionPaths,
    next_version,
    parse_partition_key,
    partition_key,
)
from video_assets.storage.quarantine import read_quarantine
from video_assets.storage.sidecars import read_sidecar
from video_assets.storage.tables import PLAN, are_among, empty_table, read_notes, read_table, write_table


@dataclass(slots=True, kw_only=True)
class PlanReport:
    """What the stage decided. `rows` is the plan, one row per clip; shards are named by their partition keys.

    `unwritten` are shards of earlier plans whose files are not there: a build was interrupted, or a file removed.
    `copied` has the ids of clips in new shards whose frames are stored in superseded ones, which are not encoded again.
    """

    rows: pd.DataFrame
    pinned: PinnedSettings
    labels: list[str]
    added: list[str]
    superseded: list[str]
    unwritten: list[str] = field(default_factory=list[str])
    copied: frozenset[str] = frozenset()
    expected: ExpectedBuild = field(default=ExpectedBuild(0.0, "not known", None))

    @property
    def shards(self) -> list[str]:
        """Partition keys of all live shards, in order."""
        return live_shards(self.rows)

    @property
    def to_write(self) -> list[str]:
        """Partition keys of the shards that are to be written."""
        return [*self.unwritten, *self.added]

    def rows_to_write(self) -> pd.DataFrame:
        """Return the rows of the shards that are to be written."""
        return self.rows[np.isin(partition_keys(self.rows), self.to_write)]

    def new_rows(self) -> pd.DataFrame:
        """Return those rows whose clips are to be encoded."""
        rows = self.rows_to_write()
        return rows[~rows["clip_id"].isin(self.copied)]

    @property
    def not_stored(self) -> str:
        """What the source holds and the layout has no place for, as a sentence; empty if it is nothing."""
        return not_stored_words(self.rows, self.pinned.encoding)

    def data_version(self) -> str:
        """Hash the encoding alone: neither growth nor a new class makes old shards stale."""
        return json_digest([self.pinned.encoding.as_dict(), self.pinned.encoding.encoder_version])

    def without_clips(self) -> "PlanReport":
        """Return it without the rows, which the table on disk has."""
        return replace(self, rows=empty_table(PLAN), copied=frozenset())


def build_plan(
    paths: DatasetPaths, settings: PlanSettings, *, version_source: DatasetPaths | None = None
) -> PlanReport:
    """Write `plan.parquet` and `encoding.json`.

    With `settings.retry_lost`, shards that lost a clip to a fault that may pass are superseded, so that it is tried
    again, and so are those that lost a damaged clip if such clips are stored now. `version_source` is where version
    directories are looked for, if it is another place (a dry run). Shards that are planned already keep their rows.
    What is new is put into new shards; see `domain.plan.assign_shards`.

    Raises:
        SettingsError: if this version cannot write the layout, or the layout has no place for sound, or for several
            labels, that are asked for.
        BuildRefused: if the dataset exists under another encoding and `settings.new_version` is not set.
        FileDamaged: if a table is not as it was written, or the plan of a committed dataset is lost.
    """
    source = manifest_settings(paths) if paths.manifest.exists() else ManifestSettings()
    multi_label = source.multi_label
    before = PinnedSettings.of_plan(paths)
    encoding = encoding_to_plan(before, settings, multi_label=multi_label)
    layout_codec(encoding.layout)
    if told := what_cannot_be_stored(encoding, multi_label=multi_label):
        raise SettingsError(told)
    previous = read_table(paths.plan, PLAN)
    if before is None or previous.empty:
        refuse_lost(version_source or paths, paths.plan)
    clips = planned_rows(paths, previous, multi_label=multi_label)
    pinned, is_same = _pin(paths, before, encoding, settings, version_source or paths)
    if not is_same:
        previous = previous.iloc[:0]
    retried = _lost_and_seen_since(previous, clips, (version_source or paths).version(pinned.version))
    retried |= _lost_for(paths, PASSING_REASONS) if settings.retry_lost else set[str]()
    retried |= _lost_for(paths, DAMAGE_REASONS) if source.damaged_clips == "store" else set[str]()
    previous = previous[["split", "shard_index", "position", "row_digest", "clip_id", *_FRAMES]]  # no more is needed
    placed: dict[tuple[Split, int], tuple[str, ...]] = {}
    added: list[str] = []
    superseded: list[str] = []
    for split in pinned.splits_with(clips["split"]):
        old = previous[previous["split"] == split].sort_values(["shard_index", "position"])
        again = set(old.loc[old["clip_id"].isin(retried), "shard_index"])
        existing = {int(i): digests.tolist() for i, digests in old.groupby("shard_index")["row_digest"]}
        existing = {index: ([] if index in again else digests) for index, digests in existing.items()}
        assignment = assign_shards(
            clips.loc[clips["split"] == split, "row_digest"].tolist(),
            existing,
            num_shards=pinned.num_shards.get(split, 0),
            clips_per_shard=pinned.clips_per_shard,
            seed=0,
        )
        placed |= {(split, index): members for index, members in assignment.shards.items()}
        pinned.num_shards[split] = assignment.num_shards
        added += [partition_key(split, index) for index in assignment.added]
        superseded += [partition_key(split, index) for index in sorted({*assignment.superseded, *again})]
    plan = _place(clips, placed)
    version_paths = (version_source or paths).version(pinned.version)
    unwritten = _unwritten(plan, added, version_paths)
    copied = _copied(previous, plan, _written(superseded, version_paths))
    del clips, previous
    report = PlanReport(
        rows=plan,
        pinned=pinned,
        labels=read_lines(paths.labels),
        added=added,
        superseded=superseded,
        unwritten=unwritten,
        copied=copied,
    )
    write_table(paths.plan, plan, PLAN, {**pinned.as_notes(), **settings_note(settings)})
    pinned.write(paths.encoding)
    return report


def _unwritten(plan: pd.DataFrame, added: Sequence[str], version_paths: VersionPaths) -> list[str]:
    """Shards that an earlier plan added and whose files are not there, by one look at their folder."""
    earlier = [key for key in live_shards(plan) if key not in set(added)]
    written = set(_written(earlier, version_paths))
    return [key for key in earlier if key not in written]


def _written(keys: Sequence[str], version_paths: VersionPaths) -> list[str]:
    """Return those of some shards whose files are there."""
    try:
        names = {entry.name for entry in version_paths.directory.iterdir()} if keys else set[str]()
    except NOT_THERE:
        return []
    return [key for key in keys if version_paths.shard(*parse_partition_key(key)).name in names]


def _lost_for(paths: DatasetPaths, reasons: Set[str]) -> set[str]:
    """Clips that shards lost for one of these reasons."""
    lost = read_quarantine(paths.quarantine)
    return set(lost.loc[(lost["stage"] == "shards") & lost["reason"].isin(reasons), "clip_id"])


def _lost_and_seen_since(previous: pd.DataFrame, clips: pd.DataFrame, version_paths: VersionPaths) -> set[str]:
    """Clips that a shard lost because their file had changed since the manifest, and that a newer manifest has seen.

    A file that was only touched, or copied with its old content, has the same row: nothing else would bring it back.
    """
    now = clips.set_index("row_digest")["mtime_ns"]
    touched = previous[are_among(previous["row_digest"], clips["row_digest"])]
    touched = touched[touched["mtime_ns"] != touched["row_digest"].map(now)]
    found: set[str] = set()
    for key in sorted(set(partition_keys(touched))):
        sidecar = read_sidecar(version_paths.sidecar(*parse_partition_key(key)))
        if sidecar is not None:
            found |= {loss.clip_id for loss in sidecar.losses if loss.reason == "changed"}
    return found.intersection(touched["clip_id"])


def _place(clips: pd.DataFrame, shards: Mapping[tuple[Split, int], Sequence[str]]) -> pd.DataFrame:
    """The rows in the order of their shards, with their places."""
    sizes = [len(members) for members in shards.values()]
    digests = [digest for members in shards.values() for digest in members]
    plan = clips.iloc[pd.Index(clips["row_digest"]).get_indexer(digests)].reset_index(drop=True)
    plan["shard_index"] = np.repeat(np.array([index for _, index in shards], np.int64), sizes)
    plan["position"] = np.concatenate([np.arange(size) for size in sizes] or [np.zeros(0, np.int64)])
    return plan


_FRAMES = ["content_hash", "start_seconds", "end_seconds"]
"""What a clip's frames depend on, besides the encoding."""


def _copied(previous: pd.DataFrame, plan: pd.DataFrame, superseded: Sequence[str]) -> frozenset[str]:
    """Ids of the planned clips whose frames are stored in superseded shards."""
    stored = previous.loc[np.isin(partition_keys(previous), superseded), _FRAMES].drop_duplicates()
    return frozenset(plan[["clip_id", *_FRAMES]].merge(stored, on=_FRAMES)["clip_id"])


def _pin(
    paths: DatasetPaths,
    before: PinnedSettings | None,
    encoding: Encoding,
    settings: PlanSettings,
    built: DatasetPaths,
) -> tuple[PinnedSettings, bool]:
    """The settings to pin, and whether what was planned before goes on under them."""
    source = (read_notes(paths.manifest) or {}).get("source", "")
    clips_per_shard = planned_clips_per_shard(settings, encoding)
    pinned = PinnedSettings(version=FIRST_VERSION, encoding=encoding, clips_per_shard=clips_per_shard, source=source)
    if before is None:
        return pinned, False
    changes = _changes(before, encoding)
    pinned.version = before.version
    if not changes:
        pinned.num_shards = dict(before.num_shards)
        if settings.clips_per_shard < 1:
            pinned.clips_per_shard = before.clips_per_shard
        return pinned, True
    if not _has_shards(built, before.version):
        return pinned, False  # nothing was written under the old settings
    if not settings.new_version:
        raise BuildRefused(_another_encoding(built.version(before.version), changes))
    versions = [before.version, *built.versions()]
    pinned.version = next_version(max(versions, key=lambda v: [int(n) for n in v.split(".")]))
    return pinned, False


def _changes(before: PinnedSettings, encoding: Encoding) -> dict[str, tuple[object, object]]:
    """Return what a version is pinned to and what is asked for now, by name, where they differ."""
    changes: dict[str, tuple[object, object]] = dict(changed_fields(before.encoding, encoding))
    if before.encoding.encoder_version != encoding.encoder_version:
        changes["encoder_version"] = (before.encoding.encoder_version, encoding.encoder_version)
    return changes


def refuse_another_encoding(paths: DatasetPaths, settings: Settings) -> None:
    """Refuse, before any video is opened, what `build_plan` would refuse after.

    Raises:
        BuildRefused: if the dataset exists under another encoding and `plan.new_version` is not set.
    """
    before = PinnedSettings.of_plan(paths)
    if before is None or settings.plan.new_version:
        return
    encoding = encoding_to_plan(before, settings.plan, multi_label=settings.manifest.multi_label)
    changes = _changes(before, encoding)
    if changes and _has_shards(paths, before.version):
        raise BuildRefused(_another_encoding(paths.version(before.version), changes))


def _another_encoding(paths: VersionPaths, changes: Mapping[str, tuple[object, object]]) -> str:
    """Why a version that has shards cannot go on under other settings."""
    named = ", ".join(f"{name} {old} → {new}" for name, (old, new) in changes.items())
    place = "manifest and plan.encoding" if "multi_label" in changes else "plan.encoding"
    if paths.dataset_info.exists():
        return (
            f"the dataset {paths.name} {paths.version} exists under another encoding ({named}). Set these fields of "
            f"{place} back, or set plan.new_version: true to build the next version beside it."
        )
    return (
        f"the dataset {paths.name} {paths.version} is not committed yet, but shards of its unfinished build are there "
        f"under another encoding ({named}). Set these fields of {place} back to go on with them; or remove "
        f"{paths.directory} to begin again under the new ones."
    )


def needs_new_version(paths: DatasetPaths) -> bool:
    """Whether another encoding than the pinned one is refused without `new_version`: it has shards."""
    before = PinnedSettings.of_plan(paths)
    return before is not None and _has_shards(paths, before.version)


def planned_clips_per_shard(settings: PlanSettings, encoding: Encoding) -> int:
    """Return the clips of a shard of a new version: as many as are asked for, or as make about `shard_megabytes`."""
    if settings.clips_per_shard >= 1:
        return settings.clips_per_shard
    return max(1, round(settings.shard_megabytes * 1e6 / usual_record_bytes(encoding)))


def _has_shards(paths: DatasetPaths, version: str) -> bool:
    directory = paths.version(version).directory
    return directory.is_dir() and any(directory.glob(f"{paths.name}-*.tfrecord"))
