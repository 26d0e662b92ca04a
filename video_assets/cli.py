"""The command line. Only what a command needs is imported, so that `--help` is there at once."""

import argparse
import gc
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_assets.domain.errors import SettingsError, VideoAssetsError

if TYPE_CHECKING:
    from video_assets.report.terminal import Screen

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
DEFAULT_PORT = 3000
_COLLECT_AFTER = 20_000
"""New objects between looks for garbage. Dagster and TensorFlow make hundreds of thousands that stay, and Python's 700
mean looking at them over and over: a sixth of the time of their import."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives its exit code: 0 done and valid, 1 refused or a check failed, 2 wrong usage or settings."""
    gc.set_threshold(_COLLECT_AFTER, 10, 10)
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except VideoAssetsError as error:
        _say_error(str(error))
        return EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILED
    except KeyboardInterrupt:
        _say_error("interrupted; what is finished is kept, and the same command goes on from there")
        return 130
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


def _without_secrets(text: str) -> str:
    from video_assets.domain.redaction import redacted, secrets_of

    return redacted(text, secrets_of(os.environ))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="video-assets", description="From labelled videos to a training-ready, validated TFRecord dataset."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    build = _command(commands, "build", _build, "build or grow a dataset, and check it")
    _add_source(build)
    _add_settings(build)
    build.add_argument(
        "--workers", type=_positive, default=0, metavar="N", help="decoding processes; default: one a core"
    )
    _add_engine(build)
    plan = _command(commands, "plan", _plan, "a dry run: what would be built, bytes, minutes, shards")
    _add_source(plan)
    _add_settings(plan)
    plan.add_argument(
        "--budget",
        type=_num_bytes,
        metavar="SIZE",
        help="choose the highest JPEG quality with which the dataset takes no more, such as 20GB",
    )
    plan.add_argument(
        "--workers", type=_positive, default=0, metavar="N", help="decoding processes; default: one a core"
    )
    status = _command(commands, "status", _status, "shards, checks and quarantine of a dataset")
    verify = _command(commands, "verify", _verify, "check what is on disk again")
    verify.add_argument("--all", action="store_true", help="look at every record instead of a sample")
    repair = _command(commands, "repair", _repair, "write damaged files again, from the source and from second copies")
    repair.add_argument(
        "--source",
        type=_address,
        metavar="S",
        help="where the videos are now; default: where they were when it was built",
    )
    repair.add_argument(
        "--workers", type=_positive, default=0, metavar="N", help="decoding processes; default: one a core"
    )
    for command in (build, plan, status, verify, repair):
        _add_root(command)
        command.add_argument("--json", action="store_true", help="the last line of standard output is one JSON object")
    diff = _command(commands, "diff", _diff, "what changed between two version directories, in terms of clips")
    diff.add_argument("before", type=_address, metavar="A", help="a version directory, such as root/clips/1.0.0")
    diff.add_argument("after", type=_address, metavar="B", help="another")
    diff.add_argument("--json", action="store_true", help="the last line of standard output is one JSON object")
    doctor = _command(commands, "doctor", _doctor, "look at the set-up, and say what to mend")
    doctor.add_argument("--source", type=Path, metavar="S", help="also see that these videos can be read")
    doctor.add_argument("--root", type=Path, metavar="R", help="also see that datasets can be written there")
    doctor.add_argument("--port", type=_positive, default=DEFAULT_PORT, help=f"of the UI; default: {DEFAULT_PORT}")
    doctor.add_argument("--json", action="store_true", help="the last line of standard output is one JSON object")
    sample = _command(commands, "sample", _sample, "write a small labelled set of real encoded videos")
    sample.add_argument("directory", type=Path, metavar="DIR", help="where; made if it is not there")
    ui = _command(commands, "ui", _ui, "the Dagster UI of a dataset, on this machine only")
    _add_source(ui)
    _add_root(ui)
    _add_engine(ui)
    ui.add_argument("--port", type=_positive, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], summary: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.set_defaults(run=run)
    return command


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source",
        type=_address,
        required=True,
        metavar="S",
        help="a folder with a folder per class, or a table (.csv, .parquet, .jsonl) whose paths are relative to it",
    )


def _add_root(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=_address, required=True, metavar="R", help="the folder that holds datasets")
    command.add_argument("--name", default="clips", help="the dataset's name; default: clips")


def _add_engine(command: argparse.ArgumentParser) -> None:
    """What is not given stays as the environment says (VIDEO_ASSETS_ENGINE and so on)."""
    command.add_argument(
        "--engine", choices=("local", "ray"), help="who builds shards: this machine (default), or a Ray cluster"
    )
    command.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of a running cluster: auto, host:port; else one is started",
    )
    command.add_argument(
        "--cpus-per-shard",
        type=_positive,
        metavar="N",
        help="cores of one shard on Ray, and its decoding processes; default: 1",
    )


def _name_engine(options: argparse.Namespace) -> None:
    from video_assets.defs.resources import CPUS_PER_SHARD_VARIABLE, ENGINE_VARIABLE, RAY_ADDRESS_VARIABLE

    given = {
        ENGINE_VARIABLE: options.engine,
        RAY_ADDRESS_VARIABLE: options.ray_address,
        CPUS_PER_SHARD_VARIABLE: options.cpus_per_shard,
    }
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})


def _add_settings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, metavar="FILE", help="run config in YAML, as the launchpad takes it")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="ASSET.FIELD=VALUE",
        dest="assignments",
        help="one setting, such as plan.encoding.resolution=172; may be given again",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def _num_bytes(text: str) -> float:
    r"""A size as people write it.

    >>> _num_bytes("1.5 GB"), _num_bytes("2MiB")
    (1500000000.0, 2097152.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if found is None or found[2] not in _UNITS or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500MB, 20GB or 1.5TiB")
    return float(found[1]) * _UNITS[found[2]]


def _address(text: str) -> Path:
    from video_assets.storage.addresses import open_address

    try:
        return open_address(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(_without_secrets(str(error))) from error


def _paths(options: argparse.Namespace):  # noqa: ANN202
    from video_assets.storage.paths import DatasetPaths

    return DatasetPaths(options.root.absolute(), options.name)


def _print_result(result: dict[str, Any], screen: "Screen", *, as_json: bool) -> None:
    from video_assets.report.terminal import show

    show(screen, sys.stderr if as_json else sys.stdout)
    if as_json:
        print(_without_secrets(json.dumps(result, ensure_ascii=True)))


def _build(options: argparse.Namespace) -> int:
    from video_assets.media.kept_pools import kept_pools
    from video_assets.media.pool import start_ahead
    from video_assets.pipeline.jobs import JOB_MODULES

    start_ahead(JOB_MODULES)  # on another core, while this process imports dagster
    with kept_pools():
        if options.config is None and not any(text.lstrip().startswith("manifest.") for text in options.assignments):
            from video_assets.pipeline.probe_ahead import probe_ahead

            probe_ahead(options.source, _paths(options), options.workers)
        return _build_with_dagster(options)


def _build_with_dagster(options: argparse.Namespace) -> int:
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


if __name__ == "__main__":
    sys.exit(main())
