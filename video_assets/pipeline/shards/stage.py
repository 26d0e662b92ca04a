"""Stage 4: convert planned clips to shards; each shard appears whole, or not at all."""

import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from video_assets.domain.clips import Loss
from video_assets.domain.errors import FileDamaged
from video_assets.domain.plan import PlannedClip, ShardPlan
from video_assets.domain.progress import Counter, Progress, silent
from video_assets.domain.sampling import KnownTimeline
from video_assets.media.workers.pool import DecodingPool, PoolMaker
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.plan.plan_table import ReadPlan, read_plan
from video_assets.pipeline.shards.contents import ShardContents, ShardFailed, stored_records
from video_assets.pipeline.shards.copying import StoredRecord
from video_assets.pipeline.shards.pending import is_current
from video_assets.settings import Limits
from video_assets.sources.tree import source_directory
from video_assets.storage.addresses import is_remote, open_address
from video_assets.storage.files import AtomicFile, remove_temporaries
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.sidecars import Sidecar, read_sidecar
from video_assets.storage.tables import MANIFEST, read_table

if TYPE_CHECKING:
    from video_assets.pipeline.shards.encode import ClipJob, EncodedClip

_SUFFIXES = frozenset({".mkv", ".webm"})
_COLUMNS = ("path", "size_bytes", "mtime_ns", "start_us", "duration_us", "num_frames", "index_trusted")

KnownVideos = Mapping[tuple[str, int, int], KnownTimeline]
"""By path, size and time of the file."""


def known_timelines(paths: DatasetPaths, clips: Iterable[PlannedClip]) -> KnownVideos:
    """The time lines of Matroska videos with a trusted index of which some of the clips are spans."""
    wanted = {clip.path for clip in clips if clip.is_span and PurePosixPath(clip.path).suffix.lower() in _SUFFIXES}
    if not wanted:
        return {}
    try:
        rows = read_table(paths.manifest, MANIFEST, _COLUMNS)
    except FileDamaged:  # the stage that needs the file reports it; here it costs time only
        return {}
    rows = rows[rows["path"].isin(wanted) & rows["index_trusted"]].drop_duplicates("path")
    columns = (rows[name].tolist() for name in _COLUMNS[:-1])
    return {
        (path, size_bytes, mtime_ns): KnownTimeline(start_us, start_us + duration_us, num_frames)
        for path, size_bytes, mtime_ns, start_us, duration_us, num_frames in zip(*columns, strict=True)
    }


@dataclass(slots=True, kw_only=True)
class ShardReport:
    """What became of one shard. `error` is empty, or says why the shard is not there.

    `num_copied` of its records were made from stored ones, so their clips were not decoded.
    """

    key: str
    fingerprint: str
    sidecar: Sidecar | None = None
    was_reused: bool = False
    error: str = ""
    num_copied: int = 0
    num_frames_decoded: int = 0
    num_frames_total: int = 0

    @property
    def num_encoded(self) -> int:
        """Return how many clips were decoded and encoded for it."""
        return 0 if self.sidecar is None or self.was_reused else self.sidecar.records - self.num_copied

    def without_clips(self) -> "ShardReport":
        """Return it without the clips of its sidecar, which its file names: those of all shards fill the memory."""
        return replace(self, sidecar=replace(self.sidecar, clips=()) if self.sidecar is not None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """The unit of work: one shard, a pure function of its planned clips and their encoding.

    `sizes_bytes` and `mtimes_ns` are those that the clips' files had when they were hashed, in the clips' order.
    """

    key: str
    fingerprint: str
    plan: ShardPlan
    sizes_bytes: tuple[int, ...]
    mtimes_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlace:
    """What all shards of a version share: where they go, where and what their videos are, class names, limits.

    For `hashed_ns` and `within` see `ClipJob`.
    `stored` has the records that need not be encoded again, by the ids of their clips.
    """

    paths: VersionPaths
    source_directory: Path
    labels: tuple[str, ...]
    limits: Limits
    known: KnownVideos = field(default_factory=dict)
    stored: Mapping[str, StoredRecord] = field(default_factory=dict[str, StoredRecord])
    hashed_ns: int = 0
    within: Path | None = None


ShardEngine = Callable[[Sequence[ShardTask], ShardPlace, Progress], Iterator[ShardReport]]
"""Builds shards somewhere; gives each one's report as soon as it is whole or has failed, in any order."""


def build_shards(
    paths: DatasetPaths,
    keys: Sequence[str],
    limits: Limits,
    make_pool: PoolMaker,
    progress: Progress = silent,
    plan: ReadPlan | None = None,
    *,
    engine: ShardEngine | None = None,
) -> Iterator[ShardReport]:
    """Yields a report for each shard as soon as it is whole on disk: first those that are there already.

    Shards whose file already has the planned fingerprint are left alone. The others are built by `engine`; without
    one in decoding processes of this machine, in the order of the keys. A shard that fails does not stop the others.
    The bytes of a shard do not depend on who builds it. `plan` is the one on disk unless given.

    Raises:
        SettingsError: if a key is not in the plan.
    """
    plan = plan or read_plan(paths)
    version_paths = paths.version(plan.pinned.version)
    remove_temporaries(version_paths.directory)
    tasks: list[ShardTask] = []
    for key in keys:
        task = _task(plan, key)
        sidecar = is_current(version_paths, key, task.fingerprint)
        if sidecar is None:
            tasks.append(task)
        else:
            yield ShardReport(key=key, fingerprint=task.fingerprint, sidecar=sidecar, was_reused=True)
    if tasks:
        clips = [clip for task in tasks for clip in task.plan.clips]
        place = ShardPlace(
            paths=version_paths,
            source_directory=source_directory(open_address(plan.pinned.source)),
            labels=tuple(plan.labels),
            limits=limits,
            known=known_timelines(paths, clips),
            stored=stored_records(version_paths, plan, clips),
        )
        place = replace(place, **_as_hashed(paths, place.source_directory))
        yield from (engine or partial(build_here, make_pool))(tasks, place, progress)


def _as_hashed(paths: DatasetPaths, directory: Path) -> dict[str, Any]:
    """Return when the videos were hashed, and the folder that they must lie in, behind links as well.

    A repair has no manifest: it has hashed the videos itself. A manifest in a store has no time to compare with.
    """
    if not paths.manifest.exists():
        return {}
    hashed_ns = sys.maxsize if is_remote(paths.root) else paths.manifest.stat().st_mtime_ns
    return {"hashed_ns": hashed_ns, "within": None if manifest_settings(paths).follow_links else directory}


def reused_shard(paths: DatasetPaths, plan: ReadPlan, key: str) -> ShardReport:
    """Return the report of a shard that is there already, without reading its file."""
    sidecar = read_sidecar(paths.version(plan.pinned.version).sidecar(*parse_partition_key(key)))
    return ShardReport(key=key, fingerprint=plan.fingerprints()[key], sidecar=sidecar, was_reused=True)


def _task(plan: ReadPlan, key: str) -> ShardTask:
    shard, rows = plan.shard(*parse_partition_key(key))
    return ShardTask(
        key=key,
        fingerprint=shard.fingerprint(),
        plan=shard,
        sizes_bytes=tuple(rows["size_bytes"].tolist()),
        mtimes_ns=tuple(rows["mtime_ns"].tolist()),
    )


def build_here(
    make_pool: PoolMaker, tasks: Sequence[ShardTask], place: ShardPlace, progress: Progress
) -> Iterator[ShardReport]:
    """Builds shards in decoding processes of this machine, in their order.

    Clips of several shards are decoded at the same time, so that no process waits for the end of a shard.
    """
    counter, todo = begin_encoding(progress, tasks), deque(tasks)
    with make_pool() as pool:
        while todo:
            with closing(_encoded(pool, tuple(todo), place)) as results:
                for task in tuple(todo):
                    todo.popleft()
                    try:
                        yield _write_shard(task, place, islice(results, len(task.plan.clips)), counter)
                    except (OSError, ShardFailed) as error:
                        yield ShardReport(key=task.key, fingerprint=task.fingerprint, error=f"{task.key}: {error}")
                        break  # what failed may have been the results; the next shard has its own


def _encoded(
    pool: DecodingPool, tasks: Sequence[ShardTask], place: ShardPlace
) -> "Generator[EncodedClip | Loss, None, None]":
    """The record of each clip of these shards, or its loss, in their order."""
    from video_assets.pipeline.shards.encode import encode_clip, fetch_clip
    from video_assets.pipeline.shards.spans import encode_in_order

    jobs = _jobs(tasks, place)
    if any(clip.is_span for task in tasks for clip in task.plan.clips):
        yield from encode_in_order(pool, jobs)
    else:
        fetch = fetch_clip if is_remote(place.source_directory) else None
        for result in pool.map(encode_clip, jobs, fetch=fetch):
            yield result.outcome


def begin_encoding(progress: Progress, tasks: Sequence[ShardTask]) -> Counter:
    """Begins the phase in which these shards are built."""
    return progress(
        "encoding", sum(len(task.plan.clips) for task in tasks), sum(sum(task.sizes_bytes) for task in tasks)
    )


def _jobs(tasks: Iterable[ShardTask], place: ShardPlace) -> "Iterator[ClipJob]":
    from video_assets.pipeline.shards.encode import ClipJob

    for task in tasks:
        for clip, size_bytes, mtime_ns in zip(task.plan.clips, task.sizes_bytes, task.mtimes_ns, strict=True):
            path = place.source_directory / clip.path
            known = place.known.get((clip.path, size_bytes, mtime_ns))
            yield ClipJob(
                path=path,
                size_bytes=size_bytes,
                mtime_ns=mtime_ns,
                clip=clip,
                encoding=task.plan.encoding,
                limits=place.limits,
                known=known,
                stored=place.stored.get(clip.clip_id),
                hashed_ns=place.hashed_ns,
                within=place.within,
            )


def _write_shard(
    task: ShardTask, place: ShardPlace, results: "Iterator[EncodedClip | Loss]", counter: Counter
) -> ShardReport:
    plan, paths, done = task.plan, place.paths, ShardContents()
    with AtomicFile(paths.shard(plan.split, plan.shard_index)) as file:
        for clip, size_bytes, result in zip(plan.clips, task.sizes_bytes, results, strict=True):
            done.store(file, clip, result)
            counter(1, size_bytes)
        file.flush()
        done.refuse_unsound(file.temporary, plan, place.labels)
    sidecar = Sidecar(
        shard=task.key,
        fingerprint=task.fingerprint,
        sha256=file.sha256,
        bytes=file.num_bytes,
        records=len(done.clips),
        encoding=plan.encoding.as_dict(),
        clips=done.clips,
        losses=done.losses,
        versions=done.versions(),
    )
    sidecar.write(paths.sidecar(plan.split, plan.shard_index))
    return ShardReport(
        key=task.key,
        fingerprint=task.fingerprint,
        sidecar=sidecar,
        num_copied=len(done.copied),
        num_frames_decoded=done.num_frames_decoded,
        num_frames_total=done.num_frames_total,
    )
