"""Run config from a file and from `--set`, checked against the config models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from video_assets.defs.config import CONFIG_BY_OP, config_problems
from video_assets.domain.errors import SettingsError


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
        problems += config_problems(op_name, CONFIG_BY_OP[op_name], entry.get("config") or {})
    if problems:
        raise SettingsError("; ".join(problems))
    return run_config


def _read_file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(f"the run config {path} cannot be read: {error}") from error
    ops = values.get("ops", {}) if isinstance(values, dict) else None
    if not isinstance(ops, dict) or not all(isinstance(entry, dict) for entry in ops.values()):
        raise SettingsError(f"the run config {path} must look like the launchpad's: ops: <asset>: config: …")
    return values


def _assign(ops: dict[str, Any], assignment: str) -> None:
    path, separator, text = assignment.partition("=")
    names = path.strip().split(".")
    if not separator or len(names) < 2 or not all(names):
        raise SettingsError(f"--set {assignment!r} must look like ASSET.FIELD=VALUE, such as plan.encoding.resolution=172")
    if names[0] not in CONFIG_BY_OP:
        raise SettingsError(f"--set {assignment!r}: {names[0]} has no settings; use {', '.join(CONFIG_BY_OP)}")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"--set {assignment!r}: the value cannot be read: {error}") from error
    place = ops.setdefault(names[0], {}).setdefault("config", {})
    for name in names[1:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise SettingsError(f"--set {assignment!r}: {name} is not a group of settings")
    place[names[-1]] = value


def config_for(run_config: Mapping[str, Any], op_names: Sequence[str]) -> dict[str, Any]:
    """The part of a run config that concerns some steps; Dagster takes no config for steps that do not run."""
    ops = {name: entry for name, entry in run_config.get("ops", {}).items() if name in op_names}
    return {"ops": ops} if ops else {}
