"""The first thing that people click, where nothing was built yet."""

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets_tests.browser.browsing import Page
from video_assets_tests.browser.serving import Ui, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]


def test_materialize_all_on_an_empty_root_ends_with_a_committed_dataset(new_ui: Ui, page: Page) -> None:
    page.open(f"{new_ui.url}/asset-groups/", "videos", "dataset")
    page.click_button("Materialize all")
    page.click_button_until("Launch backfill", new_ui.num_backfills)

    run = wait_until("the run of the backfill", lambda: new_ui.new_run(()))

    new_ui.expect_success(run)
    for asset in ("train_shards", "test_shards"):
        new_ui.wait_until_materialized(asset)
    assert new_ui.latest_run_of("dataset") == run
    page.open(f"{new_ui.url}/assets/dataset", "version_dir", "1.0.0")
