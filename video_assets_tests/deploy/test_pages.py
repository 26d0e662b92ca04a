"""The commands of deploy/ray and deploy/postgres, as their pages have them: one after another in one shell.

Places and names that a page invents are put in: `/srv/…`, `FIRST`, the database and its password. What
deploy/kubernetes has needs Docker and a cluster, and is not run.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from video_assets_tests.deploy.postgres import postgres_server, server_programs
from video_assets_tests.engines.cluster import run_shell_alone, why_no_cluster
from video_assets_tests.test_docs import ROOT, answers, blocks_of, environment_of
from video_assets_tests.waiting import end_process_group, free_port, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
PATIENCE_SECONDS = 400


def script_of(folder: str, values: Mapping[str, str]) -> str:
    """The commands of a page with other places and names, each of which stands in it."""
    (block,) = blocks_of(ROOT / "deploy" / folder / "README.md")
    code = block.code
    for name, value in values.items():
        assert name in code, f"{block.place} does not say {name} any more"
        code = code.replace(name, value)
    return code


@pytest.fixture
def environment() -> Mapping[str, str]:
    """Nothing of the user's; the environment that the page has made is there already."""
    if not (ROOT / ".venv" / ".set-up").exists():
        pytest.skip("needs the .venv that `make setup` makes")
    return environment_of(ROOT)


def test_the_page_on_ray_builds_on_two_nodes(videos: Path, tmp_path: Path, environment: Mapping[str, str]) -> None:
    pytest.importorskip("ray", reason="needs Ray (pip install 'video_assets[ray]')")
    if reason := why_no_cluster():
        pytest.skip(f"a Ray cluster for tests {reason}")
    root = tmp_path / "datasets"
    script = script_of("ray", {"FIRST": "127.0.0.1", "/srv/videos": str(videos), "/srv/datasets": str(root)})
    script += ".venv/bin/ray status\n"
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # sockets in it have names of at most 107 characters
        environment = {**environment, "RAY_TMPDIR": folder}
        done = run_shell_alone(script, timeout=PATIENCE_SECONDS, environment=environment, cwd=ROOT)
    said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    assert done.returncode == 0, said
    assert (root / "clips" / "1.0.0" / "dataset_info.json").exists(), said
    assert done.stdout.partition("Active:")[2].partition("Pending:")[0].count("node_") == 2, said


@pytest.fixture
def postgres() -> Iterator[tuple[str, str]]:
    """The address of a real server's database, and its password."""
    pytest.importorskip("dagster_postgres", reason="needs dagster-postgres (pip install 'video_assets[postgres]')")
    programs = server_programs()
    if programs is None:
        pytest.skip("needs a PostgreSQL server (Debian: postgresql)")
    with postgres_server(programs) as server:
        yield server


def test_the_page_on_postgresql_serves_the_ui(
    videos: Path, tmp_path: Path, environment: Mapping[str, str], postgres: tuple[str, str]
) -> None:
    import sqlalchemy

    url, password = postgres
    values = {
        "postgresql+psycopg2://dagster:PASSWORD@127.0.0.1/dagster": url,
        "/srv/dagster": str(tmp_path / "home"),
        "/srv/videos": str(videos),
        "/srv/datasets": str(tmp_path / "datasets"),
    }
    script, port, log = script_of("postgres", values), free_port(), tmp_path / "served.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["sh", "-euc", script],
            cwd=ROOT,
            env={**environment, "MAKEFLAGS": f"PORT={port}"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def still_runs() -> None:
        assert server.poll() is None, log.read_text("utf-8", "replace")[-3000:]

    try:
        wait_until(lambda: answers(port), seconds=PATIENCE_SECONDS, what="the UI answers", meanwhile=still_runs)
    finally:
        end_process_group(server)
    tables = sqlalchemy.inspect(sqlalchemy.create_engine(url)).get_table_names()
    assert {"runs", "event_logs", "daemon_heartbeats"} <= set(tables)
    assert not list((tmp_path / "home").rglob("*.db"))
    assert password not in log.read_text("utf-8", "replace")
