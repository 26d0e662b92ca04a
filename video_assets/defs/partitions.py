"""The partitions of a dataset: one a shard, in sets that no other dataset shares."""

from collections.abc import Mapping, Sequence, Set

import dagster as dg

from video_assets.domain.splits import SPLITS, Split
from video_assets.storage.addresses import open_address, place_digest
from video_assets.storage.paths import keys_of_split, parse_partition_key

RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""By these Dagster knows the partitions of a run: from one to another, in the order in which they were added."""
BACKFILL_TAG = "dagster/backfill"
"""On every run of a backfill; "Materialize all" is one where assets have partitions."""
_BATCH = 10_000
"""Most keys that are registered at once."""


def shard_partitions(root: str, name: str) -> dict[Split, dg.DynamicPartitionsDefinition]:
    """The partition set of each split, named after the dataset and the place of its root."""
    place = place_digest(open_address(root))
    return {split: dg.DynamicPartitionsDefinition(name=f"{name}_{place}_{split}_shards") for split in SPLITS}


def partition_order(
    instance: dg.DagsterInstance, partitions: Mapping[Split, dg.DynamicPartitionsDefinition]
) -> dict[Split, Sequence[str]]:
    """The keys of each split's set, in the order that ranges go by."""
    return {split: instance.get_dynamic_partitions(str(definition.name)) for split, definition in partitions.items()}


def register_shards(
    instance: dg.DagsterInstance,
    partitions: Mapping[Split, dg.DynamicPartitionsDefinition],
    keys: Sequence[str],
    in_flight: Set[str] = frozenset(),
) -> None:
    """Makes the keys of each split's set those of the plan; new ones are added in the order of their indices.

    Those that an unfinished run covers stay until a later plan: the run would fail, at its end too, if the first or the
    last key of its range were gone.
    """
    for split, definition in partitions.items():
        set_name = str(definition.name)
        wanted = keys_of_split(keys, split)
        known = set(instance.get_dynamic_partitions(set_name))
        for gone in sorted(known.difference(wanted, in_flight)):
            instance.delete_dynamic_partition(set_name, gone)
        new = sorted((key for key in wanted if key not in known), key=parse_partition_key)
        for begin in range(0, len(new), _BATCH):
            instance.add_dynamic_partitions(set_name, new[begin : begin + _BATCH])
