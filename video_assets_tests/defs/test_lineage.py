"""What is stale, what is missing, and what starts downstream: after a build, a plan without news, and growth."""

from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from video_assets import Automation, VideoDataset, build_video_dataset_defs
from video_assets_tests.datasets import RUN_CONFIG
from video_assets_tests.defs.location import PLANNING, Location, failures
from video_assets_tests.pipeline.videos import write_class

SETTINGS: dict[str, Any] = {step: values["config"] for step, values in RUN_CONFIG["ops"].items()}
_SHARDS = ("train_shards", "test_shards")


def partitions(location: Location, asset: str) -> list[str]:
    definition = location.definitions.resolve_assets_def(asset).partitions_def
    assert isinstance(definition, dg.DynamicPartitionsDefinition)
    return list(location.instance.get_dynamic_partitions(str(definition.name)))


def statuses(location: Location) -> dict[str, str]:
    """Whether each asset and partition is fresh, stale or missing, as the UI asks for it."""
    graph = location.definitions.resolve_asset_graph()
    resolver = CachingStaleStatusResolver(location.instance, graph, LoadingContextForTest(location.instance))
    found = {name: resolver.get_status(dg.AssetKey(name)).value for name in (*PLANNING, "dataset")}
    for asset in _SHARDS:
        for key in partitions(location, asset):
            found[key] = resolver.get_status(dg.AssetKey(asset), key).value
    return found


def num_materializations(location: Location, asset: str) -> int:
    return len(location.instance.fetch_materializations(dg.AssetKey(asset), limit=1000).records)


@pytest.fixture
def complete(fresh: Location) -> Location:
    """Built in one run, as "Materialize all" does where there is nothing."""
    result = fresh.run(*PLANNING, "dataset", config=RUN_CONFIG)
    assert result.success, failures(result)
    return fresh


def downstream(location: Location, name: str, condition: dg.AutomationCondition) -> dg.Definitions:
    """Somebody's training, which goes on when the dataset does."""

    @dg.asset(name=name, deps=["dataset"], automation_condition=condition)
    def train() -> None: ...

    return dg.Definitions.merge(location.definitions, dg.Definitions(assets=[train]))


@pytest.mark.slow
def test_a_plan_without_news_makes_nothing_stale_and_growth_only_adds_what_is_missing(complete: Location) -> None:
    before = statuses(complete)
    assert set(before.values()) == {"FRESH"}
    assert {asset: num_materializations(complete, asset) for asset in _SHARDS} == {"train_shards": 5, "test_shards": 2}

    assert complete.run(*PLANNING, config=RUN_CONFIG).success
    assert statuses(complete) == before

    write_class(complete.source, "a new class", range(1, 4))
    result = complete.run(*PLANNING, config=RUN_CONFIG)
    assert result.success, failures(result)
    grown = statuses(complete)
    assert {name for name, status in grown.items() if status == "MISSING"} == set(grown) - set(before)
    assert {name for name, status in grown.items() if status == "STALE"} == set()


@pytest.mark.slow
def test_the_dataset_says_what_it_is_and_where(complete: Location) -> None:
    event = complete.instance.get_latest_materialization_event(dg.AssetKey("dataset"))
    assert event is not None
    assert event.asset_materialization is not None
    told: dict[str, Any] = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    version = complete.paths.version("1.0.0").directory
    assert told["dagster/uri"] == version.as_uri()
    assert told["version"] == "1.0.0"
    assert told["encoding"]["num_frames"] == 5
    assert told["classes"] == ["jump", "run", "walk"]
    assert told["commit"] == (event.asset_materialization.tags or {})["dagster/data_version"]
    assert (told["records"], told["shards"]) == (24, 7)


@pytest.mark.slow
def test_what_follows_the_dataset_starts_once_for_each_commit(complete: Location) -> None:
    conditions = {
        "eager": dg.AutomationCondition.eager(),
        "changed": dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()),
    }
    definitions = {name: downstream(complete, name, condition) for name, condition in conditions.items()}
    cursors = dict.fromkeys(definitions)

    def asked() -> dict[str, int]:
        found: dict[str, int] = {}
        for name, defs in definitions.items():
            selection = dg.AssetSelection.assets(name)
            result = dg.evaluate_automation_conditions(
                defs, complete.instance, asset_selection=selection, cursor=cursors[name]
            )
            cursors[name] = result.cursor
            found[name] = result.total_requested
            if result.total_requested:
                complete.instance.report_runless_asset_event(dg.AssetMaterialization(name))
        return found

    asked()
    assert asked() == {"eager": 0, "changed": 0}
    complete.run(*PLANNING, config=RUN_CONFIG)
    assert asked() == {"eager": 0, "changed": 0}
    write_class(complete.source, "run", range(5, 6))
    assert complete.run(*PLANNING, "dataset", config=RUN_CONFIG).success
    assert asked() == {"eager": 1, "changed": 1}
    assert complete.run("dataset").success  # there is nothing new to commit
    assert asked()["changed"] == 0


@pytest.mark.slow
def test_conditions_plan_what_is_new_then_write_what_is_missing_then_commit(
    fresh: Location, instance: dg.DagsterInstance
) -> None:
    value = VideoDataset(name="clips", source=str(fresh.source), root=str(fresh.paths.root), **SETTINGS)
    location = Location(
        fresh.source,
        fresh.paths,
        build_video_dataset_defs(value, videos="raw", automation=Automation(conditions=True)),
        instance,
    )
    keys = [dg.AssetKey(name) for name in (*PLANNING, *_SHARDS, "dataset")]
    cursor: Any = None

    def asked() -> dict[str, set[str | None]]:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(location.definitions, instance, cursor=cursor)
        cursor = result.cursor
        found = {key.to_user_string(): set(result.get_requested_partitions(key)) for key in keys}
        return {name: wanted for name, wanted in found.items() if wanted}

    assert asked() == {}  # Dagster's conditions begin with what changes after they are there: the first build is ours
    assert location.run(*PLANNING, "dataset").success
    assert asked() == {}
    write_class(fresh.source, "run", range(5, 6))
    instance.report_runless_asset_event(dg.AssetMaterialization("raw"))
    assert set(asked()) == set(PLANNING)
    assert location.run(*PLANNING).success
    missing = asked()
    assert set(missing) == {"train_shards"}
    for key in sorted(map(str, missing["train_shards"])):
        assert location.run_partition(key).success
    assert asked() == {"dataset": {None}}
    assert location.run("dataset").success
    assert asked() == {}
