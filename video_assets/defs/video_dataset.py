"""The Dagster definitions of one dataset, to stand beside those of other datasets and of anything else.

`build_video_dataset_defs` makes them of a `VideoDataset`. The component is the same for a `dg` project: the value is
written in a `defs.yaml`.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from video_assets.defs.asset_checks import dataset_checks
from video_assets.defs.assets import dataset_asset, manifest_asset, plan_asset, shards_asset, split_assets, videos_asset
from video_assets.defs.automation import Automation, missing_shards_sensor, new_videos_sensor, schedules
from video_assets.defs.graph import DEFAULT_GROUP, DatasetGraph
from video_assets.defs.jobs import dataset_jobs, prune_job, verify_job
from video_assets.domain.splits import SPLITS
from video_assets.environment import VideoDataset
from video_assets.settings import DatasetSettings, EncodingSettings, ManifestSettings, PlanSettings, SplitSettings


def build_video_dataset_defs(
    dataset: VideoDataset,
    *,
    key_prefix: str | Sequence[str] = (),
    group: str = "",
    owners: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    videos: dg.AssetKey | str | Sequence[str] | None = None,
    pool: str = "",
    automation: Automation | None = None,
    freshness: dg.FreshnessPolicy | None = None,
) -> dg.Definitions:
    """Return the assets, checks, jobs, sensors, schedules and resources of one dataset.

    Everything is named after the key prefix, so that any number of datasets, and definitions of others, merge
    (`dg.Definitions.merge`). No executor is set: the dataset's jobs bring their own, runs of assets use yours.

    Args:
        dataset: What to build, from what, and under which settings.
        key_prefix: The prefix of asset keys; other names begin with its parts, joined by two underscores.
        group: The assets' group; by default the prefix, or `video_dataset` without one.
        owners: The assets' owners, such as `team:vision` or an e-mail address.
        tags: Tags of all assets, beside their stage.
        videos: The key of an asset that writes the videos; by default the videos are an asset of this dataset, which
            the new-videos sensor observes.
        pool: The concurrency pool of shards; by default one of this dataset alone.
        automation: Sensors, schedules and conditions; by default sensors and schedules are there, and stopped.
        freshness: The freshness policy of the committed dataset.
    """
    prefix = (key_prefix,) if isinstance(key_prefix, str) and key_prefix else tuple(key_prefix)
    graph = DatasetGraph(
        dataset=dataset,
        prefix=prefix,
        group=group,
        owners=owners,
        tags=tags or {},
        videos=None if videos is None else dg.AssetKey.from_coercible(videos),
        pool=pool,
        freshness=freshness,
        has_conditions=automation is not None and automation.conditions,
    )
    automation = automation or Automation()
    jobs = dataset_jobs(graph)
    return dg.Definitions(
        assets=[
            *([videos_asset(graph)] if videos is None else []),
            manifest_asset(graph),
            split_assets(graph),
            plan_asset(graph),
            *(shards_asset(graph, split) for split in SPLITS),
            dataset_asset(graph),
        ],
        asset_checks=[dataset_checks(graph)],
        jobs=[*jobs, verify_job(graph), prune_job(graph)],
        sensors=[new_videos_sensor(graph, automation), missing_shards_sensor(graph, automation, jobs)],
        schedules=schedules(graph, automation),
        resources=graph.resources(),
    )


# --- The component ---

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
