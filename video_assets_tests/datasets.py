"""Fixtures: a small source of real videos, and a dataset built from it once, by the command's own road."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from video_assets.settings import EncodingSettings, PlanSettings, Settings, SplitSettings
from video_assets.storage.paths import DatasetPaths, VersionPaths

if TYPE_CHECKING:
    from video_assets.pipeline.build_command import BuildResult

NAME = "clips"
SETTINGS = Settings(
    splits=SplitSettings(test_fraction=0.25),
    plan=PlanSettings(clips_per_shard=4, encoding=EncodingSettings(resolution=32, num_frames=5)),
)
RUN_CONFIG = {
    "ops": {
        "splits": {"config": {"test_fraction": 0.25}},
        "plan": {"config": {"clips_per_shard": 4, "encoding": {"resolution": 32, "num_frames": 5}}},
    }
}
"""The same settings as a run config, and as `pipeline.stages` has: five shards of train, two of test."""
TRAIN_SHARDS = [f"train-{index:05d}" for index in range(5)]
TEST_SHARDS = [f"test-{index:05d}" for index in range(2)]


@dataclass(frozen=True)
class Built:
    """A committed dataset, and the source that it was built from."""

    source: Path
    paths: DatasetPaths

    @property
    def version(self) -> VersionPaths:
        """The one version."""
        return self.paths.version("1.0.0")

    @property
    def keys(self) -> list[str]:
        """Partition keys of all shards."""
        return [*TRAIN_SHARDS, *TEST_SHARDS]

    def shard(self, key: str) -> Path:
        """A shard's file."""
        return self.version.directory / f"{self.paths.name}-{key}.tfrecord"

    def sidecar(self, key: str) -> Path:
        """A shard's sidecar."""
        return self.version.directory / "shards" / f"{key}.json"


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small source of real videos. Tests that change it take a copy."""
    from video_assets_tests.pipeline.videos import write_source

    return write_source(tmp_path_factory.mktemp("source") / "videos")


@pytest.fixture(scope="session")
def first_build(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> "tuple[Built, BuildResult]":
    """The dataset as the command builds it, and what the build said. Never changed by a test."""
    from video_assets.pipeline.build_command import run_build

    paths = DatasetPaths(tmp_path_factory.mktemp("built"), NAME)
    result = run_build(videos, paths, SETTINGS, num_workers=2)
    return Built(videos, paths), result


@pytest.fixture(scope="session")
def built_once(first_build: "tuple[Built, BuildResult]") -> Built:
    """The dataset for tests that only look at it."""
    return first_build[0]


@pytest.fixture
def built(built_once: Built, tmp_path: Path) -> Built:
    """A copy of the dataset for a test that damages it. The source is shared."""
    root = tmp_path / "root"
    shutil.copytree(built_once.paths.root, root, symlinks=True, ignore=shutil.ignore_patterns(".dagster"))
    return Built(built_once.source, DatasetPaths(root, NAME))


@pytest.fixture(scope="session")
def built_at_another_size(built_once: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same clips planned at 24 pixels; of the shards there is only train-00001."""
    from video_assets_tests.pipeline.stages import ENCODING, Stages

    other = Built(built_once.source, DatasetPaths(tmp_path_factory.mktemp("other"), NAME))
    stages = Stages(other.source, other.paths)
    stages.manifest()
    stages.splits()
    stages.plan(ENCODING.replace(resolution=24))
    stages.shards(["train-00001"])
    return other
