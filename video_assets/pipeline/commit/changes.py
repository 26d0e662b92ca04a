"""What a commit says of itself: its licence, and what it changed, in clips.

It stands twice, in the index's own file and in `dataset_info.json`, so that one of them can be made again from the
other; and with the digest of its plan, so that committing the same again, or after a kill, says the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from video_assets.domain.errors import FileDamaged
from video_assets.pipeline.upkeep.diff import COMPARED_COLUMNS, DatasetDiff, diff_indices
from video_assets.records.dataset_info import parse_dataset_info
from video_assets.report.card import Change
from video_assets.settings import DatasetSettings
from video_assets.storage.files import read_if_there
from video_assets.storage.paths import DatasetPaths, VersionPaths
from video_assets.storage.schemas import INDEX
from video_assets.storage.sidecars import read_checksums
from video_assets.storage.tables import read_notes, read_table

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
