"""The first thing that people click, where nothing was built yet."""

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets_tests.browser.browsing import Page
from video_assets_tests.browser.serving import Ui, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]


def test_materialize_all_on_a_fresh_instance_fails_by_name(new_ui: Ui, page: Page) -> None:
    page.open(f"{new_ui.url}/asset-groups/", "videos", "dataset")
    page.click_button("Materialize all")
    page.click_button_until("Launch backfill", new_ui.num_backfills)

    run = wait_until("the run of the backfill", lambda: new_ui.new_run(()))

    assert new_ui.wait_for_run(run) == "FAILURE"
    failures = new_ui.failures(run)
    assert list(failures) == ["dataset"]
    assert "materialize" in failures["dataset"]
    page.open(f"{new_ui.url}/runs/{run}", failures["dataset"])
