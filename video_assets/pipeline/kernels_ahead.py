"""TensorFlow's kernels, loaded while a step waits for its decoding processes."""

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from video_assets.reader.kernels import kernels


@contextmanager
def tensorflow_meanwhile() -> Generator[Callable[[], None], None, None]:
    """Gives a function that begins to load TensorFlow's kernels in a thread of its own; its end waits for that thread.

    Checks read shards through them. To load them takes a second of one core, which passes while this
    process only waits for decoding processes. If it fails, the first check that needs it says why.
    """
    interval = sys.getswitchinterval()
    importing = threading.Thread(target=_try_kernels, name="loading of kernels")

    def begin() -> None:
        if importing.ident is None:
            # An import hardly ever lets go of the interpreter by itself; decoding processes wait for their next clip.
            sys.setswitchinterval(interval / 20)
            importing.start()

    try:
        yield begin
    finally:
        if importing.ident is not None:
            importing.join()
            sys.setswitchinterval(interval)


def _try_kernels() -> None:
    with suppress(Exception):  # they are loaded again, and that then raises, where they are needed
        kernels()
