"""Every command with its options, as data: parser, help and completion are made from it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from video_assets.cli.options import (
    WRONG_USAGE,
    Command,
    Option,
    address,
    host_name,
    num_bytes,
    port_number,
    positive_number,
)

DEFAULT_PORT: Final = 3000
MODELS: Final = ("a0", "a1", "a2", "a3", "a4", "a5")
SHELLS: Final = ("bash", "fish", "zsh")

_VALID: Final = {0: "done; the dataset is valid", 1: "refused, or a check failed", 2: WRONG_USAGE, 130: "interrupted"}

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
    keywords={"type": address},
)
_ROOT = Option(
    names=("--root",),
    value="<ROOT>",
    group=_PLACE,
    words="Folder that holds datasets: a path, s3://… or gs://…",
    is_required=True,
    keywords={"type": address},
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
    keywords={"type": positive_number, "default": 0},
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
        keywords={"type": positive_number},
    ),
)
_DATASET: Final = (_ROOT, _NAME)
_port_option = partial(
    Option,
    names=("--port",),
    value="<PORT>",
    words=f"Port of the UI on 127.0.0.1 [default: {DEFAULT_PORT}]",
    keywords={"type": port_number, "default": DEFAULT_PORT},
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
            _path("source", "<SOURCE>", "Folder of videos, or annotation table", address),
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
        exit_codes={0: "valid and complete", 1: "not valid, or not complete", 2: "wrong usage, or no such dataset"},
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
                keywords={"type": address},
            ),
            *_DATASET,
            _WORKERS,
            *_OUTPUTS,
        ),
        examples=("video-assets repair --root my-datasets",),
        exit_codes={0: "nothing is damaged now", 1: "something still is", 2: WRONG_USAGE, 130: "interrupted"},
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
            _path("before", "<BEFORE>", "A version directory, such as my-datasets/clips/1.0.0", address),
            _path("after", "<AFTER>", "Another one", address),
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
                keywords={"type": address},
            ),
            Option(
                names=("--root",),
                value="<ROOT>",
                group=_PLACE,
                words="Also try to write a dataset there",
                keywords={"type": address},
            ),
            _CONFIG,
            _SET,
            _port_option(group=_WORK),
            *_OUTPUTS,
        ),
        examples=("video-assets doctor --source my-videos --root my-datasets",),
        exit_codes={0: "no problem", 1: "something has to be fixed", 2: "wrong usage"},
    ),
    Command(
        name="prune",
        summary="Delete old runs and events from Dagster's history of a dataset",
        options=(*_DATASET, _SET, *_OUTPUTS),
        examples=(
            "video-assets prune --root my-datasets",
            "video-assets prune --root my-datasets --set dataset.history_runs=20",
        ),
        exit_codes={0: "done", 1: "Dagster's storage cannot be used", 2: WRONG_USAGE},
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
                keywords={"type": host_name, "action": "append", "default": [], "dest": "hosts"},
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
