"""What must be true after every commit of a dataset that grows, shrinks and is disturbed; and what must stay true."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from tools.reliability.faults import TEMPORARY
from tools.reliability.invariants import files_of, seen_by_readers
from tools.reliability.soak_source import ChangingSource
from video_assets.pipeline.plan.plan_table import ReadPlan, read_plan
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.records.framing import read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import file_sha256, read_lines
from video_assets.storage.paths import (
    DatasetPaths,
    VersionPaths,
    parse_partition_key,
    parse_shard_file_name,
    partition_key,
)
from video_assets.storage.quarantine import read_quarantine


@dataclass
class Promises:
    """Remembers what was promised by one commit, and compares the next one with it."""

    paths: DatasetPaths
    splits: dict[str, str] = field(default_factory=dict[str, str])
    labels: list[str] = field(default_factory=list[str])
    version: str = ""
    shards: dict[str, str] = field(default_factory=dict[str, str])
    retired: set[str] = field(default_factory=set[str])
    old_versions: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    num_kept: int = 0
    num_retired: int = 0

    def broken(self, source: ChangingSource) -> list[str]:
        """What is not as promised, in words; empty if all is."""
        plan = read_plan(self.paths)
        version = self.paths.version(plan.pinned.version)
        index = pd.read_parquet(version.index)
        return [
            *self._for_readers(plan, index),
            *self._all_accounted_for(plan, index, source),
            *self._records_are_the_source(index, version, source),
            *self._splits_stay(index, source),
            *self._labels_stay(version),
            *self._shards_stay(version, set(plan.fingerprints())),
            *self._nothing_is_left(version, set(plan.fingerprints())),
            *(f"a whole file is called damaged: {damage.sentence}" for damage in find_damage(self.paths)),
        ]

    def _for_readers(self, plan: ReadPlan, index: pd.DataFrame) -> Iterator[str]:
        seen = seen_by_readers(self.paths.root)[plan.pinned.version]
        lost = set(read_quarantine(self.paths.quarantine).query("stage == 'shards'")["clip_id"])
        for split, ids in seen.items():
            planned = set(plan.rows.loc[plan.rows["split"] == split, "clip_id"]) - lost
            if set(ids) != planned:
                yield f"readers see other clips of {split} than planned: {sorted(ids ^ planned)}"
            if set(ids) != set(index.loc[index["split"] == split, "clip_id"]):
                yield f"the index has other clips of {split} than the shards"

    def _all_accounted_for(self, plan: ReadPlan, index: pd.DataFrame, source: ChangingSource) -> Iterator[str]:
        quarantine = read_quarantine(self.paths.quarantine)
        stored, lost = set(index["clip_id"]), set(quarantine["clip_id"])
        if stored & lost:
            yield f"stored and quarantined: {sorted(stored & lost)}"
        if stored | lost != set(source.videos):
            yield f"lost without a word, or not in the source: {sorted((stored | lost) ^ set(source.videos))}"
        if not plan.rows["clip_id"].is_unique or not index["clip_id"].is_unique:
            yield "a clip is there twice"
        if not quarantine["reason"].str.len().all() or not quarantine["detail"].str.len().all():
            yield "a quarantined clip has no reason"
        dead = {path for path, video in source.videos.items() if video.content < 0}
        if not dead <= lost:
            yield f"dead files are stored: {sorted(dead - lost)}"

    def _records_are_the_source(
        self, index: pd.DataFrame, version: VersionPaths, source: ChangingSource
    ) -> Iterator[str]:
        labels, codec = read_lines(version.label_names), layout_codec("tfds")
        for key, rows in index.groupby("shard"):
            with version.shard(*parse_partition_key(str(key))).open("rb") as file:
                framed = list(read_records(file))
            places = list(zip(rows["offset"], rows["length"], strict=True))
            if [(record.offset, record.length) for record in framed] != places:
                yield f"the index has other places than {key}"
            for data, row in zip(framed, rows.itertuples(), strict=True):
                record, video = codec.decode_record(data.data, labels), source.videos.get(str(row.clip_id))
                if (
                    record.clip_id != row.clip_id
                    or record.label != row.label
                    or labels[int(row.label_index)] != row.label
                ):
                    yield f"{key} and the index differ about {row.clip_id}"
                if video is None or record.label != video.label:
                    yield f"{row.clip_id} is stored as {record.label}, the source has {video}"
                elif file_sha256(source.folder / str(row.clip_id)) != row.content_hash:
                    yield f"{row.clip_id} is stored with a content that the source no longer has"

    def _splits_stay(self, index: pd.DataFrame, source: ChangingSource) -> Iterator[str]:
        for content, split in zip(index["content_hash"], index["split"], strict=True):
            if self.splits.setdefault(content, split) != split:
                yield f"content {content[:12]} moved to {split}"
        groups = index["clip_id"].map({path: video.group for path, video in source.videos.items()})
        for group, splits in index["split"].groupby(groups):
            if splits.nunique() > 1:
                yield f"the group {group} is in two splits"

    def _labels_stay(self, version: VersionPaths) -> Iterator[str]:
        labels = read_lines(self.paths.labels)
        if labels[: len(self.labels)] != self.labels:
            yield f"labels were {self.labels} and are {labels}"
        if read_lines(version.label_names) != labels:
            yield "readers have other labels than the dataset"
        self.labels = labels

    def _shards_stay(self, version: VersionPaths, live: set[str]) -> Iterator[str]:
        now = {key: file_sha256(version.shard(*parse_partition_key(key))) for key in sorted(live)}
        if version.version == self.version:
            kept = now.keys() & self.shards.keys()
            yield from (f"the bytes of {key} changed" for key in kept if now[key] != self.shards[key])
            yield from (f"the retired {key} came back" for key in now.keys() & self.retired)
            self.num_kept += len(kept)
            self.num_retired += len(self.shards.keys() - now.keys())
            self.retired |= self.shards.keys() - now.keys()
        elif self.version:
            self.old_versions[self.version] = files_of(self.paths.directory / self.version)
            self.retired = set()
        self.version, self.shards = version.version, now
        for old, files in self.old_versions.items():
            if files_of(self.paths.directory / old) != files:
                yield f"the old version {old} was changed"

    def _nothing_is_left(self, version: VersionPaths, live: set[str]) -> Iterator[str]:
        for path in self.paths.directory.rglob("*"):
            if TEMPORARY in path.name and ".dagster" not in path.parts:
                yield f"{path} was left"
        names = [parse_shard_file_name(path.name) for path in version.directory.glob("*.tfrecord")]
        found = {partition_key(name[1], name[2]) for name in names if name is not None}
        if found != live:
            yield f"shard files that no plan names, or none of one that it names: {sorted(found ^ live)}"
        sidecars = {path.stem for path in (version.directory / "shards").iterdir()}
        if sidecars != live:
            yield f"sidecars or markers too many, or too few: {sorted(sidecars ^ live)}"


def sizes(paths: DatasetPaths) -> Mapping[str, int]:
    """Bytes on disk: of the committed version's shards, of all else that belongs to it, and of the dataset's tables."""
    version = paths.version(read_plan(paths).pinned.version).directory
    files = [path for path in version.rglob("*") if path.is_file()]
    shards = sum(path.stat().st_size for path in files if path.suffix == ".tfrecord")
    tables = [path for path in (*paths.directory.iterdir(), *(paths.directory / "splits").iterdir()) if path.is_file()]
    return {
        "shards": shards,
        "metadata": sum(path.stat().st_size for path in files) - shards,
        "tables": sum(path.stat().st_size for path in tables),
    }
