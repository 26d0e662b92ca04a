"""What a source lists: its files, the clips that are wanted of them, and why some cannot be used."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from video_assets.domain.splits import Split

LossReason = Literal[
    "missing_file",  # it was listed, and is not there any more
    "not_found",  # a row names no file of the source
    "ambiguous_file",  # what a row names matches two files
    "outside_source",  # a table's path leaves the source
    "empty_file",  # zero bytes
    "read_failed",  # the system refused to read it: missing permissions, a disk error, a mount that is gone
    "unreadable",  # no known container was found in it, or the decoder failed on it
    "no_video",  # a container without a video stream
    "unsupported_codec",  # no decoder for the stream
    "encrypted",  # protected samples
    "no_frames",  # a video stream without a single frame
    "damaged",  # wanted frames, or frames that they are decoded from, decode only with errors
    "truncated",  # much less of it can be read than its container says
    "too_many_pixels",  # a frame larger than the limit
    "too_many_frames",  # more frames than the limit
    "too_long",  # longer than the limit
    "too_large",  # more bytes than the limit
    "too_short",  # fewer frames than wanted, and the settings quarantine such clips
    "bad_span",  # start and end are not a span of this video
    "bad_row",  # a table row that cannot be understood
    "bad_name",  # a file name that is not valid UTF-8
    "no_label",  # a video beside the class folders instead of in one
    "label_conflict",  # the same content under two labels
    "split_conflict",  # its group is in one split, its content or official split in another; or two rows put it apart
    "timeout",  # decoding took longer than the limit
    "crashed",  # the decoding process died
    "out_of_memory",  # decoding needed more memory than the limit
    "changed",  # the file changed between two steps of one build
]


REMEMBERED_REASONS: frozenset[LossReason] = frozenset(
    {"empty_file", "unreadable", "no_video", "unsupported_codec", "encrypted", "no_frames"}
)
"""Reasons that depend only on the file: it is not opened again as long as it stays the same."""

DECODER_REASONS: frozenset[LossReason] = REMEMBERED_REASONS - {"empty_file"}
"""Those of them that depend on the decoder too: with another decoder version the file is opened again."""

PASSING_REASONS: frozenset[LossReason] = frozenset(
    {"timeout", "crashed", "out_of_memory", "missing_file", "read_failed", "unreadable"}
)
"""Reasons that may have passed by the next build: a busy machine, a mount that was away.

`plan.retry_lost` tries such clips again. `unreadable` is one of them because the file could be opened when it was
probed, and because earlier versions used it for files that the system refused to read.
"""


DAMAGE_REASONS: frozenset[str] = frozenset({"damaged", "corrupt_frames"})
"""Reasons of the clips that `manifest.damaged_clips: store` stores; the second is the first edition's name."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Why one video or clip is not in the dataset.

    `detail` is one sentence for people: what was found, and the value and the rule where there is one.
    """

    reason: LossReason
    detail: str


class VideoLost(Exception):
    """Carries a `Loss` out of the code that opens one video; the stages turn it back into a value."""

    def __init__(self, loss: Loss) -> None:
        super().__init__(f"{loss.reason}: {loss.detail}")
        self.loss = loss

    def __reduce__(self) -> "tuple[type[VideoLost], tuple[Loss]]":
        return (VideoLost, (self.loss,))


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the source: its path relative to the source, with slashes, and its size and time as listed."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder of the source that is not used as a video, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class LostSource:
    """A video or a table row that cannot be used: its name in the source, and why."""

    source: str
    loss: Loss
    label: str = ""


@dataclass(frozen=True, slots=True)
class SourceWarning:
    """Something of a source that somebody should know, and that keeps nothing from being built.

    `code` is for scripts, `source` the file, folder or class that it is about, `detail` one sentence for a person, and
    `count` how many rows, files or links it is about.
    """

    code: str
    source: str
    detail: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedClip:
    """A clip that the source asks for, before its file was opened.

    Spans are [start, end), in seconds or in frames. Frames are counted from 0 at the video's own rate, which only the
    opened file tells: `at_rate` gives the seconds then.
    """

    file: ListedFile
    label: str
    group: str | None = None
    official_split: Split | None = None
    caption: str | None = None
    start_seconds: float | None = None
    end_seconds: float | None = None
    start_frame: int | None = None
    end_frame: int | None = None

    @property
    def clip_id(self) -> str:
        """Return the path, and for a span its times as a media fragment (W3C Media Fragments URI 1.0), or its frames.

        >>> WantedClip(file=ListedFile("a/b.mp4", 1, 0), label="a", start_seconds=1.5, end_seconds=3.0).clip_id
        'a/b.mp4#t=1.5,3'
        """
        if self.start_frame is not None or self.end_frame is not None:
            first = "" if self.start_frame is None else str(self.start_frame)
            return f"{self.file.path}#frame={first}{'' if self.end_frame is None else f',{self.end_frame}'}"
        if self.start_seconds is None and self.end_seconds is None:
            return self.file.path
        start = "" if self.start_seconds is None else _short(self.start_seconds)
        end = "" if self.end_seconds is None else f",{_short(self.end_seconds)}"
        return f"{self.file.path}#t={start}{end}"

    def at_rate(self, frames_per_second: Fraction) -> "WantedClip":
        """Return the clip with the seconds of its frames; its id stays the one that the frames give.

        >>> clip = WantedClip(file=ListedFile("a.mp4", 1, 0), label="a", start_frame=5, end_frame=25)
        >>> clip.at_rate(Fraction(25)).start_seconds, clip.at_rate(Fraction(25)).end_seconds
        (0.2, 1.0)
        """
        if self.start_frame is None and self.end_frame is None:
            return self
        start = None if self.start_frame is None else float(self.start_frame / frames_per_second)
        end = None if self.end_frame is None else float(self.end_frame / frames_per_second)
        return replace(self, start_seconds=start, end_seconds=end)


def _short(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def group_from_path(path: str, pattern: str) -> str | None:
    """Return the group that a path names: all groups of the pattern, joined by `_`. None if it does not match.

    >>> group_from_path("Biking/v_Biking_g01_c02.avi", "v_(.+)_g(..)_")
    'Biking_01'
    """
    match = re.search(pattern, path) if pattern else None
    if match is None:
        return None
    found = match.groups()
    return "_".join(part or "" for part in found) if found else match[0]
