"""Pools of decoding processes for the jobs of all stages, as the stages of one build share them."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Final, Protocol, Self

from video_assets.domain.clips import Loss
from video_assets.media.workers.pool import DecodingPool, PoolMaker, num_cores
from video_assets.settings import DEFAULT_LIMITS, Limits
from video_assets.storage.failures import refuse_few_addresses

JOB_MODULES: Final = tuple(
    f"video_assets.pipeline.{name}" for name in ("manifest.probing", "shards.encode", "checks.comparison")
)
"""Modules whose functions run in decoding processes."""


_READING_LIMITS: Final = replace(DEFAULT_LIMITS, clip_seconds=3600.0, memory_bytes=1 << 40)
"""Of the processes that read shards: files of our own, of any size, on a disk of any speed."""
_GAVE_UP: Final[Mapping[str, str]] = {
    "timeout": "it took over an hour. See whether the disk answers",
    "out_of_memory": "memory ran out. Give it more, or end what else takes it",
    "crashed": '{}. If python -c "import tensorflow" fails too, install it again: '
    "pip install --force-reinstall tensorflow",
}
"""How such a process may end a job, and what to do."""


class PoolsFor(Protocol):
    """Gives, for the limits of one job, what opens a pool of processes; 0 workers: as many as the command has."""

    def __call__(self, limits: Limits, num_workers: int = 0, /) -> PoolMaker:
        """Return what opens the pool."""
        ...


def reading_pool(pools_for: PoolsFor, num_processes: int = 1) -> PoolMaker:
    """Return what opens the pool of processes that read shards: each imports TensorFlow, which takes seconds."""
    return pools_for(_READING_LIMITS, num_processes)


def why_not_read(loss: Loss) -> str:
    """Return what became of a shard that such a process did not read, and what to do. Its bytes may be right."""
    why = _GAVE_UP[loss.reason].format(loss.detail)
    return f"nobody could read it, for the process that reads by TensorFlow gave up: {why}"


def open_pool(
    num_workers: int, limits: Limits, modules: Sequence[str] = (), beside: DecodingPool | None = None
) -> DecodingPool:
    """Open a pool for the jobs of all stages; 0 workers: one per core. `modules` are loaded once for all processes.

    Beside another pool those of that one are there already.
    """
    return DecodingPool(num_workers or num_cores(), limits, [*JOB_MODULES, *modules], beside=beside)


class SharedPools:
    """Lends the same pool to one stage after another: to start one takes half a second of a core.

    Called with limits, it gives what a stage opens its pool with; pools of other limits stand beside the first, and may
    have another number of workers. Only one stage may use a pool at a time. `modules` are those of `open_pool`.
    """

    def __init__(self, num_workers: int = 0, modules: Sequence[str] = ()) -> None:
        self.num_workers = num_workers
        self._modules = modules
        self._pools: dict[Limits, DecodingPool] = {}
        self._ending = ExitStack()

    def __call__(self, limits: Limits, num_workers: int = 0, /) -> PoolMaker:
        """Return what lends the pool for these limits, and opens it the first time."""
        return partial(self._lend, limits, num_workers or self.num_workers)

    def _lend(self, limits: Limits, num_workers: int) -> AbstractContextManager[DecodingPool]:
        if limits not in self._pools:
            first = next(iter(self._pools.values()), None)
            pool = open_pool(num_workers, limits, self._modules, first)
            self._pools[limits] = self._ending.enter_context(pool)
        return nullcontext(self._pools[limits])

    def __enter__(self) -> Self:
        refuse_few_addresses()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pools.clear()
        self._ending.__exit__(kind, error, traceback)
