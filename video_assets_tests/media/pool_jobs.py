"""Jobs for the tests of the pool, in a module of their own that decoding processes can import."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import av.logging
import cv2
import numpy as np

from video_assets.domain.clips import Loss, VideoLost
from video_assets_tests.waiting import wait_until

MEBIBYTE = 2**20


def double(number: int) -> int:
    return 2 * number


def process_id(_: object) -> int:
    return os.getpid()


def bytes_of_length(length: int) -> bytes:
    return bytes([length % 251]) * length


def touch_or_wait_for(markers: Sequence[str], marker: str) -> str:
    """Make a file; without a name, wait until others have made theirs."""
    if marker:
        Path(marker).touch()
    else:
        wait_until(lambda: all(Path(other).exists() for other in markers), seconds=30, what="the others", every=0.05)
    return marker


def kill_self(signal_number: int) -> int:
    """Kill this process with a signal; 0 is none."""
    if signal_number:
        os.kill(os.getpid(), signal_number)
    return os.getpid()


def crash_once(marker: str) -> str:
    """Crash unless the marker exists; make the marker first."""
    if Path(marker).exists():
        return "passed"
    Path(marker).touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


DYING_BYTES = 20_000_000


def die_while_sending(delay_seconds: float) -> bytes:
    """Return 20 MB, and be killed after the delay, if it is not 0."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, delay_seconds)
    return bytes(DYING_BYTES)


def leave(exit_code: int) -> None:
    os._exit(exit_code)


def leave_politely(exit_code: int) -> None:
    sys.exit(exit_code)


def hang(seconds: float) -> float:
    """Sleep as a decoder hangs: signals that Python handles have no effect."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(seconds)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return seconds


def hang_and_say_so(announcement: str) -> None:
    """Write the process id to a file atomically, then hang."""
    temporary = Path(f"{announcement}.{os.getpid()}")
    temporary.write_text(str(os.getpid()))
    temporary.rename(announcement)
    time.sleep(3600)


def work(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def allocate(mebibytes: int) -> int:
    """Allocate memory by numpy, and touch it."""
    return int(np.ones(mebibytes * MEBIBYTE, np.uint8)[-1])


_kept: list[np.ndarray] = []


def allocate_and_keep(mebibytes: int) -> int:
    """Allocate memory and never free it."""
    _kept.append(np.ones(mebibytes * MEBIBYTE, np.uint8))
    return os.getpid()


def allocate_in_opencv(mebibytes: int) -> int:
    side = int((mebibytes * MEBIBYTE) ** 0.5)
    return len(cv2.resize(np.zeros((8, 8), np.uint8), (side, side)))


def hide_lack_of_memory(mebibytes: int) -> int:
    """Report a lack of memory as a broken video."""
    try:
        return allocate(mebibytes)
    except MemoryError as error:
        raise VideoLost(Loss("damaged", "frames cannot be decoded")) from error


def lose(reason: str) -> str:
    if reason:
        raise VideoLost(Loss("no_video", f"no video: {reason}"))
    return reason


def divide_by(number: int) -> float:
    return 1 / number


class AwkwardError(Exception):
    """An error that can be pickled, but not unpickled."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


def raise_awkward(_: object) -> None:
    raise AwkwardError("this", "that")


def give_unpicklable(_: object) -> object:
    return lambda: None


def surroundings(_: object) -> dict[str, object]:
    """Return the modules and settings of this process."""
    main = sys.modules["__main__"]
    return {
        "modules": sorted(sys.modules),
        "main": getattr(main, "SECRET", None),
        "av_log_level": av.logging.get_level(),
        "cv2_threads": cv2.getNumThreads(),
    }


def touch(path: str) -> None:
    Path(path).touch()


def parent_of_this_process(_job: object) -> int:
    """Return the id of the process that this one was forked from."""
    return os.getppid()
