"""The classes of a dataset by their indices: `labels.txt`, held against its second copy in the manifest."""

import json
from collections.abc import Mapping, Sequence

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.storage.files import NOT_THERE
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import read_notes

LABELS_NOTE = "labels"


def labels_data(labels: Sequence[str]) -> bytes:
    """What `labels.txt` holds: a class a line, in the order of their indices."""
    return "".join(f"{label}\n" for label in labels).encode("utf-8")


def known_labels(paths: DatasetPaths, notes: Mapping[str, str] | None) -> list[str]:
    """Classes in the order of their indices; `notes` are the manifest's, None where there is no manifest yet.

    `labels.txt` is written first. A build that was killed between the two leaves new classes in it, behind those that
    the manifest knows; they keep their indices, which a plan may have used already. Nothing else may differ: a class
    that is lost or misspelt would move all the others. Manifests of earlier versions have no copy.

    Raises:
        FileDamaged: if `labels.txt` is gone, or is not what the manifest says.
    """
    try:
        data = paths.labels.read_bytes()
    except NOT_THERE:
        if notes is None:
            return []
        raise FileDamaged(
            f"labels.txt of {paths.name}, the numbers of its classes, is missing; {DAMAGE_REMEDY}"
        ) from None
    noted = labels_data(json.loads((notes or {}).get(LABELS_NOTE, "[]")))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileDamaged(f"labels.txt of {paths.name} is damaged: it is not text; {DAMAGE_REMEDY}") from error
    if not data.startswith(noted):
        raise FileDamaged(
            f"labels.txt of {paths.name} is damaged: its classes are not those of {paths.manifest.name}, and their "
            f"numbers must not move; {DAMAGE_REMEDY}"
        )
    return [label for label in text.split("\n") if label]


def refuse_damaged_labels(paths: DatasetPaths) -> None:
    """Lets pass what `known_labels` does.

    Raises:
        FileDamaged: as `known_labels`, or if the manifest is damaged.
    """
    known_labels(paths, read_notes(paths.manifest))
