"""Fork decoding processes from a server that has the codecs loaded.

A process forked from this server starts in about 10 ms; one that imports av, cv2 and numpy itself takes 400. The server
is a fresh Python process: it has nothing of the program's main module, and never loads Dagster or TensorFlow.

Two pairs of sockets belong to each decoding process. Requests and answers go through the first, between program and
process. The second is a lifeline between program and server: when the program shuts it down, or dies, the server kills
the process and answers with its exit code.
"""

import contextlib
import ctypes
import importlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, Final

from video_assets.media.workers.worker import run_jobs

_EXIT_CODE: Final = struct.Struct("i")
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class WorkerServer:
    """The program's side of the server. Any thread may use it."""

    def __init__(self, modules: Sequence[str]) -> None:
        """Prepare a server that loads `modules` before it forks the first process; `start` starts it."""
        self._modules = list(dict.fromkeys(modules))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the server, unless it is running. It loads its modules while this process goes on."""
        with self._lock:
            self._ensure_running()

    def start_worker(self, memory_bytes: int) -> "WorkerProcess":
        """Start a decoding process whose jobs may take `memory_bytes` each.

        Raises:
            BrokenProcessPool: the server ended.
        """
        first_message = pickle.dumps((os.getcwd(), memory_bytes))  # noqa: PTH109  (sent as text)
        channel, channel_of_worker = socket.socketpair()
        lifeline, lifeline_of_server = socket.socketpair()
        with channel_of_worker, lifeline_of_server:
            try:
                with self._lock:
                    control = self._ensure_running()
                    socket.send_fds(control, [b"+"], [channel_of_worker.fileno(), lifeline_of_server.fileno()])
                channel.sendall(first_message)
            except OSError as error:
                channel.close()
                lifeline.close()
                raise BrokenProcessPool("the server of decoding processes ended") from error
        return WorkerProcess(channel, lifeline)

    def stop(self) -> None:
        """End the server. Its decoding processes have to be ended first."""
        with self._lock:
            if self._control is not None:
                self._control.close()
            if self._process is not None:
                self._process.kill()  # it may still be loading modules
                self._process.wait()
            self._process = self._control = None

    def _ensure_running(self) -> socket.socket:
        if self._process is not None and self._control is not None and self._process.poll() is None:
            return self._control
        if self._control is not None:
            self._control.close()
        self._control, control_of_server = socket.socketpair()
        paths = [str(path) or os.getcwd() for path in sys.path]  # noqa: PTH109  (printed)
        with control_of_server, _interrupts_blocked():
            descriptor = control_of_server.fileno()
            program = (
                f"import sys; sys.path[:] = {paths!r}; from video_assets.media.workers.server import serve; "
                f"serve({descriptor}, {self._modules!r})"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=[descriptor],
                env={"SVT_LOG": "0", **os.environ},  # no greetings of the AV1 library on standard error
            )
        return self._control


class WorkerProcess:
    """The program's side of one decoding process. One thread asks and ends it; any thread may kill it."""

    def __init__(self, channel: socket.socket, lifeline: socket.socket) -> None:
        self._channel = channel
        self._answers = channel.makefile("rb")
        self._lifeline = lifeline
        self.has_begun = False

    def is_idle(self) -> bool:
        """Return whether the process lives and owes no answer."""
        return not connection.wait([self._channel], timeout=0)

    def ask(self, request: bytes, timeout_seconds: float) -> Any:
        """Send a request as soon as the process is ready for its first one (`has_begun`), and return the answer.

        Raises:
            TimeoutError: no answer came in time; starting the process does not count.
            EOFError: the process ended.
        """
        if not self.has_begun:
            self._receive(None)
            self.has_begun = True
        try:
            self._channel.sendall(pickle.dumps(request))
        except OSError as error:
            raise EOFError("the decoding process ended") from error
        return self._receive(timeout_seconds)

    def kill(self) -> None:
        """Have the process killed; a thread that waits for its answer gets an EOFError."""
        for end, direction in ((self._lifeline, socket.SHUT_WR), (self._channel, socket.SHUT_RDWR)):
            with contextlib.suppress(OSError):  # the other side is gone, or `end` has closed it
                end.shutdown(direction)

    def end(self) -> int:
        """Kill the process unless it is gone, and return its exit code; minus the signal's number after a signal."""
        self.kill()
        exit_code = -signal.SIGKILL  # where the server was killed, its processes were killed with it
        with contextlib.suppress(OSError, struct.error):
            (exit_code,) = _EXIT_CODE.unpack(self._lifeline.recv(_EXIT_CODE.size))
        self._answers.close()
        self._channel.close()
        self._lifeline.close()
        return exit_code

    def _receive(self, timeout_seconds: float | None) -> Any:
        self._channel.settimeout(timeout_seconds)
        try:
            return pickle.load(self._answers)  # noqa: S301  (pickled by our own process)
        except TimeoutError:
            raise
        except (EOFError, OSError, pickle.UnpicklingError) as error:  # the last: cut off in the middle
            raise EOFError("the decoding process ended") from error


@contextlib.contextmanager
def _interrupts_blocked() -> Generator[None]:
    """Block SIGINT in this thread, for a new process to inherit.

    Ctrl-C goes to every process of the terminal's group. The program decides what it means, and a server that was
    still starting would end with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(control_descriptor: int, modules: Sequence[str]) -> None:
    """Run the server: load `modules`, then fork processes and end them, until the program is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in modules:
        with contextlib.suppress(ImportError):  # a job that needs it fails, and says why
            importlib.import_module(module)
    control = socket.socket(fileno=control_descriptor)
    workers: dict[socket.socket, int] = {}  # lifeline and process id
    while control.fileno() >= 0:
        for ready in connection.wait([control, *workers]):
            if isinstance(ready, socket.socket) and ready is not control:
                _end_worker(ready, workers.pop(ready))
            else:
                _start_worker(control, workers)
    for lifeline, process_id in workers.items():
        _end_worker(lifeline, process_id)


def _start_worker(control: socket.socket, workers: dict[socket.socket, int]) -> None:
    """Fork a process for the two sockets that come; close `control` where the program has closed its end."""
    _, descriptors, _, _ = socket.recv_fds(control, 1, 2)
    if not descriptors:
        control.close()
        return
    channel, lifeline = (socket.socket(fileno=descriptor) for descriptor in descriptors)
    server_id = os.getpid()
    process_id = os.fork()
    if process_id:
        channel.close()
        workers[lifeline] = process_id
        return
    exit_code = 1
    try:
        for other in (control, lifeline, *workers):
            other.close()
        _die_with_server(server_id)
        with contextlib.suppress(EOFError, ConnectionError, pickle.UnpicklingError):  # the program is gone
            run_jobs(channel)
        exit_code = 0
    except BaseException:  # noqa: BLE001  (nothing may run the server's code a second time)
        traceback.print_exc()
    finally:
        os._exit(exit_code)


def _end_worker(lifeline: socket.socket, process_id: int) -> None:
    os.kill(process_id, signal.SIGKILL)  # without effect on one that ended: it keeps its number until it is waited for
    _, status = os.waitpid(process_id, 0)
    with lifeline, contextlib.suppress(OSError):  # the program is gone
        lifeline.sendall(_EXIT_CODE.pack(os.waitstatus_to_exitcode(status)))


def _die_with_server(server_id: int) -> None:
    """Have the kernel kill this process when the server is killed, which could then not end it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server_id:  # it was killed before the line above
        os._exit(1)
