"""What each command does. Only what it needs is imported, so that `--help` is there at once."""

import argparse
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_assets.cli.command_list import COMMANDS
from video_assets.cli.output import begin_progress, end, print_json, say_error
from video_assets.cli.parser import Run
from video_assets.domain.errors import EXIT_OK, EXIT_USAGE, SettingsError
from video_assets.domain.text import counted, sequence_of

if TYPE_CHECKING:
    from video_assets.defs.report_thread import ReportThread
    from video_assets.environment import Environment
    from video_assets.storage.paths import DatasetPaths


def _environment(options: argparse.Namespace) -> "Environment":
    """Return what the environment says of the engine, or the options where they are given."""
    from video_assets.environment import Environment

    given = {name: getattr(options, name) for name in ("engine", "ray_address", "cpus_per_shard")}
    chosen = {name: value for name, value in given.items() if value is not None}
    return Environment.read(os.environ).model_copy(update=chosen)


def _paths(options: argparse.Namespace) -> "DatasetPaths":
    from video_assets.storage.paths import DatasetPaths

    return DatasetPaths(options.root.absolute(), options.name)


def _source(options: argparse.Namespace) -> Path:
    """Return the source that is given, or else that of the dataset.

    Raises:
        SettingsError: if there is none.
    """
    source: Path | None = options.source
    if source is None:
        from video_assets.pipeline.noted_settings import noted_source
        from video_assets.storage.addresses import open_address

        address = noted_source(paths := _paths(options))
        if not address:
            raise SettingsError(f"there is no dataset in {paths.directory} yet: name its videos with --source")
        source = open_address(address)
    _refuse_missing(source)
    return source


def _refuse_missing(source: Path) -> None:
    if not source.exists():
        raise SettingsError(f"the source {source} is not there")


def _warnings(paths: "DatasetPaths") -> list[dict[str, Any]]:
    """Return the warnings of a dataset, as `--json` has them."""
    from video_assets.pipeline.dataset_state import committed_version
    from video_assets.pipeline.dataset_warnings import dataset_warnings, warnings_as_dicts

    return warnings_as_dicts(dataset_warnings(paths, committed_version(paths)))


def _failed_checks(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return the checks that make a dataset invalid, as a sentence; empty where there is none."""
    from video_assets.report.screen_sections import invalidating

    failed = [f"{check['name']} {check.get('target', '')}".strip() for check in invalidating(checks)]
    return f"checks failed: {sequence_of(failed)}" if failed else ""


def _build(options: argparse.Namespace) -> int:
    with ExitStack() as running:
        progress = begin_progress(options, f"Building {options.name} in {options.root}", running)
        from video_assets.pipeline.build_command import run_build
        from video_assets.report.screens import build_screen
        from video_assets.run_config import read_settings

        settings = read_settings(options.config, options.assignments)
        paths = _paths(options)
        source = _source(options)
        listeners = [running.enter_context(_report_thread(paths))] if options.dagster else []
        result = run_build(
            source,
            paths,
            settings,
            num_workers=options.workers,
            engine=_environment(options).shard_engine(),
            progress=progress,
            listeners=listeners,
        )
    values = result.as_dict()
    return end(options, values, build_screen, values["refused"] or _failed_checks(values["checks"]))


def _report_thread(paths: "DatasetPaths") -> "ReportThread":
    from video_assets.defs.report_thread import ReportThread

    return ReportThread(paths)


def _plan(options: argparse.Namespace) -> int:
    with ExitStack() as running:
        progress = begin_progress(options, f"Planning {options.name}", running)
        from video_assets.pipeline.dry_run import run_plan
        from video_assets.report.screens import plan_screen
        from video_assets.run_config import read_settings

        settings = read_settings(options.config, options.assignments)
        source, paths = _source(options), _paths(options)
        values = run_plan(
            source, paths, settings, num_workers=options.workers, budget_bytes=options.budget, progress=progress
        )
    values |= {"config": str(options.config or ""), "set": list(options.assignments)}
    return end(options, values, plan_screen)


def _inspect(options: argparse.Namespace) -> int:
    from video_assets.report.screen_sections import inspect_screen
    from video_assets.run_config import read_settings
    from video_assets.sources.doubts import refuse_misread, why_empty, why_too_many_unusable
    from video_assets.sources.read import read_source
    from video_assets.sources.summary import summarize

    reading = read_settings(options.config, options.assignments).manifest
    _refuse_missing(options.source)
    found = read_source(options.source, reading)
    values: dict[str, Any] = {"source": str(options.source.absolute())}
    values |= summarize(found, multi_label=reading.multi_label).as_dict()
    error = why_empty(options.source, found) or why_too_many_unusable(found, reading)
    try:
        refuse_misread(found, reading)
    except SettingsError as refused:
        error = str(refused)
    if error:
        values["exit_code"] = EXIT_USAGE
    exit_code = end(options, values, inspect_screen, error)
    if error and not options.quiet:
        say_error(error)
    return exit_code


def _status(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.status import dataset_status
    from video_assets.report.screens import status_screen

    values = dataset_status(_paths(options))
    error = "" if values["is_valid"] else _failed_checks(values["checks"]) or "the dataset is not up to date"
    return end(options, values, status_screen, error)


def _show(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.show import show_clip
    from video_assets.report.screen_sections import clip_screen

    values = show_clip(paths := _paths(options), options.clip, options.picture)
    values["warnings"] = _warnings(paths)
    return end(options, values, clip_screen, "" if values["is_stored"] else f"{values['clip_id']} is not stored")


def _config(options: argparse.Namespace) -> int:
    from video_assets.pipeline.noted_settings import dataset_settings, noted_source
    from video_assets.run_config import as_defs_yaml, as_run_config_yaml

    paths = _paths(options)
    paths.refuse_missing()
    settings = dataset_settings(paths)
    run_config = as_run_config_yaml(settings)
    defs_yaml = as_defs_yaml(settings, name=paths.name, source=noted_source(paths), root=str(paths.root))
    if options.json:
        known = {"root": str(paths.root), "name": paths.name, "warnings": _warnings(paths)}
        values = {**known, "settings": settings.model_dump()}
        print_json({**values, "run_config": run_config, "defs_yaml": defs_yaml, "error": "", "exit_code": EXIT_OK})
    else:
        print(defs_yaml if options.format == "defs-yaml" else run_config, end="")
    return EXIT_OK


def _verify(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.verify import verify_dataset
    from video_assets.report.screens import verify_screen

    values = verify_dataset(_paths(options), all_records=options.all)
    return end(options, values, verify_screen, _failed_checks(values["checks"]))


def _repair(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.repair import run_repair
    from video_assets.report.screens import repair_screen

    if options.source is not None:
        _refuse_missing(options.source)
    values = run_repair(paths := _paths(options), options.source, num_workers=options.workers)
    values |= {"root": str(paths.root), "name": paths.name, "warnings": _warnings(paths)}
    error = "; ".join(entry["reason"] for entry in values["not_repaired"])
    return end(options, values, repair_screen, error)


def _recipe(options: argparse.Namespace) -> int:
    from video_assets.pipeline.plan.model_fit import committed_fit

    paths = _paths(options)
    paths.refuse_missing()
    recipe = committed_fit(paths, root=str(paths.root)).recipe(options.model, is_stream=options.stream)
    if options.json:
        known = {"root": str(paths.root), "name": paths.name, "warnings": _warnings(paths)}
        print_json({**known, "recipe": recipe, "error": "", "exit_code": EXIT_OK})
    else:
        print(recipe, end="")
    return EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.domain.checks import is_sound
    from video_assets.pipeline.upkeep.doctor import examine
    from video_assets.report.screens import doctor_screen
    from video_assets.run_config import read_settings

    reading = read_settings(options.config, options.assignments).manifest
    findings = examine(options.source, options.root, options.port, os.environ, reading)
    values = {"is_sound": is_sound(findings), "findings": [asdict(finding) for finding in findings]}
    problems = [finding for finding in findings if finding.state == "problem"]
    error = "; ".join(f"{finding.check}: {finding.found}" for finding in problems)
    return end(options, values, doctor_screen, error)


def _diff(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.pipeline.commit.changes import diff_versions
    from video_assets.report.screens import diff_screen

    values = asdict(diff_versions(options.before, options.after))
    return end(options, values, diff_screen)


def _prune(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.defs.graph import DatasetGraph
    from video_assets.defs.instance import named_instance_failures, open_instance
    from video_assets.defs.prune import prune, refuse_history_of_others
    from video_assets.pipeline.noted_settings import settings_in_force
    from video_assets.report.screens import prune_screen
    from video_assets.run_config import read_settings

    paths = _paths(options)
    paths.refuse_missing()
    refuse_history_of_others(paths)
    settings = settings_in_force(paths, read_settings(None, options.assignments)).dataset
    with named_instance_failures(paths), open_instance(paths) as instance:
        report = prune(instance, DatasetGraph.of_command(paths), paths, settings)
    values = {"root": str(paths.root), "name": paths.name, "warnings": _warnings(paths), **asdict(report)}
    return end(options, values, prune_screen)


def _sample(options: argparse.Namespace) -> int:
    from video_assets.media.sample_dataset import write_sample

    report = write_sample(options.directory)
    if not options.quiet:
        classes = counted(report.num_classes, "class", "classes")
        print(f"{counted(report.num_clips, 'clip')} of {classes} in {options.directory}")
    return EXIT_OK


def _ui(options: argparse.Namespace) -> int:
    from video_assets.defs.ui import serve_ui

    return serve_ui(_source(options), _paths(options), options.port, _environment(options), options.hosts)


def _completion(options: argparse.Namespace) -> int:
    from video_assets.report.help_text import completion_script
    from video_assets.run_config import setting_names

    choices = {
        option.names[-1]: [*option.keywords["choices"]]
        for command in COMMANDS
        for option in command.options
        if "choices" in option.keywords
    }
    print(completion_script(options.shell, COMMANDS, list(setting_names()), choices), end="")
    return EXIT_OK


RUNS: Mapping[str, Run] = {
    "build": _build,
    "inspect": _inspect,
    "plan": _plan,
    "status": _status,
    "show": _show,
    "config": _config,
    "verify": _verify,
    "repair": _repair,
    "recipe": _recipe,
    "diff": _diff,
    "doctor": _doctor,
    "prune": _prune,
    "sample": _sample,
    "ui": _ui,
    "generate-shell-completion": _completion,
}
