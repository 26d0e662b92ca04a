"""The command line. Only what a command needs is imported, so that `--help` is there at once."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TextIO

from video_assets.arguments import WrongUsage, parser_of, without_secrets
from video_assets.domain.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    SettingsError,
    VideoAssetsError,
)
from video_assets.domain.text import sequence_of

if TYPE_CHECKING:
    from video_assets.defs.report_thread import ReportThread
    from video_assets.environment import Environment
    from video_assets.report.terminal import Screen
    from video_assets.storage.paths import DatasetPaths

_INTERRUPTED = "interrupted; what is finished is kept, and the same command goes on from there"
_NOTHING_BUILT: Mapping[str, Any] = {
    "source_format": "",
    "warnings": [],
    "version_dir": "",
    "splits": {},
    "clips_encoded": 0,
    "clips_reused": 0,
    "shards_written": 0,
    "shards_reused": 0,
    "shards_replaced": [],
    "quarantined": [],
    "checks": [],
    "seconds": 0.0,
}
"""What `build --json` promises, of one whose settings were refused before it began."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives its exit code: 0 done and valid, 1 refused or a check failed, 2 wrong usage or settings."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parser_of(_COMMANDS).parse_args(given)
    except WrongUsage as error:
        print(f"{error.usage}{error}", file=sys.stderr)
        if "--json" in given:
            _print_json({"error": str(error), "exit_code": EXIT_USAGE})
        raise SystemExit(EXIT_USAGE) from None
    try:
        return options.run(options)
    except VideoAssetsError as error:
        exit_code = EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILED
        lost = getattr(error, "quarantined", None)  # of a dry run, whose tables are gone
        return _fail(options, str(error), exit_code, {} if lost is None else {"quarantined": lost})
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it again would stop just the words and the end
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the cursor stands in a bar, behind ^C
        return _fail(options, _INTERRUPTED, EXIT_INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has left; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        from video_assets.storage.failures import failure_sentence

        return _fail(options, failure_sentence(error, doing="opened"), EXIT_FAILED)
    except Exception as error:
        _tell_scripts(options, f"a bug: {type(error).__name__}: {error}", EXIT_FAILED)
        raise


def _fail(
    options: argparse.Namespace, sentence: str, exit_code: int, more: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """Says why a command could not be done, to people and to scripts; gives the exit code."""
    _say_error(sentence)
    _tell_scripts(options, sentence, exit_code, more)
    return exit_code


def _tell_scripts(
    options: argparse.Namespace, error: str, exit_code: int, more: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """The object that `--json` promises, where there is nothing else to tell."""
    if not getattr(options, "json", False):
        return
    root = getattr(options, "root", None)
    known = {"root": str(root.absolute())} if root is not None else {}
    if options.run is _build and exit_code == EXIT_USAGE:
        known |= _NOTHING_BUILT
    _print_json({**known, **more, "error": error, "exit_code": exit_code})


def _say_error(sentence: str) -> None:
    from video_assets.report.terminal import paragraph

    print(paragraph(f"video-assets: {sentence}"), file=sys.stderr)


def _environment(options: argparse.Namespace) -> "Environment":
    """Return what the environment says of the engine, or the options where they are given."""
    from video_assets.environment import Environment

    given = {name: getattr(options, name) for name in ("engine", "ray_address", "cpus_per_shard")}
    chosen = {name: value for name, value in given.items() if value is not None}
    return Environment.read(os.environ).model_copy(update=chosen)


def _paths(options: argparse.Namespace) -> "DatasetPaths":
    from video_assets.storage.paths import DatasetPaths

    return DatasetPaths(options.root.absolute(), options.name)


def _end(options: argparse.Namespace, result: Mapping[str, Any], screen: "Screen", error: str = "") -> int:
    """Shows what a command found, and ends it: well, or with what makes it a failure."""
    from video_assets.report.terminal import show

    exit_code = result.get("exit_code", EXIT_FAILED if error else EXIT_OK)
    show(screen, sys.stderr if options.json else sys.stdout)
    if options.json:
        _print_json({**result, "error": error, "exit_code": exit_code})
    return exit_code


def _print_json(values: Mapping[str, Any]) -> None:
    print(without_secrets(json.dumps(values, ensure_ascii=True)))


def _failed_checks(checks: Sequence[Mapping[str, Any]]) -> str:
    """The checks that make a dataset invalid, as a sentence; empty where there is none."""
    from video_assets.report.screen_sections import invalidating

    failed = [f"{check['name']} {check.get('target', '')}".strip() for check in invalidating(checks)]
    return f"checks failed: {sequence_of(failed)}" if failed else ""


def _build(options: argparse.Namespace) -> int:
    from video_assets.pipeline.build_command import run_build
    from video_assets.report.screens import build_screen
    from video_assets.report.terminal import TerminalProgress
    from video_assets.run_config import read_settings

    settings = read_settings(options.config, options.assignments)
    paths = _paths(options)
    _refuse_missing(options.source)
    with ExitStack() as reporting:
        listeners = [reporting.enter_context(_report_thread(paths))] if options.dagster else []
        result = run_build(
            options.source,
            paths,
            settings,
            num_workers=options.workers,
            engine=_environment(options).shard_engine(),
            progress=TerminalProgress(reporting.enter_context(_progress_stream())),
            listeners=listeners,
        )
    values = result.as_dict()
    return _end(options, values, build_screen(values), values["refused"] or _failed_checks(values["checks"]))


def _progress_stream() -> TextIO:
    """Return standard error under a descriptor of its own: descriptor 2 is silent while TensorFlow starts."""
    return os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace")


def _report_thread(paths: "DatasetPaths") -> "ReportThread":
    from video_assets.defs.report_thread import ReportThread

    return ReportThread(paths)


def _refuse_missing(source: Path) -> None:
    if not source.exists():
        raise SettingsError(f"the source {source} is not there")


def _plan(options: argparse.Namespace) -> int:
    from video_assets.pipeline.dry_run import run_plan
    from video_assets.report.screens import plan_screen
    from video_assets.run_config import read_settings

    settings = read_settings(options.config, options.assignments)
    _refuse_missing(options.source)
    values = run_plan(
        options.source, _paths(options), settings, num_workers=options.workers, budget_bytes=options.budget
    )
    values |= {"config": str(options.config or ""), "set": list(options.assignments)}
    return _end(options, values, plan_screen(values))


def _recipe(options: argparse.Namespace) -> int:
    from video_assets.pipeline.plan.model_windows import committed_fit

    paths = _paths(options)
    recipe = committed_fit(paths, root=str(paths.root)).recipe(options.model, is_stream=options.stream)
    if options.json:
        _print_json({"recipe": recipe, "error": "", "exit_code": EXIT_OK})
    else:
        print(recipe, end="")
    return EXIT_OK


def _inspect(options: argparse.Namespace) -> int:
    from video_assets.report.source_screens import inspect_screen
    from video_assets.run_config import read_settings
    from video_assets.sources.doubts import refuse_doubtful, refuse_missing
    from video_assets.sources.read import read_source
    from video_assets.sources.summary import summarize

    reading = read_settings(options.config, options.assignments).manifest
    _refuse_missing(options.source)
    found = read_source(options.source, reading)
    values: dict[str, Any] = {"source": str(options.source.absolute())}
    values |= summarize(found, multi_label=reading.multi_label).as_dict()
    error = ""
    try:
        refuse_doubtful(found, reading)
        refuse_missing(found, reading)
    except SettingsError as refused:
        error, values["exit_code"] = str(refused), EXIT_USAGE
    exit_code = _end(options, values, inspect_screen(values), error)
    if error:
        _say_error(error)
    return exit_code


def _status(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.status import dataset_status
    from video_assets.report.screens import status_screen

    values = dataset_status(_paths(options))
    error = "" if values["is_valid"] else _failed_checks(values["checks"]) or "the dataset is not up to date"
    return _end(options, values, status_screen(values), error)


def _verify(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.verify import verify_dataset
    from video_assets.report.screens import verify_screen

    values = verify_dataset(_paths(options), all_records=options.all)
    return _end(options, values, verify_screen(values), _failed_checks(values["checks"]))


def _repair(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.repair import run_repair
    from video_assets.report.screens import repair_screen

    if options.source is not None:
        _refuse_missing(options.source)
    values = run_repair(_paths(options), options.source, num_workers=options.workers)
    error = "; ".join(entry["reason"] for entry in values["not_repaired"])
    return _end(options, values, repair_screen(values), error)


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.domain.checks import is_sound
    from video_assets.pipeline.upkeep.doctor import examine
    from video_assets.report.screens import doctor_screen

    findings = examine(options.source, options.root, options.port, os.environ)
    values = {"is_sound": is_sound(findings), "findings": [asdict(finding) for finding in findings]}
    problems = [finding for finding in findings if finding.state == "problem"]
    error = "; ".join(f"{finding.check}: {finding.found}" for finding in problems)
    return _end(options, values, doctor_screen(values), error)


def _diff(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.pipeline.upkeep.diff import diff_versions
    from video_assets.report.screens import diff_screen

    values = asdict(diff_versions(options.before, options.after))
    return _end(options, values, diff_screen(values))


def _sample(options: argparse.Namespace) -> int:
    from video_assets.media.sample_dataset import write_sample

    report = write_sample(options.directory)
    print(f"{report.num_clips} clips of {report.num_classes} classes in {options.directory}")
    return EXIT_OK


def _ui(options: argparse.Namespace) -> int:
    from video_assets.defs.ui import serve_ui

    _refuse_missing(options.source)
    return serve_ui(options.source, _paths(options), options.port, _environment(options), options.hosts)


_COMMANDS = {
    "build": _build,
    "inspect": _inspect,
    "plan": _plan,
    "recipe": _recipe,
    "status": _status,
    "verify": _verify,
    "repair": _repair,
    "diff": _diff,
    "doctor": _doctor,
    "sample": _sample,
    "ui": _ui,
}


if __name__ == "__main__":
    sys.exit(main())
