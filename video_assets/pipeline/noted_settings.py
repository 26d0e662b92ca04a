"""Settings that a dataset keeps: pinned in `encoding.json`, and noted in the tables of the last manifest and splits."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from video_assets.domain.encoding import ENCODER_VERSION, Encoding
from video_assets.domain.errors import DAMAGE_REMEDY, BuildRefused, FileDamaged, SettingsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.pipeline.commit.changes import committed_settings
from video_assets.run_config import checked
from video_assets.setting_types import SettingsGroup
from video_assets.settings import FOR_ONE_RUN, DatasetSettings, ManifestSettings, PlanSettings, Settings, SplitSettings
from video_assets.sources.tree import is_table
from video_assets.storage.addresses import open_address
from video_assets.storage.files import NOT_THERE, json_text, write_text
from video_assets.storage.paths import FIRST_VERSION, DatasetPaths, parse_version
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
    except (ValueError, RecursionError):
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


SETTINGS_NOTE = "settings"
SOURCE_NOTE = "source"
"""Where the videos are."""
GIVEN_SOURCE_NOTE = "given_source"
"""What was given as the source: a table, if the videos are elsewhere."""
_Group = TypeVar("_Group", bound=SettingsGroup)


def settings_note(settings: SettingsGroup) -> Mapping[str, str]:
    """Return the note that goes into the table which a stage wrote under these settings."""
    # Not pydantic's own JSON: that writes null for a limit of infinity.
    return {SETTINGS_NOTE: json.dumps(settings.model_dump(exclude={*FOR_ONE_RUN, "encoding"}))}


def manifest_settings(paths: DatasetPaths) -> ManifestSettings:
    """Return the settings under which the manifest was made; the stages after it keep its limits.

    Raises:
        BuildRefused: if there is no manifest.
        FileDamaged: if its note cannot be understood.
    """
    notes = read_notes(paths.manifest)
    if notes is None:
        raise BuildRefused(f"there is no manifest in {paths.directory}; materialize manifest first")
    return _noted(ManifestSettings, {**notes, SETTINGS_NOTE: _with_reading(notes)}, paths.manifest)


def split_settings(paths: DatasetPaths) -> SplitSettings:
    """Return the settings under which clips were assigned last; the defaults where none were.

    Raises:
        FileDamaged: if their note cannot be understood.
    """
    notes = read_notes(paths.split_history)
    if notes is None:
        return SplitSettings()
    return _noted(SplitSettings, notes, paths.split_history)


def plan_settings(paths: DatasetPaths) -> PlanSettings:
    """Return the settings of the last plan but for its encoding, which is pinned; the defaults where none are noted.

    Raises:
        FileDamaged: if their note cannot be understood.
    """
    notes = read_notes(paths.plan) or {}
    return _noted(PlanSettings, notes, paths.plan) if SETTINGS_NOTE in notes else PlanSettings()


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest's settings under today's names; the first edition noted limits apart, in their own units."""
    flat = {name: value for name, value in values.items() if name not in ("limits", "table_limits")}
    if limits := values.get("limits"):
        flat |= {name: limits[name] for name in ("max_pixels", "max_frames", "max_duration_seconds", "clip_seconds")}
        flat["max_file_megabytes"] = limits["max_file_bytes"] // 10**6
        flat["clip_memory_megabytes"] = limits["memory_bytes"] // 2**20
    if limits := values.get("table_limits"):
        flat["max_table_rows"] = limits["max_rows"]
        flat["max_table_megabytes"] = limits["max_bytes"] // 10**6
    return flat


_FIRST_COLUMNS: Final = ("path", "label", "start", "end", "split", "group", "caption")
"""The columns that the first edition knew, each by one name alone."""


def _with_reading(notes: Mapping[str, str]) -> str:
    """Return the noted settings with how the first edition read sources, which it did not note.

    It knew folders of classes and tables with columns of fixed names. What was read so goes on so.
    """
    text = notes.get(SETTINGS_NOTE, "")
    try:
        values = json.loads(text)
    except ValueError:
        return text  # the reader of the note tells it
    if not isinstance(values, dict) or "source_format" in values:
        return text
    if is_table(open_address(notes.get(SOURCE_NOTE) or ".")):
        columns = {name: name for name in _FIRST_COLUMNS} | {"start_frame": "", "end_frame": ""}
        return json.dumps({**values, "source_format": "table", "columns": columns})
    return json.dumps({**values, "source_format": "folders"})


def _noted(model: type[_Group], notes: Mapping[str, str], table: Path) -> _Group:
    try:
        return model.model_validate(_flat(json.loads(notes[SETTINGS_NOTE])))
    except ValueError as error:  # pydantic's own among them
        first = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else None
        what = str(error) if first is None else f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise FileDamaged(
            f"the settings that {table} notes cannot be understood ({what}): a later version of video_assets wrote it, "
            f"or it is damaged; {DAMAGE_REMEDY}"
        ) from error


def dataset_settings(paths: DatasetPaths) -> Settings:
    """Return the dataset's own settings, as its last manifest, splits, plan and commit used them; else the defaults.

    Raises:
        FileDamaged, SettingsError: if what a table notes cannot be understood.
    """
    pinned = PinnedSettings.of_plan(paths)
    if pinned is None:
        version, plan = FIRST_VERSION, PlanSettings()
    else:
        version, plan = pinned.version, plan_settings(paths).replace(encoding=pinned.encoding.settings)
    return Settings(
        manifest=manifest_settings(paths) if paths.manifest.exists() else ManifestSettings(),
        splits=split_settings(paths),
        plan=plan,
        dataset=DatasetSettings.model_validate(committed_settings(paths, version)),
    )


def settings_in_force(paths: DatasetPaths, given: Settings) -> Settings:
    """Return the settings of a run: those that are given, and the dataset's own for all others.

    Raises:
        SettingsError: if what is given does not go with the dataset's own.
        FileDamaged: if what a table notes cannot be understood.
    """
    return checked(_filled_in(given, dataset_settings(paths)))


def _filled_in(given: SettingsGroup, own: SettingsGroup) -> dict[str, Any]:
    """Return the values of `given`, and those of `own` where none was given."""
    values: dict[str, Any] = {}
    for name in type(given).model_fields:
        value, own_value = getattr(given, name), getattr(own, name)
        if isinstance(value, SettingsGroup):
            values[name] = _filled_in(value, own_value)
        else:
            values[name] = value if name in given.model_fields_set or name in FOR_ONE_RUN else own_value
    return values


def without_values_of(given: SettingsGroup, shown: SettingsGroup) -> dict[str, Any]:
    """Return what is given, by name, without what equals `shown`: a form that was not changed gives nothing."""
    values: dict[str, Any] = {}
    for name in given.model_fields_set:
        value, shown_value = getattr(given, name), getattr(shown, name)
        if isinstance(value, SettingsGroup):
            values[name] = without_values_of(value, shown_value)
        elif value != shown_value:
            values[name] = value
    return values


def noted_source(paths: DatasetPaths) -> str:
    """Return the address of the source that the dataset was built from last; empty if there is no manifest."""
    notes = read_notes(paths.manifest) or {}
    return notes.get(GIVEN_SOURCE_NOTE) or notes.get(SOURCE_NOTE, "")
