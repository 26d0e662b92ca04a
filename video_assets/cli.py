"""The command line. Only what a command needs is imported, so that `--help` is there at once."""

import argparse
import atexit
import gc
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_assets.arguments import parser_of, without_secrets
from video_assets.domain.errors import SettingsError, VideoAssetsError

if TYPE_CHECKING:
    from video_assets.report.terminal import Screen
    from video_assets.storage.paths import DatasetPaths

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
_COLLECT_AFTER = 20_000
"""New objects between looks for garbage. Dagster and TensorFlow make hundreds of thousands that stay, and Python's 700
mean looking at them over and over: a sixth of the time of their import."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives its exit code: 0 done and valid, 1 refused or a check failed, 2 wrong usage or settings."""
    gc.set_threshold(_COLLECT_AFTER, 10, 10)
    atexit.register(gc.freeze)  # Python looks through all of them once more before it ends: a second, for nothing
    options = parser_of(_COMMANDS).parse_args(arguments)
    try:
        return options.run(options)
    except VideoAssetsError as error:
        _say_error(str(error))
        return EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILED
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it again would stop just the words and the end
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the cursor stands in a bar, behind ^C
        _say_error("interrupted; what is finished is kept, and the same command goes on from there")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has left; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        from video_assets.storage.failures import failure_sentence

        _say_error(failure_sentence(error, doing="opened"))
        return EXIT_FAILED


def _say_error(sentence: str) -> None:
    from video_assets.report.terminal import paragraph

    print(paragraph(f"video-assets: {sentence}"), file=sys.stderr)


def _name_engine(options: argparse.Namespace) -> None:
    from video_assets.defs.resources import CPUS_PER_SHARD_VARIABLE, ENGINE_VARIABLE, RAY_ADDRESS_VARIABLE

    given = {
        ENGINE_VARIABLE: options.engine,
        RAY_ADDRESS_VARIABLE: options.ray_address,
        CPUS_PER_SHARD_VARIABLE: options.cpus_per_shard,
    }
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})


def _paths(options: argparse.Namespace) -> "DatasetPaths":
    from video_assets.storage.paths import DatasetPaths

    return DatasetPaths(options.root.absolute(), options.name)


def _print_result(result: dict[str, Any], screen: "Screen", *, as_json: bool) -> None:
    from video_assets.report.terminal import show

    show(screen, sys.stderr if as_json else sys.stdout)
    if as_json:
        print(without_secrets(json.dumps(result, ensure_ascii=True)))


def _build(options: argparse.Namespace) -> int:
    from video_assets.media.pool import start_ahead
    from video_assets.pipeline.jobs import JOB_MODULES

    start_ahead(JOB_MODULES)  # on another core, while this process imports dagster
    from video_assets.defs.settings_file import read_run_config

    run_config = read_run_config(options.config, options.assignments)
    paths = _paths(options)
    _refuse_missing(options.source)
    from video_assets.defs.build import run_build
    from video_assets.report.screens import build_screen

    _name_engine(options)
    result = run_build(options.source, paths, run_config, num_workers=options.workers)
    values = result.as_dict()
    _print_result(values, build_screen(values), as_json=options.json)
    return result.exit_code


def _refuse_missing(source: Path) -> None:
    if not source.exists():
        raise SettingsError(f"the source {source} is not there")


def _plan(options: argparse.Namespace) -> int:
    from video_assets.defs.dry_run import run_plan
    from video_assets.defs.settings_file import read_run_config
    from video_assets.report.screens import plan_screen

    run_config = read_run_config(options.config, options.assignments)
    _refuse_missing(options.source)
    values = run_plan(
        options.source, _paths(options), run_config, num_workers=options.workers, budget_bytes=options.budget
    )
    values |= {"config": str(options.config or ""), "set": list(options.assignments)}
    _print_result(values, plan_screen(values), as_json=options.json)
    return EXIT_OK


def _status(options: argparse.Namespace) -> int:
    from video_assets.defs.status import dataset_status
    from video_assets.report.screens import status_screen

    values = dataset_status(_paths(options))
    _print_result(values, status_screen(values), as_json=options.json)
    return EXIT_OK if values["is_valid"] else EXIT_FAILED


def _verify(options: argparse.Namespace) -> int:
    from video_assets.pipeline.verify_dataset import verify_dataset
    from video_assets.report.screens import verify_screen

    values = verify_dataset(_paths(options), all_records=options.all)
    _print_result(values, verify_screen(values), as_json=options.json)
    return EXIT_OK if values["is_valid"] else EXIT_FAILED


def _repair(options: argparse.Namespace) -> int:
    from video_assets.pipeline.repair_command import run_repair
    from video_assets.report.screens import repair_screen

    if options.source is not None:
        _refuse_missing(options.source)
    values = run_repair(_paths(options), options.source, num_workers=options.workers)
    _print_result(values, repair_screen(values), as_json=options.json)
    return EXIT_FAILED if values["not_repaired"] else EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.domain.findings import is_sound
    from video_assets.pipeline.doctor import examine
    from video_assets.report.screens import doctor_screen

    findings = examine(options.source, options.root, options.port, os.environ)
    values = {"is_sound": is_sound(findings), "findings": [asdict(finding) for finding in findings]}
    _print_result(values, doctor_screen(values), as_json=options.json)
    return EXIT_OK if values["is_sound"] else EXIT_FAILED


def _diff(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from video_assets.pipeline.diff import diff_versions
    from video_assets.report.screens import diff_screen

    values = asdict(diff_versions(options.before, options.after))
    _print_result(values, diff_screen(values), as_json=options.json)
    return EXIT_OK


def _sample(options: argparse.Namespace) -> int:
    from video_assets.media.sample import write_sample

    report = write_sample(options.directory)
    print(f"{report.num_clips} clips of {report.num_classes} classes in {options.directory}")
    return EXIT_OK


def _ui(options: argparse.Namespace) -> int:
    from video_assets.defs.ui import serve_ui

    _refuse_missing(options.source)
    _name_engine(options)
    return serve_ui(options.source, _paths(options), options.port)


_COMMANDS = {
    "build": _build,
    "plan": _plan,
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
