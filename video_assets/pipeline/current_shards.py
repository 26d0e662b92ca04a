"""Which planned shards are there already: by their content, or by what can be told without reading them."""

import os
from collections.abc import Mapping

from video_assets.pipeline.read_plan import FINGERPRINT_COLUMNS, read_plan
from video_assets.storage.addresses import ask_each
from video_assets.storage.files import file_sha256, file_status, was_written_after
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar, read_sidecar


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


def shards_to_build(paths: DatasetPaths) -> list[str]:
    """Partition keys of planned shards that are missing or stale on disk, by fingerprint and size (not content)."""
    plan = read_plan(paths, FINGERPRINT_COLUMNS)
    return list(missing_shards(paths.version(plan.pinned.version), plan.fingerprints()))


def missing_shards(paths: VersionPaths, fingerprints: Mapping[str, str]) -> dict[str, str]:
    """Those of the planned shards, with their fingerprints, that do not look current."""
    committed = file_status(paths.dataset_info)
    are_current = ask_each(paths.directory, lambda item: looks_current(paths, *item, committed), fingerprints.items())
    pairs = zip(fingerprints.items(), are_current, strict=True)
    return {key: fingerprint for (key, fingerprint), is_there in pairs if not is_there}


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
