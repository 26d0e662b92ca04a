"""What a dataset on disk says of itself: its last commit, and whether tables were lost."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.domain.splits import SPLITS
from video_assets.records.dataset_info import DatasetInfo, parse_dataset_info
from video_assets.storage.files import read_if_there
from video_assets.storage.paths import DatasetPaths, VersionPaths, partition_key
from video_assets.storage.sidecars import read_checksums
from video_assets.storage.tables import INDEX, read_notes, read_table


def read_commit(version_paths: VersionPaths) -> DatasetInfo | None:
    """What the commit says, or None without one.

    Raises:
        FileDamaged: if it is not what a commit writes.
        StorageFailed: if it cannot be read.
    """
    data = read_if_there(version_paths.dataset_info)
    return None if data is None else parse_dataset_info(data, version_paths.dataset_info)


def whole_commit(version_paths: VersionPaths) -> DatasetInfo | None:
    """What the commit says; None also where it is damaged: the next one then checks everything and writes it again."""
    try:
        return read_commit(version_paths)
    except FileDamaged:
        return None


def committed_lengths(version_paths: VersionPaths) -> dict[str, list[int]]:
    """Records of each shard of the committed dataset by split; 0 for a retired one.

    Empty without a commit, and where it is damaged.
    """
    info = whole_commit(version_paths)
    return {} if info is None else {split: list(lengths) for split, lengths in info.lengths.items()}


def committed_records(version_paths: VersionPaths) -> dict[str, int]:
    """The same by the partition keys of the shards."""
    lengths = committed_lengths(version_paths)
    return {partition_key(split, i): num for split in SPLITS for i, num in enumerate(lengths.get(split, ()))}


def committed_plan_digest(version_paths: VersionPaths) -> str:
    """The digest of the plan that was committed last; empty without a commit, and where it is damaged."""
    info = whole_commit(version_paths)
    return "" if info is None else info.plan_digest


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A commit that was not finished, in one sentence. `is_mixed`: files of two commits lie beside one another."""

    sentence: str = ""
    is_mixed: bool = False


def unfinished_commit(version_paths: VersionPaths, planned_digest: str) -> Unfinished:
    """Return what of the last commit is not finished; an empty sentence if all is."""
    committed = committed_plan_digest(version_paths)
    if not committed:
        return Unfinished()
    index, checksums = _plan_of_index(version_paths), read_checksums(version_paths.checksums)
    if (index and index != committed) or (checksums is not None and checksums.before):
        return Unfinished(
            f"A commit of {version_paths.version} was interrupted: its index, card or tables are not those of "
            f"{version_paths.dataset_info.name}, which is whole. Run `video-assets build` again to finish it.",
            is_mixed=True,
        )
    if committed != planned_digest:
        return Unfinished("A newer plan is not committed yet; `video-assets build` finishes it.")
    return Unfinished()


def _plan_of_index(version_paths: VersionPaths) -> str:
    """Return the digest of the plan that the index is of; empty where that is not known."""
    try:
        return str(json.loads((read_notes(version_paths.index) or {}).get("commit", "{}")).get("plan", ""))
    except FileDamaged:
        return ""


def committed_counts(paths: DatasetPaths, version: str) -> dict[str, dict[str, int]]:
    """Records and live shards of each split of a committed version; empty without a commit."""
    lengths = committed_lengths(paths.version(version))
    return {
        split: {"records": sum(numbers), "shards": sum(1 for number in numbers if number)}
        for split, numbers in lengths.items()
    }


def committed_version(paths: DatasetPaths) -> str:
    """Return the newest version that is committed; empty without one."""
    return next((name for name in reversed(paths.versions()) if paths.version(name).dataset_info.is_file()), "")


def committed_clips(paths: DatasetPaths, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return name, label and content of every clip of the newest commit.

    Where its index is damaged, they are those of the manifest.
    """
    columns = ["clip_id", "label", "content_hash"]
    version = committed_version(paths)
    if not version:
        return manifest.iloc[:0][columns]
    try:
        return read_table(paths.version(version).index, INDEX, columns)
    except FileDamaged:
        return manifest[columns]


def committed_warnings(paths: DatasetPaths, version: str) -> list[SourceWarning]:
    """What the commit of a version warned of; empty without a commit, and where it is damaged."""
    info = whole_commit(paths.version(version))
    return [] if info is None else list(info.warnings)


def refuse_lost(paths: DatasetPaths, table: Path) -> None:
    """For a stage that found no `table` of its own: lets it begin only where no version was ever committed.

    Raises:
        FileDamaged: if one was; its classes would be numbered, its clips split, and its shards written anew in place.
    """
    for version in paths.versions():
        if paths.version(version).dataset_info.is_file():
            raise FileDamaged(
                f"{table.name} of {paths.name} is missing, but {version} is committed; going on without it could move "
                f"clips and classes. {DAMAGE_REMEDY[0].upper()}{DAMAGE_REMEDY[1:]}; or remove {paths.directory} to "
                "begin again"
            )
