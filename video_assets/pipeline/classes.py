"""The classes of a dataset: their numbers in `labels.txt`, and tables of clips by class; a clip may have several."""

import json
from collections.abc import Mapping, Sequence

import pandas as pd

from video_assets.domain.errors import DAMAGE_REMEDY, FileDamaged
from video_assets.domain.labels import LABEL_SEPARATOR, label_indices
from video_assets.storage.files import NOT_THERE
from video_assets.storage.paths import DatasetPaths

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


def by_class(labels: pd.Series, *, multi_label: bool) -> pd.Series:
    """The classes of stored labels, under the index of their clips: a clip of three labels stands there three times."""
    return _sets(labels).explode() if multi_label else labels


def rows_by_class(clips: pd.DataFrame, *, multi_label: bool) -> pd.DataFrame:
    """The rows with one class as `label`: a clip of three labels has three."""
    if not multi_label:
        return clips
    return clips.assign(label=_sets(clips["label"])).explode("label")


def _sets(labels: pd.Series) -> pd.Series:
    return labels.str.split(LABEL_SEPARATOR, regex=False)


def class_counts(clips: pd.DataFrame, *, multi_label: bool) -> dict[str, int]:
    """Clips by class, in the order of the names; a clip counts for each of its labels."""
    counts = by_class(clips["label"], multi_label=multi_label).value_counts().sort_index()
    return {str(name): int(count) for name, count in counts.items()}


def class_indices(classes: Sequence[str]) -> Mapping[str, int]:
    """The index of each class, by its name."""
    return {name: index for index, name in enumerate(classes)}


def indices_of_sets(labels: pd.Series, classes: Sequence[str]) -> list[list[int]]:
    """Indices of all classes of stored labels, row by row."""
    indices = class_indices(classes)
    return [list(label_indices(stored, indices, multi_label=True)) for stored in labels]
