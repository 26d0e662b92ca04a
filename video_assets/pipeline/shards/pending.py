"""Planned shards that are not there yet: which they are, and how runs take them up."""

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from video_assets.domain.hashing import json_digest
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.dataset_state import committed_plan_digest
from video_assets.pipeline.plan.plan_table import FINGERPRINT_COLUMNS, plan_digest, read_plan
from video_assets.storage.addresses import ask_each, is_remote
from video_assets.storage.files import NOT_THERE, file_sha256, file_status, was_written_after
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar, read_checksums, read_sidecar


def is_current(paths: VersionPaths, key: str, fingerprint: str) -> Sidecar | None:
    """The sidecar of a shard whose file already has this fingerprint, by name, size and content; else None."""
    split, index = parse_partition_key(key)
    sidecar = read_sidecar(paths.sidecar(split, index))
    shard = paths.shard(split, index)
    if sidecar is None or sidecar.fingerprint != fingerprint or not shard.is_file():
        return None
    if shard.stat().st_size != sidecar.bytes or file_sha256(shard) != sidecar.sha256:
        return None
    return sidecar


def why_not_current(paths: VersionPaths, key: str, fingerprint: str) -> str:
    """Return why a shard has to be written (again), as the end of a sentence."""
    place = parse_partition_key(key)
    sidecar, status = read_sidecar(paths.sidecar(*place)), file_status(paths.shard(*place))
    if status is None:
        return "its file is gone" if sidecar is not None else "it was not written yet"
    if sidecar is None:
        return "its sidecar is gone or damaged"
    if sidecar.fingerprint != fingerprint:
        return "it was written for another plan"
    return "its bytes are not those that were written"


def shards_to_build(paths: DatasetPaths) -> list[str]:
    """Partition keys of planned shards that are missing or stale on disk, by fingerprint and size (not content)."""
    plan = read_plan(paths, FINGERPRINT_COLUMNS)
    return list(missing_shards(paths.version(plan.pinned.version), plan.fingerprints()))


def missing_shards(paths: VersionPaths, fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Return those of the planned shards, with their fingerprints, that do not look current, or are damaged.

    A shard is known to be damaged if a check of it failed and its bytes are not those that were written.
    """
    committed, failed = file_status(paths.dataset_info), marks_of_failures(paths)
    damaged = {key for key in failed & fingerprints.keys() if not is_current(paths, key, fingerprints[key])}
    are_current = ask_each(paths.directory, lambda item: looks_current(paths, *item, committed), fingerprints.items())
    pairs = zip(fingerprints.items(), are_current, strict=True)
    return {key: fingerprint for (key, fingerprint), is_there in pairs if not is_there or key in damaged}


def marks_of_failures(paths: VersionPaths) -> set[str]:
    """Return the shards, and perhaps "dataset", whose last checks failed."""
    try:
        return {entry.name for entry in paths.failed_checks.iterdir()}
    except NOT_THERE:
        return set()


def _touched_since(paths: VersionPaths, fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Return those of the committed shards that may not be as they were committed, without reading any.

    Shards and sidecars that are gone, that were written since, or whose checks failed.
    """
    there = {entry.name for folder in (paths.directory, paths.directory / "shards") for entry in folder.iterdir()}
    committed, failed = file_status(paths.dataset_info), marks_of_failures(paths)

    def is_touched(key: str) -> bool:
        place = parse_partition_key(key)
        files = (paths.shard(*place), paths.sidecar(*place))
        if key in failed or not {file.name for file in files} <= there:
            return True
        # In a store nothing is written over, so a name that is listed is enough.
        return not is_remote(paths.directory) and any(_is_newer(file, committed) for file in files)

    return {key: fingerprint for key, fingerprint in fingerprints.items() if is_touched(key)}


def _is_newer(file: Path, committed: os.stat_result | None) -> bool:
    status = file_status(file)
    return status is None or (committed is not None and was_written_after(status, committed))


def looks_current(paths: VersionPaths, key: str, fingerprint: str, committed: os.stat_result | None) -> bool:
    """Like `is_current`, but without reading the shard: by fingerprint, size, and no change since the commit.

    `committed` is the `file_status` of `dataset_info.json`: who asks about many shards looks at it once.
    """
    sidecar = read_sidecar(paths.sidecar(*parse_partition_key(key)))
    return is_as_planned(paths, key, fingerprint, sidecar, committed)


def is_as_planned(
    paths: VersionPaths, key: str, fingerprint: str, sidecar: Sidecar | None, committed: os.stat_result | None
) -> bool:
    """`looks_current` of a shard whose sidecar was read already."""
    if sidecar is None or sidecar.fingerprint != fingerprint:
        return False
    shard = paths.shard(*parse_partition_key(key))
    status = file_status(shard)
    if status is None or status.st_size != sidecar.bytes:
        return False
    if committed is not None and was_written_after(status, committed):
        return file_sha256(shard) == sidecar.sha256  # written, or tampered with, after the commit
    return True


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


@dataclass(frozen=True, slots=True)
class Chunk:
    """Neighbouring shards of one split that one run shall encode; `digest` names them and their fingerprints."""

    split: Split
    keys: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is to do: `missing` shards with their fingerprints, by partition key; or, with none, a commit.

    Shards of a committed plan are missing if they are gone or damaged since.
    """

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
        touched = _touched_since(version_paths, fingerprints)
        missing = missing_shards(version_paths, touched)
        is_whole = not missing and _are_as_committed(version_paths, touched)
        return Backlog(
            digest, missing, is_whole and "dataset" not in marks_of_failures(version_paths), len(fingerprints)
        )
    return Backlog(digest, missing_shards(version_paths, fingerprints), False, len(fingerprints))


def _are_as_committed(paths: VersionPaths, keys: Iterable[str]) -> bool:
    """Whether these shards have the bytes that the commit lists; another version of FFmpeg may have made others."""
    checksums = read_checksums(paths.checksums)
    for key in keys:
        place = parse_partition_key(key)
        sidecar = read_sidecar(paths.sidecar(*place))
        known = None if checksums is None else checksums.files.get(paths.shard(*place).name)
        if sidecar is None or sidecar.sha256 != known:
            return False
    return True


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
