"""What a build says of itself: from its runs, and from what is on disk after them."""

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from video_assets.defs.status import CheckStatus
from video_assets.domain.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from video_assets.pipeline.dataset_state import committed_counts
from video_assets.pipeline.plan.table import read_plan
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.storage.files import read_lines
from video_assets.storage.paths import DatasetPaths, partition_key
from video_assets.storage.quarantine import quarantined, read_quarantine
from video_assets.storage.schemas import LEFT_OUT
from video_assets.storage.tables import read_table


@dataclass(slots=True, kw_only=True)
class BuildResult:
    """What a build did; `refused` is empty, or the sentence that says why there is no new dataset.

    `gone_clips` are the first of the clips that the source no longer has, `official_ignored` the first of those that
    stay in their split though an official list says otherwise now.
    `interrupted` names the build before this one if it was killed.
    """

    paths: DatasetPaths
    source: str = ""
    version_dir: str = ""
    clips_encoded: int = 0
    clips_reused: int = 0
    shards_written: int = 0
    shards_reused: int = 0
    num_official_ignored: int = 0
    official_ignored: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    num_gone: int = 0
    gone_clips: list[str] = field(default_factory=list[str])
    checks: list[CheckStatus] = field(default_factory=list)
    seconds: float = 0.0
    refused: str = ""
    interrupted: str = ""
    is_usage_error: bool = False

    @property
    def exit_code(self) -> int:
        """0 built and valid, 1 refused or invalid, 2 wrong settings."""
        if self.is_usage_error:
            return EXIT_USAGE
        is_invalid = any(check.makes_invalid for check in self.checks)
        return EXIT_FAILED if self.refused or is_invalid else EXIT_OK

    def as_dict(self) -> dict[str, Any]:
        """The JSON object of `--json`."""
        left_out = read_table(self.paths.left_out, LEFT_OUT)
        return {
            "source": self.source,
            "root": str(self.paths.root),
            "name": self.paths.name,
            "version_dir": self.version_dir,
            "splits": committed_counts(self.paths, self.version_dir.rpartition("/")[2]) if self.version_dir else {},
            "clips_encoded": self.clips_encoded,
            "clips_reused": self.clips_reused,
            "shards_written": self.shards_written,
            "shards_reused": self.shards_reused,
            "quarantined": quarantined(self.paths.quarantine),
            "left_out": left_out.to_dict("records"),
            "classes": read_lines(self.paths.labels),
            "gone": self.num_gone,
            "gone_clips": self.gone_clips,
            "official_splits_ignored": self.num_official_ignored,
            "clips_that_stay": self.official_ignored,
            "checks": [check.as_dict() for check in self.checks],
            "seconds": round(self.seconds, 3),
            "refused": self.refused,
            "interrupted": self.interrupted,
            "exit_code": self.exit_code,
        }


def tell_planned(planned: dg.ExecuteInProcessResult, result: BuildResult) -> None:
    """Takes over what manifest and splits reported; all assets of the splits report the same."""
    said = planned.asset_materializations_for_node("manifest")[0].metadata
    result.num_gone = int(str(said["gone"].value))
    result.gone_clips = [row["clip"] for row in _rows(said.get("gone_clips"))]
    said = planned.asset_materializations_for_node("splits")[0].metadata
    result.num_official_ignored = int(str(said["official_splits_ignored"].value))
    result.official_ignored = _rows(said.get("clips_that_stay"))


def _rows(value: object) -> list[dict[str, str]]:
    if not isinstance(value, dg.TableMetadataValue):
        return []
    return [{name: str(cell) for name, cell in record.data.items()} for record in value.records]


def count_shards(instance: dg.DagsterInstance, todo: Container[str], result: BuildResult) -> None:
    """Counts stored clips and shards; those that were run tell by their materializations, the others are untouched."""
    paths = result.paths
    rows = read_plan(paths).rows
    quarantine = read_quarantine(paths.quarantine)
    lost = set(quarantine.loc[quarantine["stage"] == "shards", "clip_id"])
    stored = rows[~rows["clip_id"].isin(lost)].groupby(["split", "shard_index"]).size().to_dict()
    missing = set(shards_to_build(paths))
    for (split, index), num_stored in stored.items():
        key = partition_key(split, index)
        written = _records_written(instance, f"{split}_shards", key) if key in todo else None
        if key in missing:
            continue
        if written is None:
            result.shards_reused += 1
            result.clips_reused += int(num_stored)
        else:
            result.shards_written += 1
            result.clips_encoded += written


def _records_written(instance: dg.DagsterInstance, asset: str, key: str) -> int | None:
    """Records of a shard that its latest run wrote; None if that run found it to be right already."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[key]), limit=1
    ).records
    materialization = records[0].asset_materialization if records else None
    if materialization is None or materialization.metadata["was_reused"].value:
        return None
    return int(str(materialization.metadata["records"].value))
