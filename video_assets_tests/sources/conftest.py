"""Fixtures of this room."""

from pathlib import Path

import pytest

from video_assets_tests.sources.sets import MadeSet


@pytest.fixture
def made(tmp_path: Path) -> MadeSet:
    """An empty set."""
    (tmp_path / "set").mkdir()
    return MadeSet(tmp_path / "set")
