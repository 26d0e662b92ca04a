"""Run jobs inside a decoding process, within its limits."""

import contextlib
import itertools
import os
import pickle
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from video_assets.domain.clips import VideoLost

AnswerKind = Literal["value", "lost", "out_of_memory", "raised"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a decoding process to one job.

    `payload` is pickled a first time by itself: a value that cannot be pickled is then an error of its job.
    `jobs_before` counts the jobs that this process had earlier: with 0, its memory was fresh.
    """

    kind: AnswerKind
    payload: bytes
    seconds: float
    peak_rss_bytes: int
    jobs_before: int


def run_jobs(channel: socket.socket) -> None:
    """Run the jobs that come through `channel` one after the other; return when the program closes it.

    The program first says where it works and how much memory a job may take. This process says when it is ready, then
    answers each request, which is a pickled (function, job).
    """
    with channel.makefile("rb") as requests, channel.makefile("wb") as answers:
        directory, memory_bytes = pickle.load(requests)  # noqa: S301  (pickled by our own program)
        os.chdir(directory)
        _prepare_process()
        idle_bytes = _private_bytes()
        _send(answers, None)
        for jobs_before in itertools.count():
            try:
                request = pickle.load(requests)  # noqa: S301  (as above)
            except EOFError:
                return
            began = time.perf_counter()
            kind, payload = _run(request, idle_bytes + memory_bytes)
            seconds = time.perf_counter() - began
            _send(answers, Answer(kind, payload, seconds, _peak_rss_bytes(), jobs_before))


def _send(stream: BinaryIO, message: object) -> None:
    pickle.dump(message, stream, pickle.HIGHEST_PROTOCOL)
    stream.flush()


def _prepare_process() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a Python handler would wait for the decoder to return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected, a core file on disk is not
    # Imported here: the code location loads this module, and has to do so without the codecs.
    import av.logging
    import cv2

    av.logging.set_level(None)
    cv2.setNumThreads(1)  # there are as many processes as cores already


def _run(request: bytes, most_bytes: int) -> tuple[AnswerKind, bytes]:
    """Run one job; a process that crashes, hangs or is made to exit does not come back from here."""
    try:
        with _memory_limit(most_bytes):
            function, job = pickle.loads(request)  # noqa: S301  (pickled by our own process)
            value = function(job)
        return "value", pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else 1)
    except Exception as error:  # noqa: BLE001  (raised again in the program)
        if _ran_out_of_memory(error):
            return "out_of_memory", b""
        if isinstance(error, VideoLost):
            return "lost", pickle.dumps(error.loss)
        return "raised", _pickle_error(error)


def _ran_out_of_memory(error: BaseException | None) -> bool:
    """Return whether memory ran out anywhere in the chain of errors: later ones may call the video corrupt."""
    import cv2

    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
            return True
        error = error.__cause__ or error.__context__
    return False


def _pickle_error(error: Exception) -> bytes:
    """Pickle the error with its traceback as a note, or a RuntimeError of its words where it cannot be pickled."""
    trace = "".join(traceback.format_exception(error))
    error.add_note(f"In the decoding process:\n{trace}")
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301  (just pickled)
        return pickled
    except Exception:  # noqa: BLE001  (pickling runs code of the error's class)
        return pickle.dumps(RuntimeError(f"{type(error).__name__}: {error}\nIn the decoding process:\n{trace}"))


@contextlib.contextmanager
def _memory_limit(most_bytes: int) -> Generator[None]:
    """Limit the private memory of this process.

    RLIMIT_DATA counts private writable memory, which is what decoders allocate. RLIMIT_AS would count libraries,
    and address space that the allocator only reserves. The limit is lifted for sending the result.
    """
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _private_bytes() -> int:
    """Return the private memory of this process: before its first job, thread stacks and buffers of about 250 MB."""
    try:
        num_pages = Path("/proc/self/statm").read_text("ascii").split()[5]
    except OSError:  # not Linux
        return 0
    return int(num_pages) * resource.getpagesize()


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
