"""The rows of a plan before they have a place: every clip with all that its record depends on."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace

import pandas as pd

from video_assets.domain.errors import BuildRefused
from video_assets.domain.labels import label_indices, split_labels
from video_assets.domain.plan import PlannedClip
from video_assets.domain.splits import SPLITS
from video_assets.pipeline.known_labels import known_labels
from video_assets.pipeline.label_sets import class_indices
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST, PLAN, SPLIT
from video_assets.storage.tables import read_noted_table, read_table

_CLIP_FIELDS = [f.name for f in fields(PlannedClip) if f.name != "other_label_indices"]
_MANIFEST_COLUMNS = [name for name in _CLIP_FIELDS if name != "label_index"] + [
    "size_bytes",
    "mtime_ns",
    "num_frames",
    "width_px",
    "height_px",
]


def planned_rows(paths: DatasetPaths, previous: pd.DataFrame, *, multi_label: bool) -> pd.DataFrame:
    """Every clip of all splits; `label_index` is that of its first label.

    Raises:
        BuildRefused: if there is no manifest.
        FileDamaged: if a table or `labels.txt` is not as it was written.
    """
    manifest, notes = read_noted_table(paths.manifest, MANIFEST, _MANIFEST_COLUMNS)
    if notes is None:
        raise BuildRefused("there is no manifest yet; materialize manifest and splits first")
    splits = pd.concat([read_table(paths.split(s), SPLIT, ["clip_id"]).assign(split=s) for s in SPLITS])
    clips = manifest.merge(splits, on="clip_id")
    indices = class_indices(known_labels(paths, notes))
    firsts = {stored: split_labels(stored, multi_label=multi_label)[0] for stored in clips["label"].unique()}
    clips["label_index"] = clips["label"].map(firsts).map(indices).astype("int64")
    clips["num_pixels"] = clips["width_px"] * clips["height_px"]
    clips["row_digest"] = _row_digests(clips, previous, indices if multi_label else None)
    return clips[[name for name in PLAN.names if name not in ("shard_index", "position")]]


def _row_digests(clips: pd.DataFrame, previous: pd.DataFrame, indices: Mapping[str, int] | None) -> pd.Series:
    """Digest of each row; those of rows that are as they were are taken from the previous plan.

    Rows of several labels are digested anew: the table holds the index of their first label alone.
    """
    if previous.empty:
        digests = [clip.row_digest() for clip in planned_clips(clips, indices)]
        return pd.Series(digests, index=clips.index, dtype="str")
    places = pd.Index(previous["clip_id"]).get_indexer(clips["clip_id"])
    is_same = places >= 0
    for name in _CLIP_FIELDS:
        old, new = previous[name].take(places).reset_index(drop=True), clips[name]
        is_same = is_same & ((old == new) | (old.isna() & new.isna())).to_numpy(dtype=bool, na_value=False)
    if indices is not None:
        several = {label for label in clips["label"].unique() if len(split_labels(label, multi_label=True)) > 1}
        is_same = is_same & ~clips["label"].isin(several).to_numpy()
    digests = previous["row_digest"].take(places).to_numpy(dtype=object, copy=True)
    digests[~is_same] = [clip.row_digest() for clip in planned_clips(clips[~is_same], indices)]
    return pd.Series(digests, index=clips.index, dtype="str")


def planned_clips(rows: pd.DataFrame, indices: Mapping[str, int] | None = None) -> Iterable[PlannedClip]:
    """The rows as values, in their order; what a table has no value for is None.

    `indices` of all classes are given where a clip may have several labels.

    Raises:
        BuildRefused: if a class is not among them.
    """
    columns = [[None if pd.isna(v) else v for v in rows[name].tolist()] for name in _CLIP_FIELDS]
    clips = (PlannedClip(*values) for values in zip(*columns, strict=True))
    if indices is None:
        return clips
    return (replace(clip, other_label_indices=_indices_of(clip, indices)[1:]) for clip in clips)


def _indices_of(clip: PlannedClip, indices: Mapping[str, int]) -> tuple[int, ...]:
    try:
        return label_indices(clip.label, indices, multi_label=True)
    except KeyError as missing:
        raise BuildRefused(
            f"labels.txt does not name the class {missing} of {clip.clip_id}; `video-assets repair` mends it"
        ) from None
