"""What a source lists: files, and the clips that are wanted of them."""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from video_assets.domain.losses import Loss
from video_assets.domain.splits import Split

UCF101_GROUP_PATTERN = r"v_(?P<class>[^/]+)_g(?P<number>\d+)_c\d+\.[^/.]+$"
"""`v_Class_g01_c01.avi`; source: Soomro, Zamir and Shah, UCF101, CRCV-TR-12-01, section 2."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the source: its path relative to the source, with slashes, and what a listing says of it."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or folder of the source that is not taken for a video, and why."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class LostSource:
    """A video or a table row that cannot be used: what the source calls it, and why."""

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
        """The path, and for a span its times as a media fragment (W3C Media Fragments URI 1.0), or its frames.

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
    """The group that a path's name tells, or None: all of the pattern's groups, joined by `_`.

    >>> group_from_path("Biking/v_Biking_g01_c02.avi", UCF101_GROUP_PATTERN)
    'Biking_01'
    """
    match = re.search(pattern, path) if pattern else None
    if match is None:
        return None
    found = match.groups()
    return "_".join(part or "" for part in found) if found else match[0]
