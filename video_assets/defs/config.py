"""Run config: what the launchpad, `--config` and `--set` can say, with descriptions, ranges and defaults."""

import re

import dagster as dg
from pydantic import Field, ValidationInfo, field_validator

from video_assets.domain.clips import UCF101_GROUP_PATTERN
from video_assets.domain.encoding import (
    Encoding,
    ImageFormat,
    Layout,
    Resize,
    Sampling,
    ShortClip,
)
from video_assets.domain.limits import Limits, TableLimits
from video_assets.pipeline.settings import SourceSettings, SplitSettings

_LIMITS = Limits()
_TABLE_LIMITS = TableLimits()
_ENCODING = Encoding()


class SourceConfig(dg.Config):
    """How the manifest reads the source."""

    group_pattern: str = Field(
        UCF101_GROUP_PATTERN,
        description="Regular expression; what its groups match in a path, joined, is the clip's group. "
        "Default: UCF101 names (v_Class_g01_c01.avi); in a dataset that exists, as it was built. Empty: no groups from "
        "names.",
    )
    include: list[str] = Field(
        default=[],
        description="Glob patterns on paths relative to the source; a file must match one. Empty: all videos. "
        "Default: all; in a dataset that exists, as it was built.",
    )
    multi_label: bool = Field(
        default=False,
        description="Whether a clip may have several labels: run|jump in a table's column label, or as the name of a "
        "class folder.",
    )
    max_failed_fraction: float = Field(
        0.1, ge=0, le=1, description="Share of clips that may be unusable before the build fails (0 to 1)."
    )
    only_settled: bool = Field(
        default=False, description="Take only files that stood still between two looks of the new-videos sensor."
    )
    max_pixels: int = Field(
        _LIMITS.max_pixels,
        ge=1,
        description="Largest frame, in pixels; larger videos are quarantined. Default: above 8K.",
    )
    max_frames: int = Field(_LIMITS.max_frames, ge=1, description="Most frames of a video.")
    max_duration_seconds: float = Field(_LIMITS.max_duration_seconds, gt=0, description="Longest video, in seconds.")
    max_file_megabytes: int = Field(_LIMITS.max_file_bytes // 10**6, ge=1, description="Largest file, in MB.")
    clip_seconds: float = Field(
        _LIMITS.clip_seconds,
        gt=0,
        description="Seconds that opening or decoding one clip may take, in its own process.",
    )
    clip_memory_megabytes: int = Field(
        _LIMITS.memory_bytes // 2**20, ge=256, description="Memory that a decoding process may use, in MiB."
    )
    max_table_rows: int = Field(_TABLE_LIMITS.max_rows, ge=1, description="Most rows of an annotation table.")
    max_table_megabytes: int = Field(
        _TABLE_LIMITS.max_bytes // 10**6,
        ge=1,
        description="Most text of an annotation table, in MB, as it would be written out.",
    )

    @field_validator("group_pattern")
    @classmethod
    def _must_be_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    def to_settings(self) -> SourceSettings:
        """The stage's settings."""
        limits = Limits(
            max_pixels=self.max_pixels,
            max_frames=self.max_frames,
            max_duration_seconds=self.max_duration_seconds,
            max_file_bytes=self.max_file_megabytes * 10**6,
            clip_seconds=self.clip_seconds,
            memory_bytes=self.clip_memory_megabytes * 2**20,
        )
        return SourceSettings(
            group_pattern=self.group_pattern,
            include=tuple(self.include),
            multi_label=self.multi_label,
            max_failed_fraction=self.max_failed_fraction,
            only_settled=self.only_settled,
            limits=limits,
            table_limits=TableLimits(max_rows=self.max_table_rows, max_bytes=self.max_table_megabytes * 10**6),
        )

    @classmethod
    def from_settings(cls, settings: SourceSettings, *, only_settled: bool) -> "SourceConfig":
        """The config that gives these settings."""
        limits = settings.limits
        return cls(
            group_pattern=settings.group_pattern,
            include=list(settings.include),
            multi_label=settings.multi_label,
            max_failed_fraction=settings.max_failed_fraction,
            only_settled=only_settled,
            max_pixels=limits.max_pixels,
            max_frames=limits.max_frames,
            max_duration_seconds=limits.max_duration_seconds,
            max_file_megabytes=limits.max_file_bytes // 10**6,
            clip_seconds=limits.clip_seconds,
            clip_memory_megabytes=limits.memory_bytes // 2**20,
            max_table_rows=settings.table_limits.max_rows,
            max_table_megabytes=settings.table_limits.max_bytes // 10**6,
        )


class SplitConfig(dg.Config):
    """How groups are assigned to train, test and val. Clips that were assigned stay where they are."""

    test_fraction: float = Field(0.2, ge=0, le=1, description="Share of each class's clips that go to test (0 to 1).")
    val_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share that goes to a third split, val; 0: there is none, unless a table's column split says so.",
    )
    seed: int = Field(0, ge=-(2**63), lt=2**63, description="Another seed gives another, equally good split.")

    def to_settings(self) -> SplitSettings:
        """The stage's settings."""
        return SplitSettings(test_fraction=self.test_fraction, val_fraction=self.val_fraction, seed=self.seed)

    @field_validator("val_fraction")
    @classmethod
    def _must_leave_room(cls, fraction: float, info: ValidationInfo) -> float:
        taken = info.data.get("test_fraction", 0.0)
        if round(taken + fraction, 9) > 1:
            raise ValueError(f"together with test_fraction {taken} it is above 1")
        return fraction

    @classmethod
    def from_settings(cls, settings: SplitSettings) -> "SplitConfig":
        """The config that gives these settings."""
        return cls(test_fraction=settings.test_fraction, val_fraction=settings.val_fraction, seed=settings.seed)


class EncodingConfig(dg.Config):
    """How a clip becomes a record. Pinned by the first plan; a change needs plan.new_version."""

    layout: Layout = Field(_ENCODING.layout, description="Whose record contract the shards follow.")
    sampling: Sampling = Field(
        _ENCODING.sampling,
        description="Which frames: uniform (num_frames over the clip), fps (a fixed rate), segments (the middle of "
        "num_frames equal parts), all.",
    )
    num_frames: int = Field(
        _ENCODING.num_frames, ge=1, le=10_000, description="Frames of a clip: uniform and segments."
    )
    fps: float = Field(_ENCODING.fps, gt=0, le=1000, description="Frames a second: sampling fps.")
    max_frames: int = Field(_ENCODING.max_frames, ge=1, le=100_000, description="Most frames of a clip: fps and all.")
    resolution: int = Field(
        _ENCODING.resolution, ge=8, le=4096, description="Side of a frame, or its short side, in pixels."
    )
    resize: Resize = Field(
        _ENCODING.resize,
        description="stretch (to a square), short_side (keeps the aspect), center_crop (a square of it), letterbox "
        "(all of it in a square with black bars).",
    )
    image_format: ImageFormat = Field(_ENCODING.image_format, description="How frames are stored: jpeg or png.")
    jpeg_quality: int = Field(_ENCODING.jpeg_quality, ge=1, le=100, description="JPEG quality, 1 to 100.")
    short_clip: ShortClip = Field(
        _ENCODING.short_clip,
        description="A clip with fewer frames than num_frames: repeat_last, loop, or quarantine it.",
    )
    audio_sample_rate: int = Field(
        _ENCODING.audio_sample_rate,
        ge=0,
        le=384_000,
        description="Samples of sound a second, mono, stored with the frames (layout sequence_example); 0: no sound.",
    )

    def to_encoding(self) -> Encoding:
        """The encoding."""
        return Encoding(**self.model_dump())


class PlanConfig(dg.Config):
    """Which clips go to which shard, and the encoding of them all."""

    encoding: EncodingConfig = Field(
        default=EncodingConfig.model_validate({}), description="How a clip becomes a record."
    )
    clips_per_shard: int = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Clips of a shard; 0: as many as make about shard_megabytes, or as planned before.",
    )
    shard_megabytes: float = Field(
        128.0, gt=0, le=100_000, description="Size of a shard in MB, about, if clips_per_shard is 0."
    )
    retry_lost: bool = Field(
        default=False,
        description="Encode clips again that were lost to a timeout, a crash, memory, or a file that was missing or "
        "could not be read.",
    )
    new_version: bool = Field(
        default=False, description="Build the next version directory beside the old one if the encoding changed."
    )

    def to_settings(self):
        """The stage's settings."""
        from video_assets.settings import PlanSettings

        return PlanSettings(
            self.encoding.to_encoding(), self.clips_per_shard, self.shard_megabytes, self.retry_lost, self.new_version
        )


class DatasetConfig(dg.Config):
    """The commit."""

    near_duplicates_are_errors: bool = Field(
        default=False, description="Refuse the commit if clips of train and test look alike (otherwise a warning)."
    )
    text_index: bool = Field(
        default=False,
        description="Write a text index (offset and size, a line a record) beside each shard, for DALI and PyTorch; "
        "where there are some, later commits go on with them.",
    )
    retired_grace_minutes: float = Field(
        15.0, ge=0, description="Minutes that files of retired shards stay, for readers that opened the dataset before."
    )
    licence: str = Field(
        "", description="The licence of the videos, for the dataset card and for readers. Empty: as committed before."
    )

    def to_settings(self):
        from video_assets.settings import DatasetSettings

        return DatasetSettings(**self.model_dump())
