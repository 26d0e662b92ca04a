"""Run config from a file and from `--set`, checked against the config models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from video_assets.defs.run_config import CONFIG_BY_OP, config_problems, is_text_field
from video_assets.domain.errors import SettingsError

_LAUNCHPAD_KEYS = ("ops", "execution", "loggers", "resources")


def read_run_config(config_file: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """The run config that a file and `ASSET.FIELD=VALUE` assignments give together; assignments win.

    Raises:
        SettingsError: naming the file, or the field, its value and what is allowed.
    """
    run_config = _read_file(config_file) if config_file else {}
    ops: dict[str, Any] = run_config.setdefault("ops", {})
    for assignment in assignments:
        _assign(ops, assignment)
    problems: list[str] = []
    for op_name, entry in ops.items():
        if op_name not in CONFIG_BY_OP:
            raise SettingsError(f"{op_name} has no settings; settings are those of {', '.join(CONFIG_BY_OP)}")
        config = entry.get("config")
        problems += config_problems(op_name, CONFIG_BY_OP[op_name], {} if config is None else config)
    if problems:
        raise SettingsError("; ".join(problems))
    for op_name, entry in ops.items():
        entry["config"] = _converted(CONFIG_BY_OP[op_name], entry.get("config") or {})
    return run_config


def _converted(model: type[dg.Config], values: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings as the model understood them: Dagster does not take the text 1e3 for a number."""
    return _chosen(model(**values).model_dump(), values)


def _chosen(understood: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _chosen(understood[name], value) if isinstance(value, Mapping) else understood[name]
        for name, value in values.items()
    }


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"the run config {path} cannot be read: {error}") from error
    ops = values.get("ops", {}) if isinstance(values, dict) else None
    if not isinstance(ops, dict) or not all(isinstance(entry, dict) for entry in ops.values()):
        raise SettingsError(f"the run config {path} must look like the launchpad's: ops: <asset>: config: …")
    # What stands elsewhere would be ignored, and a build under other settings than the file's would say nothing of it.
    misplaced = [str(name) for name in values if name not in _LAUNCHPAD_KEYS]
    misplaced += [f"ops.{op_name}.{name}" for op_name, entry in ops.items() for name in entry if name != "config"]
    if misplaced:
        raise SettingsError(
            f"the run config {path} has {', '.join(misplaced)}, where no settings are read; "
            "it must look like the launchpad's: ops: <asset>: config: …"
        )
    return values


def _assign(ops: dict[str, Any], assignment: str) -> None:
    path, separator, text = assignment.partition("=")
    names = path.strip().split(".")
    if not separator or len(names) < 2 or not all(names):
        raise SettingsError(
            f"--set {assignment!r} must look like ASSET.FIELD=VALUE, such as plan.encoding.resolution=172"
        )
    if names[0] not in CONFIG_BY_OP:
        raise SettingsError(f"--set {assignment!r}: {names[0]} has no settings; use {', '.join(CONFIG_BY_OP)}")
    value = _parse_value(text, assignment, is_text=is_text_field(CONFIG_BY_OP[names[0]], names[1:]))
    entry = ops.setdefault(names[0], {})
    if entry.get("config") is None:
        entry["config"] = {}
    place: Any = entry
    for name in ["config", *names[1:-1]]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise SettingsError(f"--set {assignment!r}: {name} is not a group of settings")
    place[names[-1]] = value


def _parse_value(text: str, assignment: str, *, is_text: bool) -> Any:
    """YAML, but for settings that are text: `[a-z]+` is a pattern there and no list."""
    try:
        value = yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError as error:
        if is_text:
            return text
        raise SettingsError(f"--set {assignment!r}: the value cannot be read: {error}") from error
    return text if is_text and not isinstance(value, str) else value


def config_for(run_config: Mapping[str, Any], op_names: Sequence[str]) -> dict[str, Any]:
    """The part of a run config that concerns some steps; Dagster takes no config for steps that do not run."""
    ops = {name: entry for name, entry in run_config.get("ops", {}).items() if name in op_names}
    return {"ops": ops} if ops else {}
