"""Two datasets, what writes their videos, what trains on one of them, and somebody else's assets: one real instance."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import yaml

from video_assets.defs.graph import DATASET_TAG
from video_assets.pipeline.dataset_state import committed_counts
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.videos import write_class, write_video
from video_assets_tests.waiting import end_process_group, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
PATIENCE_SECONDS = 900

PROJECT = """
import dagster as dg
from video_assets import Automation, VideoDataset, build_video_dataset_defs

automation = Automation(sensors=True, sensor_seconds=3)
shared = {"root": ROOT, "workers": 1, "plan": {"clips_per_shard": 2}, "encoding": {"num_frames": 2, "resolution": 32}}
folders = VideoDataset(name="folders", source=FOLDERS, **shared)
table = VideoDataset(name="table", source=TABLE, **shared)
defs_of = build_video_dataset_defs


@dg.asset(key=["raw", "folders"])
def raw() -> None: ...


@dg.asset(deps=[dg.AssetKey(["folders", "dataset"])], automation_condition=dg.AutomationCondition.eager())
def model(context: dg.AssetExecutionContext) -> None:
    event = context.instance.get_latest_materialization_event(dg.AssetKey(["folders", "dataset"]))
    told = event.asset_materialization.metadata
    with open(TRAINED, "a") as file:
        file.write(f"{told['version_dir'].value} {told['records'].value}\\n")


@dg.asset(required_resource_keys={"source"})
def manifest() -> None: ...


@dg.asset
def plan() -> None: ...


@dg.asset
def dataset() -> None: ...


defs = dg.Definitions.merge(
    defs_of(folders, key_prefix="folders", videos=["raw", "folders"], automation=automation),
    defs_of(table, key_prefix="table", automation=automation),
    dg.Definitions(
        assets=[raw, model, manifest, plan, dataset],
        schedules=[dg.ScheduleDefinition(name="nightly", cron_schedule="0 1 * * *", target="manifest")],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "follow", target="model", default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=3
            )
        ],
        resources={"source": dg.ResourceDefinition.hardcoded_resource(1)},
        executor=dg.multiprocess_executor,
    ),
)
"""


@dataclass(frozen=True)
class Site:
    """Where everything is."""

    folder: Path
    home: Path

    @property
    def sources(self) -> dict[str, Path]:
        return {name: self.folder / f"{name}_videos" for name in ("folders", "table")}

    def paths(self, name: str) -> DatasetPaths:
        return DatasetPaths(self.folder / "root", name)

    def num_records(self, name: str) -> int:
        """Records of the committed dataset; 0 before there is one."""
        return sum(split["records"] for split in committed_counts(self.paths(name), "1.0.0").values())

    def trained(self) -> list[list[str]]:
        """Version directory and records of each training."""
        log = self.folder / "trained.txt"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def write_table(site: Site) -> None:
    source = site.sources["table"]
    rows = [f"{path.name},{path.name.split('_')[1]}" for path in sorted(source.glob("*.mp4"))]
    temporary = source / "clips.csv.new"
    temporary.write_text("\n".join(["path,label", *rows]) + "\n")
    temporary.replace(source / "clips.csv")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Both sources filled, and a daemon at work."""
    from video_assets.defs.instance import prepare_home

    site = Site(tmp_path, tmp_path / "home")
    for source in site.sources.values():
        for label in ("jump", "run"):
            write_class(source, label, range(1, 4), range(1, 2))
    flat = site.sources["table"]
    for video in sorted(flat.glob("*/*.mp4")):
        shutil.move(video, flat / video.name)
    for label in ("jump", "run"):
        (flat / label).rmdir()
    write_table(site)
    names = {"ROOT": "root", "FOLDERS": "folders_videos", "TABLE": "table_videos/clips.csv", "TRAINED": "trained.txt"}
    places = "".join(f"{name} = {str(tmp_path / place)!r}\n" for name, place in names.items())
    (tmp_path / "their_project.py").write_text(places + PROJECT, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(site.home))
        prepare_home(site.paths("folders"))
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": [{"python_module": {"module_name": "their_project"}}]}), "utf-8")
    python_path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    with (tmp_path / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)],
            env=os.environ | {"DAGSTER_HOME": str(site.home), "PYTHONPATH": python_path},
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=tmp_path,
        )
        try:
            yield site
        finally:
            end_process_group(daemon)


def wait_for_records(site: Site, num_records: int) -> None:
    for name in site.sources:
        wait_until(
            lambda name=name: site.num_records(name) == num_records,
            seconds=PATIENCE_SECONDS,
            what=f"{num_records} records of {name}",
        )


def kill_worker_of_next_run(site: Site, job: str) -> str:
    """Kill the process of the next run of a job, as a machine does that is short of memory; return the run's id."""
    with dg.DagsterInstance.from_config(str(site.home)) as instance:
        known = {run.run_id for run in instance.get_runs()}
        at_work = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.STARTED])

        def next_run() -> str | None:
            return next((run.run_id for run in instance.get_runs(at_work) if run.run_id not in known), None)

        killed = wait_until(next_run, seconds=PATIENCE_SECONDS, what=f"a run of {job}", every=0.1)
        said = [event.message for event in instance.all_logs(killed)]
        pids = [int(found[1]) for text in said if (found := re.search(r"Started process for run \(pid: (\d+)\)", text))]
        os.kill(pids[0], signal.SIGKILL)
        return killed


def test_two_datasets_grow_at_once_and_what_follows_one_starts_once_per_commit(site: Site) -> None:
    wait_for_records(site, 6)
    wait_until(lambda: len(site.trained()) == 1, seconds=PATIENCE_SECONDS, what="the first training")

    write_video(site.sources["folders"] / "run" / "v_run_g77_c01.mp4", seed=1)
    write_video(site.sources["table"] / "v_run_g77_c01.mp4", seed=2)
    write_table(site)
    killed = kill_worker_of_next_run(site, "folders__encode_train_shards")
    wait_for_records(site, 7)
    wait_until(lambda: len(site.trained()) == 2, seconds=PATIENCE_SECONDS, what="the second training")

    version = str(site.paths("folders").version("1.0.0").directory)
    assert site.trained() == [[version, "6"], [version, "7"]]
    with dg.DagsterInstance.from_config(str(site.home)) as instance:
        runs = instance.get_runs()
        failed = {run.run_id: run for run in runs if run.status is dg.DagsterRunStatus.FAILURE}
        assert killed in failed
        retried = {run.parent_run_id for run in runs if run.status is dg.DagsterRunStatus.SUCCESS}
        assert failed.keys() <= retried
        tagged = {run.job_name.partition("__")[0]: run.tags[DATASET_TAG] for run in runs if DATASET_TAG in run.tags}
        assert tagged == {name: str(site.paths(name).directory.resolve()) for name in site.sources}
        for name in site.sources:
            commits = instance.fetch_materializations(dg.AssetKey([name, "dataset"]), limit=10).records
            assert len(commits) == 2
    assert json.loads(site.paths("table").version("1.0.0").dataset_info.read_text("utf-8"))["name"] == "table"
