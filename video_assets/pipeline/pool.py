"""Open a pool of decoding processes that serves every stage."""

from typing import Final

from video_assets.domain.limits import Limits
from video_assets.media.workers.pool import DecodingPool

JOB_MODULES: Final = tuple(
    f"video_assets.pipeline.{name}" for name in ("manifest.probing", "plan.trial", "shards.encode", "checks.comparison")
)
"""Modules whose functions run in decoding processes."""


def open_pool(num_workers: int, limits: Limits) -> DecodingPool:
    """Return a pool that loads what all stages run; to be used in a `with` statement."""
    return DecodingPool(num_workers, limits, JOB_MODULES)
