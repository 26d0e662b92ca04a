"""Instances of Dagster, and code locations on them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.defs.location import Location, open_location
from video_assets_tests.pipeline.stages import copied_source


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A real instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, videos: Path, tmp_path: Path) -> Location:
    """Nothing was built, and the source may be changed."""
    return open_location(
        monkeypatch, instance, copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips")
    )


@pytest.fixture
def planned(fresh: Location) -> Location:
    """The plan is made, no shard is."""
    fresh.plan()
    return fresh


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance, built: Built) -> Location:
    """All shards are on disk and committed, but this instance knows of the plan only."""
    location = open_location(monkeypatch, instance, built.source, built.paths)
    location.plan()
    return location


@pytest.fixture
def uncommitted(known: Location) -> Location:
    """All shards are on disk, none is committed."""
    version = known.paths.version("1.0.0")
    for path in (version.dataset_info, version.features, version.label_names, version.index):
        path.unlink()
    shutil.rmtree(version.directory / "README.md", ignore_errors=True)
    return known
