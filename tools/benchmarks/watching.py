"""What a command and all its processes take: seconds, seconds of a core, and memory, seen from outside."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import psutil

_EVERY_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Watched:
    """How one command ran. Memory in bytes; `peak_memory_bytes` counts pages that processes share once."""

    stdout: str
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    peak_worker_bytes: int
    peak_main_bytes: int


class _Watch:
    """Looks at a process and everything below it, ten times a second."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._cpu_seconds: dict[int, float] = {}
        self._ended = threading.Event()
        self.peak_memory_bytes = 0
        self.peak_worker_bytes = 0
        self.peak_main_bytes = 0
        self._thread = threading.Thread(target=self._look_until_ended)
        self._thread.start()

    def _look_until_ended(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            with suppress(psutil.NoSuchProcess):
                self._look([self._root, *self._root.children(recursive=True)])

    def _look(self, processes: Sequence[psutil.Process]) -> None:
        total = 0
        for process in processes:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                times = process.cpu_times()
                self._cpu_seconds[process.pid] = times.user + times.system
                total += _proportional_bytes(process)
                resident = process.memory_info().rss
                if process is self._root:
                    self.peak_main_bytes = max(self.peak_main_bytes, resident)
                else:
                    self.peak_worker_bytes = max(self.peak_worker_bytes, resident)
        self.peak_memory_bytes = max(self.peak_memory_bytes, total)

    def end(self) -> float:
        """Seconds of a core, over all processes."""
        self._ended.set()
        self._thread.join()
        return sum(self._cpu_seconds.values())


def _proportional_bytes(process: psutil.Process) -> int:
    """A page that n processes share counts 1/n for each; where the system cannot say, all of it."""
    info = process.memory_full_info()
    return getattr(info, "pss", info.rss)


def run_watched(command: Sequence[str], *, kill_when: Callable[[], bool] | None = None) -> Watched:
    """Runs a command to its end, or kills it as soon as `kill_when` says so.

    Raises:
        CalledProcessError: if it fails; what it wrote to standard error was passed on. A killed one does not fail.
    """
    killed = False
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watch = _Watch(process.pid)
        try:
            while kill_when and process.poll() is None and not killed:
                time.sleep(_EVERY_SECONDS)
                killed = kill_when()
            if killed:
                process.kill()
            stdout, stderr = process.communicate()
        finally:
            seconds = time.perf_counter() - begun
            cpu_seconds = watch.end()
    if process.returncode and not killed:
        sys.stderr.write(stderr)
        raise subprocess.CalledProcessError(process.returncode, command)
    return Watched(
        stdout, seconds, cpu_seconds, watch.peak_memory_bytes, watch.peak_worker_bytes, watch.peak_main_bytes
    )
