"""The manifest on disk: its clips and how long they are, and the note that says how the source was read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from video_assets.domain.clips import SourceWarning
from video_assets.domain.encoding import Encoding
from video_assets.domain.sampling import num_left_out, num_stored_frames
from video_assets.sources.source_clips import SourceClips
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import MANIFEST, read_noted_table, read_table

_READING_NOTE: Final = "reading"
_COLUMNS: Final = (
    *("clip_id", "path", "group", "official_split"),
    *("start_seconds", "end_seconds", "duration_us", "num_frames"),
    *("transfer", "field_order", "num_video_tracks", "readable_fraction", "gap_us", "contradiction"),
)
_LENGTH_COLUMNS = ("clip_id", "start_seconds", "end_seconds", "duration_us", "num_frames")


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


@dataclass(frozen=True)
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

    @cached_property
    def lengths(self) -> pd.DataFrame:
        """Its `clip_lengths`."""
        return clip_lengths(self.clips)


def read_clip_lengths(paths: DatasetPaths) -> pd.DataFrame:
    """Return the `clip_lengths` of the manifest on disk."""
    return clip_lengths(read_table(paths.manifest, MANIFEST, _LENGTH_COLUMNS))


def clip_lengths(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return of every clip, by its id, `duration_us` and `num_frames`, of its span where it has one."""
    clips = manifest.set_index("clip_id")
    whole_us = clips["duration_us"].to_numpy(np.float64)
    start_us = clips["start_seconds"].fillna(0.0).to_numpy(np.float64) * 1e6
    end_us = np.minimum(clips["end_seconds"].to_numpy(np.float64) * 1e6, whole_us)
    end_us = np.where(np.isnan(end_us), whole_us, end_us)
    span_us = np.clip(end_us - start_us, 1, whole_us)
    frames = np.maximum(1, np.rint(clips["num_frames"].to_numpy(np.float64) * span_us / np.maximum(1, whole_us)))
    lengths = {"duration_us": span_us.astype(np.int64), "num_frames": frames.astype(np.int64)}
    return pd.DataFrame(lengths, index=clips.index)


def stored_frames(lengths: pd.DataFrame, encoding: Encoding) -> NDArray[np.int64]:
    """Return how many frames are stored of clips of these `clip_lengths`, (N,) int64."""
    return num_stored_frames(encoding, *length_arrays(lengths))


def frames_left_out(lengths: pd.DataFrame, encoding: Encoding) -> NDArray[np.int64]:
    """Return how many frames of clips of these `clip_lengths` are not stored because of max_frames, (N,) int64."""
    return num_left_out(encoding, *length_arrays(lengths))


def length_arrays(lengths: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return durations in microseconds and numbers of frames of these `clip_lengths`, each (N,) int64."""
    return lengths["duration_us"].to_numpy(np.int64), lengths["num_frames"].to_numpy(np.int64)
