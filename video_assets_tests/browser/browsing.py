"""A real `video-assets ui`, and a real browser that looks at it; for tests and for pictures."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from video_assets_tests import waiting

T = TypeVar("T")

HOST = "127.0.0.1"
LAUNCHPAD = "{ui}/locations/video_assets/jobs/plan_dataset/playground"
PATIENCE_SECONDS = 120.0
"""How long a condition may take: machines that run tests are slow and shared."""
_LOCATION, _REPOSITORY, _ALL_ASSETS_JOB = "video_assets", "__repository__", "__ASSET_JOB"
_DONE = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
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


def browser_programs() -> tuple[str, str] | None:
    """The browser and its driver; None where one of them is absent."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def wait_until(what: str, condition: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """The first true value of a condition; an AssertionError that names `what` if there is none."""
    return waiting.wait_until(condition, what=what, seconds=seconds, every=0.25)


@dataclass(frozen=True)
class Ui:
    """A server, which may still be starting."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_loaded(self) -> None:
        """Returns once the code location is there."""
        wait_until("the code location", self._is_loaded)

    def _is_loaded(self) -> bool:
        assert self.process.poll() is None, f"the server ended:\n{self.log.read_text(errors='replace')[-4000:]}"
        try:
            found = self.query(
                "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename "
                "... on PythonError { message } } } } } }"
            )
        except OSError:
            return False
        locations = [entry["locationOrLoadError"] for entry in found["workspaceOrError"].get("locationEntries") or []]
        assert not any(location and location["__typename"] == "PythonError" for location in locations), locations
        return bool(locations) and all(locations)

    def query(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data that a GraphQL query or mutation answers."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        if found.get("errors"):
            raise AssertionError(found["errors"])
        return found["data"]

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first: id, status and job."""
        found = self.query("{ runsOrError { ... on Runs { results { runId status jobName } } } }")
        return found["runsOrError"]["results"]

    def wait_for_backfills(self, count: int) -> None:
        """Returns once so many backfills were asked for."""
        text = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }"
        wait_until(f"{count} backfills", lambda: len(self.query(text)["partitionBackfillsOrError"]["results"]) >= count)

    def wait_for_runs(self, count: int) -> list[dict[str, Any]]:
        """The runs, once there are so many and all have ended."""

        def ended() -> list[dict[str, Any]] | None:
            runs = self.runs()
            return runs if len(runs) >= count and all(run["status"] in _DONE for run in runs) else None

        return wait_until(f"the end of {count} runs at {self.url}", ended)

    def failures(self, run_id: str) -> dict[str, str]:
        """What each failed step of a run said."""
        found = self.query(
            """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection(limit: 1000) { events {
            ... on ExecutionStepFailureEvent { stepKey failureMetadata { description } } } } } } }""",
            id=run_id,
        )
        events = [event for event in found["runOrError"]["eventConnection"]["events"] if event]
        said = {event["stepKey"]: event["failureMetadata"] or {} for event in events}
        return {step: words.get("description") or "no reason is known" for step, words in said.items()}

    def launch(
        self, assets: Sequence[str], run_config: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> str:
        """Launches a run of some assets and their checks, as the page does; gives its id."""
        found = self.query(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
            ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
            ... on RunConfigValidationInvalid { errors { message } } } }""",
            params={
                "selector": {
                    "repositoryLocationName": _LOCATION,
                    "repositoryName": _REPOSITORY,
                    "jobName": _ALL_ASSETS_JOB,
                    "assetSelection": [{"path": [name]} for name in assets],
                },
                "runConfigData": run_config,
                "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]},
            },
        )["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return found["run"]["runId"]

    def wait_for_run(self, run_id: str) -> str:
        """The status of a run once it has ended."""

        def status() -> str | None:
            return next((r["status"] for r in self.runs() if r["runId"] == run_id and r["status"] in _DONE), None)

        return wait_until(f"the end of run {run_id}", status)


@contextmanager
def serve(source: Path, root: Path, log: Path) -> Generator[Ui]:
    """A `video-assets ui` without automation, and its end: itself and all that it started, by their ids."""
    port = waiting.free_port()
    program = [sys.executable, "-m", "video_assets.cli", "ui"]
    environment = {**os.environ, "VIDEO_ASSETS_AUTOMATION": "off", "PYTHONWARNINGS": "ignore"}
    environment.pop("DAGSTER_HOME", None)
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*program, "--source", str(source), "--root", str(root), "--port", str(port)],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Ui(f"http://{HOST}:{port}", server, log)
        finally:
            _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    server.terminate()
    _, alive = psutil.wait_procs(processes, timeout=30)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=30)
    server.wait(timeout=30)


def _button(text: str) -> str:
    """The XPath of the buttons that hold a text and can be clicked."""
    return f"//button[contains(., {text!r}) and not(@disabled)]"


@dataclass(frozen=True)
class Page:
    """What the browser shows."""

    driver: webdriver.Chrome

    def open(self, url: str, *texts: str) -> str:
        """Goes to an address and waits for texts; gives all that can be read there."""
        self.driver.get(url)
        return self.wait_for(*texts)

    def text(self) -> str:
        """All that can be read on the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait_for(self, *texts: str) -> str:
        """All that can be read on the page, once it holds these texts."""
        seen = [""]

        def shown() -> bool:
            try:
                seen[0] = self.text()
            except StaleElementReferenceException:
                return False
            return all(text in seen[0] for text in texts)

        try:
            wait_until(f"{texts} at {self.driver.current_url}", shown)
        except AssertionError as error:
            raise AssertionError(f"{error}; the page reads:\n{seen[0]}") from None
        return seen[0]

    def click(self, xpath: str, *, last: bool = False) -> None:
        """Clicks the first (or last) element of those that can be seen and used, once there is one."""

        def clicked() -> bool:
            for element in self.driver.find_elements(By.XPATH, xpath)[:: -1 if last else 1]:
                try:
                    if element.is_displayed() and element.is_enabled():
                        element.click()
                        return True
                except WebDriverException:
                    return False  # redrawn or covered just now
            return False

        wait_until(f"something to click at {xpath} on {self.driver.current_url}", clicked)

    def click_button(self, text: str) -> None:
        """Clicks the button that holds a text."""
        self.click(_button(text))

    def click_until_gone(self, text: str) -> None:
        """Clicks the button that holds a text until there is none to click: a page that is drawn anew may lose a click.

        Raises:
            AssertionError: if it is there after a third click; the message has what can be read then.
        """
        for clicks_left in (2, 1, 0):
            self.click_button(text)
            try:
                wait_until(f"{text} to go", lambda: not self.driver.find_elements(By.XPATH, _button(text)), seconds=20)
            except AssertionError as error:
                if not clicks_left:
                    raise AssertionError(f"{error}; the page reads:\n{self.text()}") from None
            else:
                return

    def click_last(self, text: str) -> None:
        """Clicks the last thing that is labelled so: a tab within a page may have the name of a tab of the page."""
        self.click(f"//*[normalize-space(text())={text!r}]", last=True)

    def open_check(self, address: str, partition: str, *counts: str) -> None:
        """Opens the page of an evaluated asset check, and there what it found in a partition."""
        self.open(address, "Evaluation result")
        self.click_last("Partitions")
        self.wait_for("Skipped (0)", partition, *counts)
        self.click_last(partition)

    def open_picture(self) -> None:
        """Opens the last picture among the metadata on the page."""
        self.click_last("[Show Markdown]")
        wait_until("the picture", lambda: self.elements("img[src^='data:image/']"))

    def write_config(self, yaml_text: str) -> None:
        """Replaces what the launchpad's editor holds."""
        wait_until("the launchpad's editor", lambda: self.driver.find_elements(By.CSS_SELECTOR, ".CodeMirror"))
        script = "document.querySelector('.CodeMirror').CodeMirror.setValue(arguments[0])"
        self.driver.execute_script(script, yaml_text)

    def elements(self, css: str) -> list[WebElement]:
        """Elements that a style selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)


@contextmanager
def browse(profile: Path, *, width: int = 1600, height: int = 1000, scale: float = 1.0) -> Generator[Page]:
    """A browser with a profile of its own, and its end."""
    programs = browser_programs()
    assert programs, "chromium and chromedriver are needed"
    options = Options()
    options.binary_location = programs[0]
    # A container's root may not make the namespaces of Chromium's sandbox; only our own server is looked at.
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else [*_FLAGS]
    flags += [f"--window-size={width},{height}", f"--force-device-scale-factor={scale}", f"--user-data-dir={profile}"]
    for flag in flags:
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(programs[1]))
    try:
        driver.set_page_load_timeout(PATIENCE_SECONDS)
        yield Page(driver)
    finally:
        driver.quit()
