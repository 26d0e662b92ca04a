"""Sensors and schedules, evaluated as the daemon does, on real instances."""

import datetime as dt
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from video_assets.defs import automation, run_requests
from video_assets.defs.automation import Automation
from video_assets.defs.graph import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    Dataset,
    Source,
    register_shards,
    shard_partitions,
)
from video_assets.defs.instance import open_instance
from video_assets.defs.jobs import VERIFY_OP
from video_assets.defs.run_requests import MAX_ATTEMPTS
from video_assets.domain.splits import Split
from video_assets.pipeline import build
from video_assets.pipeline.checks.shard import ShardAudit
from video_assets.storage.locks import building
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import NAME, Built
from video_assets_tests.defs.location import graph_of, recorded_statuses


@pytest.fixture
def instance(built: Built, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The dataset's own instance, with the plan's partitions."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(built.paths) as opened:
        register_shards(opened, partitions_of(built), built.keys)
        yield opened


def partitions_of(built: Built) -> dict[Split, dg.DynamicPartitionsDefinition]:
    """The partition sets of the dataset."""
    return shard_partitions(str(built.paths.root), NAME)


def look_at_videos(instance: dg.DagsterInstance, built: Built, source: Path, cursor: str | None) -> dg.SensorResult:
    """One tick of the new-videos sensor."""
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={
            "source": Source(address=str(source)),
            "dataset": Dataset(root=str(built.paths.root), name=NAME),
        },
    )
    return automation.look_for_videos(graph_of(built.paths), context)


def look_at_shards(instance: dg.DagsterInstance, built: Built) -> dg.SensorResult:
    """One tick of the missing-shards sensor."""
    context = dg.build_sensor_context(
        instance=instance, resources={"dataset": Dataset(root=str(built.paths.root), name=NAME)}
    )
    return automation.look_for_shards(graph_of(built.paths), context)


@pytest.mark.slow
def test_new_videos_are_planned_under_the_pinned_settings(
    instance: dg.DagsterInstance, built: Built, tmp_path: Path
) -> None:
    source = tmp_path / "videos"
    shutil.copytree(built.source, source)
    first = look_at_videos(instance, built, source, None)
    assert first.skip_reason is not None
    assert "first look at 25 videos" in str(first.skip_reason.skip_message)
    second = look_at_videos(instance, built, source, first.cursor)
    assert second.run_requests is not None
    [request] = second.run_requests
    assert request.run_config == {"ops": {"manifest": {"config": {"only_settled": True}}}}  # the rest is the dataset's
    third = look_at_videos(instance, built, source, second.cursor)
    assert not third.run_requests
    assert third.skip_reason is not None
    assert str(third.skip_reason.skip_message) == "nothing new among 25 videos"


def asked_for(instance: dg.DagsterInstance, built: Built, source: Path, cursor: str | None) -> dg.SensorResult:
    """A tick of the new-videos sensor that asks for a plan: the first, or the second where no file was seen before."""
    result = look_at_videos(instance, built, source, cursor)
    if not result.run_requests:
        result = look_at_videos(instance, built, source, result.cursor)
    assert result.run_requests
    return result


def test_a_plan_that_failed_is_asked_for_again_then_left_to_a_person_and_forgotten_after_another_plan(
    instance: dg.DagsterInstance, built: Built, videos: Path
) -> None:
    asked = asked_for(instance, built, videos, None)
    run_keys: set[str | None] = set()
    run_ids: list[str] = []
    for _ in range(MAX_ATTEMPTS):
        [request] = asked.run_requests or []
        run_keys.add(request.run_key)
        run = instance.create_run_for_job(make_job("plan_dataset"), tags=request.tags)
        instance.report_run_failed(run)
        run_ids.append(run.run_id)
        asked = look_at_videos(instance, built, videos, asked.cursor)
    assert len(run_keys) == MAX_ATTEMPTS
    given_up = asked
    assert not given_up.run_requests
    said = str(given_up.skip_reason.skip_message if given_up.skip_reason else "")
    assert said == (
        f"nothing new among 25 videos, but their plan failed 3 times; look at run {run_ids[-1]}, "
        "then launch plan_dataset"
    )
    instance.report_runless_asset_event(dg.AssetMaterialization("plan"))
    quiet = look_at_videos(instance, built, videos, given_up.cursor)
    assert str(quiet.skip_reason.skip_message if quiet.skip_reason else "") == "nothing new among 25 videos"


def test_a_cursor_that_was_reset_asks_again_by_another_key(
    instance: dg.DagsterInstance, built: Built, videos: Path
) -> None:
    """Dagster passes over a request whose key has a run, and says so in the daemon's log alone."""
    run_keys: list[str | None] = []
    for _ in range(MAX_ATTEMPTS + 3):
        [request] = asked_for(instance, built, videos, None).run_requests or []
        run_keys.append(request.run_key)
        instance.create_run_for_job(make_job("plan_dataset"), tags=request.tags, status=dg.DagsterRunStatus.SUCCESS)
    assert len(set(run_keys)) == len(run_keys)


def test_another_dataset_or_source_gets_nothing_of_what_was_noted_for_the_one_before(
    instance: dg.DagsterInstance, built: Built, tmp_path: Path
) -> None:
    """They share the sensor's cursor where they share DAGSTER_HOME, or where the dataset was moved with its own."""
    copies = [shutil.copytree(built.source, tmp_path / name) for name in ("videos", "moved")]
    cursor = asked_for(instance, built, copies[0], None).cursor
    cursor = asked_for(instance, built, copies[1], cursor).cursor
    moved = Built(copies[1], DatasetPaths(tmp_path / "elsewhere", NAME))
    shutil.copytree(built.paths.directory, moved.paths.directory)
    asked_for(instance, moved, copies[1], cursor)
    built.version.dataset_info.unlink()
    moved.version.dataset_info.unlink()
    register_shards(instance, partitions_of(moved), moved.keys)
    requests = [(look_at_shards(instance, where).run_requests or [])[0] for where in (built, moved)]
    assert requests[0].run_key != requests[1].run_key
    assert requests[0].tags != requests[1].tags


def test_a_dataset_whose_folder_was_removed_is_planned_anew(
    instance: dg.DagsterInstance, built: Built, videos: Path
) -> None:
    """With DAGSTER_HOME elsewhere the cursor outlives it."""
    cursor = asked_for(instance, built, videos, None).cursor
    cursor = look_at_videos(instance, built, videos, cursor).cursor
    for path in (built.paths.arrivals, built.paths.manifest, built.paths.plan, built.paths.encoding):
        path.unlink()
    asked_for(instance, built, videos, cursor)


def test_a_source_that_cannot_be_listed_fails_the_tick_and_deletes_nothing(
    instance: dg.DagsterInstance, built: Built, tmp_path: Path
) -> None:
    with pytest.raises(dg.Failure, match="mount its disk"):
        look_at_videos(instance, built, tmp_path / "unmounted", None)


def test_before_the_first_plan_there_is_nothing_to_ask_for_and_nothing_red(
    instance: dg.DagsterInstance, built: Built, tmp_path: Path
) -> None:
    result = look_at_shards(instance, Built(built.source, DatasetPaths(tmp_path / "empty root", NAME)))
    assert str(result.skip_reason.skip_message if result.skip_reason else "") == "there is no plan yet"


def test_a_committed_plan_asks_for_nothing(instance: dg.DagsterInstance, built: Built) -> None:
    result = look_at_shards(instance, built)
    assert not result.run_requests
    assert result.skip_reason is not None
    assert str(result.skip_reason.skip_message) == "all 7 planned shards are committed"


def test_missing_shards_are_asked_for_in_ranges_of_neighbours(instance: dg.DagsterInstance, built: Built) -> None:
    built.version.dataset_info.unlink()
    for key in ("train-00001", "train-00002", "train-00004", "test-00000"):
        built.shard(key).unlink()
    requests = look_at_shards(instance, built).run_requests or []
    ranges = [(r.job_name, r.tags[RANGE_START_TAG], r.tags[RANGE_END_TAG]) for r in requests]
    assert ranges == [
        ("encode_train_shards", "train-00001", "train-00002"),
        ("encode_train_shards", "train-00004", "train-00004"),
        ("encode_test_shards", "test-00000", "test-00000"),
    ]


def test_shards_of_an_unfinished_run_are_left_to_it(instance: dg.DagsterInstance, built: Built) -> None:
    built.version.dataset_info.unlink()
    for key in ("train-00001", "train-00002"):
        built.shard(key).unlink()
    tags = {RANGE_START_TAG: "train-00000", RANGE_END_TAG: "train-00001"}
    instance.create_run_for_job(make_job(), tags=tags, status=dg.DagsterRunStatus.STARTED)
    [request] = look_at_shards(instance, built).run_requests or []
    assert request.tags[RANGE_START_TAG] == "train-00002"


@pytest.mark.slow
def test_shards_of_any_number_of_unfinished_runs_are_left_to_them(instance: dg.DagsterInstance, built: Built) -> None:
    """Dagster gives runs newest first: the one that matters is the oldest of more than a thousand."""
    built.version.dataset_info.unlink()
    built.shard("train-00001").unlink()
    for number in range(1001):
        tags = {} if number else {RANGE_START_TAG: "train-00001", RANGE_END_TAG: "train-00001"}
        run = dg.DagsterRun("encode_train_shards", str(uuid.uuid4()), tags=tags, status=dg.DagsterRunStatus.STARTED)
        instance.run_storage.add_run(run)
    assert not look_at_shards(instance, built).run_requests


def test_one_look_asks_for_so_many_runs_at_most_and_the_next_goes_on(
    instance: dg.DagsterInstance, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "MAX_REQUESTS", 2)
    built.version.dataset_info.unlink()
    for key in ("train-00000", "train-00002", "train-00004", "test-00000"):
        built.shard(key).unlink()
    asked: list[list[str]] = []
    for _ in range(3):
        wanted = look_at_shards(instance, built).run_requests or []
        asked.append([request.tags[RANGE_START_TAG] for request in wanted])
        for request in wanted:
            instance.create_run_for_job(
                make_job(str(request.job_name)), tags=request.tags, status=dg.DagsterRunStatus.STARTED
            )
    assert asked == [["train-00000", "train-00002"], ["train-00004", "test-00000"], []]


def test_while_a_build_is_at_work_the_sensors_wait_and_say_for_whom(
    instance: dg.DagsterInstance, built: Built, videos: Path
) -> None:
    built.version.dataset_info.unlink()
    built.shard("train-00001").unlink()
    with building(built.paths, "video-assets build"):
        results = [look_at_shards(instance, built), look_at_videos(instance, built, videos, None)]
    for result in results:
        assert not result.run_requests
        assert result.cursor is None
        said = str(result.skip_reason.skip_message if result.skip_reason else "")
        assert said.startswith(f"process {os.getpid()} on ")
        assert said.endswith(" is at work on the dataset")
    assert look_at_shards(instance, built).run_requests


def test_work_that_failed_is_asked_for_again_and_then_left_to_a_person(
    instance: dg.DagsterInstance, built: Built
) -> None:
    built.version.dataset_info.unlink()
    built.shard("train-00001").unlink()
    run_keys: list[str | None] = []
    for _ in range(MAX_ATTEMPTS):
        [request] = look_at_shards(instance, built).run_requests or []
        run_keys.append(request.run_key)
        instance.create_run_for_job(make_job(), tags=request.tags, status=dg.DagsterRunStatus.FAILURE)
    assert len(set(run_keys)) == MAX_ATTEMPTS
    result = look_at_shards(instance, built)
    assert not result.run_requests
    assert result.skip_reason is not None
    assert "given up after 3 runs: train-00001" in str(result.skip_reason.skip_message)


def test_a_plan_without_missing_shards_is_committed_once(instance: dg.DagsterInstance, built: Built) -> None:
    built.version.dataset_info.unlink()
    [request] = look_at_shards(instance, built).run_requests or []
    assert request.job_name == "commit_dataset"
    instance.create_run_for_job(make_job("commit_dataset"), tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    result = look_at_shards(instance, built)
    assert not result.run_requests
    assert result.skip_reason is not None
    assert str(result.skip_reason.skip_message) == "the commit is under way"


def test_the_nightly_verification_names_the_day_in_its_config() -> None:
    schedule = automation.nightly_schedule(graph_of(DatasetPaths(Path("root"), NAME)), Automation())
    night = dt.datetime(2026, 3, 1, 3, 30, tzinfo=dt.UTC)
    request = schedule(dg.build_schedule_context(scheduled_execution_time=night))
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "2026-03-01"
    assert request.run_config == {"ops": {VERIFY_OP: {"config": {"day_number": 2251}}}}


def test_the_nightly_verification_finds_a_damaged_shard_and_shows_it_on_its_partition(
    instance: dg.DagsterInstance, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    from video_assets.definitions import build_definitions

    monkeypatch.setenv("VIDEO_ASSETS_SOURCE", str(built.source))
    monkeypatch.setenv("VIDEO_ASSETS_ROOT", str(built.paths.root))
    content = bytearray(built.shard("train-00000").read_bytes())
    content[len(content) // 2] ^= 1
    built.shard("train-00000").write_bytes(bytes(content))
    job = build_definitions().resolve_job_def("verify_shards")
    run_config = {"ops": {VERIFY_OP: {"config": {"day_number": 0}}}}
    result = job.execute_in_process(instance=instance, run_config=run_config, raise_on_error=False)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data is not None
    assert "1 committed shards are damaged: train-00000" in str(failure.step_failure_data.user_failure_data.description)
    statuses = {(status.asset, status.name): status for status in recorded_statuses(built.paths)}
    assert statuses["train_shards", "shard_is_complete"].failed_partitions == ("train-00000",)


@pytest.mark.slow
def test_the_nightly_verification_audits_each_shard_once_for_all_its_checks(
    instance: dg.DagsterInstance, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit keeps the copy that it made of a shard in a store; another one would fetch it again."""
    from video_assets.definitions import build_definitions

    audited: list[str] = []

    def noted(paths: Any, plan: Any, key: str, *arguments: Any, **options: Any) -> ShardAudit:
        audited.append(key)
        return ShardAudit(paths, plan, key, *arguments, **options)

    monkeypatch.setattr(build, "ShardAudit", noted)
    monkeypatch.setenv("VIDEO_ASSETS_SOURCE", str(built.source))
    monkeypatch.setenv("VIDEO_ASSETS_ROOT", str(built.paths.root))
    job = build_definitions().resolve_job_def("verify_shards")
    run_config = {"ops": {VERIFY_OP: {"config": {"day_number": 0}}}}
    assert job.execute_in_process(instance=instance, run_config=run_config).success
    assert audited == ["train-00000"]


def make_job(name: str = "encode_train_shards") -> dg.JobDefinition:
    """A job to hang runs on."""

    @dg.op(name="nothing_to_do")
    def nothing() -> None:
        return None

    @dg.job(name=name)
    def job() -> None:
        nothing()

    return job
