"""A build by the command and one by runs in the UI leave the same: on disk, and in a Dagster instance."""

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from video_assets.defs.report_thread import ReportThread
from video_assets.pipeline.build_command import BuildResult, run_build
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import NAME, SETTINGS
from video_assets_tests.defs.location import Location, failures, open_location

pytestmark = pytest.mark.slow

PLANNING = ("manifest", "train_split", "test_split", "val_split", "plan")
ASSETS = (*PLANNING, "train_shards", "test_shards", "dataset")


def by_command(source: Path, paths: DatasetPaths) -> BuildResult:
    with ReportThread(paths) as thread:
        return run_build(source, paths, SETTINGS, num_workers=1, listeners=[thread])


def by_runs(location: Location) -> None:
    location.plan()
    for split in ("train", "test"):
        keys = sorted(location.instance.get_dynamic_partitions(partition_set(location, split)))
        assert location.run_range(keys[0], keys[-1]).success
    result = location.run("dataset")
    assert result.success, failures(result)


def partition_set(location: Location, split: str) -> str:
    definition = location.definitions.resolve_assets_def(f"{split}_shards").partitions_def
    assert isinstance(definition, dg.DynamicPartitionsDefinition)
    return str(definition.name)


@pytest.fixture(scope="module")
def both(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Location, Location]]:
    """The same source built by the command and by runs, each with an instance of its own."""
    folder = tmp_path_factory.mktemp("both")
    with pytest.MonkeyPatch.context() as patch:
        command_paths, runs_paths = (DatasetPaths(folder / place, NAME) for place in ("command", "runs"))
        patch.setenv("DAGSTER_HOME", str(folder / "home"))
        (folder / "home").mkdir()
        result = by_command(videos, command_paths)
        assert (result.refused, result.exit_code) == ("", 0)
        with dg.DagsterInstance.from_config(str(folder / "home")) as told:
            commanded = open_location(patch, told, videos, command_paths)
            with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("runs_home"))) as instance:
                ran = open_location(patch, instance, videos, runs_paths)
                by_runs(ran)
                yield commanded, ran


def files_of(paths: DatasetPaths) -> dict[str, bytes]:
    """What lies in the dataset's folder, without instance, locks and what the sensor remembers."""
    found = (path for path in paths.directory.rglob("*") if path.is_file())
    relative = {str(path.relative_to(paths.directory)): path for path in found}
    return {name: path.read_bytes() for name, path in relative.items() if not name.startswith((".dagster", ".lock"))}


def test_the_files_are_the_same_byte_for_byte(both: tuple[Location, Location]) -> None:
    commanded, ran = (files_of(location.paths) for location in both)
    assert commanded.keys() == ran.keys()
    assert [name for name in commanded if commanded[name] != ran[name]] == []


def latest(location: Location, asset: str) -> dict[str | None, dg.AssetMaterialization]:
    """The latest materialization of an asset, or of each of its partitions."""
    found: dict[str | None, dg.AssetMaterialization] = {}
    for record in location.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records:
        event = record.asset_materialization
        assert event is not None
        found.setdefault(event.partition, event)
    return found


def comparable(location: Location, event: dg.AssetMaterialization) -> tuple[dict[str, str], dict[str, str]]:
    """Tags and metadata, without numbers of events, rates, and where the root lies."""
    tags = {name: value for name, value in (event.tags or {}).items() if "input_event_pointer" not in name}
    metadata = {
        name: str(value).replace(str(location.paths.root), "ROOT")
        for name, value in event.metadata.items()
        if name not in ("speed_of_the_run", "clips_per_second")
    }
    return tags, metadata


@pytest.mark.parametrize("asset", ASSETS)
def test_the_latest_materializations_have_the_same_versions_lineage_and_metadata(
    both: tuple[Location, Location], asset: str
) -> None:
    commanded, ran = (
        {key: comparable(location, event) for key, event in latest(location, asset).items()} for location in both
    )
    assert commanded.keys() == ran.keys()
    assert commanded
    for key in ran:
        assert commanded[key] == ran[key]


def outcomes(location: Location) -> Mapping[tuple[str, str, str | None], tuple[Any, ...]]:
    """How every check ended, by asset, name and partition."""
    found: dict[tuple[str, str, str | None], tuple[Any, ...]] = {}
    for check in location.definitions.resolve_asset_graph().asset_check_keys:
        for record in location.instance.event_log_storage.get_asset_check_execution_history(check, limit=1000):
            assert record.event is not None
            assert record.event.dagster_event is not None
            told = record.event.dagster_event.asset_check_evaluation_data
            metadata = {name: str(value) for name, value in told.metadata.items()}
            key = (check.asset_key.to_user_string(), check.name, told.partition)
            about_latest = told.target_materialization_data is not None
            found.setdefault(key, (told.passed, told.severity, told.description, about_latest, metadata))
    return found


def test_checks_ended_the_same_way(both: tuple[Location, Location]) -> None:
    commanded, ran = map(outcomes, both)
    assert len(ran) == 3 * 7 + 4
    assert commanded == ran


def stale(location: Location) -> dict[str, str]:
    """The staleness of every asset and partition, as the UI asks for it."""
    graph = location.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(location.instance, graph, LoadingContextForTest(location.instance))
    found: dict[str, str] = {}
    for asset in ASSETS:
        for partition in latest(location, asset):
            found[f"{asset} {partition}"] = resolver.get_status(dg.AssetKey(asset), partition).value
    return found


def test_nothing_is_stale_after_either(both: tuple[Location, Location]) -> None:
    commanded, ran = map(stale, both)
    assert commanded == ran
    assert set(ran.values()) == {"FRESH"}


def test_partitions_are_registered_alike(both: tuple[Location, Location]) -> None:
    for split in ("train", "test", "val"):
        commanded, ran = (
            list(location.instance.get_dynamic_partitions(partition_set(location, split))) for location in both
        )
        assert commanded == ran


def test_without_an_instance_a_build_is_built_all_the_same(videos: Path, tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path / "root", NAME)
    result = run_build(videos, paths, SETTINGS, num_workers=1)
    assert (result.refused, result.exit_code) == ("", 0)
    assert not paths.dagster_home.exists()


def test_an_instance_that_hears_of_a_dataset_late_is_told_of_all_its_shards(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, home = DatasetPaths(tmp_path / "root", NAME), tmp_path / "home"
    run_build(videos, paths, SETTINGS, num_workers=1)
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    result = by_command(videos, paths)
    counts = result.as_dict()
    assert (counts["clips_encoded"], counts["shards_reused"]) == (0, 7)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert len(instance.get_materialized_partitions(dg.AssetKey("train_shards"))) == 5
        location = open_location(monkeypatch, instance, videos, paths)
        assert {passed for passed, *_ in outcomes(location).values()} == {True}
