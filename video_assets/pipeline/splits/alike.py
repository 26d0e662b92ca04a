"""Clips that look alike, joined before they get a split (`splits.group_near_duplicates`)."""

import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.near_duplicates import NearDuplicate, each_once, near_duplicates
from video_assets.domain.plan import PlannedClip
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.dataset_state import committed_version
from video_assets.pipeline.noted_settings import SOURCE_NOTE, PinnedSettings, manifest_settings
from video_assets.sources.opening import source_directory
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import INDEX, MANIFEST
from video_assets.storage.tables import read_notes, read_table

_RESOLUTION = 96
"""Frames for a signature need no more: it averages them to 12 x 12 cells."""

_FILE_COLUMNS = ["clip_id", "start_seconds", "end_seconds", "size_bytes", "mtime_ns"]


def join_alike(
    components: NDArray[np.int64],
    clip_ids: Sequence[str],
    wanted: Sequence[set[str]],
    pairs: Iterable[NearDuplicate],
) -> tuple[NDArray[np.int64], list[NearDuplicate]]:
    """Return the components (N,) int64 after those of look-alikes were joined, and the pairs that joined any.

    The nearest pairs come first. `wanted` has, for each component, the splits that its clips are in or that official
    lists ask for; components that would want two splits are not joined: looking alike is no proof.

    >>> pair = NearDuplicate(0.1, "a", "b")
    >>> join_alike(np.array([0, 1, 2]), ["a", "b", "c"], [{"train"}, set(), {"test"}], [pair])[0]
    array([0, 0, 1])
    """
    of_clip = dict(zip(clip_ids, components.tolist(), strict=True))
    root = list(range(len(wanted)))
    splits = [set(several) for several in wanted]

    def root_of(component: int) -> int:
        while root[component] != component:
            component = root[component]
        return component

    joined: list[NearDuplicate] = []
    for pair in pairs:
        low, high = sorted((root_of(of_clip[pair.a]), root_of(of_clip[pair.b])))
        if low != high and len(splits[low] | splits[high]) < 2:
            root[high] = low
            splits[low] |= splits[high]
            joined.append(pair)
    roots = np.array([root_of(component) for component in components.tolist()], np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64), joined


def pairs_alike(
    paths: DatasetPaths, clips: pd.DataFrame, is_new: NDArray[np.bool_], make_pool: PoolMaker, committed: DatasetPaths
) -> list[NearDuplicate]:
    """Return the look-alikes of clips that have no split yet, among themselves and with committed clips.

    The new clips are decoded for it, three frames each; one that cannot be decoded looks like no other. `committed` is
    where the commits are.
    """
    new = _signatures(paths, clips[is_new], make_pool)
    known = _committed_signatures(committed)
    there = set(clips.loc[~is_new, "clip_id"])
    others = {name: signature for name, signature in known.items() if name in there}
    return each_once(near_duplicates(new, new | others, with_themselves=False))


def _committed_signatures(paths: DatasetPaths) -> Mapping[str, bytes]:
    version = committed_version(paths)
    if not version:
        return {}
    index = read_table(paths.version(version).index, INDEX, ["clip_id", "signature"])
    return {str(name): data for name, data in zip(index["clip_id"], index["signature"], strict=True) if data}


def _signatures(paths: DatasetPaths, clips: pd.DataFrame, make_pool: PoolMaker) -> dict[str, bytes]:
    if clips.empty:
        return {}
    from video_assets.pipeline.shards.encode import ClipJob, sign_clip

    settings, pinned = manifest_settings(paths), PinnedSettings.of_plan(paths)
    encoding = (pinned.encoding if pinned is not None else Encoding()).replace(resolution=_RESOLUTION)
    directory = source_directory(open_address((read_notes(paths.manifest) or {})[SOURCE_NOTE]))
    rows = clips.merge(read_table(paths.manifest, MANIFEST, _FILE_COLUMNS), on="clip_id")
    jobs = (
        ClipJob(
            directory / row["path"],
            int(row["size_bytes"]),
            int(row["mtime_ns"]),
            PlannedClip(row["clip_id"], row["path"], row["content_hash"], row["label"], 0, *_span(row)),
            encoding,
            settings.limits,
            hashed_ns=sys.maxsize,  # by this very run
            within=None if settings.follow_links else directory,
        )
        for row in rows.to_dict("records")
    )
    with make_pool() as pool:
        results = [(result.job.clip.clip_id, result.outcome) for result in pool.map(sign_clip, jobs)]
    return {name: outcome for name, outcome in results if isinstance(outcome, bytes)}


def _span(row: Mapping[str, float]) -> tuple[float | None, float | None]:
    start, end = row["start_seconds"], row["end_seconds"]
    return None if pd.isna(start) else start, None if pd.isna(end) else end
