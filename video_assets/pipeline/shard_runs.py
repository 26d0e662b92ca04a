"""Planned shards as a build takes them up: which clips each holds, which runs they share, which clips are compared."""

from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.audits import COMPARED_RECORDS, choose_sample, compared_cost
from video_assets.domain.encoding import Encoding
from video_assets.domain.plan import shard_fingerprint
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.read_plan import partition_keys

SHARDS_PER_RUN = 50
"""How many shards a run takes: enough to share a run's start-up, few enough for its events."""
_SHARDS_LOOKED_AT = 200


def shard_runs(
    rows: pd.DataFrame, shards: Sequence[NDArray[np.int64]], shards_per_run: int = SHARDS_PER_RUN
) -> list[list[int]]:
    """Numbers of the shards of each run: those of one split, at most so many."""
    splits = [str(rows["split"].iat[int(shard[0])]) for shard in shards]
    found: list[list[int]] = []
    for split in SPLITS:
        mine = [number for number, name in enumerate(splits) if name == split]
        found += [mine[begin : begin + shards_per_run] for begin in range(0, len(mine), shards_per_run)]
    return found


def runs_of_neighbours(
    wanted: Container[str], partition_order: Mapping[Split, Sequence[str]], shards_per_run: int
) -> Iterator[tuple[Split, tuple[str, ...]]]:
    """The wanted shards in runs of neighbours among their split's partitions, at most so many in one.

    >>> order = {"train": ["train-00000", "train-00001", "train-00002", "train-00003"]}
    >>> list(runs_of_neighbours({"train-00001", "train-00002", "train-00003"}, order, 2))
    [('train', ('train-00001', 'train-00002')), ('train', ('train-00003',))]
    """
    for split in SPLITS:
        run: list[str] = []
        for key in partition_order.get(split, ()):
            if run and (key not in wanted or len(run) == shards_per_run):
                yield split, tuple(run)
                run = []
            if key in wanted:
                run.append(key)
        if run:
            yield split, tuple(run)


def compared_clips(
    rows: pd.DataFrame, shards: Sequence[NDArray[np.int64]], encoding: Encoding
) -> list[NDArray[np.int64]]:
    """The clips of each shard that its check will decode again; of very many shards, those of the first ones recur."""
    costs = (rows["num_frames"] * rows["num_pixels"]).to_numpy(np.float64)
    digests = rows["row_digest"].to_numpy(dtype=object)
    found: list[NDArray[np.int64]] = []
    for number, shard in enumerate(shards):
        if number >= _SHARDS_LOOKED_AT:
            found.append(found[number % _SHARDS_LOOKED_AT])
            continue
        mine = costs[shard].tolist()
        seed_text = shard_fingerprint(digests[shard].tolist(), encoding)
        chosen = choose_sample(mine, seed_text=seed_text, max_records=COMPARED_RECORDS, max_cost=compared_cost(mine))
        found.append(shard[chosen])
    return found


def shards_of(rows: pd.DataFrame, keys: Sequence[str]) -> list[NDArray[np.int64]]:
    """Row numbers of each of these shards, in the order of their records."""
    number_of = {key: number for number, key in enumerate(keys)}
    numbers = np.array([number_of.get(key, -1) for key in partition_keys(rows)], np.int64)
    order = np.lexsort((rows["position"].to_numpy(), numbers))
    order = order[numbers[order] >= 0]
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    return np.split(order, starts[1:]) if len(order) else []


def chunked_shards(rows: pd.DataFrame, clips_per_shard: int) -> list[NDArray[np.int64]]:
    """Row numbers of the shards that a new version with so many clips a shard would have."""
    shards: list[NDArray[np.int64]] = []
    for split in SPLITS:
        mine = np.flatnonzero((rows["split"] == split).to_numpy())
        shards += [mine[begin : begin + clips_per_shard] for begin in range(0, len(mine), clips_per_shard)]
    return shards
