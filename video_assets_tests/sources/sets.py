"""Sets laid out as the public ones are, of files that are no videos: reading opens none."""

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from video_assets.settings import ManifestSettings
from video_assets.sources.read import read_source
from video_assets.sources.source_clips import SourceClips

RATE = Fraction(30)
"""Frames a second of all videos here, for spans in frames."""


@dataclass(frozen=True, order=True)
class Told:
    """What a set says of a clip."""

    path: str
    label: str
    split: str = ""
    start: float | None = None
    end: float | None = None
    group: str = ""
    caption: str = ""


@dataclass
class MadeSet:
    """A folder that a test fills, with what should be read from it."""

    folder: Path
    expected: list[Told] = field(default_factory=list[Told])

    def clip(self, path: str, label: str = "", split: str = "", **more: Any) -> None:
        """Puts a file there; with a label, it is expected to be read."""
        self.write(path, f"video {path}")
        if label:
            self.expected.append(Told(path, label, split, **more))

    def write(self, path: str, content: str | bytes | list[Any] | dict[str, Any]) -> None:
        """Puts a file there: text, bytes, or a value as JSON."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list | dict):
            content = json.dumps(content)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, source: str = "", **options: Any) -> SourceClips:
        """What is read from it."""
        return read_source(self.folder / source, ManifestSettings(**options))

    def matches(self, found: SourceClips) -> None:
        """Asserts that the expected clips were read, and no other."""
        assert told(found) == sorted(self.expected, key=repr)


def told(found: SourceClips) -> list[Told]:
    """What was read of each clip, spans in seconds."""
    clips = [clip.at_rate(RATE) for clip in found.clips]
    rows = [
        Told(
            clip.file.path,
            clip.label,
            clip.official_split or "",
            clip.start_seconds,
            clip.end_seconds,
            clip.group or "",
            clip.caption or "",
        )
        for clip in clips
    ]
    return sorted(rows, key=repr)


def codes(found: SourceClips) -> dict[str, int]:
    """The warnings, by their codes."""
    return {warning.code: warning.count for warning in found.warnings}


def losses(found: SourceClips) -> list[tuple[str, str]]:
    """Reasons and details of what is lost."""
    return [(item.loss.reason, item.loss.detail) for item in found.lost]
