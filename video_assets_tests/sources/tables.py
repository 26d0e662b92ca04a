"""One table, read row by row in its order."""

from pathlib import Path

from video_assets.settings import DEFAULT_TABLE_LIMITS, TableLimits
from video_assets.sources.annotations import ClipRules, clips_of_rows
from video_assets.sources.dialect import Match
from video_assets.sources.dialects.table import TABLE
from video_assets.sources.found import AnnotatedClips
from video_assets.sources.opening import open_tree
from video_assets.sources.options import ReadingOptions

LIMITS = DEFAULT_TABLE_LIMITS


def read_annotations(
    table: Path, group_pattern: str = "", limits: TableLimits = LIMITS, *, multi_label: bool = False
) -> AnnotatedClips:
    """What a table asks for, by the dialect of tables."""
    options = ReadingOptions(
        source_format="table", group_pattern=group_pattern, table_limits=limits, multi_label=multi_label
    )
    tree = open_tree(table, options)
    return clips_of_rows(TABLE.tables(tree, Match((table.name,), "")), ClipRules(group_pattern, multi_label))
