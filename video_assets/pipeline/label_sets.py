"""Tables of clips by class, where a clip may have several labels."""

from collections.abc import Mapping, Sequence

import pandas as pd

from video_assets.domain.labels import LABEL_SEPARATOR, label_indices


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
