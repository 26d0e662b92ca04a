"""A browser for all tests here, and the sample of videos, which none of them changes."""

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from video_assets_tests.browser.browsing import Page
    from video_assets_tests.browser.serving import Ui


@pytest.fixture(scope="package")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Generator[Page]":
    from video_assets_tests.browser.browsing import browse

    with browse(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: "Page") -> "Page":
    """The browser, which knows nothing of an earlier test."""
    browser.forget()
    return browser


@pytest.fixture(scope="package")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 clips of six classes."""
    from video_assets.media.sample_dataset import write_sample

    folder = tmp_path_factory.mktemp("sample") / "videos"
    write_sample(folder)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root for one test, where nothing is."""
    return tmp_path / "root"


@pytest.fixture
def new_ui(sample: Path, root: Path, tmp_path: Path) -> "Generator[Ui]":
    """The UI of the sample and that root."""
    from video_assets_tests.browser.serving import serve

    with serve(sample, root, tmp_path / "server.log") as ui:
        ui.wait_until_loaded()
        yield ui
