"""Bytes and time to come: by the last build, left out where that is not known; by a trial of a few spread clips."""

import os
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.forecast import Work, forecast_build, usual_record_bytes
from video_assets.domain.splits import split_named
from video_assets.pipeline.dataset_state import committed_lengths
from video_assets.pipeline.plan.expected_build import (
    ExpectedBuild,
    LastBuild,
    Trial,
    expect_build,
    read_last_build,
    trial_jobs,
    try_clips,
)
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets_tests.pipeline.stages import ENCODING, LIMITS, InThisProcess, Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, clip_path, write_video


@pytest.fixture
def planned(videos: Path, tmp_path: Path) -> tuple[Stages, PlanReport]:
    """A dataset without shards, and its plan."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    return stages, stages.up_to_plan()


def tried(stages: Stages, report: PlanReport, *others: Encoding, max_clips: int = 64) -> Trial:
    jobs = trial_jobs(stages.paths, report, [ENCODING, *others], LIMITS, max_clips)
    return try_clips(jobs, InThisProcess(), num_processes=1)


def expected_bytes(trial: Trial, report: PlanReport, encoding: Encoding = ENCODING) -> tuple[float, float]:
    """The forecast's bytes and their error for the whole plan, whose clips all have as many frames."""
    num_clips = len(report.rows)
    work = Work(num_clips=num_clips, num_frames=num_clips * encoding.num_frames, num_shards=len(report.shards))
    found = forecast_build(trial.clips[encoding], work, encoding, 1)
    return found.num_bytes, found.bytes_error


def num_bytes(paths: DatasetPaths) -> int:
    return sum(path.stat().st_size for path in paths.version("1.0.0").directory.glob("*.tfrecord"))


def test_when_every_clip_was_tried_the_bytes_are_those_of_the_build(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    trial = tried(stages, report)
    assert trial.num_stored == NUM_CLIPS
    stages.shards()
    expected, error = expected_bytes(trial, report)
    assert round(expected) == num_bytes(stages.paths)
    assert error == 0


def test_a_third_of_the_clips_tells_the_bytes_of_all_within_a_tenth(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    trial = tried(stages, report, max_clips=NUM_CLIPS // 3)
    stages.shards()
    expected, error = expected_bytes(trial, report)
    assert trial.num_stored == NUM_CLIPS // 3
    assert expected == pytest.approx(num_bytes(stages.paths), rel=0.1)
    assert 0 < error < 0.1


def test_other_encodings_are_tried_on_the_same_clips(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    encodings = [ENCODING, ENCODING.replace(resolution=16), ENCODING.replace(jpeg_quality=20)]
    pool = InThisProcess()
    trial = try_clips(trial_jobs(stages.paths, report, encodings, LIMITS), pool, num_processes=1)
    assert len(pool.jobs) == NUM_CLIPS
    as_is, smaller, coarser = (expected_bytes(trial, report, encoding)[0] for encoding in encodings)
    assert smaller < as_is
    assert coarser < as_is


def test_the_clips_of_a_growing_dataset_that_are_tried_are_the_new_ones(planned: tuple[Stages, PlanReport]) -> None:
    stages, _ = planned
    stages.shards()
    stages.commit()
    for number in (7, 8):
        write_video(stages.source / clip_path("run", 9, number), seed=number)
    report = stages.up_to_plan()
    new = set(report.new_rows()["clip_id"])
    assert 2 <= len(new) < NUM_CLIPS
    assert {job.clip.clip.clip_id for job in trial_jobs(stages.paths, report, [ENCODING], LIMITS)} == new


def test_a_clip_that_is_gone_is_passed_over(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    (stages.source / clip_path("run", 1, 1)).unlink()
    trial = tried(stages, report)
    assert trial.num_stored == NUM_CLIPS - 1
    assert len(trial.clips[ENCODING]) == NUM_CLIPS
    assert expected_bytes(trial, report)[0] > 0


def test_a_trial_ends_when_its_time_is_up_but_has_tried_one_clip(planned: tuple[Stages, PlanReport]) -> None:
    stages, report = planned
    jobs = trial_jobs(stages.paths, report, [ENCODING], LIMITS)
    assert try_clips(jobs, InThisProcess(), num_processes=1, max_seconds=-1.0).num_stored == 1


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    """A dataset that was built once."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    stages.everything()
    return stages


def replan(stages: Stages, encoding: Encoding = ENCODING, **options: Any) -> tuple[PlanReport, ExpectedBuild]:
    """A plan after the last one, and what it expects."""
    stages.manifest()
    stages.splits()
    last = read_last_build(stages.paths)
    report = stages.plan(encoding, **options)
    return report, expect_build(stages.paths, report, last)


def add_clips(stages: Stages) -> None:
    for number in range(1, 7):
        write_video(stages.source / clip_path("run", 9, number), seed=number)


def built_at(stages: Stages, seconds_per_clip: float) -> None:
    """Sets the times of plan and shards as if each clip had taken so long."""
    now = stages.paths.plan.stat().st_mtime - 10_000
    os.utime(stages.paths.plan, (now, now))
    version = stages.paths.version("1.0.0")
    for split, lengths in committed_lengths(version).items():
        for index, num_records in enumerate(lengths):
            now += num_records * seconds_per_clip
            os.utime(version.shard(split_named(split), index), (now, now))


def test_a_first_build_is_expected_by_rule_of_thumb_and_its_time_is_not_known(videos: Path, tmp_path: Path) -> None:
    stages = Stages(videos, DatasetPaths(tmp_path / "root", "clips"))
    assert read_last_build(stages.paths) == LastBuild("")
    _, expected = replan(stages)
    assert (expected.basis, expected.seconds) == ("rule of thumb", None)
    assert expected.num_bytes == pytest.approx(NUM_CLIPS * usual_record_bytes(ENCODING))


@pytest.mark.slow
def test_new_clips_take_what_those_of_the_last_build_took(stages: Stages) -> None:
    built_at(stages, seconds_per_clip=1.5)
    add_clips(stages)
    report, expected = replan(stages)
    assert expected.basis == "last build"
    assert expected.seconds == pytest.approx(1.5 * len(report.new_rows()), rel=1e-3)
    stages.shards()
    version = stages.paths.version("1.0.0")
    num_bytes = sum(version.shard(*parse_partition_key(key)).stat().st_size for key in report.added)
    assert expected.num_bytes == pytest.approx(num_bytes, rel=0.1)


@pytest.mark.slow
def test_where_nothing_is_new_nothing_is_expected(stages: Stages) -> None:
    _, expected = replan(stages)
    assert expected.num_bytes == 0


@pytest.mark.slow
def test_shards_that_are_older_than_the_plan_tell_no_pace(stages: Stages) -> None:
    replan(stages)
    last = read_last_build(stages.paths)
    assert last.bytes_per_frame is not None
    assert last.seconds_per_clip is None


@pytest.mark.slow
def test_a_new_version_is_expected_by_rule_of_thumb(stages: Stages) -> None:
    smaller = ENCODING.replace(resolution=24)
    report, expected = replan(stages, smaller, new_version=True)
    assert report.pinned.version == "2.0.0"
    assert (expected.basis, expected.seconds) == ("rule of thumb", None)
    assert expected.num_bytes == pytest.approx(NUM_CLIPS * usual_record_bytes(smaller))


def test_a_damaged_index_is_no_reason_to_refuse_a_plan(stages: Stages) -> None:
    stages.paths.version("1.0.0").index.write_bytes(b"no table")
    assert read_last_build(stages.paths) == LastBuild("1.0.0")
