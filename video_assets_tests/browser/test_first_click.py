"""The first thing that people click, where nothing was built yet."""

from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets_tests.browser.browsing import LAUNCHPAD, Page
from video_assets_tests.browser.serving import Ui, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]


def test_materialize_all_on_an_empty_root_ends_with_a_committed_dataset(new_ui: Ui, root: Path, page: Page) -> None:
    page.open(f"{new_ui.url}/asset-groups/", "videos", "dataset")
    page.click_button("Materialize all")
    page.click_button_until("Launch backfill", new_ui.num_backfills)

    run = wait_until("the run of the backfill", lambda: new_ui.new_run(()))

    assert_built(new_ui, run, root)
    page.open(f"{new_ui.url}/assets/dataset", "version_dir", "1.0.0")


def test_the_job_build_dataset_on_an_empty_root_ends_with_a_committed_dataset(
    new_ui: Ui, root: Path, page: Page
) -> None:
    page.open(LAUNCHPAD.format(ui=new_ui.url, job="build_dataset"), "Launch Run")

    run = page.click_button_until("Launch Run", lambda: new_ui.new_run(()))

    assert_built(new_ui, run, root)
    assert [one["runId"] for one in new_ui.runs()] == [run]


def assert_built(ui: Ui, run: str, root: Path) -> None:
    """Assert that this run has committed the sample, with each shard and its checks, and says nothing of val."""
    ui.expect_success(run)
    for asset in ("train_shards", "test_shards"):
        ui.wait_until_materialized(asset)
        ui.wait_for_check(asset, "shard_is_complete", dict.fromkeys(ui.partitions(asset), "SUCCEEDED"))
    assert ui.latest_run_of("dataset") == run
    assert ui.latest_run_of("val_shards") is None
    for check in ("classes_covered", "no_leakage", "nothing_lost", "one_encoding"):
        ui.wait_for_check("dataset", check, {None: "SUCCEEDED"})
    assert (root / "clips" / "1.0.0" / "dataset_info.json").is_file()
