"""What is written into one shard, record by record, and read back before the shard gets its name."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from video_assets.domain.clips import Loss
from video_assets.domain.errors import BuildRefused
from video_assets.domain.plan import PlannedClip, ShardPlan
from video_assets.domain.text import counted
from video_assets.pipeline.shards.copying import StoredRecord
from video_assets.pipeline.shards.stored import joined_versions
from video_assets.records.framing import FramingError, read_records
from video_assets.records.layouts import layout_codec
from video_assets.storage.files import AtomicFile
from video_assets.storage.sidecars import LostClip, StoredClip

if TYPE_CHECKING:
    from video_assets.pipeline.shards.encode import EncodedClip


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
