"""The sample set through the UI: planned from the launchpad, shards materialized by clicks, a check that fails."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets.media.sample_dataset import write_sample
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.browser.browsing import LAUNCHPAD, Page, Ui, browse, browser_programs, serve
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.damage import rewrite_shard, with_frames_turned_round

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser_programs() is None, reason="chromium and chromedriver are not installed"),
]

SETTINGS = "ops: {plan: {config: {clips_per_shard: 24, encoding: {num_frames: 4, resolution: 64}}}}"


@dataclass(frozen=True)
class Desk:
    """One user's screen, and where the dataset lies."""

    ui: Ui
    page: Page
    root: Path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    place = tmp_path_factory.mktemp("sample")
    write_sample(place / "videos")
    with browse(place / "profile") as page, serve(place / "videos", place / "root", place / "server.log") as ui:
        ui.wait_until_loaded()
        yield Desk(ui, page, place / "root")


def test_the_launchpad_plans_the_sample_with_changed_settings(desk: Desk) -> None:
    page = desk.page
    page.open(LAUNCHPAD.format(ui=desk.ui.url), "Launch Run")
    page.write_config(SETTINGS)
    page.wait_for("No errors")

    page.click_button("Launch Run")

    [run] = desk.ui.wait_for_runs(1)
    assert run["status"] == "SUCCESS", desk.ui.failures(run["runId"])
    page.open(f"{desk.ui.url}/assets/plan?view=events", '"resolution": 64', "train-00003", "test-00000")


def test_its_partitions_turn_green(desk: Desk) -> None:
    page = desk.page
    page.open(f"{desk.ui.url}/assets/train_shards?view=partitions", "Missing (4)", "Materialized (0)")
    page.click_button("Materialize…")
    page.click("//button[normalize-space(.)='All']")
    page.click_until_gone("Launch backfill")
    test_run = desk.ui.launch(["test_shards"], {}, {"dagster/partition": "test-00000"})
    assert desk.ui.wait_for_run(test_run) == "SUCCESS"

    runs = desk.ui.wait_for_runs(3)

    assert [run["status"] for run in runs] == ["SUCCESS"] * 3
    page.open(f"{desk.ui.url}/assets/train_shards?view=partitions", "Missing (0)", "Materialized (4)", "Failed (0)")
    page.open(f"{desk.ui.url}/assets/test_shards?view=partitions", "Missing (0)", "Materialized (1)", "Failed (0)")
    assert desk.ui.wait_for_run(desk.ui.launch(["dataset"], {})) == "SUCCESS"
    page.open((desk.root / "clips" / "1.0.0" / "card.html").as_uri(), "96", "MoveLeft", "TurnRight", "v_TurnRight_g06")


def test_a_check_that_fails_tells_its_reason_and_shows_both_frames(desk: Desk) -> None:
    rewrite_shard(Built(desk.root, DatasetPaths(desk.root, "clips")), "train-00002", with_frames_turned_round)
    page = desk.page
    address = f"{desk.ui.url}/assets/train_shards?view=checks&checkDetail=shard_matches_source"
    page.open(address, "Execute all")
    num_runs = len(desk.ui.runs())
    page.click_button("Execute all")
    desk.ui.wait_for_runs(num_runs + 1)

    page.open_check(address, "train-00002", "Failed (1)", "Passed (3)")
    page.wait_for("what_was_found", "dB from its source", "[Show Markdown]")
    page.open_picture()
