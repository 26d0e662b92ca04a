"""What is known twice: the tables of the last commit, the labels in the manifest, the pinned settings in the plan."""

import json
from dataclasses import dataclass
from pathlib import Path

from video_assets.domain.errors import FileDamaged
from video_assets.pipeline.known_labels import LABELS_NOTE, labels_data
from video_assets.pipeline.pinned import PINNED_NOTE
from video_assets.storage.checksums import read_checksums
from video_assets.storage.files import sha256_if_there
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import read_notes


@dataclass(frozen=True, slots=True)
class SecondCopy:
    """What a file must hold, and which one says so."""

    says: str
    data: bytes


def table_copies(paths: DatasetPaths) -> dict[Path, Path]:
    """The whole copies of the dataset's tables that the last commit made, by where the tables themselves belong."""
    for version in reversed(paths.versions()):
        version_paths = paths.version(version)
        checksums = read_checksums(version_paths.checksums)
        if checksums is not None:
            return {
                paths.directory / place.relative_to(version_paths.tables): place
                for name, digest in checksums.files.items()
                if (place := version_paths.directory / name).is_relative_to(version_paths.tables)
                and sha256_if_there(place) == digest
            }
    return {}


def labels_by_manifest(paths: DatasetPaths) -> SecondCopy | None:
    """`labels.txt`; None if the manifest is damaged, or of an earlier version of this package."""
    text = _note(paths.manifest, LABELS_NOTE)
    if text is None:
        return None
    return SecondCopy(paths.manifest.name, labels_data(json.loads(text)))


def encoding_by_plan(paths: DatasetPaths) -> SecondCopy | None:
    """`encoding.json`; None as above."""
    text = _note(paths.plan, PINNED_NOTE)
    return None if text is None else SecondCopy(paths.plan.name, text.encode("utf-8"))


def _note(table: Path, name: str) -> str | None:
    try:
        return (read_notes(table) or {}).get(name)
    except FileDamaged:
        return None
