"""Compare records with their sources, and within one build not the same record with the same source twice.

A build checks a shard when it is written and again when it is committed, seconds later. The second time the shard is
read again; what was read is compared anew only if it, or its source, is not what it was.
"""

import hashlib
import pickle
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from video_assets.domain.clips import Loss
from video_assets.media.workers.pool import PoolMaker
from video_assets.storage.addresses import is_remote

if TYPE_CHECKING:
    from video_assets.pipeline.checks.comparison import ComparisonResult, SourceComparison

_passed: ContextVar["dict[bytes, ComparisonResult] | None"] = ContextVar("comparisons that passed", default=None)


@contextmanager
def kept_comparisons() -> Generator[None]:
    """Comparisons without a fault are remembered until the end of this."""
    token = _passed.set({})
    try:
        yield
    finally:
        _passed.reset(token)


def compare_all(jobs: "Sequence[SourceComparison]", make_pool: PoolMaker) -> "list[ComparisonResult | Loss]":
    """The result of each job, in order, or why its source cannot be decoded."""
    passed = _passed.get()
    keys = [b"" if passed is None else _digest(job) for job in jobs]
    found: list[ComparisonResult | Loss | None] = [passed.get(key) if passed else None for key in keys]
    missing = [place for place, result in enumerate(found) if result is None]
    if missing:
        from video_assets.pipeline.checks.comparison import compare_with_source

        with make_pool() as pool:
            results = pool.map(compare_with_source, [jobs[place] for place in missing])
            for place, result in zip(missing, results, strict=True):
                found[place] = result.outcome
                if (
                    passed is not None
                    and keys[place]
                    and not isinstance(result.outcome, Loss)
                    and result.outcome.is_sound
                ):
                    passed[keys[place]] = result.outcome
    return [result for result in found if result is not None]


def _digest(job: "SourceComparison") -> bytes:
    """Of all that is compared: the record's images and times, the source as it is now; empty if that cannot be told."""
    if is_remote(job.path):  # an object has no number and no time of change that says that it is the same one
        return b""
    try:
        status = job.path.stat()
    except OSError:
        return b""
    source = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return hashlib.sha256(pickle.dumps((job, source), pickle.HIGHEST_PROTOCOL)).digest()
