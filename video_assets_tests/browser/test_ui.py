"""The UI as a person uses it: a real server, a real browser, clicks; and hostile names everywhere."""

import csv
import io
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.common.exceptions import NoAlertPresentException

from video_assets.storage.paths import DatasetPaths
from video_assets_tests.browser.browsing import LAUNCHPAD, Page, Ui, browse, browser_programs, serve, wait_until
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline import damage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(browser_programs() is None, reason="chromium and chromedriver are not installed"),
]

ASSETS = ("videos", "manifest", "train_split", "test_split", "plan", "train_shards", "test_shards", "dataset")
SHARD_CHECKS = ("shard_decodes", "shard_is_complete", "shard_matches_source")
MARKUP, QUOTES, SCRIPT, EMOJI = "<img src=x onerror=alert(1)>", '"it\'s" & co', "<script>alert(2)</script>", "😀 كلب"
LABELS = (MARKUP, QUOTES, SCRIPT, EMOJI)
BROKEN = 'broken <b onmouseover=alert(3)>"🎬"\u202egpj.mp4'
SETTINGS = """\
ops:
  manifest: {config: {max_failed_fraction: 0.5}}
  splits: {config: {test_fraction: 0.4}}
  plan: {config: {clips_per_shard: 3, encoding: {num_frames: 3, resolution: 32}}}
"""


@dataclass(frozen=True)
class Desk:
    """One user's screen: a server of a dataset whose names are hostile, and a server with nothing built."""

    ui: Ui
    fresh: Ui
    page: Page
    root: Path

    @property
    def shards(self) -> Path:
        return self.root / "clips" / "1.0.0"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Generator[Desk]:
    place = tmp_path_factory.mktemp("ui")
    source = write_hostile_source(place / "source")
    root = place / "root"
    with browse(place / "profile") as page, ended_together(ExitStack(), ExitStack()) as (one, other):
        fresh = one.enter_context(serve(source, place / "fresh", place / "fresh.log"))
        ui = other.enter_context(serve(source, root, place / "server.log"))
        fresh.wait_until_loaded()
        # Here, for a backfill starts only at the daemon's next tick, half a minute away: the last test looks at it.
        page.open(f"{fresh.url}/asset-groups/", *ASSETS)
        page.click_button("Materialize all")
        page.click_until_gone("Launch backfill")
        fresh.wait_for_backfills(1)
        ui.wait_until_loaded()
        yield Desk(ui, fresh, page, root)


@contextmanager
def ended_together(*stacks: ExitStack) -> Generator[tuple[ExitStack, ...]]:
    """Each server takes seconds to end."""
    try:
        yield stacks
    finally:
        with ThreadPoolExecutor() as threads:
            list(threads.map(ExitStack.close, stacks))


def write_hostile_source(directory: Path) -> Path:
    """Three clips of each of four labels, and a file that is no video; a table names them."""
    directory.mkdir()
    rows = []
    for index, label in enumerate(LABELS):
        for number in range(3):
            name = f"{number} {label.replace('/', '')}\n{index}.mp4"
            write_video(directory / name, seed=10 * index + number)
            rows.append({"path": name, "label": label, "group": f"{label} {number}"})
    (directory / BROKEN).write_bytes(b"no video at all" * 100)
    rows.append({"path": BROKEN, "label": MARKUP, "group": "broken"})
    text = io.StringIO()
    writer = csv.DictWriter(text, ["path", "label", "group"])
    writer.writeheader()
    writer.writerows(rows)
    table = directory / "clips.csv"
    table.write_text(text.getvalue(), "utf-8")
    return table


def write_video(path: Path, *, seed: int) -> None:
    import av
    import numpy as np

    shades = np.random.default_rng(seed)
    base = shades.integers(0, 200, (6, 8, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    # PyAV would take a name with a colon or a percent sign for more than a name.
    with path.open("wb") as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for step in range(8):
            frame = av.VideoFrame.from_ndarray(np.roll(base, 8 * step, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def assert_nothing_ran(page: Page) -> None:
    """No name became markup or a script."""
    with pytest.raises(NoAlertPresentException):
        page.driver.switch_to.alert.dismiss()
    assert not page.elements("img[src=x]")
    assert not page.elements("[onerror], [onmouseover]")
    assert not [tag for tag in page.elements("script") if "alert(" in (tag.get_attribute("textContent") or "")]


def test_the_graph_shows_all_assets(desk):
    page = desk.page
    page.open(f"{desk.ui.url}/asset-groups/", *ASSETS)

    wait_until("a node for each asset", lambda: len(page.elements("svg foreignObject")) >= len(ASSETS))


def test_a_wrong_setting_names_its_field_in_the_launchpad(desk):
    page = desk.page
    page.open(LAUNCHPAD.format(ui=desk.ui.url), "Launch Run")

    page.write_config("ops: {plan: {config: {encoding: {resolutoin: 5}}}}")
    page.wait_for('unexpected config entry "resolutoin" at path root:ops:plan:config:encoding')

    page.write_config("ops: {plan: {config: {encoding: {layout: foo}}}}")
    page.wait_for("root:ops:plan:config:encoding:layout", "got foo")


def test_a_value_out_of_range_names_its_field_in_the_runs_first_second(desk):
    page = desk.page
    page.open(LAUNCHPAD.format(ui=desk.ui.url), "Launch Run")

    page.write_config("ops: {plan: {config: {encoding: {resolution: -5}}}}")
    page.click_button("Launch Run")

    page.wait_for("plan.encoding.resolution is -5", "greater than or equal to 8")
    [run] = desk.ui.wait_for_runs(1)
    assert list(desk.ui.failures(run["runId"])) == ["manifest"]  # the first step: nothing was listed or opened


def test_planning_by_clicks_takes_changed_settings(desk):
    page = desk.page
    page.open(LAUNCHPAD.format(ui=desk.ui.url), "Launch Run")

    page.write_config(SETTINGS)
    page.wait_for("No errors")
    page.click_button("Launch Run")

    run = desk.ui.wait_for_runs(2)[0]
    assert desk.ui.failures(run["runId"]) == {}
    assert run["status"] == "SUCCESS"
    page.open(f"{desk.ui.url}/assets/plan?view=events", '"resolution": 32', '"num_frames": 3')


def test_names_are_shown_as_they_are_and_never_run(desk):
    page = desk.page
    for view in ("overview", "events"):
        # The page draws right-to-left overrides and newlines its own way; the rest is to be there letter by letter.
        text = page.open(f"{desk.ui.url}/assets/manifest?view={view}", "clips_by_class", *LABELS)
        assert "broken <b onmouseover=alert(3)>" in text
        assert_nothing_ran(page)
    page.open(f"{desk.ui.url}/assets/train_split?view=events", "balance", *LABELS)
    assert_nothing_ran(page)


def test_shards_turn_green_with_their_checks_passed_in_a_run_of_one_and_in_backfills(desk):
    page = desk.page
    single = desk.ui.launch(["test_shards"], {}, {"dagster/partition": "test-00000"})
    for number, (split, key) in enumerate((("train", "train-00000"), ("test", "test-00000")), start=1):
        page.open(f"{desk.ui.url}/assets/{split}_shards?view=partitions", key)
        page.click_button("Materialize…")
        page.click("//button[normalize-space(.)='All']")
        page.click_until_gone("Launch backfill")
        desk.ui.wait_for_backfills(number)
    # While the backfills wait for the daemon's next tick.
    assert desk.ui.wait_for_run(single) == "SUCCESS"
    page.open(f"{desk.ui.url}/assets/test_shards?view=checks&checkDetail=shard_is_complete", "Passed")
    page.click_last("Partitions")
    page.wait_for("Passed (", "Skipped (0)")
    page.click_last("test-00000")
    page.wait_for("Target materialization", "are the planned clips, in order")

    runs = desk.ui.wait_for_runs(5)
    assert [run["status"] for run in runs[:3]] == ["SUCCESS"] * 3
    for split in ("train", "test"):
        text = page.open(f"{desk.ui.url}/assets/{split}_shards?view=partitions", "Missing (0)", "Failed (0)")
        count = text.count(f"{split}-0")
        assert count >= 2
        assert f"Materialized ({count})" in text
        for check in SHARD_CHECKS:
            assert_all_passed(desk, split, check, count)


def assert_all_passed(desk, split, check, count):
    page = desk.page
    page.open(f"{desk.ui.url}/assets/{split}_shards?view=checks&checkDetail={check}", "Evaluation result", "Passed")
    page.click_last("Partitions")
    text = page.wait_for(f"Passed ({count})")
    for other in ("Execution Failed", "Failed", "In Progress", "Missing", "Skipped"):
        assert f"{other} (0)" in text


def test_the_dataset_commits_with_its_checks(desk):
    run_id = desk.ui.launch(["dataset"], {})
    assert desk.ui.wait_for_run(run_id) == "SUCCESS", desk.ui.failures(run_id)

    page = desk.page
    text = page.open(f"{desk.ui.url}/assets/dataset?view=checks", "no_leakage", "nothing_lost", "Evaluation result")
    assert text.count("Succeeded") == 4
    page.open(f"{desk.ui.url}/assets/dataset?view=overview", "version_dir")
    assert_nothing_ran(page)


def test_the_card_of_a_dataset_shows_hostile_names_as_text(desk):
    page = desk.page

    text = page.open((desk.shards / "card.html").as_uri(), *LABELS)

    assert "broken <b onmouseover=alert(3)>" in text
    assert_nothing_ran(page)
    assert not page.elements("script")
    assert page.elements("img[alt], svg")


def test_a_failed_check_shows_its_reason_and_the_two_frames(desk):
    dataset = Built(desk.root, DatasetPaths(desk.root, "clips"))
    damage.rewrite_shard(dataset, "test-00000", damage.with_frames_turned_round)

    page = desk.page
    address = f"{desk.ui.url}/assets/test_shards?view=checks&checkDetail=shard_matches_source"
    page.open(address, "Execute all")
    num_runs = len(desk.ui.runs())
    page.click_button("Execute all")
    desk.ui.wait_for_runs(num_runs + 1)

    page.open_check(address, "test-00000", "Failed (1)", "Execution Failed (0)")
    page.wait_for("what_was_found", "[Show Markdown]")
    page.open_picture()
    assert_nothing_ran(page)


def test_a_damaged_shard_is_found_with_its_reason(desk):
    shard = desk.shards / "clips-train-00000.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 0xFF
    shard.write_bytes(content)

    page = desk.page
    address = f"{desk.ui.url}/assets/train_shards?view=checks&checkDetail=shard_is_complete"
    page.open(address, "Execute all")
    num_runs = len(desk.ui.runs())
    page.click_button("Execute all")
    desk.ui.wait_for_runs(num_runs + 1)

    page.open_check(address, "train-00000", "Failed (1)", "Execution Failed (0)")
    page.wait_for("what_was_found", "of clips-train-00000.tfrecord cannot be read")


def test_materialize_all_on_a_fresh_instance_fails_by_name(desk):
    [run] = desk.fresh.wait_for_runs(1)

    assert run["status"] == "FAILURE"
    failures = desk.fresh.failures(run["runId"])
    assert list(failures) == ["dataset"]
    assert "materialize" in failures["dataset"]
    desk.page.open(f"{desk.fresh.url}/runs/{run['runId']}", failures["dataset"])
