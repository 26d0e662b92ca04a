"""What each stage can be told, checked."""

from dataclasses import dataclass, field

from video_assets.domain.clips import UCF101_GROUP_PATTERN
from video_assets.domain.limits import Limits, TableLimits

MAX_NAMED = 200
"""Clips that an event or a line of JSON names; the tables hold all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """How the manifest reads its source."""

    group_pattern: str = UCF101_GROUP_PATTERN
    include: tuple[str, ...] = ()
    multi_label: bool = False
    max_failed_fraction: float = 0.1
    only_settled: bool = False
    limits: Limits = field(default_factory=Limits)
    table_limits: TableLimits = field(default_factory=TableLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """How groups are assigned to splits."""

    test_fraction: float = 0.2
    val_fraction: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardingSettings:
    """How many clips a shard holds: a number, or as many as make about `shard_megabytes`."""

    clips_per_shard: int = 0
    shard_megabytes: float = 128.0
