"""The manifest on disk: its clips, and the note that says how the source was read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd

from video_assets.domain.clips import SourceWarning
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.schemas import MANIFEST
from video_assets.storage.tables import read_noted_table

_READING_NOTE: Final = "reading"
_COLUMNS: Final = (
    *("clip_id", "path", "group", "official_split"),
    *("start_seconds", "end_seconds", "duration_us", "num_frames"),
    *("transfer", "field_order", "num_video_tracks", "readable_fraction", "gap_us"),
)


@dataclass(frozen=True, slots=True)
class NotedReading:
    """How the source was read, and what was said of it; empty where a dataset does not note it."""

    sentence: str = ""
    source_format: str = ""
    because: str = ""
    warnings: Sequence[SourceWarning] = ()

    @classmethod
    def of(cls, found: SourceClips) -> "NotedReading":
        """Return how these clips were read."""
        if found.reading is None:
            return cls(warnings=tuple(found.warnings))
        reading = found.reading
        return cls(reading.sentence, reading.dialect, reading.because, tuple(found.warnings))

    def as_dict(self) -> dict[str, Any]:
        """Return what every command's `--json` has of it."""
        return {
            "read_as": self.sentence,
            "source_format": self.source_format,
            "warnings": [asdict(warning) for warning in self.warnings],
        }


def reading_note(reading: NotedReading) -> Mapping[str, str]:
    """Return the note of the manifest that says how its source was read."""
    return {_READING_NOTE: json.dumps(asdict(reading))}


@dataclass(frozen=True, slots=True)
class ReadManifest:
    """The manifest on disk, read once: what a commit, its card and its warnings tell of the clips, and the notes."""

    clips: pd.DataFrame
    notes: Mapping[str, str] | None

    @classmethod
    def of(cls, paths: DatasetPaths) -> "ReadManifest":
        """Read the manifest; no rows, and None for the notes, if there is none."""
        return cls(*read_noted_table(paths.manifest, MANIFEST, _COLUMNS))

    @property
    def reading(self) -> NotedReading:
        """How its source was read; empty where it is not noted."""
        text = (self.notes or {}).get(_READING_NOTE)
        if text is None:
            return NotedReading()
        values = json.loads(text)
        warnings = tuple(SourceWarning(**warning) for warning in values.pop("warnings"))
        return NotedReading(**values, warnings=warnings)
