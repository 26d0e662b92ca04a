"""What an option and a command are, the values that options take, and the options that several commands share."""

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from video_assets.domain.errors import SettingsError

WRONG_USAGE: Final = "wrong usage, or a wrong setting"
_DONE: Final = {0: "done", 1: "refused, or something failed", 2: WRONG_USAGE, 130: "interrupted"}


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


class Command(NamedTuple):
    """One command: what it is for, what it takes, and examples of it."""

    name: str
    summary: str
    options: Sequence[Option] = ()
    examples: Sequence[str] = ()
    exit_codes: Mapping[int, str] = _DONE


# --- Values ---


def positive_number(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def port_number(text: str) -> int:
    """Return a TCP port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; ports are numbers from 1 to 65535")
    return int(text)


def host_name(text: str) -> str:
    """Return `NAME` or `NAME:PORT` in lower case."""
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


def address(text: str) -> Path:
    """Return the path of a place on disk or in a store."""
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


# --- Options that several commands take ---

DEFAULT_PORT: Final = 3000
PLACE_GROUP: Final = "Dataset"
SETTINGS_GROUP: Final = "Settings"
WORK_GROUP: Final = "Work"
SERVER_GROUP: Final = "Server"
OUTPUT_GROUP: Final = "Output"

HELP = Option(names=("-h", "--help"), words="Show this help", group=OUTPUT_GROUP, keywords={"action": "help"})
QUIET = Option(names=("-q", "--quiet"), words="Show errors only", group=OUTPUT_GROUP)
VERBOSE = Option(names=("-v", "--verbose"), words="Name everything that is lost or left out", group=OUTPUT_GROUP)
JSON = Option(names=("--json",), words="Print one JSON object as the last line of standard output", group=OUTPUT_GROUP)
GLOBAL_OPTIONS: Final = (
    Option(names=("-V", "--version"), words="Show the version", group="Options"),
    Option(names=("-h", "--help"), words="Show this help; after a command: the help of the command", group="Options"),
)
OUTPUTS: Final = (JSON, QUIET, VERBOSE, HELP)
SOURCE = Option(
    names=("--source",),
    value="<SOURCE>",
    group=PLACE_GROUP,
    words="Folder of videos, or annotation table [default: the source of the dataset that exists]",
    keywords={"type": address},
)
ROOT = Option(
    names=("--root",),
    value="<ROOT>",
    group=PLACE_GROUP,
    words="Folder that holds datasets: a path, s3://… or gs://…",
    is_required=True,
    keywords={"type": address},
)
NAME = Option(
    names=("--name",),
    value="<NAME>",
    group=PLACE_GROUP,
    words="Name of the dataset [default: clips]",
    keywords={"default": "clips"},
)
CONFIG = Option(
    names=("--config",),
    value="<FILE>",
    group=SETTINGS_GROUP,
    words="Run config in YAML, as Dagster's launchpad takes it",
    keywords={"type": Path},
)
SET = Option(
    names=("--set",),
    value="<STEP.FIELD=VALUE>",
    group=SETTINGS_GROUP,
    words="One setting, such as plan.encoding.num_frames=16; may be repeated. What is not given is the dataset's own, "
    "or the default of docs/SETTINGS.md for a new dataset",
    keywords={"action": "append", "default": [], "dest": "assignments"},
)
WORKERS = Option(
    names=("--workers",),
    value="<N>",
    group=WORK_GROUP,
    words="Decoding processes [default: one per core]",
    keywords={"type": positive_number, "default": 0},
)
ENGINE: Final = (
    Option(
        names=("--engine",),
        value="<ENGINE>",
        group=WORK_GROUP,
        words="Where shards are encoded: local or ray [default: local] [env: VIDEO_ASSETS_ENGINE]",
        keywords={"choices": ("local", "ray")},
    ),
    Option(
        names=("--ray-address",),
        value="<ADDRESS>",
        group=WORK_GROUP,
        words="A running Ray cluster: auto, or host:port [default: one is started] [env: VIDEO_ASSETS_RAY_ADDRESS]",
    ),
    Option(
        names=("--cpus-per-shard",),
        value="<N>",
        group=WORK_GROUP,
        words="Cores of one shard on Ray, and its decoding processes [default: 1] [env: VIDEO_ASSETS_CPUS_PER_SHARD]",
        keywords={"type": positive_number},
    ),
)
DATASET: Final = (ROOT, NAME)
port_option = partial(
    Option,
    names=("--port",),
    value="<PORT>",
    words=f"Port of the UI on 127.0.0.1 [default: {DEFAULT_PORT}]",
    keywords={"type": port_number, "default": DEFAULT_PORT},
)
