"""Read settings from a run config (`--config`, the launchpad) and from `--set`; write them as a run config again."""

import types
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeGuard, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from video_assets.domain.errors import SettingsError
from video_assets.settings import FOR_ONE_RUN, Settings

STEPS = tuple(Settings.model_fields)
"""Steps that have settings, in their order; each is an op of that name in Dagster."""
COMPONENT = "video_assets.VideoDatasetComponent"
_LAUNCHPAD_KEYS = ("ops", "execution", "loggers", "resources")


def read_settings(config_file: Path | None, assignments: Sequence[str]) -> Settings:
    """Return the settings that a file and `STEP.FIELD=VALUE` assignments give together; assignments win.

    The settings know which of them were given (`model_fields_set`).

    Raises:
        SettingsError: naming the file, or every wrong field with its value and what is allowed.
    """
    named = _read_file(config_file) if config_file else {}
    # Under a key prefix the launchpad calls an op ucf101__plan, say.
    ops = {name.rpartition("__")[2]: values for name, values in named.items()}
    for assignment in assignments:
        _assign(ops, assignment)
    if unknown := [name for name in ops if name not in STEPS]:
        raise SettingsError(f"{unknown[0]} has no settings; settings are those of {', '.join(STEPS)}")
    return settings_of({"ops": ops})


def settings_of(run_config: Mapping[str, Any]) -> Settings:
    """Return the settings that a run config gives, all of them checked: the first step fails for what the last would.

    Raises:
        SettingsError: naming every wrong field with its value and what is allowed.
    """
    ops = run_config.get("ops") or {}
    given = {step: values for step in STEPS if (values := (ops.get(step) or {}).get("config")) is not None}
    problems = [
        f"{step}.config is {_shown(values)}: it must be a mapping of settings"
        for step, values in given.items()
        if not isinstance(values, Mapping)
    ]
    problems += _unknown_fields((), Settings, given)
    if problems:
        raise SettingsError("; ".join(problems))
    return checked(given)


def checked(values: Mapping[str, Any]) -> Settings:
    """Return the settings that these values are, by step and name.

    Raises:
        SettingsError: naming every wrong field with its value and what is allowed.
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(map(_sentence_of, error.errors(include_url=False)))) from error


def as_run_config_yaml(settings: Settings) -> str:
    """Return all settings as a run config file; those that hold for one run alone are left out."""
    values = _lasting(settings.model_dump())
    return yaml.safe_dump({"ops": {step: {"config": values[step]} for step in STEPS}}, sort_keys=False)


def as_defs_yaml(settings: Settings, *, name: str, source: str, root: str) -> str:
    """Return the `defs.yaml` of a Dagster project that builds such a dataset; defaults are left out."""
    values = _lasting(settings.model_dump(exclude_defaults=True))
    plan = values.pop("plan", {})
    groups = {**values, "encoding": plan.pop("encoding", {}), "plan": plan}
    given = {group: found for group, found in groups.items() if found}
    attributes = {"name": name, "source": source, "root": root, **given}
    return yaml.safe_dump({"type": COMPONENT, "attributes": attributes}, sort_keys=False)


def _lasting(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _lasting(value) if isinstance(value, dict) and name != "columns" else value
        for name, value in values.items()
        if name not in FOR_ONE_RUN
    }


def setting_names(model: type[BaseModel] = Settings, place: str = "") -> Iterator[str]:
    """Give the path of every setting, as `--set` takes it."""
    for name, field in model.model_fields.items():
        if _is_group(field.annotation):
            yield from setting_names(field.annotation, f"{place}{name}.")
        else:
            yield f"{place}{name}"


def _sentence_of(problem: ErrorDetails) -> str:
    if not problem["loc"] or (problem["type"] == "value_error" and isinstance(problem["input"], Mapping)):
        return str(problem.get("ctx", {}).get("error", problem["msg"]))
    return f"{'.'.join(map(str, problem['loc']))} is {_shown(problem['input'])}: {problem['msg']}"


def _unknown_fields(place: Sequence[str], model: type[BaseModel], values: Mapping[Any, Any]) -> list[str]:
    """Return a sentence for each name that is no setting; pydantic's own does not say which there are."""
    problems: list[str] = []
    for name, value in values.items():
        field, here = model.model_fields.get(name), [*place, str(name)]
        if field is None:
            known = f"settings of {'.'.join(place)} are {', '.join(model.model_fields)}"
            close = get_close_matches(str(name), list(model.model_fields), n=1)
            tip = f". Did you mean {'.'.join([*place, *close])}?" if close else ""
            problems.append(f"{'.'.join(here)} is not a setting; {known}{tip}")
        elif _is_group(field.annotation) and isinstance(value, Mapping):
            problems += _unknown_fields(here, field.annotation, value)
    return problems


def _read_file(path: Path) -> dict[str, Any]:
    """Return what a file says about each step."""
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"the run config {path} cannot be read: {error}") from error
    ops = values.get("ops", {}) if isinstance(values, dict) else None
    if not isinstance(ops, dict) or not all(isinstance(entry, dict) for entry in ops.values()):
        raise SettingsError(f"the run config {path} must look like the launchpad's: ops: <asset>: config: …")
    # What stands elsewhere would be ignored, and a build under other settings than the file's would say nothing of it.
    misplaced = [str(name) for name in values if name not in _LAUNCHPAD_KEYS]
    misplaced += [f"ops.{step}.{name}" for step, entry in ops.items() for name in entry if name != "config"]
    if misplaced:
        raise SettingsError(
            f"the run config {path} has {', '.join(misplaced)}, where no settings are read; "
            "it must look like the launchpad's: ops: <asset>: config: …"
        )
    return ops


def _assign(ops: dict[str, Any], assignment: str) -> None:
    """Put what `--set` says where a file would say it."""
    path, separator, text = assignment.partition("=")
    names = path.strip().split(".")
    if not separator or len(names) < 2 or not all(names):
        raise SettingsError(
            f"--set {assignment!r} must look like ASSET.FIELD=VALUE, such as plan.encoding.resolution=172"
        )
    if names[0] not in STEPS:
        raise SettingsError(f"--set {assignment!r}: {names[0]} has no settings; use {', '.join(STEPS)}")
    value = _parse_value(text, assignment, _type_at(names))
    place: Any = ops.setdefault(names[0], {})
    for name in ["config", *names[1:-1]]:
        if place.get(name) is None:
            place[name] = {}
        place = place[name]
        if not isinstance(place, dict):
            raise SettingsError(f"--set {assignment!r}: {name} is not a group of settings")
    place[names[-1]] = value


def _parse_value(text: str, assignment: str, kind: object) -> Any:
    """Read YAML, but for settings that are text: `[a-z]+` is a pattern there and no list."""
    choices = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    is_text = str in choices
    try:
        value = yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError as error:
        if is_text:
            return text
        raise SettingsError(f"--set {assignment!r}: the value cannot be read: {error}") from error
    if is_text and not isinstance(value, str) and not (value is None and types.NoneType in choices):
        return text
    return value


def _type_at(names: Sequence[str]) -> object:
    """Return the type of the setting, or of the entry of a mapping, that a path of names leads to; None for neither."""
    kind: object = Settings
    for name in names:
        if _is_group(kind):
            field = kind.model_fields.get(name)
            kind = None if field is None else field.annotation
        else:
            kind = get_args(kind)[1] if get_origin(kind) is dict else None
    return kind


def _is_group(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
