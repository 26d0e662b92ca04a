"""What decoding processes run, in whichever order the stages come, and the pool that the stages share."""

from contextlib import AbstractContextManager
from typing import Final

from video_assets.media.kept_pools import lend_pool
from video_assets.media.workers.pool import DecodingPool
from video_assets.settings import Limits

JOB_MODULES: Final = tuple(
    f"video_assets.pipeline.{name}" for name in ("manifest.probing", "plan.trial", "shards.encode", "checks.comparison")
)
"""Modules that a decoding process has loaded before its first job."""


def open_pool(num_workers: int, limits: Limits) -> AbstractContextManager[DecodingPool]:
    """A pool for all of these; within `kept_pools` the one that is open already."""
    return lend_pool((num_workers, limits), lambda: DecodingPool(num_workers, limits, JOB_MODULES))
