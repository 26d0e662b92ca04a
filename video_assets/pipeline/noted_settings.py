"""Settings as a dataset's tables note them: those of the last manifest and of the last splits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from video_assets.domain.errors import DAMAGE_REMEDY, BuildRefused, FileDamaged
from video_assets.settings import ManifestSettings, SettingsGroup, SplitSettings
from video_assets.sources.opening import is_table
from video_assets.storage.addresses import open_address
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import read_notes

SETTINGS_NOTE = "settings"
SOURCE_NOTE = "source"
_FOR_ONE_RUN: Final = {"max_removed_fraction"}
"""Permissions that end with the run that was given them."""
_Group = TypeVar("_Group", bound=SettingsGroup)


def settings_note(settings: SettingsGroup) -> Mapping[str, str]:
    """Return the note that goes into the table which a stage wrote under these settings."""
    # Not pydantic's own JSON: that writes null for a limit of infinity.
    return {SETTINGS_NOTE: json.dumps(settings.model_dump(exclude=_FOR_ONE_RUN))}


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


_FROM_THE_DATASET: Final = (
    "source_format",
    "columns",
    "videos",
    "class_names",
    "official_split",
    "label_pattern",
    "epic_label",
    "follow_links",
    "group_pattern",
    "include",
)
"""Settings of the manifest that stay as they were where a run does not give them. Were they forgotten, a group would
come apart into train and test, and clips that were not wanted would come in."""


def own_settings(paths: DatasetPaths, given: ManifestSettings) -> ManifestSettings:
    """Return the settings of a run: as they are given, and for the rest as the dataset was built with them last."""
    if not paths.manifest.exists():
        return given
    return filled_in(given, manifest_settings(paths), _FROM_THE_DATASET)


def filled_in(given: _Group, own: _Group, names: tuple[str, ...]) -> _Group:
    """Return the settings with the dataset's own for those of `names` that are not given."""
    return given.replace(**{name: getattr(own, name) for name in names if name not in given.model_fields_set})
