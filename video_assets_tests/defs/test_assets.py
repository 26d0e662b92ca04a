"""Assets in real runs: of one partition and of many, whole and in parts, right and wrong."""

import json
from pathlib import Path

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest

from video_assets.defs.graph import shard_partitions
from video_assets.domain.forecast import usual_record_bytes
from video_assets.domain.text import format_size
from video_assets.pipeline.noted_settings import manifest_settings
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.storage.files import AtomicFile
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import RUN_CONFIG, TEST_SHARDS, TRAIN_SHARDS
from video_assets_tests.defs.location import PLANNING, RANGE_END, RANGE_START, Location, failures, open_location
from video_assets_tests.pipeline.stages import ENCODING
from video_assets_tests.pipeline.videos import write_class, write_video

KEYS = [*TRAIN_SHARDS, *TEST_SHARDS]
EVERYTHING = (*PLANNING, "train_shards", "test_shards", "dataset")


def fingerprint_on_disk(location: Location, key: str) -> str:
    sidecar = location.paths.version("1.0.0").directory / "shards" / f"{key}.json"
    return json.loads(sidecar.read_text())["fingerprint"]


def data_version(location: Location, key: str) -> str | None:
    return (location.latest(key).tags or {}).get("dagster/data_version")


def fail_on(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """The disk is full when files of these names are written; and nobody waits before trying again."""
    write = AtomicFile.write

    def failing(self: AtomicFile, data: bytes) -> None:
        if self.path.name in names:
            raise OSError(28, "No space left on device")
        write(self, data)

    monkeypatch.setattr(AtomicFile, "write", failing)
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda *_: 0)


def test_the_plan_registers_one_partition_a_shard_in_order(planned: Location) -> None:
    for split, definition in shard_partitions(str(planned.paths.root), planned.paths.name).items():
        expected = [key for key in KEYS if key.startswith(split)]
        assert list(planned.instance.get_dynamic_partitions(str(definition.name))) == expected


def test_partitions_of_shards_that_are_gone_go_and_new_ones_come_at_the_end(planned: Location) -> None:
    write_class(planned.source, "run", range(5, 6))
    planned.plan()
    definition = shard_partitions(str(planned.paths.root), "clips")["train"]
    assert list(planned.instance.get_dynamic_partitions(str(definition.name))) == [
        *TRAIN_SHARDS[:4],
        "train-00005",
    ]


def test_the_manifest_reports_what_a_person_wants_to_see(planned: Location) -> None:
    event = planned.instance.get_latest_materialization_event(dg.AssetKey("manifest"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["clips"].value == 24
    assert metadata["quarantined"].value == 1
    assert metadata["files_probed"].value == 25
    by_class = metadata["clips_by_class"]
    assert isinstance(by_class, dg.TableMetadataValue)
    assert [record.data for record in by_class.records] == [
        {"class": name, "clips": 8} for name in ("jump", "run", "walk")
    ]
    by_size = metadata["clips_by_size"]
    assert isinstance(by_size, dg.TableMetadataValue)
    assert [record.data["width x height"] for record in by_size.records] == ["64x48"]


def test_the_first_plan_expects_bytes_by_rule_of_thumb_and_gives_no_time(planned: Location) -> None:
    event = planned.instance.get_latest_materialization_event(dg.AssetKey("plan"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["estimated_from"].value == "rule of thumb"
    assert metadata["estimated_size"].value == format_size(24 * usual_record_bytes(ENCODING))
    assert "estimated_time" not in metadata
    assert (metadata["clips_to_encode"].value, metadata["clips_to_copy"].value) == (24, 0)


def test_tables_tell_their_rows_and_the_columns_that_their_files_have(planned: Location) -> None:
    files = {"manifest": planned.paths.manifest, "test_split": planned.paths.split("test"), "plan": planned.paths.plan}
    for asset, file in files.items():
        event = planned.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        schema = metadata["dagster/column_schema"].value
        assert isinstance(schema, dg.TableSchema)
        columns = [(column.name, column.type) for column in schema.columns]
        assert columns == [(field.name, str(field.type)) for field in pq.read_schema(file)]
        assert metadata["dagster/row_count"].value == pq.read_metadata(file).num_rows


def test_an_official_list_that_came_too_late_is_told_by_the_splits_and_the_build(
    planned: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays = min(pd.read_parquet(planned.paths.split("train"))["clip_id"])
    (planned.source / "clips.csv").write_text(f"path,label,split\n{stays},{stays.partition('/')[0]},test\n")
    late = open_location(monkeypatch, planned.instance, planned.source / "clips.csv", planned.paths)
    found = late.run(*PLANNING, config=RUN_CONFIG)
    assert found.success
    stay = {"clip_id": stays, "official": "test", "split": "train"}
    for asset in ("train_split", "test_split"):
        event = planned.instance.get_latest_materialization_event(dg.AssetKey(asset))
        assert event is not None
        assert event.asset_materialization is not None
        metadata = event.asset_materialization.metadata
        assert metadata["official_splits_ignored"].value == 1
        table = metadata["clips_that_stay"]
        assert isinstance(table, dg.TableMetadataValue)
        assert [dict(record.data) for record in table.records] == [stay]


def test_a_run_of_one_partition_materializes_that_one_with_its_fingerprint(planned: Location) -> None:
    result = planned.run_partition("train-00002")
    assert result.success, failures(result)
    assert planned.materialized("train_shards") == {"train-00002"}
    assert data_version(planned, "train-00002") == fingerprint_on_disk(planned, "train-00002")
    metadata = planned.latest("train-00002").metadata
    assert metadata["dagster/partition_row_count"].value == 4
    assert metadata["was_reused"].value is False


def test_a_run_of_a_range_materializes_each_with_its_own_fingerprint(planned: Location) -> None:
    result = planned.run_range("train-00001", "train-00003")
    assert result.success, failures(result)
    keys = TRAIN_SHARDS[1:4]
    assert planned.materialized("train_shards") == set(keys)
    versions = {key: data_version(planned, key) for key in keys}
    assert versions == {key: fingerprint_on_disk(planned, key) for key in keys}
    assert len(set(versions.values())) == 3
    assert {key: planned.latest(key).metadata["records"].value for key in keys} == dict.fromkeys(keys, 4)


@pytest.mark.slow
def test_a_shard_that_is_there_is_reported_again_with_the_same_fingerprint(known: Location) -> None:
    result = known.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    assert result.success, failures(result)
    for key in TRAIN_SHARDS:
        assert known.latest(key).metadata["was_reused"].value is True
        assert data_version(known, key) == fingerprint_on_disk(known, key)


def test_a_shard_that_fails_in_a_range_fails_the_run_and_the_others_are_materialized(
    planned: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_on(patch, "clips-train-00001.tfrecord")
        result = planned.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    assert not result.success
    assert failures(result)["train_shards"] == (
        "1 of 5 shards failed; the others are stored. train-00001: [Errno 28] No space left on device"
    )
    expected = set(TRAIN_SHARDS) - {"train-00001"}
    assert planned.materialized("train_shards") == expected
    for key in expected:
        assert data_version(planned, key) == fingerprint_on_disk(planned, key)
    assert planned.run_partition("train-00001").success
    assert planned.materialized("train_shards") == set(TRAIN_SHARDS)


def test_a_failure_that_passes_is_tried_again_within_the_run(
    planned: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = AtomicFile.write
    attempts: list[str] = []

    def failing_once(self: AtomicFile, data: bytes) -> None:
        if self.path.name == "clips-train-00001.tfrecord" and not attempts:
            attempts.append(self.path.name)
            raise OSError(5, "Input/output error")
        write(self, data)

    monkeypatch.setattr(AtomicFile, "write", failing_once)
    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", lambda *_: 0)
    result = planned.run_range("train-00000", "train-00002")
    assert result.success, failures(result)
    assert attempts == ["clips-train-00001.tfrecord"]
    assert planned.materialized("train_shards") == set(TRAIN_SHARDS[:3])
    for key in TRAIN_SHARDS[:3]:
        assert data_version(planned, key) == fingerprint_on_disk(planned, key)


@pytest.mark.slow
def test_materialize_all_on_an_empty_root_writes_every_shard_and_commits(fresh: Location) -> None:
    # Without a single partition the UI leaves the shards out of the run.
    result = fresh.run(*PLANNING, "dataset", config=RUN_CONFIG)
    assert result.success, failures(result)
    assert fresh.paths.version("1.0.0").dataset_info.exists()
    assert fresh.materialized("train_shards") == set(TRAIN_SHARDS)
    assert fresh.materialized("test_shards") == set(TEST_SHARDS)
    checks = fresh.checks(TRAIN_SHARDS)
    assert all(info.is_current and info.latest_execution_status.value == "SUCCEEDED" for info in checks.values())
    for key in KEYS:
        assert data_version(fresh, key) == fingerprint_on_disk(fresh, key)


@pytest.mark.slow
def test_a_backfill_of_everything_writes_what_its_plan_added(planned: Location) -> None:
    """Dagster knows the partitions of a backfill before the plan in it adds others."""
    assert planned.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1]).success
    assert planned.run_range(*TEST_SHARDS).success
    write_class(planned.source, "run", range(5, 6))
    backfill = {"dagster/backfill": "abc"}
    assert planned.run(*PLANNING, config=RUN_CONFIG, tags=backfill).success
    superseded = planned.run(
        "train_shards", tags={**backfill, RANGE_START: TRAIN_SHARDS[0], RANGE_END: TRAIN_SHARDS[-1]}
    )
    assert superseded.success, failures(superseded)
    assert not planned.run("dataset").success
    result = planned.run("dataset", tags=backfill)
    assert result.success, failures(result)
    assert "train-00005" in planned.materialized("train_shards")


def test_a_dataset_over_nothing_at_all_fails_by_what_to_do_first(fresh: Location) -> None:
    result = fresh.run("dataset")
    assert not result.success
    assert "materialize manifest, splits and plan first" in failures(result)["dataset"]


@pytest.mark.parametrize("key", ["train-00000", "test-00001"])
@pytest.mark.slow
def test_the_commit_is_refused_while_a_shard_is_missing_whichever_run_it_failed_in(
    planned: Location, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    with monkeypatch.context() as patch:
        fail_on(patch, f"clips-{key}.tfrecord")
        planned.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
        planned.run_range(TEST_SHARDS[0], TEST_SHARDS[-1])
    result = planned.run("dataset")
    assert not result.success
    assert f"1 of 7 planned shards are missing, stale or damaged: {key}." in failures(result)["dataset"]
    assert not planned.paths.version("1.0.0").dataset_info.exists()


def test_the_dataset_is_committed_once_all_shards_are_there(uncommitted: Location) -> None:
    result = uncommitted.run("dataset")
    assert result.success, failures(result)
    event = uncommitted.instance.get_latest_materialization_event(dg.AssetKey("dataset"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["records"].value == 24
    assert uncommitted.paths.version("1.0.0").dataset_info.exists()


@pytest.mark.parametrize(
    ("op", "config", "words"),
    [
        ("splits", {"test_fraction": 1.5}, "splits.test_fraction is 1.5: Input should be less than or equal to 1"),
        ("plan", {"clips_per_shard": -1}, "plan.clips_per_shard is -1: Input should be greater than or equal to 0"),
        (
            "plan",
            {"encoding": {"jpeg_quality": 101}},
            "plan.encoding.jpeg_quality is 101: Input should be less than or equal to 100",
        ),
        ("plan", {"encoding": {"num_frames": 0}}, "plan.encoding.num_frames is 0: Input should be greater than"),
        ("dataset", {"retired_grace_minutes": -1.0}, "dataset.retired_grace_minutes is -1.0: Input should be greater"),
    ],
)
def test_a_wrong_setting_of_a_later_step_fails_the_first_step_by_the_name_of_the_field(
    fresh: Location, op: str, config: dict[str, object], words: str
) -> None:
    result = fresh.run(*PLANNING, "dataset", config={"ops": {op: {"config": config}}})
    assert not result.success
    found = failures(result)
    assert set(found) == {"manifest"}
    assert words in found["manifest"]
    assert not fresh.paths.directory.exists()


def test_a_wrong_setting_of_the_first_step_names_its_field(fresh: Location) -> None:
    result = fresh.run(*PLANNING, config={"ops": {"manifest": {"config": {"max_failed_fraction": 2.0}}}})
    assert not result.success
    assert "max_failed_fraction" in failures(result)["manifest"]
    assert not fresh.paths.directory.exists()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"resize": "squeeze"}, "resize"),
        ({"num_frames": "ten"}, "num_frames"),
        ({"resolutoin": 32}, "resolutoin"),
    ],
)
def test_a_setting_of_the_wrong_type_or_name_is_refused_before_anything_runs(
    fresh: Location, config: dict[str, object], words: str
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=words):
        fresh.run(*PLANNING, config={"ops": {"plan": {"config": {"encoding": config}}}})


def test_an_error_that_is_meant_for_people_is_shown_with_its_sentence_and_not_retried(fresh: Location) -> None:
    (fresh.source / "run" / "more broken.mp4").write_bytes(b"x")
    (fresh.source / "run" / "most broken.mp4").write_bytes(b"x")
    result = fresh.run(*PLANNING)
    assert (
        "3 of 27 clips (11.1%) cannot be used (unreadable 3); at most 10.0% may fail." in failures(result)["manifest"]
    )


def test_a_changed_encoding_of_a_built_dataset_fails_the_run_by_the_names_of_the_fields(known: Location) -> None:
    config = {"ops": {"plan": {"config": {"encoding": {"resolution": 64, "num_frames": 5}}}}}
    result = known.run(*PLANNING, config=config)
    assert "exists under another encoding (resolution 32 → 64)" in failures(result)["manifest"]


def test_growth_leaves_the_plans_data_version_so_that_old_shards_stay_fresh(planned: Location) -> None:
    def version() -> str | None:
        event = planned.instance.get_latest_materialization_event(dg.AssetKey("plan"))
        assert event is not None
        assert event.asset_materialization is not None
        return (event.asset_materialization.tags or {}).get("dagster/data_version")

    before = version()
    write_video(planned.source / "run" / "v_run_g77_c01.mp4", seed=3)
    planned.plan()
    assert version() == before


@pytest.mark.slow
def test_a_plan_leaves_a_run_the_partitions_that_it_covers_and_the_run_leaves_out_what_is_superseded(
    planned: Location,
) -> None:
    """Videos arrive while shards are encoded; a range whose last key is gone would fail the run, at its end too."""
    last = TRAIN_SHARDS[-1]
    tags = {RANGE_START: TRAIN_SHARDS[0], RANGE_END: last}
    running = planned.instance.create_run_for_job(
        planned.definitions.resolve_job_def("encode_train_shards"), tags=tags, status=dg.DagsterRunStatus.STARTED
    )
    for number in range(2):
        write_video(planned.source / "run" / f"v_run_g7{number}_c01.mp4", seed=number)
    planned.plan()
    fingerprints = read_plan(planned.paths).fingerprints()
    assert last not in fingerprints
    result = planned.run_range(TRAIN_SHARDS[0], last)
    assert result.success, failures(result)
    assert {event.partition for event in result.get_asset_check_evaluations()} == set(TRAIN_SHARDS[:-1])
    assert not planned.paths.version("1.0.0").shard("train", 4).exists()
    planned.instance.report_run_failed(running)
    planned.plan()
    with pytest.raises(dg.DagsterInvalidInvocationError, match=last):
        planned.run_range(TRAIN_SHARDS[0], last)


def test_two_datasets_on_one_instance_share_no_partition(
    planned: Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    others = [DatasetPaths(tmp_path / "root", "other"), DatasetPaths(tmp_path / "another root", "clips")]
    names = {str(d.name) for d in shard_partitions(str(planned.paths.root), "clips").values()}
    before = {name: list(planned.instance.get_dynamic_partitions(name)) for name in names}
    for paths in others:
        other = open_location(monkeypatch, planned.instance, planned.source, paths)
        config = {"ops": {"plan": {"config": {"clips_per_shard": 1}}}}
        assert other.run(*PLANNING, config=config).success
        found = {str(d.name) for d in shard_partitions(str(paths.root), paths.name).values()}
        assert not names & found
        names |= found
    assert {name: list(planned.instance.get_dynamic_partitions(name)) for name in before} == before
    assert len(names) == 9


def test_a_group_pattern_that_a_later_run_does_not_give_stays_as_it_was(planned: Location) -> None:
    given = {"ops": {"manifest": {"config": {"group_pattern": "_(g0.)_"}}}}
    for config in (given, {}, {"ops": {"manifest": {"config": {"max_failed_fraction": 0.5}}}}):
        assert planned.run("manifest", config=config).success
        assert manifest_settings(planned.paths).group_pattern == "_(g0.)_"


@pytest.mark.parametrize("spelling", ["root", "./root", "other/../root", "link"])
def test_a_root_has_one_set_of_partitions_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    for folder in ("root", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "link").symlink_to("root")
    monkeypatch.chdir(tmp_path)
    whole = str(tmp_path.resolve() / "root")
    assert shard_partitions(spelling, "clips")["train"].name == shard_partitions(whole, "clips")["train"].name
