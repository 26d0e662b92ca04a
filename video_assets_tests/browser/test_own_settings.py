"""The UI of a committed dataset that has settings of its own: the launchpad as it comes, and the card."""

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from video_assets_tests.browser.browsing import LAUNCHPAD, Page
from video_assets_tests.browser.serving import Ui, build, serve, wait_until
from video_assets_tests.pipeline.videos import write_class

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = (
    "manifest.max_frames=999",
    "manifest.group_pattern=_(g..)_",
    "splits.test_fraction=0.4",
    "splits.seed=3",
    "plan.clips_per_shard=2",
    "plan.encoding.num_frames=2",
    "plan.encoding.resolution=32",
    "plan.encoding.image_format=png",
    "dataset.licence=CC0",
)


@dataclass(frozen=True)
class Shown:
    """A committed dataset, and a server that shows it."""

    ui: Ui
    directory: Path

    def contents(self) -> dict[str, str]:
        """Return a hash of each file that readers open."""
        files = [path for path in (self.directory / "1.0.0").rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shown]:
    place = tmp_path_factory.mktemp("own")
    for label in ("jump", "run"):
        write_class(place / "videos", label, range(1, 4), range(1, 2))
    build(place / "videos", place / "root", *SETTINGS)
    with serve(place / "videos", place / "root", place / "server.log") as ui:
        ui.wait_until_loaded()
        yield Shown(ui, place / "root" / "clips")


def test_an_untouched_launchpad_changes_nothing_and_succeeds(shown: Shown, page: Page) -> None:
    ui, before = shown.ui, shown.contents()
    page.open(LAUNCHPAD.format(ui=ui.url, job="build_dataset"), "Launch Run")

    known = ui.run_ids()
    run = page.click_button_until("Launch Run", lambda: ui.new_run(known))

    ui.expect_success(run)
    assert ui.latest_run_of("dataset") == run
    assert ui.metadata("plan")["clips_to_encode"] == 0
    assert ui.metadata("dataset")["was_changed"] is False
    assert shown.contents() == before


def test_the_card_opens_by_its_link(shown: Shown, page: Page) -> None:
    page.open(f"{shown.ui.url}/assets/dataset?view=events", "card")
    link = f"//a[@href={shown.ui.metadata('dataset')['card']!r}]"

    page.click_until(link, lambda: len(page.driver.window_handles) > 1)

    page.driver.switch_to.window(page.driver.window_handles[-1])
    wait_until("the card's own script", lambda: page.elements(".copy"))
    assert page.driver.title == "clips 1.0.0"
    assert page.driver.execute_script("return origin") == "null"  # it is no page of the UI, and can command nothing
    assert page.elements("figure img[src^='data:image/']")
    page.driver.close()
    page.driver.switch_to.window(page.driver.window_handles[0])
