"""The plan's table: its rows, its shards and their fingerprints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import DAMAGE_REMEDY, BuildRefused, FileDamaged, SettingsError
from video_assets.domain.hashing import json_digest
from video_assets.domain.labels import label_indices, split_labels
from video_assets.domain.plan import PlannedClip, ShardPlan, shard_fingerprint
from video_assets.domain.splits import SPLITS, Split, split_named
from video_assets.pipeline.classes import class_indices, known_labels
from video_assets.pipeline.noted_settings import PinnedSettings
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths, parse_partition_key, partition_key
from video_assets.storage.tables import MANIFEST, PLAN, SPLIT, TEXT, read_noted_table, read_table

_CLIP_FIELDS = [f.name for f in fields(PlannedClip) if f.name != "other_label_indices"]
_MANIFEST_COLUMNS = [name for name in _CLIP_FIELDS if name != "label_index"] + [
    "size_bytes",
    "mtime_ns",
    "num_frames",
    "width_px",
    "height_px",
]


def planned_rows(paths: DatasetPaths, previous: pd.DataFrame, *, multi_label: bool) -> pd.DataFrame:
    """Every clip of all splits; `label_index` is that of its first label.

    Raises:
        BuildRefused: if there is no manifest.
        FileDamaged: if a table or `labels.txt` is not as it was written.
    """
    manifest, notes = read_noted_table(paths.manifest, MANIFEST, _MANIFEST_COLUMNS)
    if notes is None:
        raise BuildRefused("there is no manifest yet; materialize manifest and splits first")
    splits = pd.concat([read_table(paths.split(s), SPLIT, ["clip_id"]).assign(split=s) for s in SPLITS])
    clips = manifest.merge(splits, on="clip_id")
    indices = class_indices(known_labels(paths, notes))
    firsts = {stored: split_labels(stored, multi_label=multi_label)[0] for stored in clips["label"].unique()}
    clips["label_index"] = clips["label"].map(firsts).map(indices).astype("int64")
    clips["num_pixels"] = clips["width_px"] * clips["height_px"]
    clips["row_digest"] = _row_digests(clips, previous, indices if multi_label else None)
    return clips[[name for name in PLAN.names if name not in ("shard_index", "position")]]


def _row_digests(clips: pd.DataFrame, previous: pd.DataFrame, indices: Mapping[str, int] | None) -> pd.Series:
    """Digest of each row; those of rows that are as they were are taken from the previous plan.

    Rows of several labels are digested anew: the table holds the index of their first label alone.
    """
    if previous.empty:
        digests = [clip.row_digest() for clip in planned_clips(clips, indices)]
        return pd.Series(digests, index=clips.index, dtype=TEXT)
    places = pd.Index(previous["clip_id"]).get_indexer(clips["clip_id"])
    is_same = places >= 0
    for name in _CLIP_FIELDS:
        old, new = previous[name].take(places).reset_index(drop=True), clips[name]
        is_same = is_same & ((old == new) | (old.isna() & new.isna())).to_numpy(dtype=bool, na_value=False)
    if indices is not None:
        several = {label for label in clips["label"].unique() if len(split_labels(label, multi_label=True)) > 1}
        is_same = is_same & ~clips["label"].isin(several).to_numpy()
    digests = previous["row_digest"].take(places).to_numpy(dtype=object, copy=True)
    digests[~is_same] = [clip.row_digest() for clip in planned_clips(clips[~is_same], indices)]
    return pd.Series(digests, index=clips.index, dtype=TEXT)


def planned_clips(rows: pd.DataFrame, indices: Mapping[str, int] | None = None) -> Iterable[PlannedClip]:
    """The rows as values, in their order; what a table has no value for is None.

    `indices` of all classes are given where a clip may have several labels.

    Raises:
        BuildRefused: if a class is not among them.
    """
    columns = [[None if pd.isna(v) else v for v in rows[name].tolist()] for name in _CLIP_FIELDS]
    clips = (PlannedClip(*values) for values in zip(*columns, strict=True))
    if indices is None:
        return clips
    return (replace(clip, other_label_indices=_indices_of(clip, indices)[1:]) for clip in clips)


def _indices_of(clip: PlannedClip, indices: Mapping[str, int]) -> tuple[int, ...]:
    try:
        return label_indices(clip.label, indices, multi_label=True)
    except KeyError as missing:
        raise BuildRefused(
            f"labels.txt does not name the class {missing} of {clip.clip_id}; run `video-assets repair`"
        ) from None


@dataclass(frozen=True)
class ReadPlan:
    """The plan as it stands on disk."""

    pinned: PinnedSettings
    rows: pd.DataFrame
    labels: list[str]

    @cached_property
    def _places(self) -> Mapping[tuple[str, int], NDArray[np.intp]]:
        """Where each shard's rows are: looked for once, not among all rows for each shard."""
        return self.rows.groupby(["split", "shard_index"], sort=False).indices

    def shard(self, split: Split, shard_index: int) -> tuple[ShardPlan, pd.DataFrame]:
        """One shard, and its rows in order.

        Raises:
            SettingsError: if the plan has no such shard.
        """
        places = self._places.get((split, shard_index))
        if places is None:
            raise SettingsError(f"{partition_key(split, shard_index)} is not in the plan; materialize plan first")
        rows = self.rows.take(places).sort_values("position", ignore_index=True)
        indices = class_indices(self.labels) if self.pinned.encoding.multi_label else None
        return ShardPlan(split, shard_index, tuple(planned_clips(rows, indices)), self.pinned.encoding), rows

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of every live shard, by partition key."""
        return dict(self._fingerprints)

    @cached_property
    def _fingerprints(self) -> Mapping[str, str]:
        digests, positions = (self.rows[name].to_numpy() for name in ("row_digest", "position"))
        found: dict[str, str] = {}
        for key in live_shards(self.rows):
            places = self._places[parse_partition_key(key)]
            ordered = digests[places[np.argsort(positions[places])]].tolist()
            found[key] = shard_fingerprint(ordered, self.pinned.encoding)
        return found


FINGERPRINT_COLUMNS = ("split", "shard_index", "position", "row_digest")
"""All of a plan's columns that `ReadPlan.fingerprints` needs."""


def read_plan(paths: DatasetPaths, columns: Sequence[str] | None = None) -> ReadPlan:
    """The plan, or some of its columns.

    Raises:
        BuildRefused: if there is none.
        FileDamaged: if it has more shards than the settings beside it say.
    """
    rows, notes = read_noted_table(paths.plan, PLAN, columns)
    # encoding.json is written after the plan: a build that was killed in between leaves the one before, or none.
    pinned = None if notes is None else PinnedSettings.noted(notes, paths.plan) or PinnedSettings.read(paths.encoding)
    if pinned is None:
        raise BuildRefused(f"there is no plan in {paths.directory}; materialize manifest, splits and plan first")
    _refuse_too_few_shards(paths, pinned, rows)
    return ReadPlan(pinned, rows, read_lines(paths.labels))


def _refuse_too_few_shards(paths: DatasetPaths, pinned: PinnedSettings, rows: pd.DataFrame) -> None:
    """Refuse a number of shards that the table goes beyond: a commit would leave the others out."""
    if not {"split", "shard_index"} <= set(rows.columns):
        return
    for split, highest in rows.groupby("split")["shard_index"].max().items():
        if highest >= (number := pinned.num_shards.get(split_named(str(split)), 0)):
            key = partition_key(split_named(str(split)), int(highest))
            raise FileDamaged(
                f"{paths.encoding.name} of {paths.name} is damaged: it says that {split} has {number} shards, and "
                f"{paths.plan.name} has {key}; {DAMAGE_REMEDY}"
            )


def plan_digest(plan: ReadPlan, fingerprints: Mapping[str, str]) -> str:
    """Hash of what a commit of this plan makes visible."""
    return json_digest(["commit", plan.pinned.version, dict(fingerprints), plan.pinned.num_shards, plan.labels])


def live_shards(rows: pd.DataFrame) -> list[str]:
    """Partition keys of a plan's shards, train first, in the order of their indices."""
    pairs = rows[["split", "shard_index"]].drop_duplicates().sort_values(["split", "shard_index"])
    keys = {split: [int(i) for i in pairs.loc[pairs["split"] == split, "shard_index"]] for split in SPLITS}
    return [partition_key(split, index) for split in SPLITS for index in keys[split]]


def partition_keys(rows: pd.DataFrame) -> NDArray[np.object_]:
    """The partition key of each row's shard."""
    of_rows = rows.groupby(["split", "shard_index"], sort=False).ngroup().to_numpy(np.intp)
    shards = rows[["split", "shard_index"]].drop_duplicates().itertuples(index=False)
    return np.array([partition_key(split, index) for split, index in shards], object)[of_rows]


def not_stored_words(rows: pd.DataFrame, encoding: Encoding) -> str:
    """What of a plan's rows its layout has no place for, as a sentence; empty if it is nothing."""
    num_captions = int(rows["caption"].notna().sum())
    if encoding.layout != "movinets_helper" or not num_captions:
        return ""
    return (
        f"{num_captions} of {len(rows)} clips have a caption, which is not stored: the layout {encoding.layout} has no "
        "place for it; tfds and sequence_example have"
    )
