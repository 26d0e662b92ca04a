"""Components: clips that belong in one split together, by group, by content and, if that is asked for, by their looks.

Clips that would bring a group or a content into two splits are left out, by what is known of where it was put before.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.clips import Loss, LostSource
from video_assets.domain.encoding import Encoding
from video_assets.domain.near_duplicates import NearDuplicate, each_once, near_duplicates
from video_assets.domain.plan import PlannedClip
from video_assets.domain.splits import SPLITS, join_components
from video_assets.media.workers.pool import PoolMaker
from video_assets.pipeline.dataset_state import committed_version
from video_assets.pipeline.noted_settings import SOURCE_NOTE, PinnedSettings, manifest_settings
from video_assets.sources.tree import source_directory
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import INDEX, MANIFEST, SPLIT_HISTORY, TEXT, are_among, read_notes, read_table

_SIGNED_RESOLUTION = 96
"""Frames for a signature need no more: it averages them to 12 x 12 cells."""
_FILE_COLUMNS = ["clip_id", "start_seconds", "end_seconds", "size_bytes", "mtime_ns"]


def without_contradictions(
    clips: pd.DataFrame, known: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, NDArray[np.int64], list[LostSource]]:
    """Leaves out clips that would bring a group or a content into two splits; gives the others, with their components.

    `clips` have their `content` as `same_contents` gives it.
    `known` has a row for each of the clips: the splits where its `content`, its `group` and its name (`clip`) were put
    before, missing where they are new. Components (N,) int64 are those of `domain.splits.join_components`.

    First those whose own content and group were put apart; then newcomers that join what was put apart, copies of
    clips that are still there included; and last, where a table now joins clips that were in several splits, the
    fewer of them.
    """
    lost: list[LostSource] = []
    components = _components(clips)
    for rule in (_own_contradiction, _joining_newcomer, _joining_copy, _minority):
        is_bad = rule(clips, known, components)
        if not is_bad.any():
            continue
        lost += _torn_apart(clips, known, components, is_bad)
        clips, known = clips[~is_bad], known[~is_bad]
        components = _components(clips)  # without them others may hang together no more
    return clips, known, components, lost


def _torn_apart(
    clips: pd.DataFrame, known: pd.DataFrame, components: NDArray[np.int64], is_bad: NDArray[np.bool_]
) -> list[LostSource]:
    """These clips as losses: the splits that each would join, and of each split another clip that is there."""
    there = _clips_there(clips, known, components, np.isin(components, components[is_bad]))
    bad, own = clips[is_bad], known.loc[is_bad, ["content", "group"]]
    lost: list[LostSource] = []
    for component, clip_id, label, content, group in zip(
        components[is_bad].tolist(), bad["clip_id"], bad["label"], own["content"], own["group"], strict=True
    ):
        places = {kind: split for kind, split in (("content", content), ("group", group)) if not pd.isna(split)}
        others = there.get(component, {})
        where = [split for split in SPLITS if split in others or split in places.values()]
        told = [f"its {kind} is in {split}" for kind, split in places.items()]
        named = ((split, clip) for split in where for clip in [c for c in others.get(split, ()) if c != clip_id][:1])
        told += [f"{clip} is in {split}" for split, clip in named]
        detail = f"it would put one group into {' and '.join(where)} ({', '.join(told)}); correct the group"
        lost.append(LostSource(clip_id, Loss("split_conflict", detail), label))
    return lost


def _clips_there(
    clips: pd.DataFrame, known: pd.DataFrame, components: NDArray[np.int64], is_wanted: NDArray[np.bool_]
) -> Mapping[int, Mapping[str, Sequence[str]]]:
    """The first two clips of each component in each split; two, for one may be the clip that is told of."""
    evidence = known["content"].fillna(known["group"])
    is_there = evidence.notna().to_numpy() & is_wanted
    found: dict[int, dict[str, list[str]]] = {}
    for component, split, clip_id in zip(
        components[is_there].tolist(), evidence[is_there], clips.loc[is_there, "clip_id"], strict=True
    ):
        first_two = found.setdefault(component, {}).setdefault(str(split), [])
        if len(first_two) < 2:
            first_two.append(str(clip_id))
    return found


def _own_contradiction(_clips: pd.DataFrame, known: pd.DataFrame, _components: NDArray[np.int64]) -> NDArray[np.bool_]:
    content, group = known["content"], known["group"]
    return (content.notna() & group.notna() & (content != group)).to_numpy(dtype=bool, na_value=False)


def _torn(known: pd.DataFrame, components: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Clips of components that hold evidence for several splits."""
    evidence = known["content"].fillna(known["group"])
    num_splits = evidence.groupby(components).transform("nunique")
    return (num_splits > 1).to_numpy(dtype=bool)


def _joining_newcomer(_clips: pd.DataFrame, known: pd.DataFrame, components: NDArray[np.int64]) -> NDArray[np.bool_]:
    return _torn(known, components) & known["content"].isna().to_numpy(dtype=bool)


def _joining_copy(clips: pd.DataFrame, known: pd.DataFrame, components: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Without this, two copies in one new group would push out the fewer of the clips that they are copies of."""
    is_new_name = known["clip"].isna()
    contents = clips.loc[~is_new_name, "content"]
    return _torn(known, components) & is_new_name.to_numpy(dtype=bool) & are_among(clips["content"], contents)


def _minority(_clips: pd.DataFrame, known: pd.DataFrame, components: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of a torn component, the clips that are not in the split of most of them; of equals the last by name stays."""
    torn = _torn(known, components)
    if not torn.any():
        return torn
    counts = pd.crosstab(components[torn], known.loc[torn, "content"].to_numpy(dtype=object))
    stays = counts.reindex(columns=sorted(SPLITS, reverse=True), fill_value=0).idxmax(axis=1)
    there = stays.reindex(components).to_numpy(dtype=object)
    return torn & (known["content"].to_numpy(dtype=object) != there)


def same_contents(clips: pd.DataFrame, history: pd.DataFrame | None = None) -> pd.Series:
    """Return the content of each clip: one of the content hashes for all copies whose coded pictures are equal.

    Copies that were put into two splits before anybody knew of their pictures stay two contents. What comes to them
    later goes with the first of them.
    """
    contents, pictures = clips["content_hash"], clips["picture_hash"].where(clips["picture_hash"] != "")
    several = contents.groupby(pictures).transform("nunique") > 1
    if not several.any():
        return contents
    known = pd.DataFrame(columns=SPLIT_HISTORY.names) if history is None else history
    lookup = known[known["kind"] == "content"].set_index("key")["split"]
    copies = pd.DataFrame({"content": contents[several], "picture": pictures[several]}).drop_duplicates()
    copies = copies.assign(split=copies["content"].map(lookup)).sort_values(["split", "content"])  # known ones first
    first = copies.drop_duplicates("picture").set_index("picture")
    is_other = copies["split"].notna() & (copies["split"] != copies["picture"].map(first["split"]))
    joined = copies[~is_other].set_index("content")["picture"].map(first["content"])
    return contents.map(joined).astype(TEXT).fillna(contents)


def groups_of(clips: pd.DataFrame) -> list[str | None]:
    """The group of each clip, None for one that has none."""
    groups = clips["group"]
    return [None if missing else str(group) for group, missing in zip(groups, groups.isna(), strict=True)]


def _components(clips: pd.DataFrame) -> NDArray[np.int64]:
    return join_components(groups_of(clips), clips["content"].tolist())


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
    encoding = (pinned.encoding if pinned is not None else Encoding()).replace(resolution=_SIGNED_RESOLUTION)
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
