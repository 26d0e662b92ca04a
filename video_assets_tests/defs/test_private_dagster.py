"""What is used of Dagster that its documents do not name is still needed: these tests fail when it no longer is."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from video_assets.defs import private_dagster

KEY, CHECK = dg.AssetKey("shards"), "is_whole"
PARTITIONS = dg.DynamicPartitionsDefinition(name="shards")


def materialize_and_check(instance: dg.DagsterInstance, *, is_told: bool) -> bool:
    """Report a partition and a check of it as the build command does; return whether the check counts as current."""
    instance.add_dynamic_partitions("shards", ["a"])
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, partition="a"))
    wanted = dg.AssetRecordsFilter(asset_key=KEY, asset_partitions=["a"])
    [record] = instance.fetch_materializations(wanted, limit=1).records
    target = private_dagster.AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
    )
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=KEY,
            check_name=CHECK,
            passed=True,
            partition="a",
            target_materialization_data=target if is_told else None,
        )
    )
    check = dg.AssetCheckKey(KEY, CHECK)
    [info] = instance.event_log_storage.get_asset_check_partition_info([check], partition_keys=["a"])
    return bool(info.is_current)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_check_counts_as_current_only_if_it_says_which_materialization_it_is_about(*, is_told: bool) -> None:
    """If this fails for False, Dagster ties evaluations to their partition itself: drop the class."""
    with dg.DagsterInstance.ephemeral() as instance:
        assert materialize_and_check(instance, is_told=is_told) is is_told


def test_only_a_materialization_with_these_tags_is_judged_by_versions_and_not_by_times() -> None:
    """If the shard without tags is fresh, Dagster notes provenance of reported events itself: drop the names."""

    @dg.asset(key="plan", code_version="1")
    def plan() -> None: ...

    @dg.asset(key="told", deps=["plan"], code_version="1")
    def told() -> None: ...

    @dg.asset(key="untold", deps=["plan"], code_version="1")
    def untold() -> None: ...

    graph = dg.Definitions(assets=[plan, told, untold]).resolve_asset_graph()
    version = {private_dagster.DATA_VERSION_TAG: "one", private_dagster.CODE_VERSION_TAG: "1"}
    with dg.DagsterInstance.ephemeral() as instance:
        made_from = {
            f"{private_dagster.INPUT_DATA_VERSION_TAG}/plan": "one",
            f"{private_dagster.INPUT_EVENT_POINTER_TAG}/plan": private_dagster.NO_EVENT,
        }
        for tags in (version, version):  # the plan is made again, with nothing new
            instance.report_runless_asset_event(dg.AssetMaterialization("told", tags={**version, **made_from}))
            instance.report_runless_asset_event(dg.AssetMaterialization("untold"))
            instance.report_runless_asset_event(dg.AssetMaterialization("plan", tags=tags))
        resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
        statuses = {name: resolver.get_status(dg.AssetKey(name)).value for name in ("told", "untold")}
    assert statuses == {"told": "FRESH", "untold": "STALE"}


def test_dagsters_command_still_serves_without_a_way_to_put_anything_around_it() -> None:
    """If this fails, look whether the guard of the UI can be given to the command: drop `webserver_app`."""
    from dagster_webserver.cli import dagster_webserver

    names = {name for parameter in dagster_webserver.params for name in parameter.opts}
    assert not {name for name in names if "middleware" in name or "host-check" in name or "allowed" in name}


def test_a_deleted_run_leaves_its_file_and_its_checks_and_nothing_public_deletes_events_without_a_run(
    tmp_path: Path,
) -> None:
    """If the first or second fails, `delete_run` does it itself: drop `events_file`, or executions of runs."""

    @dg.op
    def check(context: dg.OpExecutionContext) -> None:
        evaluation = dg.AssetCheckEvaluation(asset_key=KEY, check_name=CHECK, passed=True)
        context.log_event(evaluation)  # pyright: ignore[reportArgumentType]  (it takes them)

    @dg.job
    def checks() -> None:
        check()

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_id = checks.execute_in_process(instance=instance).run_id
        instance.delete_run(run_id)
        file = private_dagster.events_file(instance, run_id)
        assert file is not None
        assert file.exists()
        assert [event.run_id for event in private_dagster.stored_events(instance, [KEY])] == [run_id]
    public = {name for name in dir(dg.DagsterInstance) if "delete" in name or "wipe" in name or "prune" in name}
    assert not {name for name in public if "event" in name or "purge" in name}, "is there a public way now?"
