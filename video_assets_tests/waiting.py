"""Wait for a condition, with a limit; and end processes that a test started."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    *,
    seconds: float,
    what: str,
    every: float = 0.5,
    meanwhile: Callable[[], object] = lambda: None,
) -> T:
    """Looks again and again until the condition holds, and gives what it gave; `meanwhile` is done before each look.

    Raises:
        AssertionError: if it does not hold in time; the message says what was waited for.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        meanwhile()
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        pause.wait(every)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that was started in a session of its own, and all that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
    process.wait(timeout=20)
