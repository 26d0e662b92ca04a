"""All that the reading of a source depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from video_assets.settings import DEFAULT_TABLE_LIMITS, UCF101_GROUP_PATTERN, TableLimits

SourceFormat = Literal[
    "auto",
    "folders",
    "split_folders",
    "table",
    "hf_videofolder",
    "ucf101",
    "hmdb51",
    "kinetics",
    "something_something",
    "jester",
    "activitynet",
    "charades",
    "epic_kitchens",
    "moments",
    "diving48",
    "finegym",
    "mmaction2",
    "slowfast",
    "label_studio",
    "file_names",
]
SOURCE_FORMATS: tuple[SourceFormat, ...] = get_args(SourceFormat)
EpicLabel = Literal["verb", "noun", "action"]

Field = Literal["path", "label", "start", "end", "start_frame", "end_frame", "split", "group", "caption"]
FIELDS: tuple[Field, ...] = get_args(Field)
"""What a row of annotations can say of a clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """How a source is to be read; each field is a setting of the manifest.

    `columns` maps fields to columns of a table. `videos` is the folder of the videos where it is not the table's; a
    relative one is taken from the source. `class_names` is a file that gives classes their numbers and order.
    `official_split` says which of several published splits is meant. `label_pattern` finds the class in a file's
    name: its group `label`, else its first group.
    """

    source_format: SourceFormat = "auto"
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    videos: str = ""
    class_names: str = ""
    official_split: int = 1
    label_pattern: str = ""
    epic_label: EpicLabel = "verb"
    allow_single_class: bool = False
    follow_links: bool = False
    group_pattern: str = UCF101_GROUP_PATTERN
    include: tuple[str, ...] = ()
    multi_label: bool = False
    table_limits: TableLimits = DEFAULT_TABLE_LIMITS
    max_missing_fraction: float = 0.2
