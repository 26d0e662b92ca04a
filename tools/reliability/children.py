"""Child processes in groups of their own, from a server that has TensorFlow loaded already."""

import functools
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

_PRELOADED = "tools.reliability.preloaded"
RAISED = 3
"""Exit code of a child whose function raised; the words are in its log."""


@functools.cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


class Child:
    """A function that runs in a child process, in a process group of its own. Its standard error goes to `log`."""

    def __init__(self, log: Path, function: Callable[..., object], *args: Any) -> None:
        self.log = log
        self._process: ForkServerProcess = _context().Process(target=_run, args=(str(log), function, args))
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number, which is also that of its group."""
        assert self._process.pid is not None
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """The exit code (negative: the signal), or None if it still runs."""
        self._process.join(seconds)
        return self._process.exitcode

    def kill_group(self) -> None:
        """SIGKILL to all of it; nothing is left that could end with grace."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its group yet, or is gone
            self._process.kill()
        self._process.join(30)

    def kill_alone(self) -> None:
        """SIGKILL to the first process only."""
        self._process.kill()
        self._process.join(30)

    def finish(self, seconds: float = 120.0) -> None:
        """Waits for a good end.

        Raises:
            AssertionError: if it ends otherwise; with what it said.
        """
        code = self.wait(seconds)
        if code is None:
            self.kill_group()
        assert code == 0, f"a child ended with {code}: {self.log.read_text('utf-8', 'replace')[-4000:]}"


def _run(log: str, function: Callable[..., object], args: tuple[Any, ...]) -> None:
    os.setsid()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    try:
        function(*args)
    except BaseException:  # noqa: BLE001  (whatever it is: said, and told by the code)
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(RAISED)
    sys.stderr.flush()
    os._exit(0)  # without waiting for TensorFlow's threads
