"""Every command with its options, as data: parser, help and completion are made from it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from video_assets.cli.options import (
    CONFIG,
    DATASET,
    ENGINE,
    HELP,
    JSON,
    OUTPUT_GROUP,
    OUTPUTS,
    PLACE_GROUP,
    QUIET,
    SERVER_GROUP,
    SET,
    SETTINGS_GROUP,
    SOURCE,
    WORK_GROUP,
    WORKERS,
    WRONG_USAGE,
    Command,
    Option,
    address,
    host_name,
    num_bytes,
    port_option,
)

MODELS: Final = ("a0", "a1", "a2", "a3", "a4", "a5")
SHELLS: Final = ("bash", "fish", "zsh")

_VALID: Final = {0: "done; the dataset is valid", 1: "refused, or a check failed", 2: WRONG_USAGE, 130: "interrupted"}


def _path(name: str, value: str, words: str, kind: Callable[[str], Path] = Path) -> Option:
    return Option(names=(name,), value=value, words=words, group="Arguments", keywords={"type": kind})


COMMANDS: Final = (
    Command(
        name="build",
        summary="Build or grow a dataset, and check it",
        options=(
            SOURCE,
            *DATASET,
            CONFIG,
            SET,
            WORKERS,
            *ENGINE,
            Option(
                names=("--no-dagster",),
                words="Report nothing to Dagster; the UI then does not show this build",
                group=WORK_GROUP,
                keywords={"action": "store_false", "dest": "dagster"},
            ),
            *OUTPUTS,
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
            CONFIG,
            SET,
            *OUTPUTS,
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
            SOURCE,
            *DATASET,
            CONFIG,
            SET,
            Option(
                names=("--budget",),
                value="<SIZE>",
                group=SETTINGS_GROUP,
                words="Choose the highest JPEG quality with which the dataset takes no more, such as 20GB",
                keywords={"type": num_bytes},
            ),
            WORKERS,
            *OUTPUTS,
        ),
        examples=("video-assets plan --source my-videos --root my-datasets --budget 20GB",),
    ),
    Command(
        name="status",
        summary="Show shards, checks, lost clips and settings of a dataset",
        options=(*DATASET, *OUTPUTS),
        examples=("video-assets status --root my-datasets",),
        exit_codes={0: "valid and complete", 1: "not valid, or not complete", 2: "wrong usage, or no such dataset"},
    ),
    Command(
        name="show",
        summary="Show one clip: its frames as a picture, its split and why, times, source",
        options=(
            Option(names=("clip",), value="<CLIP>", words="Id of the clip, or the end of one", group="Arguments"),
            *DATASET,
            Option(
                names=("--picture",),
                value="<FILE>",
                group=OUTPUT_GROUP,
                words="Where to write its frames as a PNG [default: <CLIP>.png, here]",
                keywords={"type": Path},
            ),
            *OUTPUTS,
        ),
        examples=("video-assets show run/v_run_g01_c01.avi --root my-datasets",),
        exit_codes={0: "it is stored", 1: "it is not", 2: "wrong usage, or no such clip"},
    ),
    Command(
        name="config",
        summary="Print the settings of a dataset, to build another one like it",
        options=(
            *DATASET,
            Option(
                names=("--format",),
                value="<FORMAT>",
                group=OUTPUT_GROUP,
                words="run-config: for --config and the launchpad; defs-yaml: for a Dagster project "
                "[default: run-config]",
                keywords={"choices": ("run-config", "defs-yaml"), "default": "run-config"},
            ),
            JSON,
            HELP,
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
            *DATASET,
            Option(names=("--all",), words="Read every record instead of a sample", group=WORK_GROUP),
            *OUTPUTS,
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
                group=PLACE_GROUP,
                words="Where the videos are now [default: where they were when it was built]",
                keywords={"type": address},
            ),
            *DATASET,
            WORKERS,
            *OUTPUTS,
        ),
        examples=("video-assets repair --root my-datasets",),
        exit_codes={0: "nothing is damaged now", 1: "something still is", 2: WRONG_USAGE, 130: "interrupted"},
    ),
    Command(
        name="recipe",
        summary="Print the settings with which TF Model Garden trains MoViNet from a dataset",
        options=(
            *DATASET,
            Option(
                names=("--model",),
                value="<MODEL>",
                words="a0 to a5 [default: the one whose frames are nearest to the dataset's in size]",
                group=WORK_GROUP,
                keywords={"choices": MODELS, "default": ""},
            ),
            Option(names=("--stream",), words="The causal model, which can run frame by frame", group=WORK_GROUP),
            JSON,
            HELP,
        ),
        examples=("video-assets recipe --root my-datasets --model a2",),
    ),
    Command(
        name="diff",
        summary="Show what changed between two versions of a dataset",
        options=(
            _path("before", "<BEFORE>", "A version directory, such as my-datasets/clips/1.0.0", address),
            _path("after", "<AFTER>", "Another one", address),
            *OUTPUTS,
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
                group=PLACE_GROUP,
                words="Also try to read these videos",
                keywords={"type": address},
            ),
            Option(
                names=("--root",),
                value="<ROOT>",
                group=PLACE_GROUP,
                words="Also try to write a dataset there",
                keywords={"type": address},
            ),
            CONFIG,
            SET,
            port_option(group=WORK_GROUP),
            *OUTPUTS,
        ),
        examples=("video-assets doctor --source my-videos --root my-datasets",),
        exit_codes={0: "no problem", 1: "something has to be fixed", 2: "wrong usage"},
    ),
    Command(
        name="prune",
        summary="Delete old runs and events from Dagster's history of a dataset",
        options=(*DATASET, SET, *OUTPUTS),
        examples=(
            "video-assets prune --root my-datasets",
            "video-assets prune --root my-datasets --set dataset.history_runs=20",
        ),
        exit_codes={0: "done", 1: "Dagster's storage cannot be used", 2: WRONG_USAGE},
    ),
    Command(
        name="sample",
        summary="Write a small labelled set of real encoded videos",
        options=(_path("directory", "<DIR>", "Where; made if it is not there"), QUIET, HELP),
        examples=("video-assets sample sample-videos",),
    ),
    Command(
        name="ui",
        summary="Serve the Dagster UI of a dataset and its automation, on this machine only",
        options=(
            SOURCE,
            *DATASET,
            *ENGINE,
            port_option(group=SERVER_GROUP),
            Option(
                names=("--allow-host",),
                value="<NAME>",
                words="Another name of this UI, NAME or NAME:PORT, as pages of a proxy have it; may be repeated",
                group=SERVER_GROUP,
                keywords={"type": host_name, "action": "append", "default": [], "dest": "hosts"},
            ),
            HELP,
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
            HELP,
        ),
        examples=('eval "$(video-assets generate-shell-completion bash)"',),
    ),
)
