"""`encoding.json`: what a plan fixes for a dataset version."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from video_assets.domain.encoding import ENCODER_VERSION, Encoding
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.storage.files import write_json


@dataclass(slots=True, kw_only=True)
class PinnedSettings:
    """`encoding.json`: what the plan fixes for a dataset version."""

    version: str
    encoding: Encoding
    clips_per_shard: int
    source: str
    num_shards: dict[Split, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    encoder_version: int = ENCODER_VERSION

    def write(self, path: Path) -> None:
        """Writes the file."""
        write_json(path, asdict(self) | {"encoding": self.encoding.as_dict()})

    @classmethod
    def read(cls, path: Path) -> "PinnedSettings | None":
        """The pinned settings, or None where nothing was planned yet.

        Raises:
            SettingsError: if the file cannot be understood.
        """
        if not path.exists():
            return None
        try:
            values = json.loads(path.read_text("utf-8"))
            return cls(**(values | {"encoding": Encoding(**values["encoding"])}))
        except (ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{path} is damaged ({error}); restore it, or plan into a new root") from error
