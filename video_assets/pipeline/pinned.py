"""`encoding.json`: what a plan fixes for a dataset version."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from video_assets.domain.encoding import ENCODER_VERSION, Encoding
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.storage.files import json_text, write_text
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import read_notes

PINNED_NOTE = "pinned"


@dataclass(slots=True, kw_only=True)
class PinnedSettings:
    """`encoding.json`: what the plan fixes for a dataset version."""

    version: str
    encoding: Encoding
    clips_per_shard: int
    source: str
    num_shards: dict[Split, int] = field(default_factory=lambda: {"train": 0, "test": 0})
    encoder_version: int = ENCODER_VERSION

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits of the dataset, in order: train and test, and val once it ever had a shard."""
        return tuple(split for split in SPLITS if split in self.num_shards)

    def splits_with(self, planned: Iterable[str]) -> tuple[Split, ...]:
        """The splits of the dataset once clips of these splits are planned."""
        found = {*self.splits, *planned}
        return tuple(split for split in SPLITS if split in found)

    def to_json(self) -> str:
        """As it stands on disk."""
        return json_text(asdict(self) | {"encoding": self.encoding.as_dict()})

    def write(self, path: Path) -> None:
        """Writes the file."""
        write_text(path, self.to_json())

    def as_notes(self) -> Mapping[str, str]:
        """What goes into the plan's own file, so that plan and settings change in one step."""
        return {PINNED_NOTE: self.to_json()}

    @classmethod
    def read(cls, path: Path) -> "PinnedSettings | None":
        """The pinned settings, or None where nothing was planned yet.

        Raises:
            SettingsError: if the file cannot be understood.
        """
        if not path.exists():
            return None
        try:
            return cls._parsed(path.read_text("utf-8"))
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{path} is damaged ({error}); restore it, or plan into a new root") from error

    @classmethod
    def _parsed(cls, text: str) -> "PinnedSettings":
        values: dict[str, Any] = json.loads(text)
        values["encoding"] = Encoding(**values["encoding"])
        return cls(**values)

    @classmethod
    def of_plan(cls, paths: DatasetPaths) -> "PinnedSettings | None":
        """The settings of the plan that is there, or None where nothing was planned yet.

        Those in the plan's own file win: `encoding.json` is written after it, and a build that was killed in between
        leaves the one before. Plans of earlier versions of this package have none in their file.

        Raises:
            SettingsError: if `encoding.json` cannot be understood.
        """
        beside = cls.read(paths.encoding)
        if beside is None or not paths.plan.exists():
            return beside
        inside = read_notes(paths.plan).get(PINNED_NOTE)
        return beside if inside is None else cls._parsed(inside)
