"""What the command line takes: commands and options as data, from which parser, help and completion are made."""

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn

from video_assets.domain.errors import SettingsError
from video_assets.report.help_text import PROGRAM, command_help, program_help, usage_line

DEFAULT_PORT: Final = 3000
Run = Callable[[argparse.Namespace], int]
"""What does a command; gives the exit code."""
MODELS: Final = ("a0", "a1", "a2", "a3", "a4", "a5")
SHELLS: Final = ("bash", "fish", "zsh")


class WrongUsage(Exception):
    """The arguments cannot be read. `hint` is what follows the sentence: a tip, the usage, where there is help."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.hint = hint


class Option(NamedTuple):
    """One option, or a positional argument if its name has no dash. Without a value it is a switch."""

    names: Sequence[str]
    words: str
    value: str = ""
    group: str = "Options"
    is_required: bool = False
    keywords: Mapping[str, Any] = MappingProxyType({})

    @property
    def is_positional(self) -> bool:
        """Whether it is given by its place."""
        return not self.names[0].startswith("-")

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Let the parser take it."""
        keywords = dict(self.keywords)
        if not self.value and not self.is_positional:
            keywords.setdefault("action", "store_true")
        if self.is_required:
            keywords["required"] = True
        if self.value:
            keywords["metavar"] = self.value
        parser.add_argument(*self.names, help=self.words, **keywords)


_WRONG: Final = "wrong usage, or a wrong setting"
_DONE: Final = {0: "done", 1: "refused, or something failed", 2: _WRONG, 130: "interrupted"}
_VALID: Final = {0: "done; the dataset is valid", 1: "refused, or a check failed", 2: _WRONG, 130: "interrupted"}


class Command(NamedTuple):
    """One command: what it is for, what it takes, and examples of it."""

    name: str
    summary: str
    options: Sequence[Option] = ()
    examples: Sequence[str] = ()
    exit_codes: Mapping[int, str] = _DONE


class Parser(argparse.ArgumentParser):
    """One that shows help as `report.help_text` writes it, and leaves it to the caller how wrong usage is told."""

    def __init__(self, *, command: Command | None = None, **keywords: Any) -> None:
        super().__init__(add_help=command is None, **keywords)
        self.command = command

    def format_help(self) -> str:
        """Return the help of the command, or of the program."""
        return program_help(COMMANDS, GLOBAL_OPTIONS) if self.command is None else command_help(self.command)

    def format_usage(self) -> str:
        """Return the line that says what a call looks like."""
        return usage_line(self.command)

    def error(self, message: str) -> NoReturn:
        """Stop the reading.

        Raises:
            WrongUsage: always.
        """
        raise wrong_usage(message.removeprefix("argument "), self.command)


def wrong_usage(sentence: str, command: Command | None, tip: str = "") -> WrongUsage:
    """Return the error, with the tip, the usage, and how to get help."""
    where = PROGRAM if command is None else f"{PROGRAM} {command.name}"
    parts = [f"  tip: {tip}" if tip else "", usage_line(command), f"For more information, try '{where} --help'."]
    return WrongUsage(sentence, "\n\n".join(filter(None, parts)))


def parse(given: Sequence[str], runs: Mapping[str, Run]) -> argparse.Namespace:
    """Return what was given; `run` in it does the command.

    Raises:
        WrongUsage: if it cannot be read; a similar name is proposed.
    """
    word = next((argument for argument in given if not argument.startswith("-")), None)
    if word is not None and word not in runs:
        raise wrong_usage(f"unknown command '{word}'", None, _similar(word, list(runs), "command"))
    parser = parser_of(runs)
    options, unknown = parser.parse_known_args(given)
    if unknown:
        command = next((command for command in COMMANDS if command.name == options.command), None)
        taken = GLOBAL_OPTIONS if command is None else command.options
        names = [name for option in taken for name in option.names if name.startswith("--")]
        name = unknown[0].partition("=")[0]
        raise wrong_usage(f"unexpected argument '{unknown[0]}'", command, _similar(name, names, "option"))
    return options


def _similar(word: str, names: Sequence[str], kind: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"a similar {kind} exists: '{close[0]}'" if close else ""


def parser_of(runs: Mapping[str, Run]) -> Parser:
    """Return the parser of all commands; each sets `run` to what does it."""
    parser = Parser(prog=PROGRAM)
    parser.add_argument("-V", "--version", action="store_true", dest="version")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        added = parsers.add_parser(command.name, command=command)
        for option in command.options:
            option.add_to(added)
        added.set_defaults(run=runs[command.name])
    return parser


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
    r"""Return a size as people write it.

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
    """Return the text without what the environment holds as secrets."""
    from video_assets.domain.text import redacted, secrets_of

    return redacted(text, secrets_of(os.environ))


# --- Options ----------------------------------------------------------------------------------------------------------

_PLACE: Final = "Dataset"
_SETTINGS: Final = "Settings"
_WORK: Final = "Work"
_SERVER: Final = "Server"
_OUTPUT: Final = "Output"

_HELP = Option(names=("-h", "--help"), words="Show this help", group=_OUTPUT, keywords={"action": "help"})
_QUIET = Option(names=("-q", "--quiet"), words="Show errors only", group=_OUTPUT)
_VERBOSE = Option(names=("-v", "--verbose"), words="Name everything that is lost or left out", group=_OUTPUT)
_JSON = Option(names=("--json",), words="Print one JSON object as the last line of standard output", group=_OUTPUT)
GLOBAL_OPTIONS: Final = (
    Option(names=("-V", "--version"), words="Show the version", group="Options"),
    Option(names=("-h", "--help"), words="Show this help; after a command: the help of the command", group="Options"),
)
_OUTPUTS: Final = (_JSON, _QUIET, _VERBOSE, _HELP)
_SOURCE = Option(
    names=("--source",),
    value="<SOURCE>",
    group=_PLACE,
    words="Folder of videos, or annotation table [default: the source of the dataset that exists]",
    keywords={"type": _address},
)
_ROOT = Option(
    names=("--root",),
    value="<ROOT>",
    group=_PLACE,
    words="Folder that holds datasets: a path, s3://… or gs://…",
    is_required=True,
    keywords={"type": _address},
)
_NAME = Option(
    names=("--name",),
    value="<NAME>",
    group=_PLACE,
    words="Name of the dataset [default: clips]",
    keywords={"default": "clips"},
)
_CONFIG = Option(
    names=("--config",),
    value="<FILE>",
    group=_SETTINGS,
    words="Run config in YAML, as Dagster's launchpad takes it",
    keywords={"type": Path},
)
_SET = Option(
    names=("--set",),
    value="<STEP.FIELD=VALUE>",
    group=_SETTINGS,
    words="One setting, such as plan.encoding.num_frames=16; may be repeated. What is not given is the dataset's own, "
    "or the default of docs/SETTINGS.md for a new dataset",
    keywords={"action": "append", "default": [], "dest": "assignments"},
)
_WORKERS = Option(
    names=("--workers",),
    value="<N>",
    group=_WORK,
    words="Decoding processes [default: one per core]",
    keywords={"type": _positive, "default": 0},
)
_ENGINE: Final = (
    Option(
        names=("--engine",),
        value="<ENGINE>",
        group=_WORK,
        words="Where shards are encoded: local or ray [default: local] [env: VIDEO_ASSETS_ENGINE]",
        keywords={"choices": ("local", "ray")},
    ),
    Option(
        names=("--ray-address",),
        value="<ADDRESS>",
        group=_WORK,
        words="A running Ray cluster: auto, or host:port [default: one is started] [env: VIDEO_ASSETS_RAY_ADDRESS]",
    ),
    Option(
        names=("--cpus-per-shard",),
        value="<N>",
        group=_WORK,
        words="Cores of one shard on Ray, and its decoding processes [default: 1] [env: VIDEO_ASSETS_CPUS_PER_SHARD]",
        keywords={"type": _positive},
    ),
)
_DATASET: Final = (_ROOT, _NAME)
_port_option = partial(
    Option,
    names=("--port",),
    value="<PORT>",
    words=f"Port of the UI on 127.0.0.1 [default: {DEFAULT_PORT}]",
    keywords={"type": _port, "default": DEFAULT_PORT},
)


def _path(name: str, value: str, words: str, kind: Callable[[str], Path] = Path) -> Option:
    return Option(names=(name,), value=value, words=words, group="Arguments", keywords={"type": kind})


COMMANDS: Final = (
    Command(
        name="build",
        summary="Build or grow a dataset, and check it",
        options=(
            _SOURCE,
            *_DATASET,
            _CONFIG,
            _SET,
            _WORKERS,
            *_ENGINE,
            Option(
                names=("--no-dagster",),
                words="Report nothing to Dagster; the UI then does not show this build",
                group=_WORK,
                keywords={"action": "store_false", "dest": "dagster"},
            ),
            *_OUTPUTS,
        ),
        examples=(
            "video-assets build --source my-videos --root my-datasets",
            "video-assets build --root my-datasets                      # what is new since then",
            "video-assets build --source my-videos --root my-datasets --set plan.encoding.num_frames=16",
        ),
        exit_codes=_VALID,
    ),
    Command(
        name="inspect",
        summary="Show how a source would be read: classes, splits, what is missing",
        options=(
            _path("source", "<SOURCE>", "Folder of videos, or annotation table", _address),
            _CONFIG,
            _SET,
            *_OUTPUTS,
        ),
        examples=(
            "video-assets inspect my-videos",
            "video-assets inspect my-table.csv --set 'manifest.columns={path: file, label: tag}'",
        ),
        exit_codes={0: "it can be built", 2: "it would be refused; or wrong usage"},
    ),
    Command(
        name="plan",
        summary="Show what a build would do, without doing it: clips, bytes, minutes, shards",
        options=(
            _SOURCE,
            *_DATASET,
            _CONFIG,
            _SET,
            Option(
                names=("--budget",),
                value="<SIZE>",
                group=_SETTINGS,
                words="Choose the highest JPEG quality with which the dataset takes no more, such as 20GB",
                keywords={"type": num_bytes},
            ),
            _WORKERS,
            *_OUTPUTS,
        ),
        examples=("video-assets plan --source my-videos --root my-datasets --budget 20GB",),
    ),
    Command(
        name="status",
        summary="Show shards, checks, lost clips and settings of a dataset",
        options=(*_DATASET, *_OUTPUTS),
        examples=("video-assets status --root my-datasets",),
        exit_codes={0: "valid and complete", 1: "not", 2: "wrong usage, or no such dataset"},
    ),
    Command(
        name="show",
        summary="Show one clip: its frames as a picture, its split and why, times, source",
        options=(
            Option(names=("clip",), value="<CLIP>", words="Id of the clip, or the end of one", group="Arguments"),
            *_DATASET,
            Option(
                names=("--picture",),
                value="<FILE>",
                group=_OUTPUT,
                words="Where to write its frames as a PNG [default: <CLIP>.png, here]",
                keywords={"type": Path},
            ),
            *_OUTPUTS,
        ),
        examples=("video-assets show run/v_run_g01_c01.avi --root my-datasets",),
        exit_codes={0: "it is stored", 1: "it is not", 2: "wrong usage, or no such clip"},
    ),
    Command(
        name="config",
        summary="Print the settings of a dataset, to build another one like it",
        options=(
            *_DATASET,
            Option(
                names=("--format",),
                value="<FORMAT>",
                group=_OUTPUT,
                words="run-config: for --config and the launchpad; defs-yaml: for a Dagster project "
                "[default: run-config]",
                keywords={"choices": ("run-config", "defs-yaml"), "default": "run-config"},
            ),
            _JSON,
            _HELP,
        ),
        examples=(
            "video-assets config --root my-datasets > run.yaml",
            "video-assets config --root my-datasets --format defs-yaml > defs.yaml",
        ),
    ),
    Command(
        name="verify",
        summary="Check what is on disk again",
        options=(
            *_DATASET,
            Option(names=("--all",), words="Read every record instead of a sample", group=_WORK),
            *_OUTPUTS,
        ),
        examples=("video-assets verify --root my-datasets --all",),
        exit_codes=_VALID,
    ),
    Command(
        name="repair",
        summary="Write damaged files again, from the source and from second copies",
        options=(
            Option(
                names=("--source",),
                value="<SOURCE>",
                group=_PLACE,
                words="Where the videos are now [default: where they were when it was built]",
                keywords={"type": _address},
            ),
            *_DATASET,
            _WORKERS,
            *_OUTPUTS,
        ),
        examples=("video-assets repair --root my-datasets",),
        exit_codes={0: "nothing is damaged now", 1: "something still is", 2: _WRONG, 130: "interrupted"},
    ),
    Command(
        name="recipe",
        summary="Print the settings with which TF Model Garden trains MoViNet from a dataset",
        options=(
            *_DATASET,
            Option(
                names=("--model",),
                value="<MODEL>",
                words="a0 to a5 [default: the one whose frames are nearest to the dataset's in size]",
                group=_WORK,
                keywords={"choices": MODELS, "default": ""},
            ),
            Option(names=("--stream",), words="The causal model, which can run frame by frame", group=_WORK),
            _JSON,
            _HELP,
        ),
        examples=("video-assets recipe --root my-datasets --model a2",),
    ),
    Command(
        name="diff",
        summary="Show what changed between two versions of a dataset",
        options=(
            _path("before", "<BEFORE>", "A version directory, such as my-datasets/clips/1.0.0", _address),
            _path("after", "<AFTER>", "Another one", _address),
            *_OUTPUTS,
        ),
        examples=("video-assets diff my-datasets/clips/1.0.0 my-datasets/clips/1.1.0",),
    ),
    Command(
        name="doctor",
        summary="Look at the set-up, and say what to fix",
        options=(
            Option(
                names=("--source",),
                value="<SOURCE>",
                group=_PLACE,
                words="Also try to read these videos",
                keywords={"type": _address},
            ),
            Option(
                names=("--root",),
                value="<ROOT>",
                group=_PLACE,
                words="Also try to write a dataset there",
                keywords={"type": _address},
            ),
            _port_option(group=_WORK),
            *_OUTPUTS,
        ),
        examples=("video-assets doctor --source my-videos --root my-datasets",),
        exit_codes={0: "no problem", 1: "something has to be fixed", 2: "wrong usage"},
    ),
    Command(
        name="sample",
        summary="Write a small labelled set of real encoded videos",
        options=(_path("directory", "<DIR>", "Where; made if it is not there"), _QUIET, _HELP),
        examples=("video-assets sample sample-videos",),
    ),
    Command(
        name="ui",
        summary="Serve the Dagster UI of a dataset and its automation, on this machine only",
        options=(
            _SOURCE,
            *_DATASET,
            *_ENGINE,
            _port_option(group=_SERVER),
            Option(
                names=("--allow-host",),
                value="<NAME>",
                words="Another name of this UI, NAME or NAME:PORT, as pages of a proxy have it; may be repeated",
                group=_SERVER,
                keywords={"type": _host, "action": "append", "default": [], "dest": "hosts"},
            ),
            _HELP,
        ),
        examples=("video-assets ui --source my-videos --root my-datasets",),
    ),
    Command(
        name="generate-shell-completion",
        summary="Print a completion script for a shell",
        options=(
            Option(
                names=("shell",),
                value="<SHELL>",
                words="bash, fish or zsh",
                group="Arguments",
                keywords={"choices": SHELLS},
            ),
            _HELP,
        ),
        examples=('eval "$(video-assets generate-shell-completion bash)"',),
    ),
)
