"""Jobs that go wrong, for the tests of containment. They live in a module that decoding processes import."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from video_assets.domain.plan import PlannedClip
from video_assets.pipeline.checks import comparison
from video_assets.pipeline.manifest import probing
from video_assets.pipeline.shards import encode
from video_assets.pipeline.shards.encode import ClipJob, EncodedClip

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


KILLING_SECONDS, STALLING_SECONDS = 0.25, 0.35
"""Where spans start that kill their process, or make it hang."""

_encode_spans, _clip_record = encode.encode_spans, encode.clip_record


def encode_spans_or_misbehave(jobs: list[ClipJob]) -> Any:
    """Encodes; but kills its process, or hangs, when it comes to a span that starts where such do."""
    encode.clip_record = _record_or_misbehave
    return _encode_spans(jobs)


def encode_span_or_misbehave(job: ClipJob) -> EncodedClip:
    """The same for a single clip."""
    encode.clip_record = _record_or_misbehave
    return _encode_clip(job)


def _record_or_misbehave(clip: PlannedClip, *arguments: Any) -> Any:
    if clip.start_seconds == KILLING_SECONDS:
        _kill_this_process()
    if clip.start_seconds == STALLING_SECONDS:
        signal.pause()
    return _clip_record(clip, *arguments)


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
