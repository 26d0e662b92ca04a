"""One dataset in a code location: the names of its assets, jobs and sensors, their resources, and its partitions."""

from collections.abc import Generator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import dagster as dg
from pydantic import Field, PrivateAttr

from video_assets.defs.config import settings_of_run, shown_settings
from video_assets.defs.lineage import CODE_VERSION
from video_assets.domain.errors import SettingsError
from video_assets.domain.progress import Progress, silent
from video_assets.domain.splits import SPLITS, Split
from video_assets.environment import DEFAULT_NAME, EngineKind, Environment, VideoDataset, variable_name
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.build import Steps
from video_assets.pipeline.shards.stage import ShardEngine
from video_assets.pipeline.shared_pools import SharedPools
from video_assets.settings import Limits, Settings
from video_assets.storage.addresses import open_address, place_digest, place_name
from video_assets.storage.paths import DatasetPaths, keys_of_split, parse_partition_key


class Source(dg.ConfigurableResource):
    """The place of the labelled videos."""

    address: str = Field(
        description="A folder with a folder per class, or an annotation table (.csv, .parquet, .jsonl): a path, s3://, gs://."
    )

    def path(self) -> Path:
        """The address as a path.

        Raises:
            SettingsError: if none is given.
        """
        if not self.address:
            raise SettingsError(
                f"no source is given; set {variable_name('source')} to a folder of videos or an annotation table"
            )
        return open_address(self.address).absolute()


class Dataset(dg.ConfigurableResource):
    """The place of the dataset."""

    root: str = Field(description="The folder that holds datasets: a path, s3:// or gs://.")
    name: str = Field(default=DEFAULT_NAME, description="The dataset's name, as tensorflow-datasets knows it.")

    def paths(self) -> DatasetPaths:
        """Where everything lies.

        Raises:
            SettingsError: if no root is given, or the name will not do.
        """
        if not self.root:
            raise SettingsError(
                f"no root is given; set {variable_name('root')} to the folder that shall hold the dataset"
            )
        return DatasetPaths(open_address(self.root).absolute(), self.name)

    def steps(self, decoding: "Decoding", progress: Progress = silent, engine: ShardEngine | None = None) -> Steps:
        """Return the steps that build this dataset."""
        return Steps(paths=self.paths(), pools_for=decoding.pools_for, progress=progress, engine=engine)


class Decoding(dg.ConfigurableResource):
    """The pool of decoding processes."""

    num_workers: int = Field(default=0, ge=0, description="Decoding processes; 0: one for each core.")
    _pools: SharedPools = PrivateAttr(default_factory=SharedPools)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Decoding", None, None]:  # noqa: ARG002  (the base class has it)
        """For one run: its assets and checks share one pool."""
        with SharedPools(self.num_workers) as self._pools:
            yield self

    def pools_for(self, limits: Limits, num_workers: int = 0, /) -> PoolMaker:
        """Return what lends the run's pool."""
        return self._pools(limits, num_workers)


class Engine(dg.ConfigurableResource):
    """Who builds shards: this machine, or a Ray cluster."""

    kind: EngineKind = Field(
        default="local", description="local: decoding processes of this machine; ray: tasks of a Ray cluster."
    )
    ray_address: str = Field(
        default="",
        description="Of a running cluster: auto, or host:port of its head. Empty: one is started here.",
    )
    cpus_per_shard: int = Field(default=1, ge=1, description="Cores, and decoding processes, of one shard on Ray.")

    def shard_engine(self) -> ShardEngine | None:
        """Return what `build_shards` takes: None is this machine."""
        return Environment(
            engine=self.kind, ray_address=self.ray_address, cpus_per_shard=self.cpus_per_shard
        ).shard_engine()


DATASET_TAG = "video_assets/dataset"
"""On every run of our jobs and sensors: the dataset's folder. Other datasets on the instance have runs, too."""
RANGE_START_TAG, RANGE_END_TAG = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""By these Dagster knows the partitions of a run: from one to another, in the order in which they were added."""
BACKFILL_TAG = "dagster/backfill"
"""On every run of a backfill; "Materialize all" is one where assets have partitions."""
_BATCH = 10_000
"""Most keys that are registered at once."""
DEFAULT_GROUP = "video_dataset"
PLANNING, CONVERSION, COMMIT = "planning", "conversion", "commit"
"""Stages, which assets have as a tag: tag:stage=conversion finds shards."""
CARD_ADDRESS = "/card/{name}/{version}"
"""Where `video-assets ui` serves the card of a version."""
BUILD_JOB, PLAN_JOB, COMMIT_JOB, VERIFY_JOB = "build_dataset", "plan_dataset", "commit_dataset", "verify_shards"
PRUNE_JOB = "prune_history"
"""Jobs, without a prefix."""


class Attributes(TypedDict):
    """What all assets of a stage have in common."""

    group_name: str
    owners: Sequence[str]
    tags: Mapping[str, str]
    code_version: str
    automation_condition: dg.AutomationCondition | None


@dataclass(frozen=True, kw_only=True)
class DatasetGraph:
    """The asset graph of one dataset: its value, the prefix of all its names, and what its owner says of its assets.

    Without a prefix names are as short as they can be: `manifest`, `plan_dataset`. With the prefix `["sports", "ucf"]`
    they are `sports/ucf/manifest` for an asset, and `sports__ucf__plan_dataset` for anything else.
    """

    dataset: VideoDataset
    prefix: Sequence[str] = ()
    group: str = ""
    owners: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    videos: dg.AssetKey | None = None
    pool: str = ""
    freshness: dg.FreshnessPolicy | None = None
    has_conditions: bool = False

    @classmethod
    def of_command(cls, paths: DatasetPaths) -> "DatasetGraph":
        """Return the graph that builds by command are reported to: without a prefix."""
        return cls(dataset=VideoDataset(name=paths.name, source="", root=str(paths.root)))

    def key(self, name: str) -> dg.AssetKey:
        """Return the key of an asset."""
        return dg.AssetKey([*self.prefix, name])

    def name(self, name: str) -> str:
        """Return the name of an op, a job, a sensor, a schedule, a resource or a pool."""
        return self.key(name).to_python_identifier()

    @property
    def videos_key(self) -> dg.AssetKey:
        """The key of the videos: somebody else's asset, or one of this graph."""
        return self.videos or self.key("videos")

    def shards_key(self, split: Split) -> dg.AssetKey:
        """Return the key of a split's shards."""
        return self.key(f"{split}_shards")

    @property
    def split_keys(self) -> list[dg.AssetKey]:
        """The keys of the splits' clips."""
        return [self.key(f"{split}_split") for split in SPLITS]

    @property
    def keys(self) -> list[dg.AssetKey]:
        """The keys of all assets, the videos last if they are of this graph."""
        names = ["manifest", "plan", "dataset"]
        mine = [*map(self.key, names), *self.split_keys, *map(self.shards_key, SPLITS)]
        return mine if self.videos else [*mine, self.videos_key]

    @property
    def shard_pool(self) -> str:
        """The pool that the dataset's shards are written in."""
        return self.pool or self.name("video_shards")

    def attributes(self, stage: str) -> "Attributes":
        """Return what all assets of a stage have in common."""
        group = self.group or ("__".join(self.prefix) if self.prefix else DEFAULT_GROUP)
        return {
            "group_name": group.replace("-", "_").replace(".", "_"),
            "owners": list(self.owners),
            "tags": {**self.tags, "stage": stage},
            "code_version": CODE_VERSION,
            "automation_condition": self._condition(stage) if self.has_conditions else None,
        }

    def _condition(self, stage: str) -> dg.AutomationCondition:
        """Return what asks for the assets of a stage: news of the videos, missing shards, a whole plan."""
        if stage == CONVERSION:  # an updated plan says nothing of the shards that are there
            return dg.AutomationCondition.on_missing()
        eager = dg.AutomationCondition.eager()
        if stage == COMMIT:  # a plan without news needs no commit
            return eager.ignore(dg.AssetSelection.assets(self.key("plan")))
        return eager.without(~dg.AutomationCondition.any_deps_missing())  # nobody may have observed the videos

    @cached_property
    def partitions(self) -> Mapping[Split, dg.DynamicPartitionsDefinition]:
        """The partition set of each split."""
        return shard_partitions(self.dataset.root, self.dataset.name)

    @cached_property
    def run_tags(self) -> Mapping[str, str]:
        """Tags of every run of the dataset's jobs; none before a root is given."""
        root = self.dataset.root
        return {DATASET_TAG: place_name(open_address(root) / self.dataset.name)} if root else {}

    @cached_property
    def shown_settings(self) -> Settings:
        """What the launchpad shows: the settings of the dataset's value, and its own for all others."""
        root, name = self.dataset.root, self.dataset.name
        paths = DatasetPaths(open_address(root).absolute(), name) if root else None
        return shown_settings(paths, self.dataset.settings)

    def settings_of(self, run_config: Mapping[str, Any], paths: DatasetPaths) -> Settings:
        """Return the settings of a run of this dataset; see `settings_of_run`.

        Raises:
            SettingsError: naming every wrong field with its value and what is allowed.
        """
        ops = run_config.get("ops") or {}
        steps = {step: ops[name] for step in Settings.model_fields if (name := self.name(step)) in ops}
        return settings_of_run({"ops": steps}, paths, self.dataset.settings, self.shown_settings)

    # --- Resources ---

    def resources(self) -> dict[str, dg.ConfigurableResource]:
        """Return the dataset's resources by their names."""
        made = self.dataset
        return {
            self.name("source"): Source(address=made.source),
            self.name("dataset"): Dataset(root=made.root, name=made.name),
            self.name("decoding"): Decoding(num_workers=made.workers),
            self.name("engine"): Engine(
                kind=made.engine, ray_address=made.ray_address, cpus_per_shard=made.cpus_per_shard
            ),
        }

    def card_address(self, version_dir: str) -> str:
        """Return where the UI serves the card; empty with a prefix, for then the UI is somebody's own Dagster.

        It names no host and no port: the same link opens through a tunnel.
        """
        version = version_dir.rpartition("/")[2]
        return "" if self.prefix else CARD_ADDRESS.format(name=self.dataset.name, version=version)

    def needs(self, *resources: str) -> set[str]:
        """Return the names of resources that an asset, a check or a sensor needs."""
        return {self.name(resource) for resource in resources}

    def source_of(self, context: Any) -> Source:
        """Return the place of the videos, of a run or a look."""
        return getattr(context.resources, self.name("source"))

    def dataset_of(self, context: Any) -> Dataset:
        """Return the place of the dataset, of a run or a look."""
        return getattr(context.resources, self.name("dataset"))

    def decoding_of(self, context: Any) -> Decoding:
        """Return the decoding processes of a run."""
        return getattr(context.resources, self.name("decoding"))

    def engine_of(self, context: Any) -> Engine:
        """Return who builds shards in a run."""
        return getattr(context.resources, self.name("engine"))


# --- Partitions: one a shard, in sets that no other dataset shares ---


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
