"""A trial says what a build will take; it is bounded, and tries nothing where nothing is new."""

from dataclasses import replace
from pathlib import Path

import pytest

from video_assets.domain.build_time import Workers
from video_assets.pipeline.checks.shard import ShardAudit
from video_assets.pipeline.plan.forecast import TrialSettings, estimate_new_shards, try_build
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.pipeline.plan.table import read_plan
from video_assets.pipeline.shards.pending import chunked_shards, compared_clips, shard_runs, shards_of
from video_assets.settings import PlanSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import ENCODING, LIMITS, InThisProcess, Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, clip_path

WORKERS = Workers(2, 2)
ALL = TrialSettings(max_clips=NUM_CLIPS, max_seconds=60.0, workers=WORKERS)


@pytest.fixture
def planned(videos: Path, tmp_path: Path) -> tuple[Stages, PlanReport]:
    """A dataset without shards, and its plan."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    return stages, stages.up_to_plan()


def num_bytes(paths: DatasetPaths) -> int:
    return sum(path.stat().st_size for path in paths.version("1.0.0").directory.glob("*.tfrecord"))


def test_when_every_clip_was_tried_the_bytes_are_those_of_the_build(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    trial = try_build(stages.paths, report, report.rows, [ENCODING], LIMITS, InThisProcess(), ALL)
    estimate = trial.estimate(ENCODING, shards_of(report.rows, report.added))
    assert trial.num_tried == estimate.num_clips == NUM_CLIPS
    stages.shards()
    assert round(estimate.num_bytes) == num_bytes(stages.paths)
    assert estimate.bytes_error == 0


def test_a_third_of_the_clips_tells_the_bytes_of_all(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    some = replace(ALL, max_clips=NUM_CLIPS // 3)
    trial = try_build(stages.paths, report, report.rows, [ENCODING], LIMITS, InThisProcess(), some)
    stages.shards()
    estimate = trial.estimate(ENCODING, shards_of(report.rows, report.added))
    assert trial.num_tried == NUM_CLIPS // 3
    assert estimate.num_bytes == pytest.approx(num_bytes(stages.paths), rel=0.25)
    assert min(estimate.seconds, estimate.core_seconds) > 0


def test_other_encodings_are_tried_on_the_same_clips(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    encodings = [ENCODING, ENCODING.replace(resolution=16), ENCODING.replace(jpeg_quality=20)]
    pool = InThisProcess()
    trial = try_build(stages.paths, report, report.rows, encodings, LIMITS, pool, ALL)
    assert len(pool.jobs) == NUM_CLIPS
    shards = chunked_shards(report.rows, 4)
    as_is, smaller, coarser = (trial.estimate(encoding, shards).num_bytes for encoding in encodings)
    assert smaller < as_is
    assert coarser < as_is


def test_the_plan_asset_tries_a_fiftieth_of_what_is_new(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    pool = InThisProcess()
    estimate = estimate_new_shards(stages.paths, report, LIMITS, pool, WORKERS)
    assert len(pool.jobs) == -(-NUM_CLIPS // 50)
    assert estimate.num_clips == NUM_CLIPS
    assert estimate.num_bytes > 0


def test_where_nothing_is_new_nothing_is_tried(built: Built) -> None:
    report = Stages(built.source, built.paths).plan(ENCODING, PlanSettings(clips_per_shard=4))
    pool = InThisProcess()
    estimate = estimate_new_shards(built.paths, report, LIMITS, pool, WORKERS)
    assert pool.jobs == []
    assert (estimate.num_clips, estimate.num_bytes) == (0, 0.0)
    assert estimate.seconds > 0  # to start, to list and to check takes its time as well


def test_a_clip_that_is_gone_is_passed_over(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    (stages.source / clip_path("run", 1, 1)).unlink()
    trial = try_build(stages.paths, report, report.rows, [ENCODING], LIMITS, InThisProcess(), ALL)
    assert trial.num_tried == NUM_CLIPS - 1
    assert trial.estimate(ENCODING, shards_of(report.rows, report.added)).num_bytes > 0


def test_a_trial_ends_when_its_time_is_up(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    hasty = replace(ALL, max_seconds=1e-9)
    trial = try_build(stages.paths, report, report.rows, [ENCODING], LIMITS, InThisProcess(), hasty)
    assert trial.num_tried == 1


def test_shards_and_runs_are_those_of_the_plan(planned: tuple[Stages, PlanReport]) -> None:
    _, report = planned
    rows = report.rows.sample(frac=1.0, random_state=0).reset_index(drop=True)
    for key, shard in zip(report.shards, shards_of(rows, report.shards), strict=True):
        split, _, index = key.partition("-")
        mine = rows[(rows["split"] == split) & (rows["shard_index"] == int(index))].sort_values("position")
        assert rows["clip_id"].iloc[shard].tolist() == mine["clip_id"].tolist()
    shards = shards_of(rows, report.shards)
    runs = shard_runs(rows, shards, shards_per_run=2)
    assert [number for run in runs for number in run] == list(range(len(shards)))
    assert max(map(len, runs)) == 2
    assert all(len({rows["split"].iat[int(shards[number][0])] for number in run}) == 1 for run in runs)


def test_the_clips_that_will_be_compared_are_those_that_the_check_compares(built: Built) -> None:
    report = Stages(built.source, built.paths).plan(ENCODING, PlanSettings(clips_per_shard=4))
    shards = shards_of(report.rows, report.shards)
    expected = {
        key: set(report.rows["clip_id"].iloc[mine])
        for key, mine in zip(report.shards, compared_clips(report.rows, shards, ENCODING), strict=True)
    }
    for key in report.shards:
        pool = InThisProcess()
        outcome = ShardAudit(built.paths, read_plan(built.paths), key, LIMITS, pool).run("shard_matches_source")
        assert outcome.passed
        found = {str(job.path.relative_to(built.source)) for job in pool.jobs}
        assert found == expected[key]
