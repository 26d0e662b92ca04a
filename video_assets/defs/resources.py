"""Where videos come from, where the dataset lies, and how much of this machine decoding may use."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from video_assets.domain.errors import SettingsError
from video_assets.domain.progress import Progress, silent
from video_assets.environment import DEFAULT_NAME, EngineKind, Environment, variable_name
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.build import Steps
from video_assets.pipeline.pool import SharedPools
from video_assets.pipeline.shards.stage import ShardEngine
from video_assets.settings import Limits
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths


class VideoSource(dg.ConfigurableResource):
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

    def pools_for(self, limits: Limits) -> PoolMaker:
        """Return what lends the run's pool."""
        return self._pools(limits)


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
