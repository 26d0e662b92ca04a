"""A committed dataset that lost a table: nothing is decided anew, and no shard that readers see is written again."""

from pathlib import Path

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import BuildRefused, FileDamaged
from video_assets.pipeline.upkeep.repair import repair_dataset
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import Stages, steps_of


@pytest.fixture
def stages(built: Built) -> Stages:
    return Stages(built.source, built.paths)


def tables(stages: Stages) -> dict[str, Path]:
    paths = stages.paths
    return {
        "manifest": paths.manifest,
        "labels": paths.labels,
        "history": paths.split_history,
        "plan": paths.plan,
        "encoding": paths.encoding,
    }


@pytest.mark.parametrize(
    "lost", [["manifest"], ["manifest", "labels"], ["history"], ["plan"], ["plan", "encoding"]], ids="+".join
)
def test_what_only_a_lost_table_knows_is_not_decided_anew(stages: Stages, built: Built, lost: list[str]) -> None:
    before = {key: built.shard(key).read_bytes() for key in built.keys}
    for name in lost:
        tables(stages)[name].unlink()
    with pytest.raises(FileDamaged, match=r"is missing, but 1.0.0 is committed; .* Run `video-assets repair`"):
        stages.everything()
    assert {key: built.shard(key).read_bytes() for key in built.keys} == before
    repair_dataset(steps_of(stages.paths), stages.source)
    assert not find_damage(stages.paths)
    assert not stages.up_to_plan().added


def test_settings_whose_file_is_lost_are_those_that_the_plan_notes(stages: Stages) -> None:
    written = stages.paths.encoding.read_bytes()
    stages.paths.encoding.unlink()
    stages.manifest()
    stages.splits()
    with pytest.raises(BuildRefused, match="exists under another encoding"):
        stages.plan(Encoding(resolution=48, num_frames=5))
    assert not stages.plan().added
    assert stages.paths.encoding.read_bytes() == written
