"""What is true of a dataset on disk at any moment of a build, killed or not; and what readers see."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from tools.reliability.builds import NAME
from tools.reliability.faults import TEMPORARY
from video_assets.domain.encoding import Encoding
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.records.dataset_info import parse_dataset_info
from video_assets.records.framing import read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import file_sha256, read_lines
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.sidecars import read_checksums

Seen = dict[str, frozenset[str]]
"""Ids of the clips of each split."""


def files_of(root: Path) -> dict[str, str]:
    """SHA-256 of every file under its final name, by its path.

    Left out is what differs from build to build by right: Dagster's event log, and the lock, which names a process.
    """
    return {
        str(path.relative_to(root)): file_sha256(path)
        for path in sorted(root.rglob("*"))
        if path.is_file() and TEMPORARY not in str(path) and not {".dagster", ".lock"}.intersection(path.parts)
    }


def incomplete_files(root: Path, whole: Mapping[str, Collection[str]]) -> list[str]:
    """Files under a final name whose content is none of the whole ones that are known of them."""
    return [path for path, digest in files_of(root).items() if digest not in whole.get(path, ())]


def told_as_damage(root: Path) -> list[str]:
    """What `verify` would call damaged, but for two lists that are written one moment before or after their copies."""
    paths = DatasetPaths(root, NAME)
    amid = {paths.labels: paths.manifest.name, paths.encoding: paths.plan.name}
    return [item.sentence for item in find_damage(paths) if item.reason != f"is not what {amid.get(item.path)} says"]


def differences(root: Path, expected: dict[str, str]) -> list[str]:
    """How the files of a root differ from those that are expected; temporaries that were left count."""
    found = files_of(root)
    left = [f"{path.relative_to(root)} was left" for path in sorted(root.rglob("*")) if TEMPORARY in path.name]
    missing = [f"{path} is missing" for path in sorted(expected.keys() - found.keys())]
    other = [f"{path} is another" for path in sorted(expected.keys() & found.keys()) if expected[path] != found[path]]
    return missing + other + [f"{path} is too many" for path in sorted(found.keys() - expected.keys())] + left


def mixed_commits(root: Path) -> list[str]:
    """What beside `dataset_info.json` is of another commit, of each version; and whether it is told."""
    paths, found = DatasetPaths(root, NAME), list[str]()
    for version, seen in seen_by_readers(root).items():
        files = paths.version(version)
        info = parse_dataset_info(files.dataset_info.read_bytes(), files.dataset_info)
        index = pd.read_parquet(files.index)
        by_index = {split: frozenset(rows["clip_id"]) for split, rows in index.groupby("split")}
        if by_index != {split: ids for split, ids in seen.items() if ids}:
            found.append(f"the index of {version} is not of its commit")
        if info.plan_digest not in files.card_markdown.read_text("utf-8"):
            found.append(f"the card of {version} is not of its commit")
        plan = pd.read_parquet(files.tables / "plan.parquet")
        if not set(index["clip_id"]) <= set(plan["clip_id"]):
            found.append(f"the tables of {version} are not of its commit")
        if (checksums := read_checksums(files.checksums)) is None or checksums.before:
            found.append(f"the checksums of {version} are not of its commit")
    return found


def seen_by_readers(root: Path) -> dict[str, Seen]:
    """The clips of each committed version, read from the shards that its metadata lists.

    Raises:
        AssertionError: if a listed shard is not there, or holds another number of records.
        FramingError: if a record is damaged.
    """
    paths = DatasetPaths(root, NAME)
    return {
        version: _seen_in(paths, version)
        for version in paths.versions()
        if paths.version(version).dataset_info.exists()
    }


def _seen_in(paths: DatasetPaths, version: str) -> Seen:
    version_paths = paths.version(version)
    info = json.loads(version_paths.dataset_info.read_text("utf-8"))
    labels = read_lines(version_paths.label_names)
    encoding = Encoding(**json.loads(info["configDescription"])["encoding"])
    decode_record = layout_codec(encoding.layout).decode_record
    seen: Seen = {}
    for split in info["splits"]:
        ids: list[str] = []
        for index, length in enumerate(map(int, split["shardLengths"])):
            if length:
                with version_paths.shard(split["name"], index).open("rb") as file:
                    framed = list(read_records(file, encoding.compression))
                records = [decode_record(record.data, labels) for record in framed]
                assert len(records) == length, f"{split['name']} {index}: {len(records)} records, {length} are listed"
                ids += [record.clip_id for record in records]
        assert len(ids) == len(set(ids)), f"{split['name']} holds a clip twice"
        seen[split["name"]] = frozenset(ids)
    return seen
