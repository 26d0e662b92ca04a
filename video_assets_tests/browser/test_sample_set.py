"""What a user does with the sample set: plan it, materialize its shards, commit it. Each test has a root of its own."""

from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets_tests.browser.browsing import LAUNCHPAD, Page
from video_assets_tests.browser.serving import Ui

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]

SETTINGS = "ops: {plan: {config: {clips_per_shard: 24, encoding: {num_frames: 4, resolution: 64}}}}"
RUN_CONFIG = {"ops": {"plan": {"config": {"clips_per_shard": 24, "encoding": {"num_frames": 4, "resolution": 64}}}}}
TRAIN_SHARDS = [f"train-0000{index}" for index in range(4)]
SHARD_CHECKS = ("shard_decodes", "shard_is_complete", "shard_matches_source")


def test_the_launchpad_plans_the_sample_with_changed_settings(new_ui: Ui, page: Page) -> None:
    page.open(LAUNCHPAD.format(ui=new_ui.url, job="plan_dataset"), "Launch Run")
    page.write_config(SETTINGS)
    page.wait_for("No errors")

    known = new_ui.run_ids()
    run = page.click_button_until("Launch Run", lambda: new_ui.new_run(known))

    new_ui.expect_success(run)
    assert new_ui.latest_run_of("plan") == run
    assert new_ui.partitions("train_shards") == TRAIN_SHARDS
    page.open(f"{new_ui.url}/assets/plan?view=events", '"resolution": 64', TRAIN_SHARDS[-1], "test-00000")


def test_partitions_turn_green_with_their_checks_passed_and_the_dataset_commits(
    new_ui: Ui, root: Path, page: Page
) -> None:
    new_ui.run_to_success(["manifest", "train_split", "test_split", "plan"], RUN_CONFIG)
    page.open(f"{new_ui.url}/assets/train_shards?view=partitions", "Missing (4)", "Materialized (0)")
    page.materialize_all_partitions()
    page.click_button_until("Launch backfill", new_ui.num_backfills)
    # While the backfill waits for the daemon's next tick.
    new_ui.run_to_success(["test_shards"], {}, {"dagster/partition": "test-00000"})
    assert_green(new_ui, page, "test_shards", ["test-00000"])
    page.click_last("test-00000", "Target materialization", "are the planned clips, in order")

    new_ui.wait_until_materialized("train_shards")
    assert_green(new_ui, page, "train_shards", TRAIN_SHARDS)

    new_ui.run_to_success(["dataset"], {})
    page.open((root / "clips" / "1.0.0" / "card.html").as_uri(), "96", "MoveLeft", "TurnRight", "v_TurnRight_g06")


def assert_green(ui: Ui, page: Page, asset: str, keys: list[str]) -> None:
    """Assert that the API and the pages say so; the last page shows the check `shard_is_complete`, by partition."""
    for check in SHARD_CHECKS:
        ui.wait_for_check(asset, check, dict.fromkeys(keys, "SUCCEEDED"))
    counts = (f"Materialized ({len(keys)})", "Missing (0)", "Failed (0)")
    page.open(f"{ui.url}/assets/{asset}?view=partitions", *keys, *counts)
    for check in sorted(SHARD_CHECKS, key="shard_is_complete".__eq__):
        page.open(f"{ui.url}/assets/{asset}?view=checks&checkDetail={check}", "Evaluation result", "Passed")
        others = [f"{other} (0)" for other in ("Execution Failed", "Failed", "In Progress", "Missing", "Skipped")]
        page.click_last("Partitions", f"Passed ({len(keys)})", *others)
