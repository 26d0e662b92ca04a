"""Dagster's history of a dataset stays small, and what is newest stays in it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckPartitionInfo

from video_assets.cli import main
from video_assets.defs.graph import DatasetGraph
from video_assets.defs.instance import open_instance
from video_assets.defs.private_dagster import NO_RUN, StoredEvent
from video_assets.defs.prune import old_events, prune
from video_assets.domain.errors import EXIT_OK, EXIT_USAGE
from video_assets.settings import DatasetSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.defs.location import open_location

KEEP_TWO = DatasetSettings(history_runs=2)
SHARDS, CHECK = "train_shards", "shard_decodes"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    """A dataset whose history is its own; for that nothing of it has to be built."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return DatasetPaths(tmp_path, "clips")


@pytest.fixture
def graph(paths: DatasetPaths) -> DatasetGraph:
    return DatasetGraph.of_command(paths)


@pytest.fixture
def instance(paths: DatasetPaths, graph: DatasetGraph) -> Iterator[dg.DagsterInstance]:
    """The instance of the dataset, with two live shards."""
    with open_instance(paths) as opened:
        set_live(opened, graph, ["train-00001", "train-00002"])
        yield opened


def set_live(instance: dg.DagsterInstance, graph: DatasetGraph, keys: Sequence[str]) -> None:
    instance.add_dynamic_partitions(str(graph.partitions["train"].name), list(keys))


def told(number: int, partition: str | None = None) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """A materialization and a check of it, of `plan` or of a shard."""
    key = dg.AssetKey(SHARDS if partition else "plan")
    return [
        dg.AssetMaterialization(key, partition=partition, metadata={"number": number}),
        dg.AssetCheckEvaluation(
            asset_key=key, check_name=CHECK, passed=True, partition=partition, metadata={"number": number}
        ),
    ]


def report(instance: dg.DagsterInstance, number: int, partition: str | None = None, *, is_checked: bool = True) -> None:
    """What a build by command reports: the check of a partition once, for Dagster takes no more without a run."""
    for event in told(number, partition)[: 1 + is_checked]:
        instance.report_runless_asset_event(event)


def run(instance: dg.DagsterInstance, number: int, partition: str | None = None) -> str:
    """A run that reports the same; its id."""

    @dg.op
    def build(context: dg.OpExecutionContext) -> None:
        for event in told(number, partition):
            context.log_event(event)  # pyright: ignore[reportArgumentType]  (it takes evaluations, too)

    @dg.job
    def builds() -> None:
        build()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return builds.execute_in_process(instance=instance, run_config=quiet).run_id


def empty_run(instance: dg.DagsterInstance, **tags: str) -> str:
    """A run that reported nothing; its id."""

    @dg.job
    def looks() -> None: ...

    return instance.create_run_for_job(looks, tags=tags, status=dg.DagsterRunStatus.SUCCESS).run_id


def numbers(instance: dg.DagsterInstance, asset: str) -> list[tuple[str | None, int]]:
    """What is known of an asset, newest first: partition and number."""
    found = [
        record.asset_materialization
        for record in instance.fetch_materializations(dg.AssetKey(asset), limit=100).records
    ]
    return [(event.partition, int(str(event.metadata["number"].value))) for event in found if event is not None]


def checks(instance: dg.DagsterInstance, asset: str) -> list[int]:
    """The numbers of the evaluations of an asset's check, newest first."""
    check = dg.AssetCheckKey(dg.AssetKey(asset), CHECK)
    found: list[int] = []
    for record in instance.event_log_storage.get_asset_check_execution_history(check, limit=100):
        assert record.event is not None
        assert record.event.dagster_event is not None
        found.append(int(str(record.event.dagster_event.asset_check_evaluation_data.metadata["number"].value)))
    return found


def partition_checks(instance: dg.DagsterInstance, keys: Sequence[str]) -> dict[str, AssetCheckPartitionInfo]:
    check = dg.AssetCheckKey(dg.AssetKey(SHARDS), CHECK)
    found = instance.event_log_storage.get_asset_check_partition_info([check], partition_keys=list(keys))
    return {str(info.partition_key): info for info in found}


def test_of_builds_by_command_the_last_ones_stay_and_the_newest_of_every_live_shard(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths
) -> None:
    report(instance, 1, "train-00000")  # retired since
    report(instance, 0, "train-00001")  # written once, long ago, and still a part of the dataset
    for number in range(2, 6):
        report(instance, number)
        report(instance, number, "train-00002", is_checked=number == 2)
    found = prune(instance, graph, paths, KEEP_TWO)
    assert numbers(instance, "plan") == [(None, 5), (None, 4)]
    assert checks(instance, "plan") == [5, 4]
    assert numbers(instance, SHARDS) == [("train-00002", 5), ("train-00002", 4), ("train-00001", 0)]
    assert set(partition_checks(instance, ["train-00000", "train-00001", "train-00002"])) == {
        "train-00001",
        "train-00002",
    }
    event = instance.get_latest_materialization_event(dg.AssetKey("plan"))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["number"].value == 5
    assert (found.runs_deleted, found.events_deleted) == (0, 2 * 2 + 2 + 2)
    assert prune(instance, graph, paths, KEEP_TWO).events_deleted == 0


def test_of_runs_the_last_ones_stay_and_those_that_hold_what_is_newest(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths
) -> None:
    holder = run(instance, 0, "train-00001")
    ids = [run(instance, 1), empty_run(instance), run(instance, 2), empty_run(instance)]
    found = prune(instance, graph, paths, KEEP_TWO)
    assert {record.dagster_run.run_id for record in instance.get_run_records()} == {holder, *ids[-2:]}
    assert (found.runs_deleted, found.runs_kept) == (2, 3)
    assert numbers(instance, SHARDS) == [("train-00001", 0)]
    assert numbers(instance, "plan") == [(None, 2)]
    assert checks(instance, "plan") == [2, 1]
    kept = {path.name for path in paths.dagster_home.rglob("*") if any(run_id in str(path) for run_id in ids[:2])}
    assert kept == set()  # neither events nor logs
    assert prune(instance, graph, paths, KEEP_TWO).runs_deleted == 0


def test_a_run_stays_for_the_newest_check_alone_and_goes_when_there_is_a_newer_one(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths
) -> None:
    holder = run(instance, 0)
    instance.report_runless_asset_event(told(1)[0])
    for _ in range(2):
        empty_run(instance)
    prune(instance, graph, paths, KEEP_TWO)
    assert instance.get_run_by_id(holder) is not None
    assert checks(instance, "plan") == [0]
    instance.report_runless_asset_event(told(3)[1])
    prune(instance, graph, paths, KEEP_TWO)
    assert instance.get_run_by_id(holder) is None
    assert checks(instance, "plan") == [3, 0]  # Dagster keeps it without its run; two of a check stay


def test_what_is_too_old_goes_however_little_there_is(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths
) -> None:
    for number in range(2):
        report(instance, number)
        run(instance, number, "train-00001")
    empty_run(instance)
    settings = DatasetSettings(history_days=1e-9)
    prune(instance, graph, paths, settings)
    assert numbers(instance, "plan") == [(None, 1)]
    assert numbers(instance, SHARDS) == [("train-00001", 1)]
    assert len(instance.get_run_records()) == 1


def test_a_run_that_is_not_finished_stays(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths
) -> None:
    @dg.job
    def waits() -> None: ...

    begun = instance.create_run_for_job(waits, status=dg.DagsterRunStatus.STARTED)
    prune(instance, graph, paths, DatasetSettings(history_days=1e-9))
    assert instance.get_run_by_id(begun.run_id) is not None


def test_on_an_instance_of_others_only_the_datasets_own_runs_go(
    paths: DatasetPaths, graph: DatasetGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        report(instance, 0)
        report(instance, 1)
        strangers = {empty_run(instance) for _ in range(3)}
        mine = [empty_run(instance, **graph.run_tags) for _ in range(3)]
        found = prune(instance, graph, paths, KEEP_TWO)
        assert {record.dagster_run.run_id for record in instance.get_run_records()} == {*strangers, *mine[1:]}
        assert numbers(instance, "plan")[-1] == (None, 0)  # events without a run may be of others
    assert (found.runs_deleted, found.events_deleted, found.num_files) == (1, 0, 0)


def test_files_shrink_when_much_was_deleted(
    instance: dg.DagsterInstance, graph: DatasetGraph, paths: DatasetPaths
) -> None:
    for _ in range(30):
        event = dg.AssetMaterialization("plan", metadata={"text": dg.MetadataValue.md("x" * 100_000)})
        instance.report_runless_asset_event(event)
    found = prune(instance, graph, paths, KEEP_TWO)
    assert found.bytes_before > 6_000_000
    assert found.bytes_after < 1_500_000


def test_events_are_judged_by_number_age_and_whether_something_newer_tells_the_same() -> None:
    live = {dg.AssetKey("shards"): ["a", "b"]}
    shards, plan = ("M", dg.AssetKey("shards").to_string()), ("M", dg.AssetKey("plan").to_string())

    def event(number: int, subject: tuple[str, ...], partition: str | None = None, run_id: str = NO_RUN) -> StoredEvent:
        return StoredEvent(subject, partition, run_id, timestamp=100.0 - number, event_id=number)

    events = [
        event(0, shards, "a"),
        event(1, shards, "a"),
        event(2, shards, "gone"),  # the third of its asset, and of no live partition
        event(3, shards, "b"),  # the newest of b, whatever its number
        event(4, plan),
        event(5, plan, run_id="there"),
        event(6, plan, run_id="there"),  # goes with its run
        event(7, plan, run_id="deleted"),
    ]
    runs = {"there"}
    assert [e.event_id for e in old_events(events, live, runs, num_kept=2, since=0.0)] == [2, 7]
    assert [e.event_id for e in old_events(events, live, runs, num_kept=9, since=98.5)] == [2, 7]
    assert [e.event_id for e in old_events(events, live, runs, num_kept=9, since=99.5)] == [1, 2, 7]


def test_the_command_prunes_and_says_what_is_left(built_home: DatasetPaths, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prune", "--root", str(built_home.root), "--set", "dataset.history_runs=1", "--json"]
    assert main(arguments) == EXIT_OK
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["home"] == str(built_home.dagster_home)
    assert (said["runs_deleted"], said["events_deleted"], said["exit_code"]) == (1, 7, 0)
    assert main([*arguments[:3]]) == EXIT_OK
    assert "0 runs and 0 events deleted" in " ".join(capsys.readouterr().out.split())


@pytest.fixture
def built_home(built_once: Built, paths: DatasetPaths, graph: DatasetGraph) -> DatasetPaths:
    """A dataset with a history: a manifest is enough of it."""
    paths.directory.mkdir(parents=True)
    paths.manifest.write_bytes(built_once.paths.manifest.read_bytes())
    with open_instance(paths) as instance:
        set_live(instance, graph, ["train-00001"])
        for number in range(3):
            report(instance, number)
        run(instance, 3)
        run(instance, 4)
    return paths


def test_the_command_leaves_an_instance_that_others_share_to_its_own_job(
    built_once: Built, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "/somewhere")
    assert main(["prune", "--root", str(built_once.paths.root)]) == EXIT_USAGE
    said = " ".join(capsys.readouterr().err.split())
    assert "DAGSTER_HOME is /somewhere, an instance that other assets may share" in said
    assert "prune_history" in said


@pytest.mark.slow
def test_the_job_of_the_code_location_prunes(
    instance: dg.DagsterInstance, paths: DatasetPaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for _ in range(DatasetSettings().history_runs + 2):
        empty_run(instance)
    location = open_location(monkeypatch, instance, tmp_path, paths)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = location.definitions.resolve_job_def("prune_history")
    assert job.execute_in_process(instance=instance, run_config=quiet).success
    assert len(instance.get_run_records()) == DatasetSettings().history_runs + 1  # and the run that pruned
