"""A dataset as a component of a `dg` project: the value of `VideoDataset`, written in a `defs.yaml`."""

from typing import TypeVar

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from video_assets.defs.automation import Automation
from video_assets.defs.graph import DEFAULT_GROUP
from video_assets.defs.video_dataset import build_video_dataset_defs
from video_assets.environment import VideoDataset
from video_assets.settings import DatasetSettings, EncodingSettings, ManifestSettings, PlanSettings, SplitSettings

_Model = TypeVar("_Model", bound=BaseModel)


def _described(model: type[_Model]) -> type[_Model]:
    """Give the fields their descriptions in Dagster's schema too: it takes them from a resolver alone."""
    for field in model.model_fields.values():
        field.metadata = [*field.metadata, dg.Resolver.default(description=field.description)]
    return model


# Dagster takes fields with a range in a Resolvable alone. Its values are the same as those of the models below it.


@_described
class ManifestAttributes(dg.Resolvable, ManifestSettings):
    """How the manifest reads the source."""


@_described
class SplitAttributes(dg.Resolvable, SplitSettings):
    """How groups are assigned to splits."""


@_described
class EncodingAttributes(dg.Resolvable, EncodingSettings):
    """How a clip becomes a record."""


@_described
class PlanAttributes(dg.Resolvable, PlanSettings):
    """Which clips go to which shard."""

    encoding: EncodingAttributes = Field(  # pyright: ignore[reportIncompatibleVariableOverride]  (models are frozen)
        default=EncodingAttributes(), description=PlanSettings.model_fields["encoding"].description
    )


@_described
class DatasetAttributes(dg.Resolvable, DatasetSettings):
    """The commit."""


@_described
class AutomationAttributes(dg.Resolvable, Automation):
    """What starts the dataset's runs by itself."""


@_described
class Freshness(dg.Resolvable, BaseModel):
    """How old the last commit may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fail_after_hours: float = Field(gt=0, description="Hours after a commit when the dataset counts as overdue.")
    warn_after_hours: float | None = Field(default=None, description="Hours after a commit when a warning is shown.")

    def policy(self) -> dg.FreshnessPolicy:
        """Return Dagster's policy."""
        from datetime import timedelta

        warn = None if self.warn_after_hours is None else timedelta(hours=self.warn_after_hours)
        return dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=self.fail_after_hours), warn_window=warn)


class VideoDatasetScaffolder(dg.Scaffolder):
    """Writes a `defs.yaml` with what every dataset needs, named after the folder."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write it: names that are valid, places to fill in."""
        name = request.target_path.name
        attributes = {
            "name": name.lower().replace("-", "_"),
            "source": f"data/{name}",
            "root": "data/datasets",
            "key_prefix": [name],
            "encoding": {"num_frames": 16},
            "automation": {"sensors": False},
        }
        dg.scaffold_component(request, attributes)


@dg.scaffold_with(VideoDatasetScaffolder)
@_described
class VideoDatasetComponent(dg.Component, dg.Resolvable, VideoDataset):
    """Turns a place full of labelled videos into a validated TFRecord dataset, and keeps it up to date."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    manifest: ManifestAttributes = Field(  # pyright: ignore[reportIncompatibleVariableOverride]  (models are frozen)
        default=ManifestAttributes(), description=VideoDataset.model_fields["manifest"].description
    )
    splits: SplitAttributes = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=SplitAttributes(), description=VideoDataset.model_fields["splits"].description
    )
    encoding: EncodingAttributes = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=EncodingAttributes(), description=VideoDataset.model_fields["encoding"].description
    )
    plan: PlanAttributes = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=PlanAttributes(), description=VideoDataset.model_fields["plan"].description
    )
    dataset: DatasetAttributes = Field(  # pyright: ignore[reportIncompatibleVariableOverride]
        default=DatasetAttributes(), description=VideoDataset.model_fields["dataset"].description
    )
    key_prefix: str | list[str] = Field(
        default=[], description="Prefix of all asset keys; other names begin with it, joined by two underscores."
    )
    group: str = Field(default="", description=f"Group of the assets; default: the prefix, or {DEFAULT_GROUP}.")
    owners: list[str] = Field(default=[], description="Owners of the assets, such as team:vision or an e-mail address.")
    tags: dict[str, str] = Field(default={}, description="Tags of the assets, beside their stage.")
    videos: str = Field(
        default="", description="Key of the asset that writes the videos, such as raw/ucf101; default: none does."
    )
    pool: str = Field(default="", description="Concurrency pool of the shards; default: one of this dataset alone.")
    automation: AutomationAttributes = Field(
        default=AutomationAttributes(), description="What starts the dataset's runs by itself."
    )
    freshness: Freshness | None = Field(default=None, description="How old the last commit may be.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002  (Dagster gives it)
        """Return the dataset's definitions."""
        given = self.model_dump(exclude_unset=True, include=set(VideoDataset.model_fields))
        return build_video_dataset_defs(
            VideoDataset.model_validate(given),
            key_prefix=self.key_prefix,
            group=self.group,
            owners=self.owners,
            tags=self.tags,
            videos=dg.AssetKey.from_user_string(self.videos) if self.videos else None,
            pool=self.pool,
            automation=self.automation,
            freshness=self.freshness.policy() if self.freshness else None,
        )
