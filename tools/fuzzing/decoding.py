"""The decode path as a target: bytes go into a decoding process; frames or a loss come out, whatever the bytes are.

The fuzzer lives in the parent and sees nothing of that process. So the process notes which lines of the media room it
came through, and the parent walks through as many branches of a function that is instrumented as lines were noted.
"""

import functools
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final, get_args

from video_assets.domain.clips import Loss, LossReason, VideoLost
from video_assets.domain.encoding import Encoding
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import choose_timestamps
from video_assets.media import images, probe
from video_assets.media import images as signature
from video_assets.media.decode import decode_clip as decode
from video_assets.media.workers.pool import DecodingPool
from video_assets.settings import DEFAULT_LIMITS, Limits
from video_assets_tests.pipeline.mutations import FAULT_OF_OURS

LIMITS: Final = replace(
    DEFAULT_LIMITS,
    clip_seconds=10.0,
    max_pixels=1_000_000,
    max_frames=5000,
    max_duration_seconds=3600.0,
    max_file_bytes=10_000_000,
    memory_bytes=256 * 2**20,
)
ENCODING: Final = Encoding(resolution=32, num_frames=4)
NUM_BRANCHES: Final = 1024
_MEDIA: Final = str(Path(decode.__file__).parent)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a decoding process made of some bytes: a loss, or the shape of the frames; and the branches it took."""

    loss: Loss | None
    shape: tuple[int, ...]
    branches: frozenset[int]


def try_bytes_within(job: tuple[bytes, Limits]) -> Tried:
    """`try_bytes` with other limits, and without looking at its lines."""
    try:
        return Tried(None, _shape_of(*job), frozenset())
    except VideoLost as lost:
        return Tried(lost.loss, (), frozenset())


def try_bytes(data: bytes) -> Tried:
    """Probes and decodes, as the manifest and the shards do. Runs in a decoding process."""
    seen: set[int] = set()
    sys.settrace(functools.partial(_trace, seen))
    try:
        return Tried(None, _shape_of(data, LIMITS), frozenset(seen))
    except VideoLost as lost:
        return Tried(lost.loss, (), frozenset(seen))
    finally:
        sys.settrace(None)


def _shape_of(data: bytes, limits: Limits) -> tuple[int, ...]:
    facts = probe.probe_video(data, limits)
    assert facts.num_frames > 0
    decoded = decode.decode_clip(
        data, lambda timeline: choose_timestamps(timeline, ENCODING).tolist(), FrameSize("stretch", 32), limits
    )
    assert len(decoded.timestamps_us) == len(decoded.frames)
    assert len(images.encode_images(decoded.frames, "jpeg", 90)) == len(decoded.frames)
    signature.clip_signature(decoded.frames, letterboxed=False)
    return decoded.frames.shape


def _trace(seen: set[int], frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
    if not frame.f_code.co_filename.startswith(_MEDIA):
        return None

    def line(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "line":
            name = f"{frame.f_code.co_filename}:{frame.f_lineno}".encode()
            seen.add(zlib.crc32(name) % NUM_BRANCHES)
        return line

    return line


def branches_of() -> Callable[[frozenset[int]], None]:
    """A function with a branch for each number, for the fuzzer to see which were taken."""
    lines = [f"    if {number} in taken:\n        count += 1" for number in range(NUM_BRANCHES)]
    source = "def walk(taken):\n    count = 0\n" + "\n".join(lines) + "\n"
    made: dict[str, Any] = {}
    exec(source, made)  # a thousand branches are not written by hand
    return made["walk"]


class Decoding:
    """The target, with its pool of one process."""

    def __init__(self, walk: Callable[[frozenset[int]], None] = lambda _: None) -> None:
        self._walk = walk
        self._pool = DecodingPool(1, LIMITS)
        self._pool.__enter__()

    def __call__(self, data: bytes) -> None:
        """Every outcome is frames or a loss with a known reason and a sentence."""
        (result,) = self._pool.map(try_bytes, [data])
        outcome = result.outcome
        loss = outcome if isinstance(outcome, Loss) else outcome.loss
        if isinstance(outcome, Tried):
            self._walk(outcome.branches)
        if loss is not None:
            assert loss.reason in get_args(LossReason)
            assert loss.detail
            assert not FAULT_OF_OURS.search(loss.detail), loss.detail
        elif isinstance(outcome, Tried):
            assert 1 <= outcome.shape[0] <= 4
            assert outcome.shape[1:] == (32, 32, 3)

    def close(self) -> None:
        """Ends the process."""
        self._pool.__exit__(None, None, None)
