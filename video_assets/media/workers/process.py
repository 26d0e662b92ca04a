"""One decoding process at a time, replaced when it dies, and what its end means for the job that it had."""

import signal
import threading
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from video_assets.domain.clips import Loss
from video_assets.media.workers.jobs import Answer, prepare_worker, run_job
from video_assets.media.workers.server import ENDED_WITHOUT_RESULT, DecodingContext
from video_assets.settings import Limits

_MAX_CRASHES = 2
_MAX_FALSE_STARTS = 3
_CHECK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended. `answer` is what the process said, `loss` what the pool has to say instead."""

    answer: Answer | None
    loss: Loss | None
    attempts: int


class Lane:
    """A process of its own pipe and locks. Used by one thread at a time; `cancel` and `stop` may come from another."""

    def __init__(self, context: DecodingContext, limits: Limits) -> None:
        self._context = context
        self._limits = limits
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._current: tuple[ProcessFuture[Answer], threading.Event] | None = None
        self._stopped = False

    def run(self, request: bytes, cancelled: threading.Event) -> Ending:
        """Have the job done, and done again where its process may have been lost through no fault of the job.

        Raises:
            CancelledError: `cancelled` is set, or the lane was stopped.
            BrokenProcessPool: processes end before they begin to work, three times in a row.
        """
        crashes = false_starts = attempts = 0
        while True:
            attempts += 1
            try:
                answer = self._attempt(request, cancelled)
            except TimeoutError:
                self._renew()
                return Ending(None, self._timeout(), attempts)
            except ProcessExpired as error:
                self._renew()
                crashes += 1
                if crashes == _MAX_CRASHES:
                    return Ending(None, _crashed(error.exitcode), attempts)
            except BrokenProcessPool as error:
                self._renew()
                false_starts += 1
                if false_starts == _MAX_FALSE_STARTS:
                    message = f"decoding processes end before they begin to work, {false_starts} times in a row"
                    raise BrokenProcessPool(f"{message}; what they wrote to standard error says why") from error
            else:
                if answer.kind != "out_of_memory":
                    return Ending(answer, None, attempts)
                self._renew()  # what is left of the allocations would be held against the next job
                if answer.jobs_before == 0:
                    return Ending(answer, self._out_of_memory(), attempts)

    def cancel(self, cancelled: threading.Event) -> None:
        """Kill the job that was begun with this event, if it is this lane's current one."""
        with self._lock:
            if self._current is not None and self._current[1] is cancelled:
                self._current[0].cancel()

    def stop(self) -> None:
        """Begin to end: nothing more is started, the current job is cancelled."""
        with self._lock:
            self._stopped = True
            if self._current is not None:
                self._current[0].cancel()
            if self._pool is not None:
                self._pool.stop()

    def join(self) -> None:
        """Wait until the process is gone. To be called after `stop`, when no thread is in `run`."""
        if self._pool is not None:
            self._pool.join()
            self._pool = None

    def _attempt(self, request: bytes, cancelled: threading.Event) -> Answer:
        with self._lock:
            if self._stopped or cancelled.is_set():
                raise CancelledError
            if self._pool is None:
                self._pool = ProcessPool(max_workers=1, initializer=prepare_worker, context=self._context)
            pool = self._pool
            # The time limit begins when the process takes the job, so not while a process is being started.
            arguments = (request, self._limits.memory_bytes)
            try:
                future = pool.schedule(run_job, arguments, timeout=self._limits.clip_seconds)
            except RuntimeError as error:  # found broken since the last job: the idle process was killed
                raise BrokenProcessPool(str(error)) from error
            self._current = (future, cancelled)
        try:
            return _result(pool, future)
        finally:
            with self._lock:
                self._current = None

    def _renew(self) -> None:
        """Give up the process with its pipe: it may have died in the middle of a message, or holding a lock."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()
            pool.join()

    def _timeout(self) -> Loss:
        return Loss(
            "timeout",
            f"decoding was stopped after {self._limits.clip_seconds:g} s, the limit for one clip",
        )

    def _out_of_memory(self) -> Loss:
        mebibytes = self._limits.memory_bytes / 2**20
        return Loss(
            "out_of_memory",
            f"decoding needed more than {mebibytes:.0f} MiB, the limit for one clip",
        )


def _result(pool: ProcessPool, future: ProcessFuture[Answer]) -> Answer:
    """The answer, or the error, with an eye on the pool: one that breaks while a job is handed over forgets it."""
    while True:
        try:
            return future.result(timeout=_CHECK_SECONDS)
        except TimeoutError:
            if future.done():  # the time limit of the job, or it ended just now
                return future.result()
            if not pool.active:
                raise BrokenProcessPool("the process was lost before it took the job") from None


def _crashed(exit_code: int) -> Loss:
    """The loss of a clip whose process ended so, by the exit codes of multiprocessing.

    >>> _crashed(-11).detail
    'decoding took its process down, twice: killed by SIGSEGV'
    """
    if exit_code < 0:
        try:
            end = f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            end = f"killed by signal {-exit_code}"
        if exit_code == -signal.SIGKILL:
            end += ", as systems do when memory runs out"
    else:
        end = f"it ended itself with exit code {0 if exit_code == ENDED_WITHOUT_RESULT else exit_code}"
    return Loss("crashed", f"decoding took its process down, twice: {end}")
