"""Start decoding processes from a server of their own, with the media modules loaded and nothing of the parent's.

A process forked from a warm server starts in about 10 ms; one that imports av, cv2 and numpy afresh in 500.
"""

import contextlib
import functools
import io
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing import (
    connection,
    forkserver,
    popen_forkserver,
    reduction,
    resource_tracker,
    spawn,
    util,
)
from multiprocessing.context import (
    ForkServerContext,
    ForkServerProcess,
    set_spawning_popen,
)
from typing import Any

ENDED_WITHOUT_RESULT = 256
"""Exit code of a process that called exit(0) in the middle of its work; beyond what a system can give."""


_started_ahead: dict[frozenset[str], forkserver.ForkServer] = {}


def start_server_ahead(preload: Sequence[str]) -> None:
    """Start a server now for the first context that wants these modules: it loads them while this process does else.

    If no context comes for it, it ends with this process.
    """
    key = frozenset(preload)
    if key not in _started_ahead:
        _started_ahead[key] = server = _new_server(preload)
        server.ensure_running()


class _DeafServer(forkserver.ForkServer):
    """A fork server that Ctrl-C never reaches; whoever started it ends it.

    Multiprocessing's own ignores SIGINT only when its modules are loaded. Until then Ctrl-C, which goes to the whole
    group, would end it with a traceback.
    """

    def ensure_running(self) -> None:
        resource_tracker.ensure_running()  # here, for it unblocks the signal when it starts its process
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            super().ensure_running()  # the mask is inherited
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _new_server(preload: Sequence[str]) -> forkserver.ForkServer:
    server = _DeafServer()
    server.set_forkserver_preload(list(preload))
    return server


class DecodingContext(ForkServerContext):
    """A multiprocessing context whose processes come from a fork server of its own.

    Two things differ from the standard forkserver context. The server is not shared, so it holds just the modules
    named here, whatever else in this program uses multiprocessing. And a child never imports the parent's main
    module: that would pull dagster or tensorflow into every decoding process. So work for these processes must be
    defined in importable modules, not in a script.
    """

    def __init__(self, preload: Sequence[str]) -> None:
        super().__init__()
        self._server = _started_ahead.pop(frozenset(preload), None) or _new_server(preload)
        # An attribute of this object, since the base class has `Process` on the class.
        self.Process = functools.partial(_DecodingProcess, self._server)  # type: ignore[assignment]

    def stop_server(self) -> None:
        """End the server; on Linux its processes end with it. Harmless when it never started."""
        internals: Any = self._server
        pid: int | None = internals._forkserver_pid
        if pid is None:
            return
        # Killed, since the polite way (closing the "alive" pipe and waiting) waits for whoever inherited that pipe.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        internals._stop()


class _DecodingProcess(ForkServerProcess):
    """A process of a `DecodingContext`."""

    def __init__(self, server: forkserver.ForkServer, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server: forkserver.ForkServer | None = server

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "server": None}  # the child has no use for its parent's server

    def _Popen(self, process_obj: "_DecodingProcess") -> "_Launch":  # type: ignore[override]  # noqa: N802  (the name that multiprocessing calls)
        return _Launch(process_obj)

    @property
    def exitcode(self) -> int | None:
        """As in the base class, but never 0: these processes have no business to end by themselves.

        Pebble takes 0 for a worker that ended as it should, and would wait for its result for ever.
        """
        code = super().exitcode
        return ENDED_WITHOUT_RESULT if code == 0 else code


class _Launch(popen_forkserver.Popen):
    """How one process is started and watched."""

    def __init__(self, process_obj: _DecodingProcess) -> None:
        self._poll_lock = threading.Lock()
        super().__init__(process_obj)

    def _launch(self, process_obj: _DecodingProcess) -> None:
        """The method of the base class (Python 3.11 to 3.13) but for the server and the main module."""
        server: Any = process_obj.server
        preparation = spawn.get_preparation_data(process_obj.name)
        preparation.pop("init_main_from_name", None)
        preparation.pop("init_main_from_path", None)
        message = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(preparation, message)
            reduction.dump(process_obj, message)
        finally:
            set_spawning_popen(None)
        self.sentinel, write_fd = server.connect_to_new_process(self._fds)  # type: ignore[attr-defined]
        parent_alive_fd = os.dup(write_fd)  # closed by the system when this process dies, which the child can see
        close_fds: Any = util.close_fds  # type: ignore[attr-defined]
        self.finalizer = util.Finalize(self, close_fds, (parent_alive_fd, self.sentinel))
        with open(write_fd, "wb", closefd=True) as pipe:  # noqa: PTH123  (a descriptor, not a path)
            pipe.write(message.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """The exit code, or None while the process runs.

        Starting any process polls all others, so several threads may come here at once. The code can be read
        from the server's pipe only once; without the lock the thread that comes second would note 255.
        """
        if self.returncode is None:
            if not connection.wait([self.sentinel], 0 if flag == os.WNOHANG else None):
                return None
            with self._poll_lock:
                return super().poll(os.WNOHANG)
        return self.returncode
