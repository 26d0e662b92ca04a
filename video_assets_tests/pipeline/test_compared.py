"""A comparison that passed is not done again while it is remembered, unless record or source changed."""

import os
import shutil
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.checks.compared import compare_all, kept_comparisons
from video_assets.pipeline.checks.comparison import ComparisonResult, SourceComparison
from video_assets_tests.pipeline.test_comparison import stored
from video_assets_tests.pipeline.videos import clip_path


class CountingPool:
    """Lends one real pool, and counts the jobs that it is given."""

    def __init__(self) -> None:
        self.pool = DecodingPool(1)
        self.num_jobs = 0

    def map(self, function: Any, jobs: Any) -> Any:
        """As the pool's."""
        self.num_jobs += len(jobs)
        return self.pool.map(function, jobs)

    def __call__(self) -> AbstractContextManager[Any]:
        return nullcontext(self)


@pytest.fixture(scope="module")
def record(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> SourceComparison:
    source = tmp_path_factory.mktemp("source") / "clip.mp4"
    shutil.copyfile(videos / clip_path("run", 1, 1), source)
    return stored(source, Encoding(resolution=48, num_frames=5))


def test_what_was_compared_is_not_compared_again_until_it_changes(record: SourceComparison) -> None:
    counting = CountingPool()
    other = replace(record, images=record.images[::-1])
    with counting.pool:
        with kept_comparisons():
            first = compare_all([record], counting)
            assert compare_all([record, record], counting) == [*first, *first]
            assert counting.num_jobs == 1
            (_, reversed_result) = compare_all([record, other], counting)
            assert isinstance(reversed_result, ComparisonResult)
            assert reversed_result.fault, "the images of another record were taken for those that were compared"
            compare_all([other], counting)
            assert counting.num_jobs == 3, "a fault is looked at each time"
            os.utime(record.path)
            compare_all([record], counting)
            assert counting.num_jobs == 4, "its source was touched"
        compare_all([record], counting)
        compare_all([record], counting)
        assert counting.num_jobs == 6, "outside of a build nothing is remembered"


def test_a_source_that_is_gone_is_noticed_though_it_was_compared(record: SourceComparison, tmp_path: Path) -> None:
    moved = replace(record, path=tmp_path / "clip.mp4")
    shutil.copyfile(record.path, moved.path)
    counting = CountingPool()
    with counting.pool, kept_comparisons():
        (result,) = compare_all([moved], counting)
        assert isinstance(result, ComparisonResult)
        assert result.is_sound
        moved.path.unlink()
        (loss,) = compare_all([moved], counting)
    assert not isinstance(loss, ComparisonResult)
    assert loss.reason == "missing_file"
