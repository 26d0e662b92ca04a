"""What a commit says of itself: its licence, and what it changed, in clips. `video-assets diff` compares two versions.

What a commit says stands twice, in the index's own file and in `dataset_info.json`, so that one of them can be made
again from the other. It has the digest of its plan too, so that committing again, or after a kill, says the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from video_assets.domain.encoding import Encoding, changed_fields
from video_assets.domain.errors import FileDamaged, SettingsError
from video_assets.pipeline.dataset_state import read_commit
from video_assets.records.dataset_info import parse_dataset_info
from video_assets.report.card import Change
from video_assets.settings import DatasetSettings
from video_assets.storage.files import read_if_there
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_version
from video_assets.storage.sidecars import read_checksums
from video_assets.storage.tables import INDEX, read_notes, read_table

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


_NOTE = "commit"
_NUM_NAMES = 5
_DAMAGED = Change("not known, for the index of the commit before was damaged", 0)


@dataclass(frozen=True, slots=True)
class CommitNotes:
    """What a commit says of itself; `changes` of None: it is the first of its version."""

    plan: str
    licence: str
    changes: Sequence[Change] | None
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Those of the commit that are not the defaults, without the licence."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        changes = None if self.changes is None else [asdict(change) for change in self.changes]
        settings = {"settings": dict(self.settings)} if self.settings else {}
        return {"plan": self.plan, "licence": self.licence, "changes": changes, **settings}

    def as_notes(self) -> Mapping[str, str]:
        """For the file of the index."""
        return {_NOTE: json.dumps(self.as_dict())}


def commit_notes(
    paths: DatasetPaths, version: str, index: pd.DataFrame, plan_digest: str, settings: DatasetSettings
) -> CommitNotes:
    """Return the notes of a commit of this index; without a licence, under the one given last, of any version."""
    version_paths = paths.version(version)
    known = _known_notes(version_paths)
    licence = settings.licence.strip() or committed_licence(paths, version)
    is_same = known is not None and known.plan == plan_digest
    changes = known.changes if known is not None and is_same else _changes_of(version_paths, index)
    return CommitNotes(plan_digest, licence, changes, settings.model_dump(exclude={"licence"}, exclude_defaults=True))


def committed_settings(paths: DatasetPaths, version: str) -> dict[str, Any]:
    """Return the settings of the last commit, of this version or else of the newest, that are not defaults."""
    for name in [version, *reversed(paths.versions())]:
        if (known := _known_notes(paths.version(name))) is not None:
            return {**known.settings, "licence": committed_licence(paths, version)}
    return {}


def committed_licence(paths: DatasetPaths, version: str) -> str:
    """The licence that this version, or else the newest one that names one, was committed under; empty if none was."""
    notes = (_known_notes(paths.version(name)) for name in [version, *reversed(paths.versions())])
    return next((known.licence for known in notes if known is not None and known.licence), "")


def _known_notes(version_paths: VersionPaths) -> CommitNotes | None:
    """Those on disk, of whichever file is whole; None without a commit, and of one by an earlier version."""
    with suppress(FileDamaged, KeyError):
        if notes := read_notes(version_paths.index):
            return _parsed(json.loads(notes[_NOTE]))
    info, checksums = version_paths.dataset_info, read_checksums(version_paths.checksums)
    data = read_if_there(info)
    with suppress(FileDamaged, KeyError):
        if data is not None and checksums is not None and checksums.allows(info.name, hashlib.sha256(data).hexdigest()):
            told = parse_dataset_info(data, info).notes
            return None if told is None else _parsed(told)
    return None


def _parsed(values: Mapping[str, Any]) -> CommitNotes:
    changes = values["changes"]
    return CommitNotes(
        values["plan"],
        values["licence"],
        None if changes is None else [Change(**change) for change in changes],
        values.get("settings", {}),
    )


def _changes_of(version_paths: VersionPaths, index: pd.DataFrame) -> list[Change] | None:
    if not version_paths.index.exists():
        return None
    columns = list(COMPARED_COLUMNS)
    try:
        before = read_table(version_paths.index, INDEX, columns)
    except FileDamaged:
        return [_DAMAGED]
    return _named(diff_indices(before, index[columns]))


def _named(diff: DatasetDiff) -> list[Change]:
    names: dict[str, list[str]] = {
        "added": diff.added,
        "removed": diff.removed,
        "renamed": [f"{pair['before']} → {pair['after']}" for pair in diff.renamed],
        "relabelled": [f"{c['clip_id']}: {c['before']} → {c['after']}" for c in diff.relabelled],
        "moved to another split": [f"{c['clip_id']}: {c['before']} → {c['after']}" for c in diff.moved],
        "with another content": diff.changed,
    }
    return [Change(what, len(found), found[:_NUM_NAMES]) for what, found in names.items() if found]
