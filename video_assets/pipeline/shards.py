"""Stage 4: convert planned clips to shards; each shard appears whole, or not at all."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from video_assets.domain.errors import BuildRefused
from video_assets.domain.limits import Limits
from video_assets.domain.losses import Loss
from video_assets.domain.plan import PlannedClip, ShardPlan
from video_assets.domain.progress import Counter, Progress, silent
from video_assets.media.pool import PoolMaker
from video_assets.pipeline.plan import FINGERPRINT_COLUMNS, ReadPlan, read_plan
from video_assets.records.framing import FramingError, read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import AtomicFile, file_sha256, remove_temporaries
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.sidecars import LostClip, Sidecar, StoredClip, read_sidecar
from video_assets.storage.sources import source_directory

if TYPE_CHECKING:
    from video_assets.pipeline.encode import ClipJob, EncodedClip


class ShardFailed(BuildRefused):
    """A shard was written and is not what it should be; it was not published."""


@dataclass(slots=True, kw_only=True)
class ShardReport:
    """What became of one shard. `error` is empty, or says why the shard is not there."""

    key: str
    fingerprint: str
    sidecar: Sidecar | None = None
    was_reused: bool = False
    error: str = ""
    num_frames_decoded: int = 0
    num_frames_total: int = 0


@dataclass(slots=True)
class _Task:
    plan: ShardPlan
    rows: pd.DataFrame
    key: str
    fingerprint: str


@dataclass(slots=True)
class _Written:
    """What was put into a shard so far."""

    clips: list[StoredClip] = field(default_factory=list)
    losses: list[LostClip] = field(default_factory=list)
    num_frames_decoded: int = 0
    num_frames_total: int = 0


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


def build_shards(
    paths: DatasetPaths,
    keys: Sequence[str],
    limits: Limits,
    make_pool: PoolMaker,
    progress: Progress = silent,
    plan: ReadPlan | None = None,
) -> Iterator[ShardReport]:
    """Yields a report for each shard, in the order of the keys, as soon as it is whole on disk.

    Shards whose file already has the planned fingerprint are left alone. Clips of several shards are decoded
    at the same time, so that no process waits for the end of a shard. A shard that fails does not stop the
    others. The bytes of a shard do not depend on the number of processes. `plan` is the one on disk unless given.

    Raises:
        SettingsError: if a key is not in the plan.
    """
    plan = plan or read_plan(paths)
    version_paths = paths.version(plan.pinned.version)
    remove_temporaries(version_paths.directory)
    tasks: list[_Task] = []
    reused: dict[str, ShardReport] = {}
    for key in keys:
        shard, rows = plan.shard(*parse_partition_key(key))
        fingerprint = shard.fingerprint()
        sidecar = is_current(version_paths, key, fingerprint)
        if sidecar is None:
            tasks.append(_Task(shard, rows, key, fingerprint))
        else:
            reused[key] = ShardReport(key=key, fingerprint=fingerprint, sidecar=sidecar, was_reused=True)
    written = _build_tasks(tasks, version_paths, plan, limits, make_pool, progress) if tasks else iter(())
    for key in keys:
        yield reused[key] if key in reused else next(written)


def _build_tasks(
    tasks: Sequence[_Task],
    paths: VersionPaths,
    plan: ReadPlan,
    limits: Limits,
    make_pool: PoolMaker,
    progress: Progress,
) -> Iterator[ShardReport]:
    from video_assets.pipeline.encode import encode_clip

    directory = source_directory(Path(plan.pinned.source))
    num_bytes = sum(int(task.rows["size_bytes"].sum()) for task in tasks)
    counter = progress("encoding", sum(len(task.plan.clips) for task in tasks), num_bytes)
    with make_pool() as pool:
        results = (result.outcome for result in pool.map(encode_clip, _jobs(tasks, directory, limits)))
        for task in tasks:
            mine = islice(results, len(task.plan.clips))
            try:
                yield _write_shard(task, paths, plan.labels, mine, counter)
            except (OSError, ShardFailed) as error:
                for _ in mine:  # the results that are left of this shard; the next one begins after them
                    pass
                yield ShardReport(key=task.key, fingerprint=task.fingerprint, error=f"{task.key}: {error}")


def _jobs(tasks: Iterable[_Task], directory: Path, limits: Limits) -> "Iterator[ClipJob]":
    from video_assets.pipeline.encode import ClipJob

    for task in tasks:
        sizes, times = task.rows["size_bytes"].tolist(), task.rows["mtime_ns"].tolist()
        for clip, size_bytes, mtime_ns in zip(task.plan.clips, sizes, times, strict=True):
            yield ClipJob(directory / clip.path, size_bytes, mtime_ns, clip, task.plan.encoding, limits)


def _write_shard(
    task: _Task,
    paths: VersionPaths,
    labels: Sequence[str],
    results: "Iterator[EncodedClip | Loss]",
    counter: Counter,
) -> ShardReport:
    plan, done = task.plan, _Written()
    with AtomicFile(paths.shard(plan.split, plan.shard_index)) as file:
        for clip, size_bytes, result in zip(plan.clips, task.rows["size_bytes"].tolist(), results, strict=True):
            _store(file, clip, result, done)
            counter(1, size_bytes)
        file.flush()
        _refuse_unsound(file.temporary, plan, done, labels)
    sidecar = Sidecar(
        shard=task.key,
        fingerprint=task.fingerprint,
        sha256=file.sha256,
        bytes=file.num_bytes,
        records=len(done.clips),
        encoding=plan.encoding.as_dict(),
        clips=done.clips,
        losses=done.losses,
        versions={name: version(name) for name in ("av", "opencv-python-headless", "numpy", "video_assets")},
    )
    sidecar.write(paths.sidecar(plan.split, plan.shard_index))
    return ShardReport(
        key=task.key,
        fingerprint=task.fingerprint,
        sidecar=sidecar,
        num_frames_decoded=done.num_frames_decoded,
        num_frames_total=done.num_frames_total,
    )


def _store(file: AtomicFile, clip: PlannedClip, result: "EncodedClip | Loss", done: _Written) -> None:
    if isinstance(result, Loss):
        lost = LostClip(
            clip_id=clip.clip_id, source=clip.path, label=clip.label, reason=result.reason, detail=result.detail
        )
        done.losses.append(lost)
        return
    stored = StoredClip(
        clip_id=clip.clip_id,
        source=clip.path,
        label=clip.label,
        label_index=clip.label_index,
        content_hash=clip.content_hash,
        offset=file.num_bytes,
        length=len(result.framed),
        num_frames=result.num_frames,
        note=result.note,
        signature=result.signature.hex(),
    )
    file.write(result.framed)
    done.clips.append(stored)
    done.num_frames_decoded += result.num_frames_decoded
    done.num_frames_total += result.num_frames_total


def _refuse_unsound(path: Path, plan: ShardPlan, done: _Written, labels: Sequence[str]) -> None:
    """Reads back from disk what was written, before it gets its name.

    Raises:
        ShardFailed: if the records are not the planned clips.
    """
    decode_record = layout_codec(plan.encoding.layout).decode_record
    try:
        with path.open("rb") as file:
            found = []
            for framed in read_records(file):
                record = decode_record(framed.data, labels)
                found.append((record.clip_id, record.label, len(record.images), framed.offset, framed.length))
    except (FramingError, ValueError) as error:
        raise ShardFailed(f"what was written cannot be read back: {error}") from error
    wanted = [(c.clip_id, c.label, c.num_frames, c.offset, c.length) for c in done.clips]
    if found != wanted:
        raise ShardFailed(f"what was written holds {len(found)} records that are not the {len(wanted)} planned ones")


def shards_to_build(paths: DatasetPaths) -> list[str]:
    """Partition keys of planned shards that are missing or stale on disk, by fingerprint and size (not content)."""
    plan = read_plan(paths, FINGERPRINT_COLUMNS)
    version_paths = paths.version(plan.pinned.version)
    return [
        key for key, fingerprint in plan.fingerprints().items() if not looks_current(version_paths, key, fingerprint)
    ]


def looks_current(paths: VersionPaths, key: str, fingerprint: str) -> bool:
    """Like `is_current`, but without reading the shard: by fingerprint, size, and no change since the commit."""
    split, index = parse_partition_key(key)
    sidecar, shard = read_sidecar(paths.sidecar(split, index)), paths.shard(split, index)
    if sidecar is None or sidecar.fingerprint != fingerprint or not shard.is_file():
        return False
    status = shard.stat()
    if status.st_size != sidecar.bytes:
        return False
    info = paths.dataset_info
    if info.exists() and status.st_mtime_ns > info.stat().st_mtime_ns:
        return file_sha256(shard) == sidecar.sha256  # written, or tampered with, after the commit
    return True
