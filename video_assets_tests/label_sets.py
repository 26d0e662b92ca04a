"""Fixtures: the small source with several labels a clip, built by the command's own road and by the stages."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pytest

from video_assets.settings import ManifestSettings, Settings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import ENCODING, SHARDING, SPLITTING, Stages, copied_source
from video_assets_tests.pipeline.videos import CLASSES, CLIPS_PER_GROUP, NUM_GROUPS, clip_path

GROUPS = r"_(g\d+)_"
"""A group has clips of every class, so that splits cannot go by one class alone."""
NAMES = ["fast", "jump", "outdoor", "run", "walk"]


def label_sets() -> dict[str, set[str]]:
    """The labels of every clip, by its id: its class, `fast` of each first clip, `outdoor` of runs and of one walk."""
    found: dict[str, set[str]] = {}
    for name in CLASSES:
        for group in range(1, NUM_GROUPS + 1):
            for clip in range(1, CLIPS_PER_GROUP + 1):
                labels = {name} | ({"fast"} if clip == 1 else set())
                is_outdoor = name == "run" or (name, group, clip) == ("walk", 2, 1)
                found[clip_path(name, group, clip)] = labels | ({"outdoor"} if is_outdoor else set())
    return found


def write_labels(table: Path, cells: Mapping[str, str]) -> Path:
    """A table of paths and labels."""
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([("path", "label"), *cells.items()])
    return table


def as_written(labels: set[str]) -> str:
    """Labels as somebody may write them: in no order, one of them twice, with blanks."""
    names = sorted(labels, reverse=True)
    return " | ".join([*names, names[0]]) if len(names) > 1 else names[0]


@pytest.fixture(scope="session")
def labelled(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the small source's videos, beside a copy of them."""
    folder = copied_source(videos, tmp_path_factory.mktemp("label_sets"))
    return write_labels(folder / "clips.csv", {path: as_written(labels) for path, labels in label_sets().items()})


@pytest.fixture(scope="session")
def label_sets_built(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """In the layout tfds, as the command builds it. Never changed by a test."""
    from video_assets.pipeline.build_command import run_build

    paths = DatasetPaths(tmp_path_factory.mktemp("built_sets"), "clips")
    settings = Settings(
        manifest=ManifestSettings(multi_label=True, group_pattern=GROUPS),
        splits=SPLITTING,
        plan=SHARDING.replace(encoding=ENCODING.settings),
    )
    result = run_build(labelled, paths, settings, num_workers=2)
    assert result.exit_code == 0, result.refused
    return Built(labelled, paths)


@pytest.fixture(scope="session")
def label_sets_as_sequences(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same in the layout sequence_example."""
    built = Built(labelled, DatasetPaths(tmp_path_factory.mktemp("sequences_of_sets"), "clips"))
    stages = Stages(built.source, built.paths)
    stages.manifest(multi_label=True, group_pattern=GROUPS)
    stages.splits()
    stages.plan(ENCODING.replace(layout="sequence_example"))
    stages.shards()
    stages.commit()
    return built
