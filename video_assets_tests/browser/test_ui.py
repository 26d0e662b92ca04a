"""The UI of a dataset whose names are hostile, as a person looks at it: a real server, a real browser, clicks.

One server shows one built dataset to all tests. They only look, or try what is refused; a test that damages a shard has
a split for itself and mends the shard afterwards.
"""

import csv
import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from selenium.common.exceptions import NoAlertPresentException

from video_assets.storage.paths import DatasetPaths
from video_assets_tests.browser.browsing import LAUNCHPAD, Page
from video_assets_tests.browser.serving import Ui, build, serve, wait_until
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline import damage

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]

ASSETS = ("videos", "manifest", "train_split", "test_split", "plan", "train_shards", "test_shards", "dataset")
MARKUP, QUOTES, SCRIPT, EMOJI = "<img src=x onerror=alert(1)>", '"it\'s" & co', "<script>alert(2)</script>", "😀 كلب"
LABELS = (MARKUP, QUOTES, SCRIPT, EMOJI)
BROKEN = 'broken <b onmouseover=alert(3)>"🎬"\u202egpj.mp4'
SETTINGS = (
    "manifest.max_failed_fraction=0.5",
    "splits.test_fraction=0.4",
    "plan.clips_per_shard=3",
    "plan.encoding.num_frames=3",
    "plan.encoding.resolution=32",
)


@dataclass(frozen=True)
class Shown:
    """A built dataset, and a server that shows it."""

    ui: Ui
    dataset: Built


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shown]:
    place = tmp_path_factory.mktemp("ui")
    source, root = write_hostile_source(place / "source"), place / "root"
    build(source, root, *SETTINGS)
    with serve(source, root, place / "server.log") as ui:
        ui.wait_until_loaded()
        yield Shown(ui, Built(source, DatasetPaths(root, "clips")))


@pytest.fixture
def ui(shown: Shown) -> Ui:
    return shown.ui


@pytest.fixture
def dataset(shown: Shown) -> Built:
    return shown.dataset


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


def test_the_graph_shows_all_assets(ui: Ui, page: Page) -> None:
    page.open(f"{ui.url}/asset-groups/", *ASSETS)

    wait_until("a node for each asset", lambda: len(page.elements("svg foreignObject")) >= len(ASSETS))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{resolutoin: 5}", ('unexpected config entry "resolutoin" at path root:ops:plan:config:encoding',)),
        ("{layout: foo}", ("root:ops:plan:config:encoding:layout", "got foo")),
    ],
    ids=["name", "value"],
)
def test_a_wrong_setting_names_its_field_in_the_launchpad(
    config: str, said: tuple[str, ...], ui: Ui, page: Page
) -> None:
    page.open(LAUNCHPAD.format(ui=ui.url, job="plan_dataset"), "Launch Run")

    page.write_config(f"ops: {{plan: {{config: {{encoding: {config}}}}}}}")

    page.wait_for(*said)


def test_a_value_out_of_range_names_its_field_in_the_runs_first_second(ui: Ui, page: Page) -> None:
    page.open(LAUNCHPAD.format(ui=ui.url, job="plan_dataset"), "Launch Run")
    page.write_config("ops: {plan: {config: {encoding: {resolution: -5}}}}")

    known = ui.run_ids()
    run = page.click_button_until("Launch Run", lambda: ui.new_run(known))

    assert ui.wait_for_run(run) == "FAILURE"
    assert list(ui.failures(run)) == ["manifest"]  # the first step: nothing was listed or opened
    page.open(f"{ui.url}/runs/{run}", "plan.encoding.resolution is -5", "greater than or equal to 8")


@pytest.mark.parametrize(
    ("asset", "view", "title"),
    [
        ("manifest", "overview", "clips_by_class"),
        ("manifest", "events", "clips_by_class"),
        ("train_split", "events", "balance"),
    ],
)
def test_names_are_shown_as_they_are_and_never_run(asset: str, view: str, title: str, ui: Ui, page: Page) -> None:
    assert ui.latest_run_of(asset) is not None

    text = page.open(f"{ui.url}/assets/{asset}?view={view}", title, *LABELS)

    # The page draws right-to-left overrides and newlines its own way; the rest is to be there letter by letter.
    assert asset != "manifest" or "broken <b onmouseover=alert(3)>" in text
    assert_nothing_ran(page)


def test_the_committed_dataset_is_shown_with_its_checks(ui: Ui, page: Page) -> None:
    for check in ("no_leakage", "nothing_lost"):
        ui.wait_for_check("dataset", check, {None: "SUCCEEDED"})

    text = page.open(f"{ui.url}/assets/dataset?view=checks", "no_leakage", "nothing_lost", "Evaluation result")

    assert text.count("Succeeded") == 4
    page.open(f"{ui.url}/assets/dataset?view=overview", "version_dir")
    assert_nothing_ran(page)


def test_the_card_of_a_dataset_shows_hostile_names_as_text(dataset: Built, page: Page) -> None:
    text = page.open((dataset.version.directory / "card.html").as_uri(), *LABELS)

    assert "broken <b onmouseover=alert(3)>" in text
    assert_nothing_ran(page)
    assert len(page.elements("script")) == 1  # the card's own
    assert page.elements("img[alt], svg")


def test_a_failed_check_shows_its_reason_and_the_two_frames(ui: Ui, dataset: Built, page: Page) -> None:
    with mended_afterwards(dataset, "test-00000"):
        damage.rewrite_shard(dataset, "test-00000", damage.with_frames_turned_round)

        address = execute_checks(ui, page, "test_shards", "shard_matches_source", fails="test-00000")

    page.open_check(address, "test-00000", "Failed (1)", "Execution Failed (0)")
    page.wait_for("what_was_found", "dB from its source", "[Show Markdown]")
    page.open_picture()
    assert_nothing_ran(page)


def test_a_damaged_shard_is_found_with_its_reason(ui: Ui, dataset: Built, page: Page) -> None:
    with mended_afterwards(dataset, "train-00000"):
        shard = dataset.shard("train-00000")
        content = bytearray(shard.read_bytes())
        content[len(content) // 2] ^= 0xFF
        shard.write_bytes(content)

        address = execute_checks(ui, page, "train_shards", "shard_is_complete", fails="train-00000")

    page.open_check(address, "train-00000", "Failed (1)", "Execution Failed (0)")
    page.wait_for("what_was_found", "of clips-train-00000.tfrecord cannot be read")


@contextmanager
def mended_afterwards(dataset: Built, key: str) -> Generator[None]:
    """A shard and its sidecar are put back as they were."""
    contents = {path: path.read_bytes() for path in (dataset.shard(key), dataset.sidecar(key))}
    try:
        yield
    finally:
        for path, content in contents.items():
            path.write_bytes(content)


def execute_checks(ui: Ui, page: Page, asset: str, check: str, *, fails: str) -> str:
    """Click that all checks of a split be executed, and wait until one has failed; return the address of its page."""
    address = f"{ui.url}/assets/{asset}?view=checks&checkDetail={check}"
    page.open(address, "Execute all")
    known = ui.run_ids()
    run = page.click_button_until("Execute all", lambda: ui.new_run(known))
    ui.wait_for_run(run)
    statuses = dict.fromkeys(ui.partitions(asset), "SUCCEEDED")
    ui.wait_for_check(asset, check, {**statuses, fails: "FAILED"})
    return address
