"""Which version of an asset an event stands for, and which versions of its inputs it was made from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from video_assets.defs import private_dagster

CODE_VERSION = "1"
"""Of every asset; raised when a stage would write other things from the same inputs."""


@dataclass(frozen=True, slots=True)
class Input:
    """The version of an upstream asset, and the number of the event that says so."""

    data_version: str = private_dagster.NO_VERSION
    event_pointer: str = private_dagster.NO_EVENT


def latest_input(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Input:
    """Return the latest materialization of an unpartitioned asset as an input."""
    records = instance.fetch_materializations(asset, limit=1).records
    if not records or (event := records[0].asset_materialization) is None:
        return Input()
    return Input(
        (event.tags or {}).get(private_dagster.DATA_VERSION_TAG, private_dagster.NO_VERSION), str(records[0].storage_id)
    )


def partitioned_input(instance: dg.DagsterInstance, asset: dg.AssetKey, fingerprints: Mapping[str, str]) -> Input:
    """Return shards as one input: the versions of all partitions, joined in the order of their keys and hashed.

    This is how Dagster joins them for an asset without partitions that depends on partitioned ones.
    """
    records = instance.fetch_materializations(asset, limit=1).records
    if not records or not fingerprints:
        return Input()
    joined = "".join(fingerprints[key] for key in sorted(fingerprints))
    return Input(hashlib.sha256(joined.encode("utf-8")).hexdigest(), str(records[0].storage_id))


def latest_observation(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Input:
    """Return the latest observation of an asset that nothing here materializes as an input."""
    records = instance.fetch_observations(asset, limit=1).records
    if not records or (event := records[0].asset_observation) is None:
        return Input()
    return Input(
        (event.tags or {}).get(private_dagster.DATA_VERSION_TAG, private_dagster.NO_VERSION), str(records[0].storage_id)
    )


def lineage_tags(data_version: str, inputs: Mapping[dg.AssetKey, Input]) -> dict[str, str]:
    """Return the tags of a materialization of this version from these inputs."""
    tags = {
        private_dagster.CODE_VERSION_TAG: CODE_VERSION,
        private_dagster.DATA_VERSION_TAG: data_version,
        private_dagster.DATA_VERSION_IS_OURS_TAG: "true",
    }
    for key, made_from in inputs.items():
        name = key.to_user_string()
        tags[f"{private_dagster.INPUT_DATA_VERSION_TAG}/{name}"] = made_from.data_version
        tags[f"{private_dagster.INPUT_EVENT_POINTER_TAG}/{name}"] = made_from.event_pointer
    return tags
