"""A real browser that looks at a `video-assets ui`; for tests and for pictures."""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from video_assets_tests.browser.serving import PATIENCE_SECONDS, wait_until
from video_assets_tests.needs import browser_programs

T = TypeVar("T")

LAUNCHPAD: Final = "{ui}/locations/video_assets/jobs/{job}/playground"
_AGAIN_SECONDS: Final = 40.0
"""When a click without an effect is taken for lost: a page that is drawn anew just then loses it."""
_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _button(text: str) -> str:
    """The XPath of the buttons that hold a text and can be clicked."""
    return f"//button[contains(., {text!r}) and not(@disabled)]"


@dataclass(frozen=True)
class Page:
    """What the browser shows."""

    driver: webdriver.Chrome

    def open(self, url: str, *texts: str) -> str:
        """Go to an address and wait for texts; return all that can be read there."""
        self.driver.get(url)
        return self.wait_for(*texts)

    def text(self) -> str:
        """Return all that can be read on the page; nothing while it is drawn anew."""
        try:
            return self.driver.find_element(By.TAG_NAME, "body").text
        except StaleElementReferenceException:
            return ""

    def forget(self) -> None:
        """Leave the page, and forget what pages have stored: the launchpad begins with what was typed last."""
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})

    def wait_for(self, *texts: str) -> str:
        """Return all that can be read on the page, once it holds these texts."""
        try:
            return wait_until(f"{texts} at {self.driver.current_url}", lambda: self._shows(*texts))
        except AssertionError as error:
            raise AssertionError(f"{error}; the page reads:\n{self.text()}") from None

    def _shows(self, *texts: str) -> str | None:
        seen = self.text()
        return seen if all(text in seen for text in texts) else None

    def click(self, xpath: str, *, last: bool = False) -> None:
        """Click the first (or last) element of those that can be seen and used, once there is one."""
        what = f"something to click at {xpath} on {self.driver.current_url}"
        wait_until(what, lambda: self._has_clicked(xpath, last=last))

    def click_until(self, xpath: str, condition: Callable[[], T | None], *, last: bool = False) -> T:
        """Click an element, and again where that had no effect; return the first true value of the condition."""
        self.click(xpath, last=last)
        what = f"what a click at {xpath} does on {self.driver.current_url}"
        for _ in range(2):
            try:
                return wait_until(what, condition, seconds=_AGAIN_SECONDS)
            except AssertionError:
                self._has_clicked(xpath, last=last)
        return wait_until(what, condition)

    def _has_clicked(self, xpath: str, *, last: bool) -> bool:
        for element in self.driver.find_elements(By.XPATH, xpath)[:: -1 if last else 1]:
            try:
                if element.is_displayed() and element.is_enabled():
                    element.click()
                    return True
            except WebDriverException:
                return False  # redrawn or covered just now
        return False

    def click_button(self, text: str) -> None:
        """Click the button that holds a text."""
        self.click(_button(text))

    def click_button_until(self, text: str, condition: Callable[[], T | None]) -> T:
        """Click the button that holds a text until that has had its effect, and return that."""
        return self.click_until(_button(text), condition)

    def click_last(self, text: str, *then: str) -> None:
        """Click the last thing that is labelled so, for a tab may have the name of another; texts are shown then."""
        self.click_until(f"//*[normalize-space(text())={text!r}]", lambda: self._shows(*then), last=True)

    def materialize_all_partitions(self) -> None:
        """Ask for a backfill of all partitions, on the page of an asset."""
        everything = "//button[normalize-space(.)='All']"
        self.click_button_until("Materialize…", lambda: self.driver.find_elements(By.XPATH, everything))
        self.click(everything)

    def open_check(self, address: str, partition: str, *counts: str) -> None:
        """Open the page of an evaluated asset check, and there what it found in a partition."""
        self.open(address, "Evaluation result")
        self.click_last("Partitions", "Skipped (0)", partition, *counts)
        self.click_last(partition, "Target materialization")

    def open_picture(self) -> None:
        """Open the last picture among the metadata on the page."""
        self.click_last("[Show Markdown]")
        wait_until("the picture", lambda: self.elements("img[src^='data:image/']"))

    def write_config(self, yaml_text: str) -> None:
        """Replace what the launchpad's editor holds; again if the page then puts in what it had stored."""
        wait_until("the launchpad's editor", lambda: self.elements(".CodeMirror"))
        editor = "document.querySelector('.CodeMirror').CodeMirror"
        held: list[str] = []

        def is_held() -> bool:
            held.append(self.driver.execute_script(f"return {editor}.getValue()"))
            if held[-1] != yaml_text:
                self.driver.execute_script(f"{editor}.setValue(arguments[0])", yaml_text)
            return held[-3:] == [yaml_text] * 3

        wait_until("the launchpad's editor to hold what was written", is_held)

    def elements(self, css: str) -> list[WebElement]:
        """Return the elements that a style selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)


@contextmanager
def browse(
    profile: Path, *, width: int = 1600, height: int = 1000, scale: float = 1.0, flags: Sequence[str] = ()
) -> Generator[Page]:
    """A browser with a profile of its own and further flags, and its end."""
    programs = browser_programs()
    assert programs, "chromium and chromedriver are needed"
    options = Options()
    options.binary_location = programs[0]
    # A container's root may not make the namespaces of Chromium's sandbox; only our own server is looked at.
    flags = [*flags, *_FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    flags += [f"--window-size={width},{height}", f"--force-device-scale-factor={scale}", f"--user-data-dir={profile}"]
    for flag in flags:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    try:
        driver.set_page_load_timeout(PATIENCE_SECONDS)
        yield Page(driver)
    finally:
        driver.quit()
