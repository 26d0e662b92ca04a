"""What the command line takes: commands, options, and how their values are read."""

import argparse
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from video_assets.domain.errors import SettingsError

DEFAULT_PORT = 3000
MODELS = ("a0", "a1", "a2", "a3", "a4", "a5")
Commands = Mapping[str, Callable[[argparse.Namespace], int]]
"""What does each command; gives the exit code."""


class WrongUsage(Exception):
    """The arguments cannot be read; carries the sentence and the usage of the command."""

    def __init__(self, sentence: str, usage: str) -> None:
        super().__init__(sentence)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """One that leaves it to the caller how wrong usage is told."""

    def error(self, message: str) -> NoReturn:
        """Stops the reading.

        Raises:
            WrongUsage: always.
        """
        raise WrongUsage(f"{self.prog}: error: {message}", self.format_usage())


def parser_of(commands: Commands) -> Parser:
    """The parser of all commands; each sets `run` to what does it."""
    parser = Parser(
        prog="video-assets", description="From labelled videos to a training-ready, validated TFRecord dataset."
    )
    parsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    build = _command(parsers, "build", commands, "build or grow a dataset, and check it")
    _add_source(build)
    _add_settings(build)
    _add_workers(build)
    _add_engine(build)
    build.add_argument(
        "--no-dagster",
        dest="dagster",
        action="store_false",
        help="tell no Dagster instance what was built; the UI then does not show it",
    )
    inspect = _command(parsers, "inspect", commands, "how a source would be read: classes, splits, what is missing")
    inspect.add_argument("source", type=_address, metavar="SOURCE", help="a folder of videos, or an annotation table")
    _add_settings(inspect)
    _add_json(inspect)
    plan = _command(parsers, "plan", commands, "a dry run: what would be built, bytes, minutes, shards")
    _add_source(plan)
    _add_settings(plan)
    plan.add_argument(
        "--budget",
        type=num_bytes,
        metavar="SIZE",
        help="choose the highest JPEG quality with which the dataset takes no more, such as 20GB; without unit: bytes",
    )
    _add_workers(plan)
    status = _command(parsers, "status", commands, "shards, checks and quarantine of a dataset")
    verify = _command(parsers, "verify", commands, "check what is on disk again")
    verify.add_argument("--all", action="store_true", help="look at every record instead of a sample")
    repair = _command(parsers, "repair", commands, "write damaged files again, from the source and from second copies")
    repair.add_argument(
        "--source",
        type=_address,
        metavar="S",
        help="where the videos are now; default: where they were when it was built",
    )
    _add_workers(repair)
    recipe = _command(
        parsers, "recipe", commands, "the settings with which TF Model Garden trains MoViNet from a dataset"
    )
    recipe.add_argument(
        "--model", choices=MODELS, default="", help="default: the one whose frames are nearest to the dataset's in size"
    )
    recipe.add_argument("--stream", action="store_true", help="the causal model, which can run frame by frame")
    for command in (build, plan, status, verify, repair, recipe):
        _add_root(command)
        _add_json(command)
    diff = _command(parsers, "diff", commands, "what changed between two version directories, in terms of clips")
    diff.add_argument("before", type=_address, metavar="A", help="a version directory, such as root/clips/1.0.0")
    diff.add_argument("after", type=_address, metavar="B", help="another")
    _add_json(diff)
    doctor = _command(parsers, "doctor", commands, "look at the set-up, and say what to mend")
    doctor.add_argument("--source", type=_address, metavar="S", help="also see that these videos can be read")
    doctor.add_argument("--root", type=_address, metavar="R", help="also see that datasets can be written there")
    doctor.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"of the UI; default: {DEFAULT_PORT}")
    _add_json(doctor)
    sample = _command(parsers, "sample", commands, "write a small labelled set of real encoded videos")
    sample.add_argument("directory", type=Path, metavar="DIR", help="where; made if it is not there")
    ui = _command(parsers, "ui", commands, "the Dagster UI of a dataset, on this machine only")
    _add_source(ui)
    _add_root(ui)
    _add_engine(ui)
    ui.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    ui.add_argument(
        "--allow-host",
        type=_host,
        action="append",
        default=[],
        metavar="NAME",
        dest="hosts",
        help="another name of this UI, NAME or NAME:PORT, as pages of a proxy have it; may be given again",
    )
    return parser


def _command(parsers: Any, name: str, commands: Commands, summary: str) -> argparse.ArgumentParser:
    command = parsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.set_defaults(run=commands[name])
    return command


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--source",
        type=_address,
        required=True,
        metavar="S",
        help="a folder of videos, as a public set or a folder per class, or an annotation table; see `inspect`",
    )


def _add_root(command: argparse.ArgumentParser) -> None:
    command.add_argument("--root", type=_address, required=True, metavar="R", help="the folder that holds datasets")
    command.add_argument("--name", default="clips", help="the dataset's name; default: clips")


def _add_workers(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--workers", type=_positive, default=0, metavar="N", help="decoding processes; default: one a core"
    )


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="the last line of standard output is one JSON object")


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


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports are numbers from 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    if not re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host name; give NAME or NAME:PORT, without https:// and path")
    return text.lower()


_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def num_bytes(text: str) -> float:
    r"""A size as people write it.

    >>> num_bytes("1.5 GB"), num_bytes("2MiB")
    (1500000000.0, 2097152.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if found is None or found[2] not in _UNITS or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500MB, 20GB or 1.5TiB")
    return float(found[1]) * _UNITS[found[2]]


def _address(text: str) -> Path:
    from video_assets.storage.addresses import open_address

    if not text.strip():  # it would mean the folder that the shell is in
        raise argparse.ArgumentTypeError("it is empty, as of a variable of the shell that is not set")
    try:
        return open_address(text)
    except SettingsError as error:
        raise argparse.ArgumentTypeError(without_secrets(str(error))) from error


def without_secrets(text: str) -> str:
    """The text without what the environment holds as secrets."""
    from video_assets.domain.text import redacted, secrets_of

    return redacted(text, secrets_of(os.environ))
