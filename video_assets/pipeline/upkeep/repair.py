"""`video-assets repair`: damaged files written again, from the source and from what is known twice; nothing else."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from video_assets.domain.errors import BuildRefused, StorageFailed
from video_assets.pipeline.build import Steps
from video_assets.pipeline.commit.retired import remove_expired
from video_assets.pipeline.dataset_state import committed_plan_digest
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.plan.plan_table import ReadPlan, plan_digest, read_plan
from video_assets.pipeline.shards.stage import ShardReport, build_shards
from video_assets.pipeline.shared_pools import SharedPools
from video_assets.pipeline.upkeep.verify import (
    Damage,
    encoding_by_plan,
    find_damage,
    labels_by_manifest,
    stored_places,
    table_copies,
)
from video_assets.settings import DatasetSettings
from video_assets.sources.tree import source_directory
from video_assets.storage.addresses import open_address
from video_assets.storage.files import remove_tree, write_bytes
from video_assets.storage.locks import building
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets.storage.remote_files import has_content

Reasons = dict[Path, str]
"""Files that could not be repaired, each with what to do."""


@dataclass(slots=True)
class RepairReport:
    """What was damaged, and of that, by path: what is as it was again, and what is not, with the reason."""

    damaged: Sequence[Damage] = ()
    repaired: list[Path] = field(default_factory=list[Path])
    failed: Reasons = field(default_factory=Reasons)
    shards_rebuilt: list[str] = field(default_factory=list[str])


def repair_dataset(steps: Steps, source: Path | None) -> RepairReport:
    """Repairs what `find_damage` finds; a second time there is nothing to do.

    Tables come back from their copies of the last commit, damaged shards from `source` (by default the one that they
    were made from) through the stage of a build, and all that readers open from the commit. A shard whose videos are
    gone or changed is left as it is, so that its other records stay readable.

    Raises:
        BuildRefused: if nothing was planned yet.
        StorageFailed: if the store of the dataset or of its source does not answer.
    """
    paths = steps.paths
    report = RepairReport(find_damage(paths))
    if not report.damaged:
        return report
    reasons = _restore_tables(paths, report.damaged)
    if not reasons:
        reasons = _Repair(steps, read_plan(paths), report).run(source)
    for item in find_damage(paths):
        why = reasons.get(item.path, "it is made again from the others, once they are whole: repair those first")
        report.failed[item.path] = f"{item.sentence}; {why}"
    report.repaired = [item.path for item in report.damaged if item.path not in report.failed]
    return report


def _restore_tables(paths: DatasetPaths, damaged: Iterable[Damage]) -> Reasons:
    reasons: Reasons = {}
    copies = table_copies(paths)
    for item in damaged:
        if item.version:
            continue
        second = {paths.labels: labels_by_manifest, paths.encoding: encoding_by_plan}.get(item.path, lambda _: None)
        known = second(paths)  # as it was last written; the copy is as it was last committed
        if known is not None:
            write_bytes(item.path, known.data)
        elif item.path in copies:
            write_bytes(item.path, copies[item.path].read_bytes())
        else:
            reasons[item.path] = "no commit has a whole copy of it: put one from a backup there, or build a new root"
    return reasons


@dataclass
class _Repair:
    steps: Steps
    plan: ReadPlan
    report: RepairReport
    reasons: Reasons = field(default_factory=Reasons)

    @property
    def paths(self) -> DatasetPaths:
        """Where the dataset lies."""
        return self.steps.paths

    def run(self, source: Path | None) -> Reasons:
        """Rebuilds shards, and commits if that is all; gives the files that could not be repaired."""
        limits = manifest_settings(self.paths).limits
        keys = self._keys_to_rebuild()
        wanted = _Wanted(self.paths, self.plan, open_address(source or self.plan.pinned.source))
        for key in keys:
            if trouble := wanted.trouble(key):
                self._refuse(key, trouble)
        keys = [key for key in keys if self._files_of(key)[0] not in self.reasons]
        scratch = self.paths.scratch
        remove_tree(scratch.root)
        try:
            make_pool, progress = self.steps.pools_for(limits), self.steps.progress
            for built in build_shards(scratch, keys, limits, make_pool, progress, wanted.as_found()):
                self._take(built, scratch)
        finally:
            remove_tree(scratch.root)
        if self._is_ready_to_commit():
            try:
                self.steps.commit(DatasetSettings())
            except BuildRefused as refused:
                self.reasons |= {item.path: str(refused) for item in self.report.damaged}
        return self.reasons

    def _keys_to_rebuild(self) -> list[str]:
        """Planned shards that are damaged; what is damaged and not planned is given a reason."""
        keys: set[str] = set()
        version = self.plan.pinned.version
        planned = self.plan.fingerprints()
        for item in self.report.damaged:
            if item.version and item.version != version:
                self.reasons[item.path] = (
                    f"the plan is of {version} now: put a copy from a backup there, or remove {item.version}"
                )
            elif item.version and item.key in planned:
                keys.add(item.key)
            elif item.version and item.key:
                self.reasons[item.path] = "the plan holds this shard no more; `video-assets build` replaces it"
        return sorted(keys)

    def _files_of(self, key: str) -> tuple[Path, Path]:
        version_paths, place = self.paths.version(self.plan.pinned.version), parse_partition_key(key)
        return version_paths.shard(*place), version_paths.sidecar(*place)

    def _refuse(self, key: str, reason: str) -> None:
        self.reasons |= dict.fromkeys(self._files_of(key), reason)

    def _take(self, built: ShardReport, scratch: DatasetPaths) -> None:
        """Moves a shard into its place, unless it lost a clip that the damaged one has."""
        if built.sidecar is None:
            self._refuse(built.key, built.error)
            return
        had = {place.clip_id for place in stored_places(self.paths.version(self.plan.pinned.version), built.key)}
        for loss in built.sidecar.losses:
            if loss.clip_id in had:
                self._refuse(built.key, f"{loss.clip_id} could not be encoded again: {loss.detail}; repair once more")
                return
        made, place = scratch.version(self.plan.pinned.version), parse_partition_key(built.key)
        shard, sidecar = self._files_of(built.key)
        made.shard(*place).replace(shard)
        made.sidecar(*place).replace(sidecar)
        self.report.shards_rebuilt.append(built.key)

    def _is_ready_to_commit(self) -> bool:
        """Only what was committed is committed again; a newer plan is a build's business."""
        version_paths = self.paths.version(self.plan.pinned.version)
        ours = [item for item in self.report.damaged if item.version in ("", version_paths.version)]
        if any(item.path in self.reasons for item in ours):
            return False
        if not version_paths.dataset_info.exists() and not version_paths.checksums.exists():
            return False
        if version_paths.dataset_info not in {item.path for item in ours}:
            is_committed = committed_plan_digest(version_paths) == plan_digest(self.plan, self.plan.fingerprints())
        else:
            copy = table_copies(self.paths).get(self.paths.plan)
            is_committed = copy is None or copy.read_bytes() == self.paths.plan.read_bytes()
        if not is_committed:
            why = "a newer plan waits for its commit: `video-assets build` finishes it, and writes this again"
            self.reasons |= {item.path: why for item in ours}
        return is_committed


@dataclass
class _Wanted:
    """The videos that shards are made from, compared by their content; their times may be others in another place."""

    paths: DatasetPaths
    plan: ReadPlan
    source: Path
    times: dict[str, int] = field(default_factory=dict[str, int])

    def trouble(self, key: str) -> str:
        """Why a shard's videos cannot give it back; empty if they can."""
        directory = source_directory(self.source)
        _, rows = self.plan.shard(*parse_partition_key(key))
        stored = {place.clip_id for place in stored_places(self.paths.version(self.plan.pinned.version), key)}
        if stored:  # the others were lost already when it was made
            rows = rows[rows["clip_id"].isin(stored)]
        for path, content_hash in dict(zip(rows["path"], rows["content_hash"], strict=True)).items():
            try:
                is_same, status = has_content(directory / path, content_hash), (directory / path).stat()
            except StorageFailed:  # that its store does not answer now says nothing of the video
                raise
            except OSError as error:
                gone = f"its source {path} cannot be read in {directory} ({error.strerror})"
                return f"{gone}: put it back, or name another place with --source"
            if not is_same:
                return f"its source {path} in {directory} has changed since: put the old file back, or build again"
            self.times[path] = status.st_mtime_ns
        return ""

    def as_found(self) -> ReadPlan:
        """The plan with this source, and with the times that its compared files have."""
        rows = self.plan.rows
        times = [self.times.get(path, then) for path, then in zip(rows["path"], rows["mtime_ns"], strict=True)]
        pinned = replace(self.plan.pinned, source=str(self.source.absolute()))
        return replace(self.plan, rows=rows.assign(mtime_ns=times), pinned=pinned)


def run_repair(paths: DatasetPaths, source: Path | None, *, num_workers: int = 0) -> dict[str, Any]:
    """Repairs a dataset; gives the JSON object of `--json`.

    Raises:
        SettingsError: if there is no such dataset.
        LockHeld: if somebody else is writing it.
        BuildRefused: if nothing was planned yet.
    """
    paths.refuse_missing()
    begun = time.monotonic()

    with building(paths, "video-assets repair"), SharedPools(num_workers) as pools:
        remove_expired(paths)
        report = repair_dataset(Steps(paths=paths, pools_for=pools, within_build=True), source)
    return {
        "directory": str(paths.directory),
        "damaged": [item.sentence for item in report.damaged],
        "repaired": [str(path.relative_to(paths.directory)) for path in report.repaired],
        "shards_rebuilt": report.shards_rebuilt,
        "not_repaired": [
            {"file": str(path.relative_to(paths.directory)), "reason": reason} for path, reason in report.failed.items()
        ],
        "seconds": round(time.monotonic() - begun, 3),
    }
