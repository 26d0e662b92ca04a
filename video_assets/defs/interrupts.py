"""Ctrl-C during a build, which Dagster takes for the failure of a step."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import dagster as dg

WasInterrupted = Callable[[], bool]
_INTERRUPTS = frozenset((signal.SIGINT, signal.SIGTERM))


@contextmanager
def noted_interrupts() -> Generator[WasInterrupted]:
    """Gives a function that says whether Ctrl-C or SIGTERM has come since.

    During a run Dagster's handler is in the place of Python's. It ends the run and not the program, and one that comes
    between two pieces of our code is forgotten if the run ends before the next. So the note is taken beneath handlers.
    Only the main thread is told of signals; elsewhere the answer is always no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield lambda: _has_interrupt(reader)
    finally:
        signal.set_wakeup_fd(before)
        os.close(reader)
        os.close(writer)


def _has_interrupt(reader: int) -> bool:
    """Whether one is among the numbers of signals that came since the last look."""
    try:
        return not _INTERRUPTS.isdisjoint(os.read(reader, 4096))
    except BlockingIOError:
        return False


def spare_capture(instance: dg.DagsterInstance) -> None:
    """Have the processes by which this instance shows what a step prints start with SIGINT blocked.

    Ctrl-C goes to them too, and would end each with a traceback. Dagster ends them by SIGTERM.
    """
    manager: Any = instance.compute_log_manager
    capture = manager.capture_logs

    @contextmanager
    def captured(log_key: Sequence[str]) -> Generator[Any]:
        with ExitStack() as ending:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            try:
                context = ending.enter_context(capture(log_key))
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            yield context

    manager.capture_logs = captured
