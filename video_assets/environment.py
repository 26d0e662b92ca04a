"""What the environment says: which dataset a code location shows, and on what it is built."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from video_assets.domain.errors import SettingsError
from video_assets.pipeline.shards.stage import ShardEngine

EngineKind = Literal["local", "ray"]
ENGINES: Final = get_args(EngineKind)
DEFAULT_NAME: Final = "clips"
_PREFIX = "VIDEO_ASSETS_"


class Environment(BaseModel):
    """The variables VIDEO_ASSETS_SOURCE, VIDEO_ASSETS_ROOT and so on; an empty one counts as not set."""

    model_config = ConfigDict(frozen=True)

    source: str = Field(default="", description="The labelled videos: a folder or an annotation table.")
    root: str = Field(default="", description="The folder that holds datasets: a path, s3:// or gs://.")
    name: str = Field(default=DEFAULT_NAME, description="The dataset's name, as tensorflow-datasets knows it.")
    workers: int = Field(default=0, ge=0, description="Decoding processes; 0: one per core.")
    engine: EngineKind = Field(default="local", description="Who builds shards: this machine, or a Ray cluster.")
    ray_address: str = Field(default="", description="Of a Ray cluster; empty: one is started on this machine.")
    cpus_per_shard: int = Field(default=1, ge=1, description="Cores, and decoding processes, of one shard on Ray.")
    shards_per_run: int = Field(default=50, ge=1, description="Shards of one run; docs/SCALING.md says what they cost.")
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

    def shard_engine(self) -> ShardEngine | None:
        """Return who builds shards; None: decoding processes of this machine."""
        if self.engine == "local":
            return None
        from video_assets.pipeline.shards.ray_engine import RayEngine

        return RayEngine(address=self.ray_address, cpus_per_shard=self.cpus_per_shard)


def variable_name(setting: str) -> str:
    """Return the variable of a setting.

    >>> variable_name("sensor_seconds")
    'VIDEO_ASSETS_SENSOR_SECONDS'
    """
    return f"{_PREFIX}{setting.upper()}"
