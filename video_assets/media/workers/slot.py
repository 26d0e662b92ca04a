"""Run jobs in one decoding process at a time, and replace it when it dies."""

import signal
import threading
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from video_assets.domain.clips import Loss
from video_assets.media.workers.server import WorkerProcess, WorkerServer
from video_assets.media.workers.worker import Answer
from video_assets.settings import Limits

_MAX_CRASHES = 2
_MAX_FALSE_STARTS = 3


@dataclass(frozen=True, slots=True)
class JobReport:
    """How a job ended: `answer` is what the process said, `loss` is what replaces it where the clip is lost."""

    answer: Answer | None
    loss: Loss | None
    attempts: int


class WorkerSlot:
    """The place of one decoding process. One thread at a time runs jobs; any thread may cancel or stop them."""

    def __init__(self, server: WorkerServer, limits: Limits) -> None:
        self._server = server
        self._limits = limits
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._current: threading.Event | None = None  # what cancels the running job
        self._is_stopped = False

    def run(self, request: bytes, cancelled: threading.Event) -> JobReport:
        """Run a job; run it again where its process may have been lost through no fault of the job.

        Raises:
            CancelledError: `cancelled` is set, or the slot was stopped.
            BrokenProcessPool: processes end before they begin to work, three times in a row.
        """
        crashes = false_starts = attempts = 0
        while True:
            attempts += 1
            try:
                answer = self._attempt(request, cancelled)
            except TimeoutError:
                self.end_worker()
                return JobReport(None, self._timeout(), attempts)
            except EOFError:
                exit_code = self.end_worker()
                crashes += 1
                if crashes == _MAX_CRASHES:
                    return JobReport(None, _crash(exit_code), attempts)
            except BrokenProcessPool as error:
                self.end_worker()
                false_starts += 1
                if false_starts == _MAX_FALSE_STARTS:
                    message = f"decoding processes end before they begin to work, {false_starts} times in a row"
                    raise BrokenProcessPool(f"{message}; what they wrote to standard error says why") from error
            else:
                if answer.kind != "out_of_memory":
                    return JobReport(answer, None, attempts)
                self.end_worker()  # what is left of the allocations would count against the next job
                if answer.jobs_before == 0:
                    return JobReport(answer, self._out_of_memory(), attempts)

    def cancel(self, cancelled: threading.Event) -> None:
        """Kill the running job if it was begun with this event."""
        with self._lock:
            if self._current is cancelled and self._worker is not None:
                self._worker.kill()

    def stop(self) -> None:
        """Kill the running job, and refuse others."""
        with self._lock:
            self._is_stopped = True
            if self._worker is not None:
                self._worker.kill()

    def end_worker(self) -> int:
        """End the process, and return its exit code. Only for the thread that runs jobs, or after the last job."""
        with self._lock:
            worker, self._worker = self._worker, None
        return worker.end() if worker is not None else 0

    def _attempt(self, request: bytes, cancelled: threading.Event) -> Answer:
        """Run the job once.

        Raises:
            TimeoutError, EOFError: the process took too long, or ended.
            CancelledError, BrokenProcessPool: as `run`.
        """
        if self._worker is not None and not self._worker.is_idle():  # killed from outside since its last job
            self.end_worker()
        worker = self._take_worker(cancelled)
        try:
            return worker.ask(request, self._limits.clip_seconds)
        except EOFError as error:
            if self._is_stopped or cancelled.is_set():
                raise CancelledError from error
            if not worker.has_begun:
                raise BrokenProcessPool("a decoding process ended before it took a job") from error
            raise
        finally:
            with self._lock:
                self._current = None

    def _take_worker(self, cancelled: threading.Event) -> WorkerProcess:
        with self._lock:
            if self._is_stopped or cancelled.is_set():
                raise CancelledError
            if self._worker is None:
                self._worker = self._server.start_worker(self._limits.memory_bytes)
            self._current = cancelled
            return self._worker

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


def _crash(exit_code: int) -> Loss:
    """Return the loss of a clip whose process ended so; a negative code is minus the number of a signal.

    >>> _crash(-11).detail
    'the decoding process ended twice: killed by SIGSEGV'
    """
    if exit_code < 0:
        try:
            end = f"killed by {signal.Signals(-exit_code).name}"
        except ValueError:
            end = f"killed by signal {-exit_code}"
        if exit_code == -signal.SIGKILL:
            end += ", as the system does when memory runs out"
    else:
        end = f"exit code {exit_code}"
    return Loss("crashed", f"the decoding process ended twice: {end}")
