"""`encoding.json`: what a plan fixes for a dataset version."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from video_assets.domain.encoding import ENCODER_VERSION, Encoding
from video_assets.domain.errors import DAMAGE_REMEDY, SettingsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.settings import PlanSettings
from video_assets.storage.files import NOT_THERE, json_text, write_text
from video_assets.storage.paths import DatasetPaths, parse_version
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
        encoding = self.encoding
        return json_text(asdict(self) | {"encoding": encoding.as_dict(), "encoder_version": encoding.encoder_version})

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
        try:
            text = path.read_bytes()
        except NOT_THERE:
            return None
        return _parsed(text, path)

    @classmethod
    def of_plan(cls, paths: DatasetPaths) -> "PinnedSettings | None":
        """The settings of the plan that is there, or None where nothing was planned yet.

        Those in the plan's own file win: `encoding.json` is written after it, and a build that was killed in between
        leaves the one before, or none. Plans of earlier versions of this package have none in their file.

        Raises:
            SettingsError: if `encoding.json`, or what the plan's file says, cannot be understood.
        """
        beside = cls.read(paths.encoding)
        return cls.noted(read_notes(paths.plan) or {}, paths.plan) or beside

    @classmethod
    def noted(cls, notes: Mapping[str, str], plan: Path) -> "PinnedSettings | None":
        """Those that the plan's own file has among its notes, if it has any.

        Raises:
            SettingsError: if what the plan's file says cannot be understood.
        """
        inside = notes.get(PINNED_NOTE)
        return None if inside is None else _parsed(inside, plan)


def encoder_version_of(before: PinnedSettings | None, *, new_version: bool) -> int:
    """Return the encoder's version to go on under: the dataset's own, or the newest where a version of it begins."""
    return ENCODER_VERSION if before is None or new_version else before.encoding.encoder_version


def encoding_to_plan(before: PinnedSettings | None, settings: PlanSettings, *, multi_label: bool) -> Encoding:
    """Return the encoding that settings ask for, under the encoder's version to go on under."""
    encoder_version = encoder_version_of(before, new_version=settings.new_version)
    return Encoding.of(settings.encoding, multi_label=multi_label, encoder_version=encoder_version)


_PINNED = TypeAdapter(PinnedSettings)


def _parsed(text: str | bytes, path: Path) -> PinnedSettings:
    try:
        pinned = _PINNED.validate_json(_with_version_inside(text), strict=True, extra="forbid")
        what = _what_cannot_be(pinned)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise SettingsError(_damage(path, what)) from error
    if what:
        raise SettingsError(_damage(path, what))
    if pinned.encoding.encoder_version > ENCODER_VERSION:
        raise SettingsError(
            f"{path} was written by a later video_assets: its encoder has version {pinned.encoding.encoder_version}, "
            f"this one knows up to {ENCODER_VERSION}; upgrade video_assets"
        )
    return pinned


def _with_version_inside(text: str | bytes) -> str | bytes:
    """Move the encoder's version, which stands beside the encoding in the file, into it."""
    try:
        values = json.loads(text)
    except ValueError:
        return text  # pydantic says what is wrong
    if not isinstance(values, dict) or not isinstance(values.get("encoding"), dict):
        return text
    values["encoding"]["encoder_version"] = values.pop("encoder_version", 1)
    return json.dumps(values)


def _what_cannot_be(pinned: PinnedSettings) -> str:
    if parse_version(pinned.version) is None:
        return f"version is {pinned.version!r}"
    if not {"train", "test"} <= pinned.num_shards.keys() or min(pinned.num_shards.values()) < 0:
        return f"num_shards is {pinned.num_shards}"
    return "" if math.isfinite(pinned.encoding.fps) else f"encoding.fps is {pinned.encoding.fps}"


def _damage(path: Path, what: str) -> str:
    return f"{path} is damaged ({what}); {DAMAGE_REMEDY}"
