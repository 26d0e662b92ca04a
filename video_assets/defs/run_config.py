"""A run's config: which model each step has, and what is wrong with what a run gives it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

import dagster as dg
from pydantic import BaseModel, ValidationError

from video_assets.defs.config import DatasetConfig, PlanConfig, SourceConfig, SplitConfig
from video_assets.domain.encoding import what_cannot_be_stored
from video_assets.domain.errors import SettingsError

CONFIG_BY_OP: Mapping[str, type[dg.Config]] = {
    "manifest": SourceConfig,
    "splits": SplitConfig,
    "plan": PlanConfig,
    "dataset": DatasetConfig,
}


def given_fields(run_config: Mapping[str, Any], op_name: str) -> Collection[str]:
    """Names of the settings that the run gives to a step; the others are defaults."""
    return ((run_config.get("ops", {}).get(op_name) or {}).get("config") or {}).keys()


def check_run_config(run_config: Mapping[str, Any]) -> None:
    """Checks the config of every step, so that the first step fails for what the last one would.

    Raises:
        SettingsError: naming every wrong field, its value and what is allowed.
    """
    problems: list[str] = []
    ops = run_config.get("ops", {})
    for op_name, model in CONFIG_BY_OP.items():
        values = (ops.get(op_name) or {}).get("config") or {}
        problems += config_problems(op_name, model, values)
    if not problems:
        problems = _problems_between(ops.get("manifest") or {}, ops.get("plan") or {})
    if problems:
        raise SettingsError("; ".join(problems))


def _problems_between(manifest: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """What the plan would refuse after all videos were opened."""
    encoding = PlanConfig(**plan.get("config") or {}).encoding.to_encoding()
    multi_label = SourceConfig(**manifest.get("config") or {}).multi_label
    told = what_cannot_be_stored(replace(encoding, multi_label=multi_label))
    return [told] if told else []


def config_problems(op_name: str, model: type[dg.Config], values: object) -> list[str]:
    """What is wrong with the config of one step: a sentence a field."""
    if not isinstance(values, Mapping):
        return [f"{op_name}.config is {_shown(values)}: it must be a mapping of settings"]
    unknown = _unknown_fields(op_name, model, values)
    if unknown:
        return unknown
    try:
        model(**values)
    except ValidationError as error:
        return [
            f"{'.'.join([op_name, *map(str, problem['loc'])])} is {_shown(problem['input'])}: {problem['msg']}"
            for problem in error.errors()
        ]
    return []


def _unknown_fields(place: str, model: type[BaseModel], values: Mapping[Any, Any]) -> list[str]:
    """A sentence a name that is no setting; the models themselves ignore what they do not know."""
    problems: list[str] = []
    for name, value in values.items():
        field = model.model_fields.get(name)
        if field is None:
            problems.append(f"{place}.{name} is not a setting; settings of {place} are {', '.join(model.model_fields)}")
        elif _is_group(field.annotation) and isinstance(value, Mapping):
            problems += _unknown_fields(f"{place}.{name}", field.annotation, value)
    return problems


def _is_group(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def is_text_field(model: type[BaseModel], names: Sequence[str]) -> bool:
    """Whether a path of names leads to a setting that takes text as it is."""
    field = model.model_fields.get(names[0])
    if field is None:
        return False
    if len(names) > 1:
        return _is_group(field.annotation) and is_text_field(field.annotation, names[1:])
    return field.annotation is str


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
