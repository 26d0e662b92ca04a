"""Clips that exist only as metadata: for tests and benchmarks of the bookkeeping, where nothing is decoded."""

import functools
import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from video_assets.domain.clips import ListedFile, WantedClip
from video_assets.media.workers.pool import PoolResult

if TYPE_CHECKING:
    from video_assets.media.probe import VideoFacts


@functools.cache
def invented_facts() -> "VideoFacts":
    """What a probe says of every invented file."""
    from video_assets.media.probe import VideoFacts

    return VideoFacts(
        container="mov,mp4,m4a",
        codec="h264",
        pixel_format="yuv420p",
        width_px=340,
        height_px=256,
        display_width_px=340,
        display_height_px=256,
        rotation_degrees=0,
        is_mirrored=False,
        sample_aspect_ratio="1:1",
        frame_rate=30.0,
        num_frames=300,
        start_us=0,
        duration_us=10_000_000,
        has_audio=False,
        index_trusted=True,
        index_note="",
        num_keyframes=2,
        transfer="bt709",
        field_order="progressive",
        num_video_tracks=1,
        readable_fraction=1.0,
        gap_us=0,
    )


class InventedPool:
    """Stands in for the pool: says of every file what a real probe could, without a file.

    The content is made of the file's size and time, so that a renamed file keeps its content.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, _function: object, jobs: Iterable[Any], *, fetch: object = None) -> Iterator[PoolResult[Any, Any]]:
        """Answers at once."""
        from video_assets.pipeline.manifest.probing import FileFacts

        for job in jobs:
            content = hashlib.sha256(f"{job.file.size_bytes} {job.file.mtime_ns}".encode()).hexdigest()
            yield PoolResult(job, FileFacts(content, invented_facts()), 0.0, 0, 1)


def invented_clip(path: str, label: str, content: int, group: str | None = None) -> WantedClip:
    """A clip whose content is a number."""
    return WantedClip(
        file=ListedFile(path, 600_000 + content, 1_700_000_000_000_000_000 + content), label=label, group=group
    )
