"""A dataset as a value: name, places, who builds it, settings. It is given in Python, or named by the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from video_assets.domain.errors import SettingsError
from video_assets.pipeline.shards.stage import ShardEngine
from video_assets.settings import (
    DatasetSettings,
    EncodingSettings,
    ManifestSettings,
    PlanSettings,
    Settings,
    SplitSettings,
)
from video_assets.storage.paths import refuse_name

EngineKind = Literal["local", "ray"]
DEFAULT_NAME: Final = "clips"
_PREFIX = "VIDEO_ASSETS_"


class Workplace(BaseModel):
    """Who builds a dataset, and in runs of which size. Subclasses have a `name`, which must be one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=0, ge=0, description="Decoding processes; 0: one per core.")
    engine: EngineKind = Field(default="local", description="Who builds shards: this machine, or a Ray cluster.")
    ray_address: str = Field(default="", description="Of a Ray cluster; empty: one is started on this machine.")
    cpus_per_shard: int = Field(default=1, ge=1, description="Cores, and decoding processes, of one shard on Ray.")
    shards_per_run: int = Field(default=50, ge=1, description="Shards of one run; docs/SCALING.md says what they cost.")

    @field_validator("name", check_fields=False)
    @classmethod
    def _must_be_a_name(cls, name: str) -> str:
        try:
            refuse_name(name)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return name

    def shard_engine(self) -> ShardEngine | None:
        """Return who builds shards; None: decoding processes of this machine."""
        if self.engine == "local":
            return None
        from video_assets.pipeline.shards.ray_engine import RayEngine

        return RayEngine(address=self.ray_address, cpus_per_shard=self.cpus_per_shard)


class VideoDataset(Workplace):
    """One dataset: its name, where its videos and itself are, who builds it, and its settings.

    Only the settings that are given count. For the others the dataset's own apply, as it was built with them.

    >>> ucf = VideoDataset(name="ucf101", source="/data/ucf101", root="/data/datasets", encoding={"num_frames": 16})
    >>> ucf.settings.plan.encoding.num_frames, ucf.settings.plan.model_fields_set
    (16, {'encoding'})
    """

    name: str = Field(description="The dataset's name, as tensorflow-datasets knows it: small letters, digits and _.")
    source: str = Field(description="The labelled videos: a folder or an annotation table; a path, s3:// or gs://.")
    root: str = Field(description="The folder that holds datasets: a path, s3:// or gs://.")
    manifest: ManifestSettings = Field(default=ManifestSettings(), description="How the source is read.")
    splits: SplitSettings = Field(default=SplitSettings(), description="How clips go to train, test and val.")
    encoding: EncodingSettings = Field(default=EncodingSettings(), description="How a clip becomes a record.")
    plan: PlanSettings = Field(default=PlanSettings(), description="Which clips go to which shard.")
    dataset: DatasetSettings = Field(default=DatasetSettings(), description="The commit.")

    @field_validator("source", "root", mode="before")
    @classmethod
    def _may_be_a_path(cls, place: object) -> object:
        return str(place) if isinstance(place, Path) else place

    @model_validator(mode="after")
    def _must_fit_together(self) -> Self:
        if self.encoding.model_fields_set and "encoding" in self.plan.model_fields_set:
            raise ValueError("encoding is given twice, as encoding and as plan.encoding; leave one out")
        _ = self.settings
        return self

    @property
    def settings(self) -> Settings:
        """The settings that are given, by step."""
        plan = self.plan
        if self.encoding.model_fields_set:
            plan = plan.replace(encoding=self.encoding)
        groups = {"manifest": self.manifest, "splits": self.splits, "plan": plan, "dataset": self.dataset}
        return Settings.model_validate({step: group for step, group in groups.items() if group.model_fields_set})


class Environment(Workplace):
    """The variables VIDEO_ASSETS_SOURCE, VIDEO_ASSETS_ROOT and so on; an empty one counts as not set."""

    source: str = Field(default="", description="The labelled videos: a folder or an annotation table.")
    root: str = Field(default="", description="The folder that holds datasets: a path, s3:// or gs://.")
    name: str = Field(default=DEFAULT_NAME, description="The dataset's name, as tensorflow-datasets knows it.")
    automation: Literal["on", "off"] = Field(default="off", description="on: sensors and schedules run by themselves.")
    sensor_seconds: int = Field(default=30, ge=1, description="How long sensors wait between two looks.")

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Environment":
        """Return what is set, checked.

        Raises:
            SettingsError: naming the variable, its value and what is allowed.
        """
        given = {name: value for name in cls.model_fields if (value := variables.get(variable_name(name)))}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            name = variable_name(str(problem["loc"][0]))
            raise SettingsError(f"{name} is {problem['input']!r}: {problem['msg']}") from error

    def as_variables(self) -> dict[str, str]:
        """Return the variables that say this, for a process that is started; only what was given."""
        return {variable_name(name): str(getattr(self, name)) for name in self.model_fields_set}

    def dataset(self) -> VideoDataset:
        """Return the dataset that is named, without any settings."""
        shared = {name: getattr(self, name) for name in VideoDataset.model_fields if name in type(self).model_fields}
        return VideoDataset.model_validate(shared)


def variable_name(setting: str) -> str:
    """Return the variable of a setting.

    >>> variable_name("sensor_seconds")
    'VIDEO_ASSETS_SENSOR_SECONDS'
    """
    return f"{_PREFIX}{setting.upper()}"
