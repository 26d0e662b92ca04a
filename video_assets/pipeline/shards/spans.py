"""Spans of one video are encoded together, so that it is opened, indexed and decoded once, and come back in order.

Which spans, is decided by what comes next: records are written in the order of their shards, so one that is encoded
before its turn waits in memory. It changes nothing in any record, and a clip is lost for what happens to it alone:
where a process that encodes several is lost, or one of them is not smooth, each is encoded once more by itself.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from video_assets.domain.clips import Loss
from video_assets.media.workers.pool import PoolResult
from video_assets.pipeline.shards import encode
from video_assets.pipeline.shards.encode import ClipJob, EncodedClip

WAITING_BYTES: Final = 128 * 2**20
"""Records that wait for their turn take about this much at most: a shard of the usual size."""

LOOK_AHEAD: Final = 2000
"""How many clips behind the next one are looked at, however small their records are."""

TOGETHER_BYTES: Final = 32 * 2**20
"""Frames that a process has in memory together: 22 spans of ten frames of 224x224."""

TOGETHER_CLIPS: Final = 32
"""The time limit of one clip is also that of a task."""

NEAR_SECONDS: Final = 10.0
"""Spans this far apart often need the same keyframe (250 frames after one, x264 sets the next)."""

_QUICKLY_INDEXED: Final = frozenset({".mp4", ".mov", ".m4v"})  # where opening it again costs little
_STORED_SHARES: Final = {"jpeg": 1 / 6, "png": 2 / 3}  # bytes stored for each byte of a frame, of ordinary pictures
_STORED_SHARE_AS_FLOATS: Final = 2.7
_MOST_FRAMES_PER_SECOND: Final = 60.0

Task = tuple[tuple[int, ClipJob], ...]
"""Clips to encode together, each with its place in the order of the records."""


class Pool(Protocol):
    """What is needed of a `DecodingPool`."""

    def map(self, function: Any, jobs: Iterable[Any]) -> Iterator[PoolResult[Any, Any]]:
        """The results of the function, in the order of the jobs."""
        ...


def encode_in_order(pool: Pool, jobs: Iterable[ClipJob]) -> Iterator[EncodedClip | Loss]:
    """The record of each clip or its loss, in the order of the jobs; those of one video are encoded together."""
    under_way: deque[Task] = deque()
    waiting: dict[int, EncodedClip | Loss] = {}
    turn = 0
    for result in pool.map(encode.encode_spans, _noted(span_tasks(jobs), under_way)):
        task = under_way.popleft()
        places = (place for place, _ in task)
        waiting.update(zip(places, _outcomes(pool, task, result.outcome), strict=True))
        while turn in waiting:
            yield waiting.pop(turn)
            turn += 1


def _noted(tasks: Iterable[Task], under_way: deque[Task]) -> Iterator[list[ClipJob]]:
    for task in tasks:
        under_way.append(task)
        yield [job for _, job in task]


def _outcomes(pool: Pool, task: Task, outcome: list[EncodedClip | Loss] | Loss | None) -> list[EncodedClip | Loss]:
    if isinstance(outcome, list):
        return outcome
    if isinstance(outcome, Loss) and len(task) == 1:
        return [outcome]
    return [result.outcome for result in pool.map(encode.encode_clip, [job for _, job in task])]


def span_tasks(jobs: Iterable[ClipJob]) -> Iterator[Task]:
    """All jobs, each in one task; tasks come by their earliest job, and take along none that is far behind it."""
    source = enumerate(jobs)
    ahead: dict[int, ClipJob] = {}
    ahead_of_video: defaultdict[tuple[Path, int, int, str], dict[int, ClipJob]] = defaultdict(dict)
    stored_bytes: deque[float] = deque()  # of the places from `head` on, the first that is in no task yet
    head, num_bytes = 0, 0.0
    while True:
        while num_bytes < WAITING_BYTES and len(stored_bytes) < LOOK_AHEAD:
            place, job = next(source, (-1, None))
            if job is None:
                break
            ahead[place] = ahead_of_video[_video(job)][place] = job
            stored_bytes.append(_stored_bytes(job))
            num_bytes += stored_bytes[-1]
        if not ahead:
            return
        candidates = ahead_of_video[_video(ahead[head])]
        task = _together(head, candidates)
        for place, _ in task:
            del ahead[place], candidates[place]
        while stored_bytes and head not in ahead:
            num_bytes -= stored_bytes.popleft()
            head += 1
        yield task


def _video(job: ClipJob) -> tuple[Path, int, int, str]:
    # A clip whose record is stored is copied, without its video and so without its neighbours.
    return job.path, job.size_bytes, job.mtime_ns, job.clip.clip_id if job.stored is not None else ""


def _together(head: int, candidates: Mapping[int, ClipJob]) -> Task:
    """The candidates that are encoded with the one at `head`: neighbours in time, as many as one task may have."""
    found: list[tuple[int, ClipJob]] = []
    reach_seconds, num_bytes = -math.inf, 0.0
    for place, job in sorted(candidates.items(), key=lambda item: (*_span_seconds(item[1]), item[0])):
        start_seconds, end_seconds = _span_seconds(job)
        frame_bytes = _frame_bytes(job)
        is_cheap = job.known is not None or job.path.suffix.lower() in _QUICKLY_INDEXED
        is_far = is_cheap and start_seconds > reach_seconds + NEAR_SECONDS
        if is_far or num_bytes + frame_bytes > TOGETHER_BYTES or len(found) == TOGETHER_CLIPS:
            if any(other == head for other, _ in found):
                break
            found, num_bytes = [], 0.0
        found.append((place, job))
        num_bytes += frame_bytes
        reach_seconds = max(reach_seconds, end_seconds)
    return tuple(found)


def _span_seconds(job: ClipJob) -> tuple[float, float]:
    start_seconds, end_seconds = job.clip.start_seconds, job.clip.end_seconds
    return 0.0 if start_seconds is None else start_seconds, math.inf if end_seconds is None else end_seconds


def _frame_bytes(job: ClipJob) -> float:
    """What a clip's frames take in memory, were they square; where its length decides, at most that."""
    encoding = job.encoding
    num_frames: float = encoding.num_frames
    if encoding.sampling in ("fps", "all"):
        rate = encoding.fps if encoding.sampling == "fps" else _MOST_FRAMES_PER_SECOND
        start_seconds, end_seconds = _span_seconds(job)
        num_frames = min(encoding.max_frames, 1 + max(0.0, end_seconds - start_seconds) * rate)
    return num_frames * encoding.resolution**2 * 3


def _stored_bytes(job: ClipJob) -> float:
    encoding = job.encoding
    share = _STORED_SHARES[encoding.image_format] if encoding.stores_images else _STORED_SHARE_AS_FLOATS
    return _frame_bytes(job) * share
