"""Every setting: its name, range and default, and what it does.

The launchpad, `--set`, `--config` and the notes in a dataset's tables are all made from these models, and so is
docs/SETTINGS.md. The names are a contract: scripts use them.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Self, get_args

from pydantic import Field, field_validator, model_validator

from video_assets.setting_types import (
    ClipField,
    DamagedClips,
    EpicLabel,
    Hdr,
    ImageFormat,
    Layout,
    OverMaxFrames,
    Resize,
    Sampling,
    SettingsGroup,
    ShortClip,
    SourceFormat,
)

FOR_ONE_RUN: Final = frozenset(
    {"only_settled", "retry_lost", "new_version", "max_removed_fraction", "max_conflict_fraction"}
)
"""Settings that hold for the run that is given them. All others stay with the dataset."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of all, from 0 to 1."""

UCF101_GROUP_PATTERN: Final = r"v_(?P<class>[^/]+)_g(?P<number>\d+)_c\d+\.[^/.]+$"
"""`v_Class_g01_c01.avi`; source: Soomro, Zamir and Shah, UCF101, CRCV-TR-12-01, section 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for one video, in the units in which they are checked; what is beyond them is quarantined by name.

    Pixels, frames, duration and bytes are checked before anything is decoded, from the index where there is one, since
    headers lie. Time and memory are enforced on the process that decodes. `ManifestSettings.limits` makes them.
    """

    max_pixels: int
    max_frames: int
    max_duration_seconds: float
    max_file_bytes: int
    clip_seconds: float
    memory_bytes: int
    store_damaged: bool = False
    min_readable_fraction: float = 0.0


class ManifestSettings(SettingsGroup):
    """How the manifest reads the source."""

    source_format: SourceFormat = Field(
        default="auto", description="How the source is laid out; auto: by its annotation files, then by its folders."
    )
    columns: dict[str, str] = Field(
        default={},
        description="Columns of annotation tables by field (path, label, start, end, start_frame, end_frame, split, "
        "group, caption), over the usual names; an empty name: the table does not have the field. Without a header, "
        "numbers of columns.",
    )
    videos: str = Field(
        default="", description="Folder of the videos, if it is not the table's; a relative one is in the source."
    )
    class_names: str = Field(
        default="", description="File of the classes' numbers and order: a name per line, number and name, or JSON."
    )
    official_split: int = Field(default=1, ge=1, le=100, description="Which of the published splits (UCF101, HMDB51).")
    label_pattern: str = Field(
        default="",
        description="Regular expression whose group (label, or the first) is the class in a file's name: ([^_]+)_.",
    )
    epic_label: EpicLabel = Field(default="verb", description="The class in EPIC-KITCHENS: verb, noun or action.")
    allow_single_class: bool = Field(
        default=False, description="Whether a new dataset may have one class alone; mostly its labels are elsewhere."
    )
    follow_links: bool = Field(
        default=False,
        description="Whether symbolic links out of the source are followed (Hugging Face, DVC, git-annex).",
    )
    max_missing_fraction: Share = Field(
        default=0.2, description="Share of listed clips that may have no file before the build is refused (0 to 1)."
    )
    group_pattern: str = Field(
        default=UCF101_GROUP_PATTERN,
        description="Regular expression; what its groups match in a path, joined, is the clip's group. "
        "Default: UCF101 names (v_Class_g01_c01.avi). Empty: no groups from names.",
    )
    include: list[str] = Field(
        default=[], description="Glob patterns for paths in the source; a file must match one. Empty: all videos."
    )
    exclude: str = Field(
        default="",
        description="File of clips to leave out: a path or an id a line; # begins a comment line. "
        "In a dataset that exists, as it was built.",
    )
    multi_label: bool = Field(
        default=False,
        description="Whether a clip may have several labels: run|jump as its label, or as its class folder's name.",
    )
    max_failed_fraction: Share = Field(
        default=0.1, description="Share of clips that may be unusable before the build fails (0 to 1)."
    )
    max_removed_fraction: Share = Field(
        default=0.2,
        description="Share of the committed clips that may leave the dataset in one run (0 to 1), and never a whole "
        "class; 1: any. For one run; the dataset does not remember it.",
    )
    damaged_clips: DamagedClips = Field(
        default="quarantine",
        description="Clips of which a frame, or one that it is decoded from, decodes only with errors: quarantine, "
        "or store with a warning.",
    )
    min_readable_fraction: Share = Field(
        default=0.9,
        description="A video of which less can be read than this share of what its container says is quarantined as "
        "truncated (0 to 1).",
    )
    only_settled: bool = Field(
        default=False, description="Take only files that stood still between two looks of the new-videos sensor."
    )
    max_pixels: int = Field(  # a frame of 8K UHD has 33.2 million
        default=36_000_000,
        ge=1,
        description="Largest frame, in pixels; larger videos are quarantined. Default: above 8K.",
    )
    max_frames: int = Field(default=2_000_000, ge=1, description="Most frames of a video.")
    max_duration_seconds: float = Field(default=6 * 3600.0, gt=0, description="Longest video, in seconds.")
    max_file_megabytes: int = Field(default=64 * 2**30 // 10**6, ge=1, description="Largest file, in MB.")
    clip_seconds: float = Field(
        default=120.0, gt=0, description="Seconds that opening or decoding one clip may take, in its own process."
    )
    clip_memory_megabytes: int = Field(default=2048, ge=256, description="Most memory of a decoding process, in MiB.")
    max_table_rows: int = Field(default=5_000_000, ge=1, description="Most rows of an annotation table.")
    max_table_megabytes: int = Field(
        default=2000, ge=1, description="Most text of an annotation table, in MB, as it would be written out."
    )

    @field_validator("columns")
    @classmethod
    def _must_be_fields(cls, columns: dict[str, str]) -> dict[str, str]:
        known = get_args(ClipField)
        if unknown := [name for name in columns if name not in known]:
            raise ValueError(f"{unknown[0]} is no field of a clip; fields are {', '.join(known)}")
        return columns

    @field_validator("group_pattern", "label_pattern")
    @classmethod
    def _must_be_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @property
    def limits(self) -> Limits:
        """What one video may take."""
        return Limits(
            max_pixels=self.max_pixels,
            max_frames=self.max_frames,
            max_duration_seconds=self.max_duration_seconds,
            max_file_bytes=self.max_file_megabytes * 10**6,
            clip_seconds=self.clip_seconds,
            memory_bytes=self.clip_memory_megabytes * 2**20,
            store_damaged=self.damaged_clips == "store",
            min_readable_fraction=self.min_readable_fraction,
        )

    @property
    def max_table_bytes(self) -> int:
        """Bytes of an annotation table's texts, written out: Parquet may hold a text once and name it often."""
        return self.max_table_megabytes * 10**6


DEFAULT_LIMITS: Final = ManifestSettings().limits


class SplitSettings(SettingsGroup):
    """How groups are assigned to train, test and val. Clips that were assigned stay where they are."""

    test_fraction: Share = Field(default=0.2, description="Share of each class's clips that go to test (0 to 1).")
    val_fraction: Share = Field(
        default=0.0, description="Share for a third split, val; 0: none, unless a folder or a table says so."
    )
    seed: int = Field(default=0, ge=-(2**63), lt=2**63, description="Another seed gives another, equally good split.")
    group_near_duplicates: bool = Field(
        default=False,
        description="Whether new clips that look alike go to one split together; three frames of each are decoded for "
        "it. Clips that have their split stay.",
    )
    max_conflict_fraction: Share = Field(
        default=0.2,
        description="Share of the committed clips that may leave the dataset in one run (0 to 1), because their groups "
        "now join clips of several splits. For one run; the dataset does not remember it.",
    )

    @model_validator(mode="after")
    def _must_leave_room(self) -> Self:
        # One of them alone meets the other when the dataset's own settings are filled in.
        if {"test_fraction", "val_fraction"} <= self.model_fields_set and self._taken > 1:
            raise ValueError(
                f"splits.test_fraction {self.test_fraction} and splits.val_fraction {self.val_fraction} "
                f"are together {self._taken:g}; at most 1 can be held out"
            )
        return self

    @property
    def _taken(self) -> float:
        return round(self.test_fraction + self.val_fraction, 9)


class EncodingSettings(SettingsGroup):
    """How a clip becomes a record. Pinned by the first plan; a change needs plan.new_version."""

    layout: Layout = Field(default="tfds", description="Whose record contract the shards follow.")
    sampling: Sampling = Field(
        default="uniform",
        description="Which frames: uniform (num_frames over the clip), fps (a fixed rate), segments (the middle of "
        "num_frames equal parts), all.",
    )
    num_frames: int = Field(default=10, ge=1, le=10_000, description="Frames of a clip: uniform and segments.")
    fps: float = Field(default=5.0, gt=0, le=1000, description="Frames a second: sampling fps.")
    max_frames: int = Field(default=300, ge=1, le=100_000, description="Most frames of a clip: fps and all.")
    over_max_frames: OverMaxFrames = Field(
        default="first",
        description="What is kept of a clip with more than max_frames (fps and all): the first ones, or as many spread "
        "over the clip. Either way the clip is named in the warnings.",
    )
    resolution: int = Field(default=224, ge=8, le=4096, description="Side of a frame, or its short side, in pixels.")
    resize: Resize = Field(
        default="stretch",
        description="stretch (to a square), short_side (keeps the aspect), center_crop (a square of it), letterbox "
        "(all of it in a square with black bars).",
    )
    image_format: ImageFormat = Field(default="jpeg", description="How frames are stored: jpeg or png.")
    jpeg_quality: int = Field(default=95, ge=1, le=100, description="JPEG quality, 1 to 100.")
    short_clip: ShortClip = Field(
        default="repeat_last", description="A clip with fewer frames than num_frames: repeat_last, loop, quarantine."
    )
    deinterlace: bool = Field(
        default=False,
        description="Of interlaced frames, store one moment instead of two: the lines of one field, and others made "
        "from them (FFmpeg's estdif).",
    )
    hdr: Hdr = Field(
        default="clip",
        description="Frames of HDR videos (PQ, HLG): clip keeps the values of the signal, which look flat; tonemap "
        "brings them to the brightness and colours of SDR (BT.709).",
    )
    audio_sample_rate: int = Field(
        default=0,
        ge=0,
        le=384_000,
        description="Samples of sound a second, mono, stored with the frames (layout sequence_example); 0: no sound.",
    )


class PlanSettings(SettingsGroup):
    """Which clips go to which shard, and the encoding of them all."""

    encoding: EncodingSettings = Field(default=EncodingSettings(), description="How a clip becomes a record.")
    clips_per_shard: int = Field(
        default=0, ge=0, le=1_000_000, description="Clips of a shard; 0: to make shard_megabytes, or as planned before."
    )
    shard_megabytes: float = Field(
        default=128.0, gt=0, le=100_000, description="Size of a shard in MB, about, if clips_per_shard is 0."
    )
    retry_lost: bool = Field(
        default=False,
        description="Encode clips again that were lost to a timeout, a crash, memory, or a file missing or unreadable.",
    )
    new_version: bool = Field(
        default=False, description="Build the next version directory beside the old one if the encoding changed."
    )


class DatasetSettings(SettingsGroup):
    """The commit."""

    near_duplicates_are_errors: bool = Field(
        default=False, description="Refuse the commit if clips of train and test look alike (otherwise a warning)."
    )
    text_index: bool = Field(
        default=False,
        description="Write a text index (offset and size per record) for DALI and PyTorch; later commits keep it.",
    )
    retired_grace_minutes: float = Field(
        default=15.0, ge=0, description="Minutes that files of retired shards stay, for readers that opened them."
    )
    licence: str = Field(
        default="", description="Licence of the videos, for the card and for readers. Empty: as committed before."
    )
    citation: str = Field(
        default="", description="How to cite the videos, for the card and tensorflow-datasets. Empty: nothing."
    )
    intended_use: str = Field(default="", description="What the dataset is meant for, and what not, for its card.")
    history_runs: int = Field(
        default=100,
        ge=1,
        description="How many finished runs, and events of builds by command per asset and check, Dagster's history of "
        "the dataset keeps when it is pruned. The newest of every partition stay.",
    )
    history_days: float = Field(
        default=90.0, gt=0, description="How many days they are kept when the history is pruned."
    )


class Settings(SettingsGroup):
    """The settings of all steps, by step."""

    manifest: ManifestSettings = Field(default=ManifestSettings(), description="How the manifest reads the source.")
    splits: SplitSettings = Field(default=SplitSettings(), description="How groups are assigned to splits.")
    plan: PlanSettings = Field(default=PlanSettings(), description="Which clips go to which shard, and how encoded.")
    dataset: DatasetSettings = Field(default=DatasetSettings(), description="The commit.")

    @model_validator(mode="after")
    def _must_fit_the_layout(self) -> Self:
        # A layout that is not given is the dataset's own: this is asked again when that is filled in.
        encoding = self.plan.encoding
        told = what_cannot_be_stored(encoding, multi_label=self.manifest.multi_label)
        if told and "layout" in encoding.model_fields_set:
            raise ValueError(told)
        return self


def what_cannot_be_stored(encoding: EncodingSettings, *, multi_label: bool) -> str:
    """Return what is asked for and the layout has no place for, as a sentence with the settings; empty for nothing."""
    layout = encoding.layout
    if encoding.audio_sample_rate and layout != "sequence_example":
        return (
            f"plan.encoding.audio_sample_rate is {encoding.audio_sample_rate}, but the layout {layout} has no "
            "place for sound; set it to 0, or plan.encoding.layout to sequence_example"
        )
    if multi_label and layout == "movinets_helper":
        return (
            f"manifest.multi_label is true, but a record of the layout {layout} has one label; "
            "set plan.encoding.layout to tfds or sequence_example, or manifest.multi_label to false"
        )
    return ""
