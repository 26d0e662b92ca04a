"""What goes into one shard: records that superseded shards hold, and new ones; read back before it gets its name."""

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from video_assets.domain.clips import Loss
from video_assets.domain.errors import BuildRefused
from video_assets.domain.plan import PlannedClip, ShardPlan
from video_assets.domain.text import counted
from video_assets.pipeline.plan.plan_table import ReadPlan, live_shards
from video_assets.pipeline.shards.copying import StoredRecord
from video_assets.records.framing import FramingError, read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import AtomicFile
from video_assets.storage.paths import VersionPaths, partition_key
from video_assets.storage.sidecars import LostClip, StoredClip, read_sidecar

if TYPE_CHECKING:
    from video_assets.pipeline.shards.encode import EncodedClip


_Frames = tuple[str, str, str]
"""What a clip's frames depend on, besides the encoding: its content, its span, and the ending of its file's name."""


def _frames(clip: PlannedClip | StoredClip) -> _Frames:
    path = clip.path if isinstance(clip, PlannedClip) else clip.source
    # An id is the path and the span: two clips of one content and span differ in what stands before the span only.
    return clip.content_hash, clip.clip_id.removeprefix(path), PurePosixPath(path).suffix.lower()


def stored_records(paths: VersionPaths, plan: ReadPlan, clips: Iterable[PlannedClip]) -> dict[str, StoredRecord]:
    """Return the records of superseded shards that hold the frames of these clips, by the ids of the clips.

    A record stays its clip's as long as that is planned with this content. A record whose clip left serves one other
    clip of the same content and span: the one that was renamed.
    """
    live, encoding = set(live_shards(plan.rows)), plan.pinned.encoding.as_dict()
    found: defaultdict[_Frames, dict[str, StoredRecord]] = defaultdict(dict)
    for place in paths.sidecars():
        sidecar = read_sidecar(paths.sidecar(*place)) if partition_key(*place) not in live else None
        if sidecar is not None and sidecar.encoding == encoding:
            for clip in sidecar.clips:
                found[_frames(clip)][clip.clip_id] = StoredRecord(paths.shard(*place), clip, sidecar.versions)
    if not found:
        return {}
    staying = set(zip(plan.rows["clip_id"], plan.rows["content_hash"], strict=True))
    chosen: dict[str, StoredRecord] = {}
    for clip in clips:
        same = found.get(_frames(clip), {})
        free = (clip_id for clip_id in sorted(same) if (clip_id, clip.content_hash) not in staying)
        key = clip.clip_id if clip.clip_id in same else next(free, None)
        if key is not None:
            chosen[clip.clip_id] = same.pop(key)
    return chosen


class ShardFailed(BuildRefused):
    """A shard was written and is not what it should be; it was not published."""


@dataclass(slots=True)
class ShardContents:
    """What was put into a shard so far."""

    clips: list[StoredClip] = field(default_factory=list)
    losses: list[LostClip] = field(default_factory=list)
    copied: list[StoredRecord] = field(default_factory=list[StoredRecord])
    num_frames_decoded: int = 0
    num_frames_total: int = 0

    def store(self, file: AtomicFile, clip: PlannedClip, result: "EncodedClip | Loss") -> None:
        """Write the record of the next clip to the file, or note its loss."""
        if isinstance(result, Loss):
            lost = LostClip(
                clip_id=clip.clip_id, source=clip.path, label=clip.label, reason=result.reason, detail=result.detail
            )
            self.losses.append(lost)
            return
        if result.copied is None:
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
                damage=result.damage,
            )
        else:
            self.copied.append(result.copied)
            stored = replace(
                result.copied.clip,
                clip_id=clip.clip_id,
                source=clip.path,
                label=clip.label,
                label_index=clip.label_index,
                offset=file.num_bytes,
                length=len(result.framed),
            )
        file.write(result.framed)
        self.clips.append(stored)
        self.num_frames_decoded += result.num_frames_decoded
        self.num_frames_total += result.num_frames_total

    def versions(self) -> dict[str, str]:
        """Return the software that wrote the records, of copied ones what wrote them first."""
        used = [record.versions for record in self.copied]
        if len(self.clips) > len(used) or not used:
            used.append(encoder_versions())
        return joined_versions(used)

    def refuse_unsound(self, path: Path, plan: ShardPlan, labels: Sequence[str]) -> None:
        """Read back from disk what was written, before it gets its name.

        Raises:
            ShardFailed: if the records are not the planned clips.
        """
        decode_record = layout_codec(plan.encoding.layout).decode_record
        try:
            with path.open("rb") as file:
                found = []
                for framed in read_records(file, plan.encoding.compression):
                    record = decode_record(framed.data, labels)
                    found.append((record.clip_id, record.label, record.num_frames, framed.offset, framed.length))
        except (FramingError, ValueError) as error:
            raise ShardFailed(f"what was written cannot be read back: {error}") from error
        wanted = [(c.clip_id, c.label, c.num_frames, c.offset, c.length) for c in self.clips]
        if found != wanted:
            raise ShardFailed(
                f"what was written holds {counted(len(found), 'record')}, not the planned {len(wanted)} in their order"
            )


def encoder_versions() -> dict[str, str]:
    """The software that a record's bytes depend on, on the machine that asks."""
    packages = {name: version(name) for name in ("av", "opencv-python-headless", "numpy", "video_assets")}
    return packages | {"zlib": zlib.ZLIB_RUNTIME_VERSION}


def joined_versions(several: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return which versions of each software took part.

    >>> joined_versions([{"av": "18.1.0"}, {"av": "18.0.0"}, {"av": "18.1.0"}])
    {'av': '18.0.0, 18.1.0'}
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for versions in several:
        for name, several_versions in versions.items():
            found[name].update(several_versions.split(", "))
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}
