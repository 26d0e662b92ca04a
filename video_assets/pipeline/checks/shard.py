"""Checks of one shard, against the plan and against its source, through TensorFlow's own reader."""

import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from video_assets.domain.checks import COMPARED_RECORDS, CheckOutcome, CheckPicture, Severity, ShardSample
from video_assets.domain.clips import Loss
from video_assets.domain.encoding import Encoding
from video_assets.domain.plan import PlannedClip, ShardPlan
from video_assets.domain.text import counted
from video_assets.pipeline.plan.plan_table import ReadPlan
from video_assets.pipeline.shared_pools import PoolsFor, reading_pool, why_not_read
from video_assets.reader.shard_reading import FrameFacts, RecordFacts, ShardReading, ShardToRead, read_shard
from video_assets.settings import Limits
from video_assets.sources.tree import source_directory
from video_assets.storage.addresses import is_remote, open_address
from video_assets.storage.files import file_sha256, file_status, temporary_prefix
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_partition_key
from video_assets.storage.remote_files import local_copy
from video_assets.storage.sidecars import Sidecar, read_sidecar

if TYPE_CHECKING:
    from video_assets.storage.object_facts import ObjectFacts


SHARD_CHECKS = ("shard_is_complete", "shard_decodes", "shard_matches_source")

MISSING_VIDEO = "missing_video"
"""The fact of a failed check that names a video which is gone: nothing that is stored is damaged by that."""

NOT_READ = "not_read"
"""The fact of a failed check that says why nobody could read a shard: nothing that is stored is damaged by that."""


class _Failed(Exception):
    """Carries the sentence of a failed check, and what it is about."""

    def __init__(
        self,
        sentence: str,
        pictures: Sequence[CheckPicture] = (),
        *,
        severity: Severity = "ERROR",
        facts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.pictures, self.facts = pictures, facts or {}
        self.severity: Severity = severity


@dataclass
class ShardAudit:
    """The checks of one shard as it is on disk.

    `max_records` of None looks at every record. Otherwise so many are looked at, at most; for the comparison with the
    source only as many as cost little beside encoding, but always one, and those of the clips `always`. Of a file that
    is not the one that was written, every record is looked at.

    A process of its own reads the shard by TensorFlow: a crash there is a failed check. `outcome_of_reading` is what it
    said; `read_ahead` asks it.
    """

    paths: DatasetPaths
    plan: ReadPlan
    key: str
    limits: Limits
    pools_for: PoolsFor
    max_records: int | None = COMPARED_RECORDS
    always: Set[str] = frozenset()
    outcome_of_reading: ShardReading | Loss | None = None

    def run(self, name: str) -> CheckOutcome:
        """Runs one of `SHARD_CHECKS` by name."""
        methods: Sequence[Callable[[], tuple[Any, ...]]] = (self._is_complete, self._decodes, self._matches_source)
        checks: dict[str, Callable[[], tuple[Any, ...]]] = dict(zip(SHARD_CHECKS, methods, strict=True))
        outcome = partial(CheckOutcome, name=name, target=self.key)
        try:
            description, facts, *pictures = checks[name]()
        except _Failed as error:
            failed = partial(outcome, passed=False, description=str(error), severity=error.severity)
            return failed(pictures=error.pictures, facts=error.facts)
        return outcome(passed=True, description=description, facts=facts, pictures=pictures)

    @cached_property
    def _shard(self) -> Path:
        return self._version_paths.shard(*parse_partition_key(self.key))

    @cached_property
    def _local_shard(self) -> Path | None:
        """The shard's file, or a copy of what is in a store, which goes with this object; TensorFlow needs files.

        None if it is not there.
        """
        if not is_remote(self._shard):
            return self._shard if self._shard.is_file() else None
        folder = Path(tempfile.mkdtemp(prefix=temporary_prefix("verify")))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            return local_copy(self._shard, folder)
        except FileNotFoundError:
            return None

    @cached_property
    def _version_paths(self) -> VersionPaths:
        return self.paths.version(self.plan.pinned.version)

    @cached_property
    def _planned(self) -> tuple[ShardPlan, pd.DataFrame]:
        return self.plan.shard(*parse_partition_key(self.key))

    @cached_property
    def _sidecar(self) -> Sidecar:
        sidecar = read_sidecar(self._version_paths.sidecar(*parse_partition_key(self.key)))
        if sidecar is None:
            raise _Failed(f"{self.key} has no readable sidecar; materialize the shard again")
        return sidecar

    def to_read(self) -> ShardToRead | None:
        """Return what is to be read of the shard, once for all checks; None if it is not there, or its sidecar."""
        shard, encoding = self._local_shard, self._encoding
        try:
            sample = self._sample
        except _Failed:
            return None
        if shard is None:
            return None
        return ShardToRead(
            shard, encoding.layout, encoding.compression, encoding.multi_label, sample.decoded, sample.compared
        )

    @property
    def _reading(self) -> ShardReading:
        """What was read of the shard."""
        _ = self._sidecar  # without it nothing can be said
        if self.outcome_of_reading is None:
            raise _Failed(f"{self._shard.name} is not there; materialize {self.key}")
        if isinstance(self.outcome_of_reading, Loss):
            loss = self.outcome_of_reading
            raise _Failed(why_not_read(loss), facts={NOT_READ: loss.reason})
        return self.outcome_of_reading

    def _refuse_unreadable(self) -> None:
        """Refuse what follows the records that were read."""
        reading = self._reading
        if reading.error:
            raise _Failed(f"record {reading.unreadable_index} of {self._shard.name} cannot be read: {reading.error}")

    @property
    def _encoding(self) -> Encoding:
        return self.plan.pinned.encoding

    def _is_complete(self) -> tuple[str, dict[str, float]]:
        sidecar, (planned, _) = self._sidecar, self._planned
        stored = {clip.clip_id: clip for clip in sidecar.clips}
        lost = {clip.clip_id for clip in sidecar.losses}
        wanted = [clip for clip in planned.clips if clip.clip_id not in lost]
        number = len(self._reading.records)
        for index, record in enumerate(self._reading.records):
            if index >= len(wanted):
                raise _Failed(f"{self._shard.name} holds more than the {len(wanted)} records that are planned")
            self._compare(index, record, wanted[index], stored)
        self._refuse_unreadable()
        if number < len(wanted):
            missing = wanted[number].clip_id
            raise _Failed(f"{self._shard.name} holds {number} records, planned are {len(wanted)}; {missing} is missing")
        if sidecar.fingerprint != planned.fingerprint():
            raise _Failed(f"{self.key} was written for another plan or under other settings; materialize it again")
        if not self._is_as_written:
            raise _Failed(f"the SHA-256 of {self._shard.name} is not that of its sidecar; the file was changed")
        description = f"{number} records are the planned clips, in order; {len(lost)} planned clips are lost"
        return description, {"records": number, "lost": len(lost), "bytes": self._sidecar.bytes}

    def _compare(self, number: int, record: RecordFacts, clip: PlannedClip, stored: dict[str, Any]) -> None:
        place = f"record {number} of {self._shard.name}"
        if record.clip_id != clip.clip_id:
            raise _Failed(f"{place} is the clip {record.clip_id}, planned is {clip.clip_id}")
        if record.labels != sorted(clip.label_indices):
            wanted = f"{_named(clip.label_indices)} ({clip.label})"
            raise _Failed(f"{place}, clip {clip.clip_id}, has {_labels_in(record)}, planned is {wanted}")
        num_frames = record.num_images
        known = stored.get(clip.clip_id)
        if known is None or num_frames != known.num_frames or num_frames != record.num_times:
            wanted = "another number" if known is None else str(known.num_frames)
            found = f"{num_frames} frames and {record.num_times} times"
            raise _Failed(f"{place}, clip {clip.clip_id}, has {found}, written were {wanted}")

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the shard's file; empty if it is not there."""
        return file_sha256(self._local_shard) if self._local_shard is not None else ""

    @cached_property
    def stamp(self) -> str:
        """What changes with the shard's file: its SHA-256; of one in a store, which is not fetched for it, the etag."""
        if not is_remote(self._shard):
            return self.sha256
        facts = cast("ObjectFacts | None", file_status(self._shard))
        return facts.etag if facts is not None else ""

    @property
    def _is_as_written(self) -> bool:
        return self.sha256 == self._sidecar.sha256

    @cached_property
    def _sample(self) -> ShardSample:
        """The records that are looked at: of a file that was changed after it was written, all."""
        shard, rows = self._planned
        clips = self._sidecar.clips
        videos = rows.set_index("clip_id").reindex([clip.clip_id for clip in clips])
        return ShardSample(
            shard.fingerprint(),
            videos["num_frames"].fillna(0).tolist(),
            videos["num_pixels"].fillna(0).tolist(),
            max_records=self.max_records if self._is_as_written else None,
            always=frozenset(index for index, clip in enumerate(clips) if clip.clip_id in self.always),
        )

    def _decodes(self) -> tuple[str, dict[str, float]]:
        reading = self._reading
        for number, frames in reading.decoded.items():
            self._refuse_frames(number, reading.records[number], frames)
        self._refuse_unreadable()
        num_records = counted(len(self._sidecar.clips), "record")
        description = f"tried {len(self._sample.decoded)} of {num_records}: decoded as planned"
        return description, {"records_decoded": len(self._sample.decoded)}

    def _refuse_frames(self, number: int, record: RecordFacts, frames: FrameFacts) -> None:
        place = f"record {number} of {self._shard.name}, clip {record.clip_id},"
        if frames.error:
            raise _Failed(f"{place} does not decode: {frames.error}")
        encoding, labels = self._encoding, {clip.clip_id: clip.label_indices for clip in self._planned[0].clips}
        side = encoding.resolution
        is_sized = (
            min(frames.shape[1:3]) == side if encoding.resize == "short_side" else frames.shape[1:3] == (side, side)
        )
        if frames.dtype != "uint8" or frames.shape[3] != 3 or not is_sized:
            raise _Failed(
                f"{place} decodes to {frames.dtype} {frames.shape}; planned are frames of {side} pixels, 3 channels"
            )
        if encoding.sampling in ("uniform", "segments") and frames.shape[0] != encoding.num_frames:
            raise _Failed(f"{place} has {frames.shape[0]} frames, planned are {encoding.num_frames}")
        if not frames.are_as_stored:
            raise _Failed(f"{place} holds pixels that are not whole numbers from 0 to 255")
        if sorted(labels.get(record.clip_id, ())) != record.labels:
            planned = _named(labels[record.clip_id]) if record.clip_id in labels else None
            raise _Failed(f"{place} has {_labels_in(record)}, planned is {planned}")

    def _source_directory(self) -> Path:
        """Where the videos were when the plan was made."""
        directory = source_directory(open_address(self.plan.pinned.source))
        if not directory.is_dir():  # moved, or not mounted: the shard is as right as before
            raise _Failed(
                f"the source {directory} is not there, so nothing could be compared with it; no shard is damaged by "
                f"that. If it was moved, tell its new place: video-assets build --source NEW --root {self.paths.root} "
                f"--name {self.paths.name}",
                severity="WARN",
            )
        return directory

    def _matches_source(self) -> tuple[Any, ...]:
        directory = self._source_directory()
        shard, rows = self._planned
        paths = {clip.clip_id: clip.path for clip in shard.clips}
        sizes_bytes = dict(zip(paths, rows["size_bytes"].tolist(), strict=True))
        whole = {clip.clip_id for clip in shard.clips if not clip.is_span}
        from video_assets.pipeline.checks.comparison import SourceComparison, compare_with_source, fetch_source

        reading = self._reading
        self._refuse_unreadable()
        jobs = [
            SourceComparison(
                directory / paths.get(clip_id := reading.records[number].clip_id, clip_id),
                record.images,
                record.timestamps_us,
                clip_id in whole,
                self._encoding,
                self.limits,
                self._sample.spots(number, len(record.timestamps_us)),
                sizes_bytes.get(clip_id),
            )
            for number, record in reading.whole.items()
        ]
        with self.pools_for(self.limits)() as pool:
            fetch = fetch_source if is_remote(directory) else None
            results = [result.outcome for result in pool.map(compare_with_source, jobs, fetch=fetch)]
        compared: list[tuple[float, list[CheckPicture]]] = []
        for number, job, result in zip(reading.whole, jobs, results, strict=True):
            clip_id = reading.records[number].clip_id
            place = f"record {number} of {self._shard.name}, clip {clip_id}"
            if isinstance(result, Loss) and result.reason == "missing_file":
                video = str(paths.get(clip_id, clip_id))
                raise _Failed(
                    f"{place}: its video {video} is not in the source {directory} any more; put it back, or build "
                    "again, which takes the clip out of the dataset",
                    facts={MISSING_VIDEO: video},
                )
            if isinstance(result, Loss):
                # All of a long video takes longer to decode than the frames that a record needs of it.
                severity = "WARN" if result.reason == "timeout" else "ERROR"
                raise _Failed(f"{place}: its source cannot be decoded again: {result.detail}", severity=severity)
            pictures = result.side_by_side(clip_id, job.timestamps_us)
            if result.fault:
                raise _Failed(f"{place}: {result.fault}", pictures)
            compared.append((result.psnr_db, pictures))
        description = (
            f"compared {len(compared)} of {counted(len(self._sidecar.clips), 'record')}: frames are those of the source"
        )
        worst_db, pictures = min(compared, key=lambda found: found[0], default=(99.0, []))
        return description, {"records_compared": len(compared), "worst_psnr_db": round(worst_db, 2)}, *pictures


def read_ahead(audits: Iterable[ShardAudit], pools_for: PoolsFor, num_processes: int = 1) -> Iterator[ShardAudit]:
    """Yield each audit in its turn, with its shard read. Meanwhile each process reads one of the next shards.

    No more than these wait: a shard of a store is copied to this machine before it is read, and what a check of all
    records compares is as large as the shard.
    """
    begun: deque[ShardAudit] = deque()

    def jobs() -> Iterator[ShardToRead | None]:
        for audit in audits:
            begun.append(audit)
            yield audit.to_read()

    with reading_pool(pools_for, num_processes)() as pool:
        for result in pool.map(read_shard, jobs(), window=1 + num_processes):
            audit = begun.popleft()
            audit.outcome_of_reading = result.outcome
            yield audit


def _labels_in(record: RecordFacts) -> str:
    found = record.labels
    return f"the label {found[0]}" if len(found) == 1 else f"the labels {_named(found) or 'none'}"


def _named(indices: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(indices)))
