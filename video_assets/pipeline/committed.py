"""What was committed last, as `dataset_info.json` tells it."""

from video_assets.domain.errors import FileDamaged
from video_assets.records.dataset_info import DatasetInfo, parse_dataset_info
from video_assets.storage.files import read_if_there
from video_assets.storage.paths import DatasetPaths, VersionPaths


def read_commit(version_paths: VersionPaths) -> DatasetInfo | None:
    """What the commit says, or None without one.

    Raises:
        FileDamaged: if it is not what a commit writes.
        StorageFailed: if it cannot be read.
    """
    data = read_if_there(version_paths.dataset_info)
    return None if data is None else parse_dataset_info(data, version_paths.dataset_info)


def _whole_commit(version_paths: VersionPaths) -> DatasetInfo | None:
    """None also where it is damaged: the next commit then checks everything and writes it again."""
    try:
        return read_commit(version_paths)
    except FileDamaged:
        return None


def committed_lengths(version_paths: VersionPaths) -> dict[str, list[int]]:
    """Records of each shard of the committed dataset by split; 0 for a retired one.

    Empty without a commit, and where it is damaged.
    """
    info = _whole_commit(version_paths)
    return {} if info is None else {split: list(lengths) for split, lengths in info.lengths.items()}


def committed_plan_digest(version_paths: VersionPaths) -> str:
    """The digest of the plan that was committed last; empty without a commit, and where it is damaged."""
    info = _whole_commit(version_paths)
    return "" if info is None else info.plan_digest


def committed_counts(paths: DatasetPaths, version: str) -> dict[str, dict[str, int]]:
    """Records and live shards of each split of a committed version; empty without a commit."""
    lengths = committed_lengths(paths.version(version))
    return {
        split: {"records": sum(numbers), "shards": sum(1 for number in numbers if number)}
        for split, numbers in lengths.items()
    }
