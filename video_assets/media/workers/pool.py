"""Decode clips in a pool of processes: a video that crashes, hangs or takes too much memory costs that one clip.

No library fits. concurrent.futures and loky give up the whole pool when one process dies. In pebble, processes share a
pipe and its locks, and one that is killed while it sends stops or garbles the others; and what `multiprocessing` starts
imports the program's main module, thus Dagster or TensorFlow.
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
from video_assets.media.workers.server import WorkerServer
from video_assets.media.workers.slot import JobReport, WorkerSlot
from video_assets.settings import DEFAULT_LIMITS, Limits

J = TypeVar("J")
R = TypeVar("R")

_PRELOADED = (
    "av",
    "av.logging",
    "cv2",
    "numpy",
    "video_assets.media.workers.worker",
)
JOBS_AHEAD = 8
"""How many jobs per worker may be fetched and not done. Answers of a store take longer than to probe a small clip."""
_LEAST_WINDOW_PER_WORKER, _MOST_WINDOW_PER_WORKER = 4, 32
_WAITING_BYTES = 64 * 2**20
"""How much memory the results that wait for a slow one may take together."""


@dataclass(frozen=True, slots=True)
class PoolResult(Generic[J, R]):
    """The result of one job: `outcome` is what the function returned, or why the video is lost.

    `seconds` is how long the function ran. `peak_rss_bytes` is the largest resident memory of the process so far; 0 if
    it did not live to tell. `attempts` is 1 unless a process was lost.
    """

    job: J
    outcome: R | Loss
    seconds: float
    peak_rss_bytes: int
    attempts: int


class DecodingPool:
    """Decoding processes behind a lazy, ordered map, for use in a `with` statement; afterwards no process is left.

    Entering the `with` statement starts a server, which loads av, cv2, numpy and the pool's modules while the program
    goes on: open a pool early. The processes are forked with the first jobs.
    """

    def __init__(
        self,
        num_workers: int,
        limits: Limits = DEFAULT_LIMITS,
        modules: Sequence[str] = (),
        *,
        beside: "DecodingPool | None" = None,
    ) -> None:
        """Prepare up to `num_workers` processes; each job gets `limits.clip_seconds` and `limits.memory_bytes`.

        `modules` are those of functions that will be mapped; they are loaded once, before the processes are forked.
        Beside another pool the processes are forked from its server; the other pool is closed last.

        Raises:
            SettingsError: fewer than one worker.
        """
        if num_workers < 1:
            raise SettingsError(f"workers is {num_workers}; at least 1 process is needed to decode videos")
        self._num_workers = num_workers
        self._closed = False
        self._owns_server = beside is None
        self.server = WorkerServer([*_PRELOADED, *modules]) if beside is None else beside.server
        self._slots = [WorkerSlot(self.server, limits) for _ in range(num_workers)]
        self._idle_slots: queue.SimpleQueue[WorkerSlot] = queue.SimpleQueue()
        for slot in self._slots:
            self._idle_slots.put(slot)
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="decoding")
        self._fetching = ThreadPoolExecutor(JOBS_AHEAD * num_workers, thread_name_prefix="fetching")

    def map(
        self,
        function: Callable[[J], R],
        jobs: Iterable[J],
        *,
        window: int | None = None,
        fetch: Callable[[J], J] | None = None,
    ) -> Generator[PoolResult[J, R], None, None]:
        """Yield the results of `function(job)` in the order of the jobs.

        A `VideoLost` that the function raises becomes the job's loss. A job that takes longer than `clip_seconds` is
        lost as "timeout", one that needs more than `memory_bytes` as "out_of_memory", and one whose process dies as
        "crashed". Before that, a job gets a fresh process: for lack of memory if the first process had other jobs
        before, and after a first crash, which may have had another cause. Any other exception is a bug: it is raised
        here, with a note that names the job.

        Args:
            function: A function at the top level of an importable module, not of a script. It is pickled, as are the
                job and the result.
            jobs: The jobs. They are consumed in the calling thread, at most `window` of them before their results are.
            window: How many jobs may be under way, at least 1. By default 4 per worker, or up to 32 where so many
                results take no more than 64 MB.
            fetch: Puts into a job what has to be waited for, in threads of this process while earlier jobs run. At most
                `JOBS_AHEAD` jobs per worker are fetched and not done. What it raises is raised here.

        Raises:
            BrokenProcessPool: processes end before they begin to work, three times in a row.
        """
        if window is not None and window < 1:
            raise ValueError(f"window is {window}; at least 1 job must be under way")
        if self._closed:
            raise RuntimeError("this pool of decoding processes is closed")
        _check_importable(function)
        return self._results(function, iter(jobs), window, fetch)

    def prepare(self, function: Callable[[J], object], job: J) -> None:
        """Have a process run `function(job)` while the program goes on, to load what its later jobs need.

        How it ends is not told: what cannot be loaded fails again in the jobs.
        """
        self._submit(function, job, None, threading.Event())

    def __enter__(self) -> Self:
        self.server.start()
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
        for slot in self._slots:
            slot.stop()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._fetching.shutdown(wait=True, cancel_futures=True)
        for slot in self._slots:
            slot.end_worker()
        if self._owns_server:
            self.server.stop()

    def _results(
        self, function: Callable[[J], R], jobs: Iterator[J], window: int | None, fetch: Callable[[J], J] | None
    ) -> Generator[PoolResult[J, R], None, None]:
        cancelled = threading.Event()
        pending: collections.deque[tuple[J, Future[JobReport]]] = collections.deque()
        largest_bytes = 0  # of a result that has come; nothing is known before the first
        try:
            while True:
                ahead = self._default_window(largest_bytes) if window is None else window
                for job in itertools.islice(jobs, max(0, ahead - len(pending))):
                    pending.append((job, self._submit(function, job, fetch, cancelled)))
                if not pending:
                    return
                job, future = pending.popleft()
                report = future.result()
                if report.answer is not None:
                    largest_bytes = max(largest_bytes, len(report.answer.payload))
                result = self._result(function, job, report)
                del future, report  # an answer of many megabytes is not held beside what it says
                yield result
        finally:
            cancelled.set()
            for _, future in pending:
                future.cancel()
            for slot in self._slots:
                slot.cancel(cancelled)

    def _default_window(self, largest_bytes: int) -> int:
        least, most = _LEAST_WINDOW_PER_WORKER * self._num_workers, _MOST_WINDOW_PER_WORKER * self._num_workers
        return min(most, max(least, _WAITING_BYTES // largest_bytes)) if largest_bytes else least

    def _submit(
        self, function: Callable[[J], R], job: J, fetch: Callable[[J], J] | None, cancelled: threading.Event
    ) -> Future[JobReport]:
        """Have a job run behind those that were submitted earlier, and fetched meanwhile."""
        fetched: Future[J] = Future()
        report = self._threads.submit(self._run, function, fetched, cancelled)
        if fetch is None:
            fetched.set_result(job)
        else:
            is_done = threading.Event()
            report.add_done_callback(lambda _: is_done.set())
            self._fetching.submit(_fetch, fetch, job, fetched, is_done)
        return report

    def _run(self, function: Callable[[J], R], fetched: Future[J], cancelled: threading.Event) -> JobReport:
        """Run a job in an idle slot. One of the threads calls this."""
        request = pickle.dumps((function, fetched.result()), pickle.HIGHEST_PROTOCOL)
        slot = self._idle_slots.get()
        try:
            return slot.run(request, cancelled)
        finally:
            self._idle_slots.put(slot)

    def _result(self, function: Callable[[J], R], job: J, report: JobReport) -> PoolResult[J, R]:
        answer = report.answer
        if answer is None:
            assert report.loss is not None, "a job ends with an answer or a loss"
            return PoolResult(job, report.loss, 0.0, 0, report.attempts)
        outcome: Any = report.loss or pickle.loads(answer.payload)  # noqa: S301  (pickled by our own process)
        if answer.kind == "raised":
            outcome.add_note(f"The job was {_name_of(function)}({job!r}).")
            raise outcome
        return PoolResult(job, outcome, answer.seconds, answer.peak_rss_bytes, report.attempts)


def _fetch(fetch: Callable[[J], J], job: J, fetched: Future[J], is_done: threading.Event) -> None:
    """Fetch a job, hand it on, and stay until it is done: there are as many threads as jobs may be fetched."""
    if is_done.is_set():
        return
    try:
        fetched.set_result(fetch(job))
    except Exception as error:  # noqa: BLE001  (raised where the results are taken)
        fetched.set_exception(error)
    is_done.wait()


PoolMaker = Callable[[], AbstractContextManager[DecodingPool]]
"""Opens a pool, or passes on one that is open already and stays open."""


def _innermost(function: Callable[..., object]) -> Callable[..., object]:
    """Return the function inside of `functools.partial`."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Callable[..., object]) -> str:
    inner = _innermost(function)
    return f"{inner.__module__}.{getattr(inner, '__qualname__', repr(inner))}"


def _check_importable(function: Callable[..., object]) -> None:
    if _innermost(function).__module__ == "__main__":
        raise ValueError(
            f"{_name_of(function)} must be defined in an importable module: decoding processes have no __main__"
        )


def num_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
