"""One writer at a time, and nobody is refused for the moment in which another lets go."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from video_assets.storage.locks import hold_lock, writing_shards, writing_tables
from video_assets.storage.paths import DatasetPaths


@pytest.mark.parametrize("writing", [writing_shards, writing_tables])
def test_a_stage_waits_while_another_lets_go(
    tmp_path: Path, writing: Callable[[DatasetPaths, str], AbstractContextManager[None]]
) -> None:
    """Who lets go of a shared lock holds it alone for a moment, to take its name away."""
    paths = DatasetPaths(tmp_path, "clips")
    holds = threading.Event()

    def let_go_slowly() -> None:
        with hold_lock(paths.build_lock, "train_shards"):
            holds.set()
            time.sleep(0.3)

    other = threading.Thread(target=let_go_slowly)
    other.start()
    holds.wait()
    with writing(paths, "test_shards"):
        pass
    other.join()
