"""Checks in real runs: each outcome stands at its own partition, is current, and failed where the shard is damaged."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from video_assets.defs.asset_checks import dataset_evaluation
from video_assets.domain.checks import CheckOutcome
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS, Built
from video_assets_tests.defs.location import Location, failures, open_location, recorded_statuses
from video_assets_tests.pipeline import damage

PASSED, FAILED = AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED


def standing(location: Location, keys: list[str]) -> dict[tuple[str, str], AssetCheckExecutionRecordStatus]:
    """How each check stands at each partition. Every one must be there, and about the latest materialization."""
    found = location.checks(keys)
    assert set(found) == {(name, key) for name in SHARD_CHECKS for key in keys}
    assert [place for place, info in found.items() if not info.is_current] == []
    return {place: info.latest_execution_status for place, info in found.items()}


def all_passed(keys: list[str]) -> dict[tuple[str, str], AssetCheckExecutionRecordStatus]:
    return {(name, key): PASSED for name in SHARD_CHECKS for key in keys}


def of(location: Location) -> Built:
    return Built(location.source, location.paths)


def test_in_a_run_of_one_partition_each_check_stands_at_that_partition(known: Location) -> None:
    result = known.run_partition("train-00003")
    assert result.success, failures(result)
    assert standing(known, ["train-00003"]) == all_passed(["train-00003"])
    assert set(known.checks(TRAIN_SHARDS)) == {(name, "train-00003") for name in SHARD_CHECKS}


def test_in_a_run_of_many_each_check_stands_at_each_partition(known: Location) -> None:
    result = known.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    assert result.success, failures(result)
    assert standing(known, TRAIN_SHARDS) == all_passed(TRAIN_SHARDS)


def test_in_a_range_of_one_the_check_stands_at_that_partition(known: Location) -> None:
    assert known.run_range("test-00001", "test-00001").success
    assert standing(known, ["test-00001"]) == all_passed(["test-00001"])


def test_checks_stay_current_when_the_shard_is_materialized_again(known: Location) -> None:
    known.run_range(*TEST_SHARDS)
    known.run_partition("test-00000")
    assert standing(known, TEST_SHARDS) == all_passed(TEST_SHARDS)


def test_each_damage_fails_the_right_check_at_its_own_partition_only(known: Location) -> None:
    damage.rewrite_shard(of(known), "train-00000", damage.with_another_label)
    damage.rewrite_shard(of(known), "train-00002", damage.without_the_second)
    damage.rewrite_shard(of(known), "train-00003", damage.with_swapped_frames)
    result = known.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    assert standing(known, TRAIN_SHARDS) == all_passed(TRAIN_SHARDS) | {
        ("shard_is_complete", "train-00000"): FAILED,
        ("shard_decodes", "train-00000"): FAILED,
        ("shard_is_complete", "train-00002"): FAILED,
        ("shard_matches_source", "train-00003"): FAILED,
    }
    evaluations = {
        (evaluation.check_name, evaluation.partition): evaluation for evaluation in result.get_asset_check_evaluations()
    }
    failed = evaluations["shard_is_complete", "train-00002"]
    assert failed.severity == dg.AssetCheckSeverity.ERROR
    assert failed.blocking
    assert (failed.description or "").startswith("record 1 of clips-train-00002.tfrecord is the clip ")


def test_a_damaged_shard_fails_its_check_in_a_run_of_one_partition_too(known: Location) -> None:
    damage.rewrite_shard(of(known), "test-00000", damage.with_swapped_frames_and_times)
    known.run_partition("test-00000")
    assert standing(known, ["test-00000"]) == all_passed(["test-00000"]) | {
        ("shard_matches_source", "test-00000"): FAILED
    }


def test_a_flipped_byte_is_mended_by_materializing_the_shard_again(known: Location) -> None:
    before = of(known).shard("train-00001").read_bytes()
    damage.flip_byte(of(known).shard("train-00001"), 800)
    assert known.run_partition("train-00001").success
    assert of(known).shard("train-00001").read_bytes() == before
    assert standing(known, ["train-00001"]) == all_passed(["train-00001"])


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (damage.with_another_label, "shard_is_complete of train-00001: record 0"),
        (damage.without_the_second, "shard_is_complete of train-00001: record 1"),
        (damage.with_swapped_frames, "shard_matches_source of train-00001: record"),
    ],
)
@pytest.mark.slow
def test_a_shard_whose_check_failed_in_one_run_is_refused_by_the_commit_in_another(
    uncommitted: Location, change: damage.Change, check: str
) -> None:
    damage.rewrite_shard(of(uncommitted), "train-00001", change)
    uncommitted.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    uncommitted.run_range(*TEST_SHARDS)
    result = uncommitted.run("dataset")
    assert not result.success
    assert check in failures(result)["dataset"]
    assert not uncommitted.paths.version("1.0.0").dataset_info.exists()


@pytest.mark.slow
def test_damage_between_the_shards_and_the_commit_is_refused_by_name(uncommitted: Location) -> None:
    uncommitted.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    uncommitted.run_range(*TEST_SHARDS)
    damage.flip_byte(of(uncommitted).shard("test-00001"), 800)
    result = uncommitted.run("dataset")
    assert (
        "shard_is_complete of test-00001: record 0 of clips-test-00001.tfrecord cannot be read"
        in failures(result)["dataset"]
    )
    assert not uncommitted.paths.version("1.0.0").dataset_info.exists()


def test_the_checks_of_the_dataset_are_evaluated_with_the_commit(uncommitted: Location) -> None:
    result = uncommitted.run("dataset")
    assert result.success, failures(result)
    found = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    assert set(found) == {"no_leakage", "classes_covered", "one_encoding", "nothing_lost"}
    assert all(evaluation.passed for evaluation in found.values())
    assert found["nothing_lost"].metadata["stored"].value == 24


def test_a_failed_check_says_what_to_do_and_lists_all_that_it_names() -> None:
    named = [{"train": f"run/{number}.mp4", "test": "walk/1.mp4"} for number in range(201)]
    outcome = CheckOutcome(name="no_leakage", passed=False, description="201 clips look alike", named=named)
    told = dataset_evaluation(dg.DagsterInstance.ephemeral(), dg.AssetKey("dataset"), outcome).metadata
    assert "one group" in str(told["remedy"].value)
    table = told["all_of_them"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [table.records[0].data, table.records[-1].data] == [named[0], {"train": "and 1 more", "test": None}]


def dataset_checks_alone(location: Location) -> dict[str, dg.AssetCheckEvaluation]:
    """The checks of the dataset as the UI runs them: without the dataset."""
    job = location.definitions.resolve_implicit_global_asset_job_def()
    names = ("no_leakage", "classes_covered", "one_encoding", "nothing_lost")
    selection = dg.AssetSelection.checks(*(dg.AssetCheckKey(dg.AssetKey("dataset"), name) for name in names))
    keys = selection.resolve_checks(location.definitions.resolve_asset_graph())
    result = job.get_subset(asset_selection=set(), asset_check_selection=set(keys)).execute_in_process(
        instance=location.instance, raise_on_error=False
    )
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_a_group_in_both_splits_fails_no_leakage_as_an_error(known: Location) -> None:
    import pandas as pd

    from video_assets.storage.tables import SPLIT

    torn = pd.read_parquet(known.paths.split("train")).iloc[[0]]
    damage.edit_table(known.paths.split("test"), SPLIT, lambda test: pd.concat([test, torn], ignore_index=True))
    found = dataset_checks_alone(known)
    assert {name for name, evaluation in found.items() if not evaluation.passed} == {"no_leakage"}
    assert found["no_leakage"].severity == dg.AssetCheckSeverity.ERROR
    assert str(torn["clip_id"].iloc[0]) in (found["no_leakage"].description or "")


def test_a_shard_under_other_settings_fails_one_encoding(known: Location, built_at_another_size: Built) -> None:
    of(known).sidecar("train-00001").write_bytes(built_at_another_size.sidecar("train-00001").read_bytes())
    found = dataset_checks_alone(known)
    assert {name for name, evaluation in found.items() if not evaluation.passed} == {"one_encoding"}
    assert "resolution 24, pinned is 32" in (found["one_encoding"].description or "")


def test_a_clip_that_was_lost_silently_fails_nothing_lost(known: Location) -> None:
    damage.edit_sidecar(of(known), "test-00001", clips=[])
    found = dataset_checks_alone(known)
    assert {name for name, evaluation in found.items() if not evaluation.passed} == {"nothing_lost"}
    assert "test-00001: planned clips are neither stored nor quarantined: " in (found["nothing_lost"].description or "")


def test_look_alikes_are_a_warning_and_the_run_goes_on(known: Location) -> None:
    from dataclasses import asdict

    from video_assets.domain.near_duplicates import SIGNATURE_BYTES

    signature = (bytes(range(108)) + b"\xff" * (SIGNATURE_BYTES - 108)).hex()
    for key in ("train-00000", "test-00000"):
        first, *others = (asdict(clip) for clip in damage.known_of(of(known), key).clips)
        damage.edit_sidecar(of(known), key, clips=[first | {"signature": signature}, *others])
    result = known.run("dataset")
    assert result.success, failures(result)
    found = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    assert not found["no_leakage"].passed
    assert found["no_leakage"].severity == dg.AssetCheckSeverity.WARN
    refused = known.run("dataset", config={"ops": {"dataset": {"config": {"near_duplicates_are_errors": True}}}})
    assert "no_leakage: 1 clip of train looks like clips of test" in failures(refused)["dataset"]


@pytest.mark.slow
def test_the_summary_tells_all_shards_of_a_check_in_one_line_and_names_the_failed(known: Location) -> None:
    damage.rewrite_shard(of(known), "train-00002", damage.without_the_second)
    known.run_range(TRAIN_SHARDS[0], TRAIN_SHARDS[-1])
    known.run_range(*TEST_SHARDS)
    found = {(status.asset, status.name): status for status in recorded_statuses(known.paths)}
    failed = found["train_shards", "shard_is_complete"]
    assert (failed.passed, failed.failed_partitions) == (False, ("train-00002",))
    assert failed.description.startswith(
        "passed for 4 of 5 shards; failed for train-00002: record 1 of clips-train-00002.tfrecord is the clip "
    )
    assert found["test_shards", "shard_is_complete"].description == "passed for 2 of 2 shards"


@pytest.mark.slow
def test_what_another_dataset_on_the_same_instance_failed_says_nothing_of_this_one(
    known: Location, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its shards have the same names; outcomes are kept with each dataset."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    known.run_range(*TEST_SHARDS)
    paths = DatasetPaths(tmp_path / "another root", known.paths.name)
    shutil.copytree(known.paths.directory, paths.directory)
    other = open_location(monkeypatch, known.instance, known.source, paths)
    other.plan()
    damage.rewrite_shard(of(other), "test-00000", damage.without_the_second)
    assert not other.run_partition("test-00000").success
    mine, theirs = (
        {(status.asset, status.name): status for status in recorded_statuses(location.paths)}
        for location in (known, other)
    )
    assert mine["test_shards", "shard_is_complete"].description == "passed for 2 of 2 shards"
    assert mine["test_shards", "shard_is_complete"].passed
    assert theirs["test_shards", "shard_is_complete"].failed_partitions == ("test-00000",)
