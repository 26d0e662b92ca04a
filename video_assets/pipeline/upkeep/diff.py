"""`video-assets diff`: what changed between two committed versions, in terms of clips."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.errors import SettingsError
from video_assets.pipeline.dataset_state import read_commit
from video_assets.storage.paths import VersionPaths, parse_version
from video_assets.storage.schemas import INDEX
from video_assets.storage.tables import read_table

COMPARED_COLUMNS = ("clip_id", "split", "label", "content_hash")


@dataclass(slots=True)
class DatasetDiff:
    """Clips by what happened to them between two versions; a clip may stand under several words.

    `renamed` clips have another name and the same content; `changed` ones the same name and another content.
    `re_encoded` counts clips that are in both and whose records differ because the encoding does.
    """

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    renamed: list[dict[str, str]] = field(default_factory=list)
    relabelled: list[dict[str, str]] = field(default_factory=list)
    moved: list[dict[str, str]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    re_encoded: int = 0
    encoding: dict[str, list[Any]] = field(default_factory=dict)
    unchanged: int = 0


def diff_versions(before_dir: Path, after_dir: Path) -> DatasetDiff:
    """Compares two version directories, of one dataset or of two.

    Raises:
        SettingsError: if one of them holds no committed dataset.
        FileDamaged: if what one of them says is not what a commit writes.
    """
    before, old_encoding = _read(before_dir)
    after, new_encoding = _read(after_dir)
    diff = diff_indices(before, after)
    diff.encoding = {name: list(pair) for name, pair in sorted(changed_fields(old_encoding, new_encoding).items())}
    if diff.encoding:
        diff.re_encoded = len(set(before["clip_id"]) & set(after["clip_id"]))
        diff.unchanged = 0
    return diff


def diff_indices(before: pd.DataFrame, after: pd.DataFrame) -> DatasetDiff:
    """Compares the clips of two indices of records (`COMPARED_COLUMNS` of them), taking their encoding for the same."""
    diff = DatasetDiff()
    old_ids, new_ids = set(before["clip_id"]), set(after["clip_id"])
    diff.added, diff.removed = sorted(new_ids - old_ids), sorted(old_ids - new_ids)
    _find_renamed(before, after, diff)
    both = before.merge(after, on="clip_id", suffixes=("_before", "_after")).sort_values("clip_id")
    for word, column in (("relabelled", "label"), ("moved", "split")):
        rows = both[both[f"{column}_before"] != both[f"{column}_after"]]
        entries = zip(rows["clip_id"], rows[f"{column}_before"], rows[f"{column}_after"], strict=True)
        getattr(diff, word).extend({"clip_id": c, "before": b, "after": a} for c, b, a in entries)
    has_changed = both["content_hash_before"] != both["content_hash_after"]
    diff.changed = both.loc[has_changed, "clip_id"].tolist()
    touched = {*diff.changed, *(entry["clip_id"] for entry in [*diff.relabelled, *diff.moved])}
    diff.unchanged = len(both) - len(touched)
    return diff


def _find_renamed(before: pd.DataFrame, after: pd.DataFrame, diff: DatasetDiff) -> None:
    """Takes pairs of one content out of the added and the removed."""
    gone = before[before["clip_id"].isin(diff.removed)].drop_duplicates("content_hash")
    new = after[after["clip_id"].isin(diff.added)].drop_duplicates("content_hash")
    pairs = gone.merge(new, on="content_hash", suffixes=("_before", "_after")).sort_values("clip_id_after")
    old_names, new_names = pairs["clip_id_before"].tolist(), pairs["clip_id_after"].tolist()
    diff.renamed += [{"before": old, "after": name} for old, name in zip(old_names, new_names, strict=True)]
    diff.removed = sorted(set(diff.removed).difference(old_names))
    diff.added = sorted(set(diff.added).difference(new_names))


def _read(version_dir: Path) -> tuple[pd.DataFrame, Encoding]:
    if parse_version(version_dir.name) is None:
        raise SettingsError(f"{version_dir} is not a version directory, such as root/clips/1.0.0")
    paths = VersionPaths(version_dir, version_dir.parent.name, version_dir.name)
    info = read_commit(paths)
    if info is None or not paths.index.exists():
        raise SettingsError(f"{version_dir} holds no committed dataset; build it first")
    return read_table(paths.index, INDEX), info.encoding
