"""What of the plan is still to do: shards to encode, or a commit."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from video_assets.domain.hashing import json_digest
from video_assets.domain.splits import Split
from video_assets.pipeline.committed import committed_plan_digest
from video_assets.pipeline.current_shards import missing_shards
from video_assets.pipeline.read_plan import FINGERPRINT_COLUMNS, plan_digest, read_plan
from video_assets.pipeline.shard_runs import runs_of_neighbours
from video_assets.storage.paths import DatasetPaths


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring shards of one split that one run shall encode; `digest` names them and their fingerprints."""

    split: Split
    keys: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is to do: `missing` shards with their fingerprints, by partition key; or, with none, a commit."""

    plan_digest: str
    missing: Mapping[str, str]
    is_committed: bool
    num_shards: int


def read_backlog(paths: DatasetPaths) -> Backlog:
    """Compares the plan with what is on disk.

    Raises:
        BuildRefused: if there is no plan.
    """
    plan = read_plan(paths, FINGERPRINT_COLUMNS)
    fingerprints = plan.fingerprints()
    version_paths = paths.version(plan.pinned.version)
    digest = plan_digest(plan, fingerprints)
    if committed_plan_digest(version_paths) == digest:
        return Backlog(digest, {}, True, len(fingerprints))
    return Backlog(digest, missing_shards(version_paths, fingerprints), False, len(fingerprints))


def chunk_shards(
    missing: Mapping[str, str],
    partition_order: Mapping[Split, Sequence[str]],
    in_flight: Set[str],
    *,
    shards_per_run: int,
) -> list[Chunk]:
    """Missing shards that no run is at work on, in runs of neighbours among their split's partitions.

    >>> order = {"train": ["train-00000", "train-00001", "train-00002", "train-00003"], "test": []}
    >>> missing = {"train-00000": "a", "train-00001": "b", "train-00003": "c"}
    >>> [chunk.keys for chunk in chunk_shards(missing, order, {"train-00000"}, shards_per_run=2)]
    [('train-00001',), ('train-00003',)]
    """
    free = missing.keys() - in_flight
    return [
        Chunk(split, keys, json_digest([[key, missing[key]] for key in keys]))
        for split, keys in runs_of_neighbours(free, partition_order, shards_per_run)
    ]


def rotating_sample(keys: Sequence[str], *, day_number: int, num_days: int) -> list[str]:
    """The shards whose turn it is on a day: each one once in `num_days` days, and about as many each day.

    >>> [rotating_sample(["a", "b", "c"], day_number=day, num_days=2) for day in (0, 1, 2)]
    [['a', 'c'], ['b'], ['a', 'c']]
    """
    return [key for number, key in enumerate(keys) if (number - day_number) % num_days == 0]
