"""The command line. Only what a command needs is imported, so that `--help` is there at once."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from video_assets.arguments import COMMANDS, WrongUsage, parse, parser_of, without_secrets
from video_assets.domain.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    SettingsError,
    VideoAssetsError,
)
from video_assets.domain.text import sequence_of
from video_assets.report.help_text import has_colours, width_of

if TYPE_CHECKING:
    from video_assets.defs.report_thread import ReportThread
    from video_assets.environment import Environment
    from video_assets.report.progress import TerminalProgress
    from video_assets.report.terminal import Screen
    from video_assets.storage.paths import DatasetPaths

_INTERRUPTED = "interrupted; finished work is kept, and the same command continues from there"
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
    """Run a command; return its exit code: 0 done and valid, 1 refused or a check failed, 2 wrong usage or settings."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(given, _COMMANDS)
    except WrongUsage as error:
        _say_error(str(error))
        print(f"\n{error.hint}", file=sys.stderr)
        if "--json" in given:
            _print_json({"error": str(error), "exit_code": EXIT_USAGE})
        raise SystemExit(EXIT_USAGE) from None
    if options.version:
        return _version()
    if options.command is None:
        print(parser_of(_COMMANDS).format_help(), end="", file=sys.stderr)
        return EXIT_USAGE
    try:
        with _ended_by_signals():
            return options.run(options)
    except VideoAssetsError as error:
        exit_code = EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILED
        lost = getattr(error, "quarantined", None)  # of a dry run, whose tables are gone
        return _fail(options, str(error), exit_code, {} if lost is None else {"quarantined": lost})
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only cut off these words
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the cursor stands behind ^C
        return _fail(options, _INTERRUPTED, EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output is gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        from video_assets.storage.failures import failure_sentence

        return _fail(options, failure_sentence(error, doing="opened"), EXIT_FAILED)
    except Exception as error:
        _tell_scripts(options, f"a bug: {type(error).__name__}: {error}", EXIT_FAILED)
        raise


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Take a termination as Ctrl-C is taken: the command cleans up, and says that it was interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _version() -> int:
    from importlib.metadata import version

    print(f"video-assets {version('video_assets')}")
    return EXIT_OK


def _fail(
    options: argparse.Namespace, sentence: str, exit_code: int, more: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """Say why a command could not be done, to people and to scripts; return the exit code."""
    _say_error(sentence)
    _tell_scripts(options, sentence, exit_code, more)
    return exit_code


def _tell_scripts(
    options: argparse.Namespace, error: str, exit_code: int, more: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Print the object that `--json` promises, where there is nothing else to tell."""
    if not getattr(options, "json", False):
        return
    root = getattr(options, "root", None)
    known = {"root": str(root.absolute())} if root is not None else {}
    if options.run is _build and exit_code == EXIT_USAGE:
        known |= _NOTHING_BUILT
    _print_json({**known, **more, "error": error, "exit_code": exit_code})


def _say_error(sentence: str) -> None:
    from video_assets.report.terminal import paragraph

    text = paragraph(f"error: {sentence}", width=width_of(sys.stderr))
    if has_colours(sys.stderr):
        text = f"\x1b[1;31merror:\x1b[0m{text.removeprefix('error:')}"
    print(text, file=sys.stderr)


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


def _end(
    options: argparse.Namespace,
    result: Mapping[str, Any],
    screen: "Callable[[Mapping[str, Any]], Screen]",
    error: str = "",
) -> int:
    """Show what a command found, and end it: well, or with what makes it a failure."""
    from video_assets.report.terminal import show

    exit_code = result.get("exit_code", EXIT_FAILED if error else EXIT_OK)
    if not options.quiet:
        show(screen({**result, "verbose": options.verbose}), sys.stderr if options.json else sys.stdout)
    elif error:
        _say_error(error)
    if options.json:
        _print_json({**result, "error": error, "exit_code": exit_code})
    return exit_code


def _print_json(values: Mapping[str, Any]) -> None:
    print(without_secrets(json.dumps(values, ensure_ascii=True)))


def _failed_checks(checks: Sequence[Mapping[str, Any]]) -> str:
    """Return the checks that make a dataset invalid, as a sentence; empty where there is none."""
    from video_assets.report.screen_sections import invalidating

    failed = [f"{check['name']} {check.get('target', '')}".strip() for check in invalidating(checks)]
    return f"checks failed: {sequence_of(failed)}" if failed else ""


def _progress(options: argparse.Namespace, sentence: str, running: ExitStack) -> "TerminalProgress":
    """Begin to say how far a command has come, before anything is imported or read."""
    from video_assets.report.progress import TerminalProgress

    stream = running.enter_context(_quiet_stream() if options.quiet else _progress_stream())
    return running.enter_context(TerminalProgress(stream)).begin(sentence)


def _progress_stream() -> TextIO:
    """Return standard error under a descriptor of its own: descriptor 2 is silent while TensorFlow starts."""
    return os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace")


def _quiet_stream() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _build(options: argparse.Namespace) -> int:
    with ExitStack() as running:
        progress = _progress(options, f"Building {options.name} in {options.root}", running)
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
    return _end(options, values, build_screen, values["refused"] or _failed_checks(values["checks"]))


def _report_thread(paths: "DatasetPaths") -> "ReportThread":
    from video_assets.defs.report_thread import ReportThread

    return ReportThread(paths)


def _plan(options: argparse.Namespace) -> int:
    with ExitStack() as running:
        progress = _progress(options, f"Planning {options.name}", running)
        from video_assets.pipeline.dry_run import run_plan
        from video_assets.report.screens import plan_screen
        from video_assets.run_config import read_settings

        settings = read_settings(options.config, options.assignments)
        source, paths = _source(options), _paths(options)
        values = run_plan(
            source, paths, settings, num_workers=options.workers, budget_bytes=options.budget, progress=progress
        )
    values |= {"config": str(options.config or ""), "set": list(options.assignments)}
    return _end(options, values, plan_screen)


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
    exit_code = _end(options, values, inspect_screen, error)
    if error and not options.quiet:
        _say_error(error)
    return exit_code


def _status(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.status import dataset_status
    from video_assets.report.screens import status_screen

    values = dataset_status(_paths(options))
    error = "" if values["is_valid"] else _failed_checks(values["checks"]) or "the dataset is not up to date"
    return _end(options, values, status_screen, error)


def _show(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.show import show_clip
    from video_assets.report.source_screens import clip_screen

    values = show_clip(_paths(options), options.clip, options.picture)
    return _end(options, values, clip_screen, "" if values["is_stored"] else f"{values['clip_id']} is not stored")


def _config(options: argparse.Namespace) -> int:
    from video_assets.pipeline.noted_settings import dataset_settings, noted_source
    from video_assets.run_config import as_defs_yaml, as_run_config_yaml

    paths = _paths(options)
    paths.refuse_missing()
    settings = dataset_settings(paths)
    run_config = as_run_config_yaml(settings)
    defs_yaml = as_defs_yaml(settings, name=paths.name, source=noted_source(paths), root=str(paths.root))
    if options.json:
        values = {"root": str(paths.root), "name": paths.name, "settings": settings.model_dump()}
        _print_json({**values, "run_config": run_config, "defs_yaml": defs_yaml, "error": "", "exit_code": EXIT_OK})
    else:
        print(defs_yaml if options.format == "defs-yaml" else run_config, end="")
    return EXIT_OK


def _verify(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.verify import verify_dataset
    from video_assets.report.screens import verify_screen

    values = verify_dataset(_paths(options), all_records=options.all)
    return _end(options, values, verify_screen, _failed_checks(values["checks"]))


def _repair(options: argparse.Namespace) -> int:
    from video_assets.pipeline.upkeep.repair import run_repair
    from video_assets.report.screens import repair_screen

    if options.source is not None:
        _refuse_missing(options.source)
    values = run_repair(_paths(options), options.source, num_workers=options.workers)
    error = "; ".join(entry["reason"] for entry in values["not_repaired"])
    return _end(options, values, repair_screen, error)


def _recipe(options: argparse.Namespace) -> int:
    from video_assets.pipeline.plan.model_windows import committed_fit

    paths = _paths(options)
    recipe = committed_fit(paths, root=str(paths.root)).recipe(options.model, is_stream=options.stream)
    if options.json:
        _print_json({"recipe": recipe, "error": "", "exit_code": EXIT_OK})
    else:
        print(recipe, end="")
    return EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.domain.checks import is_sound
    from video_assets.pipeline.upkeep.doctor import examine
    from video_assets.report.screens import doctor_screen

    findings = examine(options.source, options.root, options.port, os.environ)
    values = {"is_sound": is_sound(findings), "findings": [asdict(finding) for finding in findings]}
    problems = [finding for finding in findings if finding.state == "problem"]
    error = "; ".join(f"{finding.check}: {finding.found}" for finding in problems)
    return _end(options, values, doctor_screen, error)


def _diff(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.pipeline.upkeep.diff import diff_versions
    from video_assets.report.screens import diff_screen

    values = asdict(diff_versions(options.before, options.after))
    return _end(options, values, diff_screen)


def _sample(options: argparse.Namespace) -> int:
    from video_assets.media.sample_dataset import write_sample

    report = write_sample(options.directory)
    if not options.quiet:
        print(f"{report.num_clips} clips of {report.num_classes} classes in {options.directory}")
    return EXIT_OK


def _ui(options: argparse.Namespace) -> int:
    from video_assets.defs.ui import serve_ui

    return serve_ui(_source(options), _paths(options), options.port, _environment(options), options.hosts)


def _completion(options: argparse.Namespace) -> int:
    from video_assets.report.completion import completion_script
    from video_assets.run_config import setting_names

    choices = {
        option.names[-1]: [*option.keywords["choices"]]
        for command in COMMANDS
        for option in command.options
        if "choices" in option.keywords
    }
    print(completion_script(options.shell, COMMANDS, list(setting_names()), choices), end="")
    return EXIT_OK


_COMMANDS = {
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
    "sample": _sample,
    "ui": _ui,
    "generate-shell-completion": _completion,
}


if __name__ == "__main__":
    sys.exit(main())
