"""TEMPORARY: replaced by the branch settings."""

from dataclasses import dataclass

from video_assets.domain.encoding import Encoding
from video_assets.pipeline.settings import SourceSettings, SplitSettings

MAX_NAMED = 200

ManifestSettings = SourceSettings


@dataclass(frozen=True)
class PlanSettings:
    encoding: Encoding = Encoding()
    clips_per_shard: int = 0
    shard_megabytes: float = 128.0
    retry_lost: bool = False
    new_version: bool = False


@dataclass(frozen=True)
class DatasetSettings:
    near_duplicates_are_errors: bool = False
    text_index: bool = False
    retired_grace_minutes: float = 15.0
    licence: str = ""


@dataclass(frozen=True)
class Settings:
    manifest: ManifestSettings = ManifestSettings()
    splits: SplitSettings = SplitSettings()
    plan: PlanSettings = PlanSettings()
    dataset: DatasetSettings = DatasetSettings()
