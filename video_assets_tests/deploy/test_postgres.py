"""deploy/postgres: a dataset grows by its sensors with Dagster's storage in a real PostgreSQL server."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from video_assets.run_config import settings_of
from video_assets_tests.datasets import RUN_CONFIG, Built
from video_assets_tests.deploy.postgres import postgres_server, server_programs
from video_assets_tests.pipeline.videos import write_video
from video_assets_tests.test_daemon import committed_ids, num_committed
from video_assets_tests.waiting import end_process_group, free_port, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "postgres" / "dagster.yaml"
PATIENCE_SECONDS = 500
NUM_ARRIVALS = 12


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """DAGSTER_HOME with the example's settings, and its server; what died is missed sooner than there."""
    pytest.importorskip("dagster_postgres", reason="needs dagster-postgres (pip install 'video_assets[postgres]')")
    programs = server_programs()
    if programs is None:
        pytest.skip("needs a PostgreSQL server (Debian: postgresql)")
    folder = tmp_path / "home"
    folder.mkdir()
    settings = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    assert settings["run_monitoring"]["enabled"]
    settings["run_monitoring"] |= {"start_timeout_seconds": 30, "poll_interval_seconds": 3}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    with postgres_server(programs) as (url, password), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder))
        patch.setenv("DAGSTER_POSTGRES_URL", url)
        for variable in ("SOURCE", "ROOT", "NAME", "WORKERS"):
            patch.setenv(f"VIDEO_ASSETS_{variable}", "")  # remembered, so that what a build sets is taken back
        yield folder
    logs = [path.read_text("utf-8", "replace") for path in tmp_path.glob("ui*.log")]
    assert logs
    assert not any(password in log for log in logs)


@contextmanager
def ui(dataset: Built, log: Path) -> Generator[subprocess.Popen[bytes]]:
    """What `make ui` runs."""
    command = [sys.executable, "-m", "video_assets.cli", "ui", "--source", dataset.source, "--root", dataset.paths.root]
    command += ["--port", str(free_port())]
    environment = {**os.environ, "VIDEO_ASSETS_SENSOR_SECONDS": "3"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*map(str, command)], env=environment, stdout=output, stderr=output, start_new_session=True, cwd=log.parent
        )
        try:
            yield server
        finally:
            end_process_group(server)


def daemon_of(server: "subprocess.Popen[bytes]") -> psutil.Process | None:
    """The daemon among the processes of a UI."""
    for process in psutil.Process(server.pid).children(recursive=True):
        if any(Path(part).name == "dagster-daemon" for part in process.cmdline()):
            return process
    return None


def unfinished_encoding(instance: dg.DagsterInstance) -> bool:
    """Whether a run that encodes shards has begun and not ended."""
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return any(run.job_name.startswith("encode_") for run in runs)


def test_a_growth_run_whose_daemon_is_killed_finishes_once(home: Path, videos: Path, tmp_path: Path) -> None:
    from video_assets.pipeline.build_command import run_build
    from video_assets.storage.paths import DatasetPaths

    source = Path(shutil.copytree(videos, tmp_path / "videos"))
    dataset = Built(source, DatasetPaths(tmp_path / "root", "clips"))
    built = run_build(source, dataset.paths, settings_of(RUN_CONFIG), num_workers=1)
    assert built.exit_code == 0, built.refused
    assert not (dataset.paths.directory / ".dagster").exists()
    before = num_committed(dataset)
    arrivals = {f"run/arrival_{number}.mp4" for number in range(NUM_ARRIVALS)}
    for number, path in enumerate(sorted(arrivals)):
        write_video(source / path, seed=7200 + number)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        with ui(dataset, tmp_path / "ui1.log") as server:
            wait_until(
                lambda: unfinished_encoding(instance), seconds=PATIENCE_SECONDS, what="shards are encoded", every=0.05
            )
            daemon = daemon_of(server)
            assert daemon is not None
            daemon.kill()
        with ui(dataset, tmp_path / "ui2.log"):
            wait_until(
                lambda: num_committed(dataset) == before + NUM_ARRIVALS,
                seconds=PATIENCE_SECONDS,
                what="the videos that arrived are committed",
            )
        records = instance.fetch_materializations(dg.AssetKey("train_shards"), limit=1000).records
    assert arrivals <= committed_ids(dataset)
    # An event of Dagster's own for each key of a range stands beside ours, and says nothing of what was done.
    written = {
        (record.run_id, record.partition_key)
        for record in records
        if (event := record.asset_materialization) is not None
        and (was_reused := event.metadata.get("was_reused")) is not None
        and not was_reused.value
    }
    times_written = Counter(key for _, key in written)
    assert set(times_written.values()) == {1}, times_written
