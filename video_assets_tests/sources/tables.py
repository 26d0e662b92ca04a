"""One table, read row by row in its order."""

from pathlib import Path
from typing import Any

from video_assets.settings import ManifestSettings
from video_assets.sources.annotations import ClipRules, Match, clips_of_rows
from video_assets.sources.dialects.table import TABLE
from video_assets.sources.source_clips import AnnotatedClips
from video_assets.sources.tree import open_tree


def read_annotations(
    table: Path, group_pattern: str = "", *, multi_label: bool = False, **limits: Any
) -> AnnotatedClips:
    """What a table asks for, by the dialect of tables."""
    settings = ManifestSettings(source_format="table", group_pattern=group_pattern, multi_label=multi_label).replace(
        **limits
    )
    tree = open_tree(table, settings)
    return clips_of_rows(TABLE.tables(tree, Match((table.name,), "")), ClipRules(group_pattern, multi_label))
