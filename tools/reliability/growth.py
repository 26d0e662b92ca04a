"""Random sequences of changes as a state machine: after each change a build by command, and all promises."""

import json
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tools.reliability.builds import NAME
from tools.reliability.promises import Promises
from tools.reliability.soak_source import ChangingSource
from video_assets.cli import main
from video_assets.domain.splits import SPLITS
from video_assets.pipeline import shared_pools
from video_assets.reader import load_dataset
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import InThisProcess

CHANGES: Final[dict[str, Callable[[ChangingSource], None]]] = {
    change.__name__: change
    for change in (
        ChangingSource.arrive,
        ChangingSource.delete,
        ChangingSource.rename,
        ChangingSource.relabel,
        ChangingSource.change_content,
        ChangingSource.copy,
        ChangingSource.regroup,
        ChangingSource.die,
    )
}
FEWEST = 6
"""Videos below which nothing is deleted."""
_SETTINGS = (
    "manifest.max_failed_fraction=0.5",
    "manifest.max_removed_fraction=1",
    "splits.test_fraction=0.3",
    "splits.max_conflict_fraction=1",
    "plan.clips_per_shard=2",
    "plan.encoding.resolution=16",
    "plan.encoding.num_frames=2",
    "dataset.retired_grace_minutes=0",
)


class GrowthByCommand(RuleBasedStateMachine):
    """A source that changes, and `video-assets build` after every few changes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="growth-")
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(shared_pools, "open_pool", lambda *_: InThisProcess())
        place = Path(self.folder.name)
        self.source = ChangingSource(place / "videos", random.Random(0))
        self.source.folder.mkdir()
        self.paths = DatasetPaths(place / "root", NAME)
        self.promises = Promises(self.paths)

    def teardown(self) -> None:
        self.patch.undo()
        self.folder.cleanup()

    @initialize()
    def first_build(self) -> None:
        self.source.begin()
        self._build()

    @rule(changes=st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4), seed=st.integers(0, 2**20))
    def the_source_changes(self, changes: list[str], seed: int) -> None:
        self.source.rng = random.Random(seed)
        for name in changes:
            if name != "delete" or len(self.source.videos) >= FEWEST:
                CHANGES[name](self.source)
        self._build()

    @rule()
    def nothing_changes(self) -> None:
        said = self._build()
        assert (said["clips_encoded"], said["shards_written"]) == (0, 0)

    def _build(self) -> dict[str, Any]:
        places = ["--source", str(self.source.folder), "--root", str(self.paths.root)]
        chosen = [argument for setting in _SETTINGS for argument in ("--set", setting)]
        said = _run(["build", *places, "--no-dagster", "--json", *chosen])
        assert said["exit_code"] == 0, said["error"]
        assert _run(["status", *places[2:], "--json"])["is_valid"]
        broken = self.promises.broken(self.source)
        assert broken == [], broken
        index = pd.read_parquet((version := self.paths.version("1.0.0")).index)
        for split in SPLITS:
            stored = sorted(index.loc[index["split"] == split, "clip_id"])
            read: Any = load_dataset(version.directory, split).as_numpy_iterator() if stored else ()
            assert sorted(clip["id"].decode() for clip in read) == stored
        return said


def _run(arguments: Sequence[str]) -> dict[str, Any]:
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()):
        main(arguments)
    return json.loads(out.getvalue().splitlines()[-1])


def grow_by_command(num_sequences: int, num_steps: int) -> None:
    """Try so many sequences of so many steps.

    Raises:
        AssertionError: with the shortest sequence that was found to break a promise.
    """
    chosen = settings(
        max_examples=num_sequences,
        stateful_step_count=num_steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        database=None,
    )
    run_state_machine_as_test(GrowthByCommand, settings=chosen)
