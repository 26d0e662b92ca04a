"""Two datasets in one code location, as a person looks at them: each has its own graph, partitions and checks."""

import os
import subprocess
import sys
from collections.abc import Generator

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets_tests.browser.browsing import Page
from video_assets_tests.browser.serving import Ui, serve_project
from video_assets_tests.pipeline.videos import write_class

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]

PROJECT = """
import dagster as dg
from pathlib import Path
from video_assets import VideoDataset, build_video_dataset_defs

here = Path(__file__).parent
shared = {"root": str(here / "root"), "workers": 1, "encoding": {"num_frames": 2, "resolution": 32}}
few = VideoDataset(name="few", source=str(here / "few"), plan={"clips_per_shard": 50}, **shared)
many = VideoDataset(name="many", source=str(here / "many"), plan={"clips_per_shard": 2}, **shared)
defs = dg.Definitions.merge(
    build_video_dataset_defs(few, key_prefix="few"), build_video_dataset_defs(many, key_prefix="many")
)
"""
SHARDS = {"few": 1, "many": 2}
"""Train shards of each: 4 of 6 clips, for one of three groups of each class goes to test."""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Generator[Ui]:
    """A server that shows both, built by their own jobs."""
    place = tmp_path_factory.mktemp("two")
    project, home = place / "project.py", place / "home"
    project.write_text(PROJECT, "utf-8")
    home.mkdir()
    for name in SHARDS:
        for label in ("jump", "run"):
            write_class(place / name, label, range(1, 4), range(1, 2))
        command = [
            sys.executable,
            "-m",
            "dagster",
            "job",
            "execute",
            "-f",
            str(project),
            "-j",
            f"{name}__build_dataset",
        ]
        done = subprocess.run(command, env={**os.environ, "DAGSTER_HOME": str(home)}, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    with serve_project(project, home, place / "server.log") as ui:
        ui.wait_until_loaded()
        yield ui


@pytest.mark.parametrize("name", SHARDS)
def test_each_has_its_own_graph(both: Ui, page: Page, name: str) -> None:
    text = page.open(f"{both.url}/locations/project.py/asset-groups/{name}", "manifest", "plan", "dataset")
    other = next(other for other in SHARDS if other != name)
    assert f"{other} /" not in text
    assert f"{other}__" not in text


@pytest.mark.parametrize("name", SHARDS)
def test_each_has_its_own_partitions(both: Ui, page: Page, name: str) -> None:
    keys = both.partitions(f"{name}/train_shards")
    assert len(keys) == SHARDS[name]
    page.open(f"{both.url}/assets/{name}/train_shards?view=partitions", *keys)


@pytest.mark.parametrize("name", SHARDS)
def test_each_has_its_own_checks(both: Ui, page: Page, name: str) -> None:
    assert both.check_statuses(f"{name}/dataset", "no_leakage") == {None: "SUCCEEDED"}
    address = f"{both.url}/assets/{name}/dataset?view=checks&checkDetail=no_leakage"
    page.open(address, "Evaluation result", "no_leakage", "Passed")
