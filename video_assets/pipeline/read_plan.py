"""The plan as it stands on disk: its shards, their clips and their fingerprints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.domain.hashing import json_digest
from video_assets.domain.plan import ShardPlan, shard_fingerprint
from video_assets.domain.splits import SPLITS, Split, split_named
from video_assets.pipeline.label_sets import class_indices
from video_assets.pipeline.pinned import PinnedSettings
from video_assets.pipeline.planned_rows import planned_clips
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths, partition_key
from video_assets.storage.schemas import PLAN
from video_assets.storage.tables import read_noted_table


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
        ordered = self.rows.sort_values(["split", "shard_index", "position"])
        found = {
            partition_key(split_named(split), int(index)): digests.tolist()
            for (split, index), digests in ordered.groupby(["split", "shard_index"])["row_digest"]
        }
        return {key: shard_fingerprint(found[key], self.pinned.encoding) for key in live_shards(self.rows)}


FINGERPRINT_COLUMNS = ("split", "shard_index", "position", "row_digest")
"""All of a plan's columns that `ReadPlan.fingerprints` needs."""


def read_plan(paths: DatasetPaths, columns: Sequence[str] | None = None) -> ReadPlan:
    """The plan, or some of its columns.

    Raises:
        BuildRefused: if there is none.
    """
    beside = PinnedSettings.read(paths.encoding)
    rows, notes = read_noted_table(paths.plan, PLAN, columns)
    if beside is None or notes is None:
        raise BuildRefused(f"there is no plan in {paths.directory}; materialize manifest, splits and plan first")
    return ReadPlan(PinnedSettings.noted(notes, paths.plan) or beside, rows, read_lines(paths.labels))


def plan_digest(plan: ReadPlan, fingerprints: Mapping[str, str]) -> str:
    """Hash of what a commit of this plan makes visible."""
    return json_digest(["commit", plan.pinned.version, dict(fingerprints), plan.pinned.num_shards, plan.labels])


def live_shards(rows: pd.DataFrame) -> list[str]:
    """Partition keys of a plan's shards, train first, in the order of their indices."""
    pairs = rows[["split", "shard_index"]].drop_duplicates().sort_values(["split", "shard_index"])
    keys = {split: [int(i) for i in pairs.loc[pairs["split"] == split, "shard_index"]] for split in SPLITS}
    return [partition_key(split, index) for split in SPLITS for index in keys[split]]


def partition_keys(rows: pd.DataFrame) -> list[str]:
    """The partition key of each row's shard."""
    return [partition_key(split, index) for split, index in zip(rows["split"], rows["shard_index"], strict=True)]


def not_stored_words(rows: pd.DataFrame, encoding: Encoding) -> str:
    """What of a plan's rows its layout has no place for, as a sentence; empty if it is nothing."""
    num_captions = int(rows["caption"].notna().sum())
    if encoding.layout != "movinets_helper" or not num_captions:
        return ""
    return (
        f"{num_captions} of {len(rows)} clips have a caption, which is not stored: the layout {encoding.layout} has no "
        "place for it; tfds and sequence_example have"
    )
