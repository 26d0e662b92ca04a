"""Where videos come from, where the dataset lies, and how much of this machine decoding may use."""

import os
from functools import partial
from pathlib import Path
from typing import Literal, cast, get_args

import dagster as dg
from pydantic import Field

from video_assets.domain.build_time import Workers
from video_assets.domain.errors import SettingsError
from video_assets.domain.limits import Limits
from video_assets.media.workers.pool import PoolMaker, num_cores
from video_assets.pipeline.pool import open_pool
from video_assets.pipeline.shards.pending import SHARDS_PER_RUN
from video_assets.pipeline.shards.stage import ShardEngine
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths

SOURCE_VARIABLE = "VIDEO_ASSETS_SOURCE"
ROOT_VARIABLE = "VIDEO_ASSETS_ROOT"
NAME_VARIABLE = "VIDEO_ASSETS_NAME"
WORKERS_VARIABLE = "VIDEO_ASSETS_WORKERS"
ENGINE_VARIABLE = "VIDEO_ASSETS_ENGINE"
RAY_ADDRESS_VARIABLE = "VIDEO_ASSETS_RAY_ADDRESS"
CPUS_PER_SHARD_VARIABLE = "VIDEO_ASSETS_CPUS_PER_SHARD"
SHARDS_PER_RUN_VARIABLE = "VIDEO_ASSETS_SHARDS_PER_RUN"
AUTOMATION_VARIABLE = "VIDEO_ASSETS_AUTOMATION"
"""`on` starts sensors and schedules with the daemon; otherwise they wait for somebody to turn them on."""
SENSOR_SECONDS_VARIABLE = "VIDEO_ASSETS_SENSOR_SECONDS"
_SENSOR_SECONDS = 30
DEFAULT_NAME = "clips"
EngineKind = Literal["local", "ray"]


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
                f"no source is given; set {SOURCE_VARIABLE} to a folder of videos or an annotation table"
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
            raise SettingsError(f"no root is given; set {ROOT_VARIABLE} to the folder that shall hold the dataset")
        return DatasetPaths(open_address(self.root).absolute(), self.name)


class Decoding(dg.ConfigurableResource):
    """The pool of decoding processes."""

    num_workers: int = Field(default=0, ge=0, description="Decoding processes; 0: one for each core.")

    @property
    def workers(self) -> Workers:
        """How many processes decode, and on how many cores."""
        return Workers(self.num_workers or num_cores(), num_cores())

    def make_pool(self, limits: Limits) -> PoolMaker:
        """Opens a pool on demand."""
        return partial(open_pool, self.workers.num_workers, limits)


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
        """What `build_shards` takes: None is this machine."""
        if self.kind == "local":
            return None
        from video_assets.pipeline.shards.ray_engine import RayEngine

        return RayEngine(address=self.ray_address, cpus_per_shard=self.cpus_per_shard)


def engine_from_environment() -> Engine:
    """The engine that the environment names.

    Raises:
        SettingsError: if it names one that there is not.
    """
    kind, cpus = os.environ.get(ENGINE_VARIABLE) or "local", _whole_number(CPUS_PER_SHARD_VARIABLE, 1)
    if kind not in get_args(EngineKind):
        raise SettingsError(f"{ENGINE_VARIABLE} is {kind!r}; it must be one of {', '.join(get_args(EngineKind))}")
    address = os.environ.get(RAY_ADDRESS_VARIABLE, "")
    return Engine(kind=cast("EngineKind", kind), ray_address=address, cpus_per_shard=cpus)


def shards_per_run_from_environment() -> int:
    """How many shards a run takes; docs/SCALING.md says what that costs.

    Raises:
        SettingsError: if the environment names no such number.
    """
    return _whole_number(SHARDS_PER_RUN_VARIABLE, SHARDS_PER_RUN)


def sensor_seconds_from_environment() -> int:
    """How long sensors wait between two looks.

    Raises:
        SettingsError: if the environment names no such number.
    """
    return _whole_number(SENSOR_SECONDS_VARIABLE, _SENSOR_SECONDS)


def decoding_from_environment() -> Decoding:
    """As many decoding processes as the environment names; 0, or nothing: one for each core.

    Raises:
        SettingsError: if it names no such number.
    """
    return Decoding(num_workers=_whole_number(WORKERS_VARIABLE, 0, least=0))


def _whole_number(variable: str, default: int, *, least: int = 1) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or int(text) < least:
        raise SettingsError(f"{variable} is {text!r}; it must be a whole number from {least}")
    return int(text)
