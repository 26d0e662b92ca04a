"""All that the reading of a source depends on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, get_args

from video_assets.settings import (
    DEFAULT_TABLE_LIMITS,
    UCF101_GROUP_PATTERN,
    ClipField,
    EpicLabel,
    ManifestSettings,
    SourceFormat,
    TableLimits,
)

SOURCE_FORMATS: tuple[SourceFormat, ...] = get_args(SourceFormat)
FIELDS: tuple[ClipField, ...] = get_args(ClipField)


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

    @classmethod
    def of(cls, settings: ManifestSettings) -> Self:
        """Return what the settings say of the reading."""
        return cls(
            source_format=settings.source_format,
            columns=settings.columns,
            videos=settings.videos,
            class_names=settings.class_names,
            official_split=settings.official_split,
            label_pattern=settings.label_pattern,
            epic_label=settings.epic_label,
            allow_single_class=settings.allow_single_class,
            follow_links=settings.follow_links,
            group_pattern=settings.group_pattern,
            include=tuple(settings.include),
            multi_label=settings.multi_label,
            table_limits=settings.table_limits,
            max_missing_fraction=settings.max_missing_fraction,
        )
