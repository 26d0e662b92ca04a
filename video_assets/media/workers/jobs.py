"""What runs inside a decoding process: limits on it, and one job after the other."""

import contextlib
import ctypes
import functools
import itertools
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import time
import traceback
from collections.abc import Generator
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, Literal

from video_assets.domain.clips import VideoLost

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_jobs_begun = itertools.count()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a decoding process says of one job.

    `payload` is pickled here and read by the pool, so that a value that cannot be pickled is an error of its
    job and not of the channel. `jobs_before` counts what this process did earlier: with 0, its memory was fresh.
    """

    kind: Literal["value", "lost", "out_of_memory", "raised"]
    payload: bytes
    seconds: float
    peak_rss_bytes: int
    jobs_before: int


def prepare_worker() -> None:
    """Make this process quiet, OpenCV in it single-threaded, and let it not outlive the program that it works for."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a Python handler would wait for the decoder to return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, a core file on disk is not
    # Imported here: the code location knows this module, and must load without the codecs.
    import av.logging
    import cv2

    av.logging.set_level(None)
    cv2.setNumThreads(1)  # there are as many processes as cores already
    _die_with_parent()


def run_job(request: bytes, memory_bytes: int) -> Answer:
    """Run a pickled (function, job) within `memory_bytes` and say how it ended; raises nothing.

    A process that is made to exit, crashes or hangs does not come back from here: that is for the pool to see.
    """
    jobs_before = next(_jobs_begun)
    began = time.perf_counter()
    kind, payload = _answer(request, memory_bytes)
    seconds = time.perf_counter() - began
    return Answer(kind, payload, seconds, _peak_rss_bytes(), jobs_before)


def _answer(request: bytes, memory_bytes: int) -> tuple[Literal["value", "lost", "out_of_memory", "raised"], bytes]:
    try:
        with _memory_limit(memory_bytes):
            function, job = pickle.loads(request)  # noqa: S301  (pickled by our own process)
            value = function(job)
        return "value", pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except Exception as error:  # noqa: BLE001  (raised again in the parent, where there is somebody to read it)
        if _ran_out_of_memory(error):
            return "out_of_memory", b""
        if isinstance(error, VideoLost):
            return "lost", pickle.dumps(error.loss)
        return "raised", _pickle_error(error)


def _ran_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory was short anywhere in the chain: code above it may have called the video corrupt."""
    while error is not None:
        import cv2

        if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
            return True
        error = error.__cause__ or error.__context__
    return False


def _pickle_error(error: Exception) -> bytes:
    """The error with its traceback as a note, or its words where its class cannot be pickled and read back."""
    trace = "".join(traceback.format_exception(error))
    error.add_note(f"In the decoding process:\n{trace}")
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301  (just pickled)
        return pickled
    except Exception:  # noqa: BLE001  (whatever the class of a foreign error does when it is pickled)
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}\nIn the decoding process:\n{trace}"))


@contextlib.contextmanager
def _memory_limit(memory_bytes: int) -> Generator[None, None, None]:
    """Let the process grow by `memory_bytes` at most.

    RLIMIT_DATA counts private writable memory, which is what decoders allocate. RLIMIT_AS would count libraries,
    and address space that the allocator only reserves. The limit is lifted for sending the result.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = _idle_data_bytes() + memory_bytes
    resource.setrlimit(
        resource.RLIMIT_DATA,
        (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard),
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


@functools.cache
def _idle_data_bytes() -> int:
    """Private memory of this process before its first job: thread stacks and buffers of libraries, 250 MB or so."""
    try:
        num_pages = Path("/proc/self/statm").read_text("ascii").split()[5]
    except OSError:  # not Linux
        return 0
    return int(num_pages) * resource.getpagesize()


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _die_with_parent() -> None:
    """Let this process be killed when the program that it works for is gone, however that ended.

    Its parent in the system is the fork server. The server ends once nobody holds its "alive" pipe: so let go of
    it here, and have the kernel kill this process with the server. An idle process would end by itself at the
    closed pipe; one that hangs in a decoder would not.
    """
    server: Any = vars(forkserver)["_forkserver"]
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():  # it died before the line above
        os._exit(1)
