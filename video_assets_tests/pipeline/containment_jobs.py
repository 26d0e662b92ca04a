"""Jobs that go wrong, for the tests of containment. They live in a module that decoding processes import."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from video_assets.pipeline import comparison, encode, probing
from video_assets.pipeline.encode import ClipJob, EncodedClip

MISBEHAVING_LABEL = "walk"
"""Clips of this class do as their names say; see `encode_or_misbehave`."""
PIPE = "nobody-writes-here"

_encode_clip = encode.encode_clip  # before any test puts something in its place


def encode_or_misbehave(job: ClipJob) -> EncodedClip:
    """Encodes; but `…_always.mp4` kills its process in mid clip, `…_once.mp4` the first time, `…_stalled.mp4` hangs."""
    how = job.path.stem.rpartition("_")[2]
    beside = job.path.parents[2]
    if how == "stalled":
        (beside / PIPE).read_bytes()  # opening a pipe that nobody writes to does not return
    if how == "always" or (how == "once" and not (beside / "was-killed").exists()):
        (beside / "was-killed").touch()
        encode.clip_record = _kill_this_process
    return _encode_clip(job)


def _kill_this_process(*_: Any) -> None:
    """In the place of the step between decoding a clip and making its record."""
    os.kill(os.getpid(), signal.SIGKILL)


def modules_of_this_process(_: object) -> list[str]:
    """What a process has loaded once it did each kind of work."""
    assert comparison and encode and probing
    return sorted(sys.modules)


def path_of_pipe(source: Path) -> Path:
    """Where `encode_or_misbehave` looks for the pipe of a source."""
    return source.parent / PIPE
