"""What the asset `plan` says of bytes and time comes from the last build, and is left out where that is not known."""

import os
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.forecast import usual_record_bytes
from video_assets.domain.splits import split_named
from video_assets.pipeline.dataset_state import committed_lengths
from video_assets.pipeline.plan.last_build import ExpectedBuild, LastBuild, expect_build, read_last_build
from video_assets.pipeline.plan.stage import PlanReport
from video_assets.storage.paths import DatasetPaths, parse_partition_key
from video_assets_tests.pipeline.stages import ENCODING, Stages, copied_source
from video_assets_tests.pipeline.videos import NUM_CLIPS, clip_path, write_video


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
