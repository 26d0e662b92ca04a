"""The pool of decoding processes: a video that crashes, hangs or swallows memory costs that one clip.

Pebble, because it is the well-kept library that both limits the time of a task and survives the death of a worker
(loky and concurrent.futures give up the whole pool). Each worker has a pebble pool of its own: within one pool the
workers share a pipe and its locks, and one killed while it sends would stop or garble the others.
"""

import collections
import functools
import itertools
import os
import pickle
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from video_assets.domain.clips import Loss
from video_assets.domain.errors import SettingsError
from video_assets.media.workers.process import Ending, Lane
from video_assets.media.workers.server import DecodingContext, start_server_ahead
from video_assets.settings import DEFAULT_LIMITS, Limits

J = TypeVar("J")
R = TypeVar("R")

_PRELOADED = (
    "av",
    "av.logging",
    "cv2",
    "numpy",
    "pebble.pool.process",
    "video_assets.media.workers.jobs",
)
_LEAST_WINDOW_PER_WORKER, _MOST_WINDOW_PER_WORKER = 4, 32
_WAITING_BYTES = 64 * 2**20
"""What results behind one that takes long may take together: the others should not wait for it."""


@dataclass(frozen=True, slots=True)
class PoolResult(Generic[J, R]):
    """How one job ended: `outcome` is what the function gave, or why the video is lost.

    `seconds` is the time that the work took, without waiting. `peak_rss_bytes` is the largest resident memory
    of the process so far, 0 where it took its figures with it. `attempts` is 1 unless a process was lost.
    """

    job: J
    outcome: R | Loss
    seconds: float
    peak_rss_bytes: int
    attempts: int


def start_ahead(modules: Sequence[str]) -> None:
    """Begin to load what decoding processes need, for the first pool of these `modules` that is opened."""
    start_server_ahead([*_PRELOADED, *modules])


class DecodingPool:
    """Decoding processes behind a lazy, ordered map. To be used in a `with` statement; afterwards no process is left.

    The processes start with the first job, from a server that has av, cv2, numpy and the function's module loaded.
    They import nothing of the main module, so neither dagster nor tensorflow.
    """

    def __init__(self, num_workers: int, limits: Limits = DEFAULT_LIMITS, modules: Sequence[str] = ()) -> None:
        """Take up to `num_workers` processes; each job gets `limits.clip_seconds` and `limits.memory_bytes`.

        `modules` are loaded once, before the processes are made: those of functions that will be mapped later.

        Raises:
            SettingsError: fewer than one worker.
        """
        if num_workers < 1:
            raise SettingsError(f"workers is {num_workers}; at least 1 process is needed to decode videos")
        self._num_workers = num_workers
        self._limits = limits
        self._modules = tuple(modules)
        self._closed = False
        self._lanes: list[Lane] = []
        self._idle_lanes: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        self._context: DecodingContext | None = None
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="decoding")

    def map(
        self,
        function: Callable[[J], R],
        jobs: Iterable[J],
        *,
        window: int | None = None,
    ) -> Generator[PoolResult[J, R], None, None]:
        """The results of `function(job)`, lazily and in the order of the jobs.

        At most `window` jobs are taken from `jobs` ahead of the result being consumed, so that memory stays
        bounded while the consumer is slow; workers go on meanwhile. The default is 4 for each worker, or up to 32
        of results so small that so many take no more than 64 MB.

        A `VideoLost` raised by the function becomes its loss. Past `clip_seconds` of work on the job it is a
        "timeout". Memory grown past `memory_bytes` is "out_of_memory"; it is tried again first if the process
        was not fresh. A process that dies is "crashed" once it happened twice for this job, since the first may
        have been the doing of somebody else. Any other exception is a bug and is raised here, with a note that
        names the job.

        Args:
            function: Defined at the top level of an importable module, not in a script that runs as `__main__`.
                It is called in another process; the job, the result and the function itself are pickled.
            jobs: Consumed in the calling thread.
            window: At least 1.

        Raises:
            BrokenProcessPool: processes end before they begin to work, three times in a row.
        """
        if window is not None and window < 1:
            raise ValueError(f"window is {window}; at least 1 job must be under way")
        if self._closed:
            raise RuntimeError("this pool of decoding processes is closed")
        self._open(_module_of(function))
        return self._results(function, iter(jobs), window)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they do. Safe to call twice."""
        self._closed = True
        for lane in self._lanes:
            lane.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for lane in self._lanes:
            lane.join()
        if self._context is not None:
            self._context.stop_server()

    def _open(self, module: str) -> None:
        if self._context is not None:
            return
        self._context = DecodingContext([*_PRELOADED, *self._modules, module])
        self._lanes = [Lane(self._context, self._limits) for _ in range(self._num_workers)]
        for lane in self._lanes:
            self._idle_lanes.put(lane)

    def _results(
        self, function: Callable[[J], R], jobs: Iterator[J], window: int | None
    ) -> Generator[PoolResult[J, R], None, None]:
        cancelled = threading.Event()
        pending: collections.deque[tuple[J, Future[Ending]]] = collections.deque()
        largest_bytes = 0  # of a result that has come; nothing is known before the first
        try:
            while True:
                ahead = self._default_window(largest_bytes) if window is None else window
                for job in itertools.islice(jobs, max(0, ahead - len(pending))):
                    request = pickle.dumps((function, job), pickle.HIGHEST_PROTOCOL)
                    pending.append((job, self._threads.submit(self._run, request, cancelled)))
                if not pending:
                    return
                job, future = pending.popleft()
                ending = future.result()
                if ending.answer is not None:
                    largest_bytes = max(largest_bytes, len(ending.answer.payload))
                yield self._result(function, job, ending)
        finally:
            cancelled.set()
            for _, future in pending:
                future.cancel()
            for lane in self._lanes:
                lane.cancel(cancelled)

    def _default_window(self, largest_bytes: int) -> int:
        least, most = _LEAST_WINDOW_PER_WORKER * self._num_workers, _MOST_WINDOW_PER_WORKER * self._num_workers
        return min(most, max(least, _WAITING_BYTES // largest_bytes)) if largest_bytes else least

    def _run(self, request: bytes, cancelled: threading.Event) -> Ending:
        """In one of the threads: take a lane, have the job done, give the lane back."""
        lane = self._idle_lanes.get()
        try:
            return lane.run(request, cancelled)
        finally:
            self._idle_lanes.put(lane)

    def _result(self, function: Callable[[J], R], job: J, ending: Ending) -> PoolResult[J, R]:
        answer = ending.answer
        outcome: Any = ending.loss
        if answer is not None and ending.loss is None:
            outcome = pickle.loads(answer.payload)  # noqa: S301  (pickled by our own process)
            if answer.kind == "raised":
                outcome.add_note(f"The job was {_name_of(function)}({job!r}).")
                raise outcome
        peak_rss_bytes = answer.peak_rss_bytes if answer is not None else 0
        return PoolResult(
            job,
            outcome,
            answer.seconds if answer is not None else 0.0,
            peak_rss_bytes,
            ending.attempts,
        )


PoolMaker = Callable[[], AbstractContextManager[DecodingPool]]
"""Opens a pool on demand. At the end of its `with` statement the pool is closed, or kept for the next stage."""


def _innermost(function: Callable[..., object]) -> Callable[..., object]:
    """The function behind `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Callable[..., object]) -> str:
    inner = _innermost(function)
    return f"{inner.__module__}.{getattr(inner, '__qualname__', repr(inner))}"


def _module_of(function: Callable[..., object]) -> str:
    module = _innermost(function).__module__
    if module == "__main__":
        raise ValueError(
            f"{_name_of(function)} must be defined in an importable module: decoding processes have no __main__"
        )
    return module


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
