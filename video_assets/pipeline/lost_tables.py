"""A committed dataset whose tables are gone is no new one: what they alone know must not be decided anew."""

from pathlib import Path

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.storage.paths import DatasetPaths


def refuse_lost(paths: DatasetPaths, table: Path) -> None:
    """For a stage that found no `table` of its own: lets it begin only where no version was ever committed.

    Raises:
        FileDamaged: if one was; its classes would be numbered, its clips split, and its shards written anew in place.
    """
    for version in paths.versions():
        if paths.version(version).dataset_info.exists():
            raise FileDamaged(
                f"{table.name} of {paths.name} is missing, but {version} is committed; going on without it could move "
                f"clips and classes. {DAMAGE_REMEDY[0].upper()}{DAMAGE_REMEDY[1:]}; or remove {paths.directory} to "
                "begin again"
            )
