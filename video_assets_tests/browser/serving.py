"""A real `video-assets ui`, and what its GraphQL API says; for tests and for pictures."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil

from video_assets_tests import waiting

T = TypeVar("T")

HOST: Final = "127.0.0.1"
PATIENCE_SECONDS: Final = 240.0
"""How long a condition may take: machines that run tests are slow and shared."""
_LOCATION, _REPOSITORY, _ALL_ASSETS_JOB = "video_assets", "__repository__", "__ASSET_JOB"
_DONE = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
_EXECUTIONS_LIMIT = 1000


def wait_until(what: str, condition: Callable[[], T | None], seconds: float = PATIENCE_SECONDS) -> T:
    """Return the first true value of a condition; an AssertionError names `what` if there is none in time."""
    return waiting.wait_until(condition, what=what, seconds=seconds, every=0.25)


@dataclass(frozen=True)
class Ui:
    """A server, which may still be starting."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_loaded(self) -> None:
        """Return once the code location is there."""
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
        """Return the data that a GraphQL query or mutation answers."""
        body = json.dumps({"query": text, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            found = json.load(answer)
        if found.get("errors"):
            raise AssertionError(found["errors"])
        return found["data"]

    # --- Runs and backfills ---

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs, the newest first: id, status and job."""
        found = self.query("{ runsOrError { ... on Runs { results { runId status jobName } } } }")
        return found["runsOrError"]["results"]

    def run_ids(self) -> set[str]:
        """Return the ids of all runs: `new_run` finds what came later."""
        return {run["runId"] for run in self.runs()}

    def new_run(self, known: Collection[str]) -> str | None:
        """Return the id of the newest run that is not known; None if there is none."""
        return next((run["runId"] for run in self.runs() if run["runId"] not in known), None)

    def num_backfills(self) -> int:
        """Return how many backfills were asked for."""
        text = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }"
        return len(self.query(text)["partitionBackfillsOrError"]["results"])

    def wait_for_run(self, run_id: str) -> str:
        """Return the status of a run once it has ended."""

        def status() -> str | None:
            return next((r["status"] for r in self.runs() if r["runId"] == run_id and r["status"] in _DONE), None)

        return wait_until(f"the end of run {run_id} at {self.url}", status)

    def failures(self, run_id: str) -> dict[str, str]:
        """Return what each failed step of a run said."""
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
        """Launch a run of some assets and their checks, as the page does; return its id."""
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

    def run_to_success(
        self, assets: Sequence[str], run_config: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> None:
        """Launch a run and return once it has succeeded."""
        self.expect_success(self.launch(assets, run_config, tags))

    def expect_success(self, run_id: str) -> None:
        """Return once a run has succeeded; an AssertionError says why it did not."""
        assert self.wait_for_run(run_id) == "SUCCESS", self.failures(run_id)

    # --- Assets and their checks ---

    def latest_run_of(self, asset: str) -> str | None:
        """Return the run of an asset's latest materialization; None if it has none."""
        found = self.query(
            """query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
            assetMaterializations(limit: 1) { runId } } } }""",
            asset={"path": asset.split("/")},
        )["assetNodeOrError"]["assetMaterializations"]
        return found[0]["runId"] if found else None

    def metadata(self, asset: str) -> dict[str, Any]:
        """Return what the latest materialization of an asset says: texts, numbers and addresses by their labels."""
        found = self.query(
            """query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode {
            assetMaterializations(limit: 1) { metadataEntries { label ... on TextMetadataEntry { value: text }
            ... on UrlMetadataEntry { url } ... on IntMetadataEntry { intValue }
            ... on BoolMetadataEntry { boolValue } } } } } }""",
            asset={"path": asset.split("/")},
        )["assetNodeOrError"]["assetMaterializations"]
        return {entry.pop("label"): next(iter(entry.values()), None) for entry in found[0]["metadataEntries"]}

    def partitions(self, asset: str) -> list[str]:
        """Return the partition keys of an asset."""
        return self._partitioned(asset)["partitionKeys"]

    def wait_until_materialized(self, asset: str) -> None:
        """Return once all partitions of an asset are there; an AssertionError as soon as one has failed."""

        def are_there() -> bool:
            stats = self._partitioned(asset)["partitionStats"]
            assert stats["numFailed"] == 0, (asset, stats, [self.failures(run["runId"]) for run in self.runs()])
            return stats["numMaterialized"] == stats["numPartitions"] > 0 == stats["numMaterializing"]

        wait_until(f"all partitions of {asset} at {self.url}", are_there)

    def _partitioned(self, asset: str) -> dict[str, Any]:
        return self.query(
            """query($asset: AssetKeyInput!) { assetNodeOrError(assetKey: $asset) { ... on AssetNode { partitionKeys
            partitionStats { numMaterialized numFailed numMaterializing numPartitions } } } }""",
            asset={"path": asset.split("/")},
        )["assetNodeOrError"]

    def check_statuses(self, asset: str, check: str) -> dict[str | None, str]:
        """Return the latest status of a check by partition (None: the whole asset)."""
        found = self.query(
            """query($asset: AssetKeyInput!, $check: String!, $limit: Int!) {
            assetCheckExecutions(assetKey: $asset, checkName: $check, limit: $limit) { status partition } }""",
            asset={"path": asset.split("/")},
            check=check,
            limit=_EXECUTIONS_LIMIT,
        )["assetCheckExecutions"]
        return {one["partition"]: one["status"] for one in reversed(found)}

    def wait_for_check(self, asset: str, check: str, expected: Mapping[str | None, str]) -> None:
        """Return once the latest statuses of a check in some partitions are the expected ones.

        A run of several partitions notes that it begins under no partition, which nothing ends.
        """
        seen: dict[str | None, str] = {}

        def are_expected() -> bool:
            seen.clear()
            seen.update(self.check_statuses(asset, check))
            return expected.items() <= seen.items()

        try:
            wait_until(f"{check} of {asset} to be {expected}", are_expected)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}") from None


def serve(source: Path, root: Path, log: Path) -> contextlib.AbstractContextManager[Ui]:
    """A `video-assets ui` without automation, and its end."""
    return _served(_command("ui", source, root), log, {"VIDEO_ASSETS_AUTOMATION": "off"})


def serve_project(project: Path, home: Path, log: Path) -> contextlib.AbstractContextManager[Ui]:
    """Dagster's own server for the definitions in somebody's file, without its daemon, and its end."""
    command = [sys.executable, "-m", "dagster_webserver", "-f", str(project), "-h", HOST]
    return _served(command, log, {"DAGSTER_HOME": str(home)})


@contextlib.contextmanager
def _served(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Generator[Ui]:
    """A server, and its end: itself and all that it started, by their ids."""
    port = waiting.free_port()
    # Short, for names of sockets are made of it; gone with what a killed server leaves there.
    with tempfile.TemporaryDirectory(prefix="ui-", ignore_cleanup_errors=True) as temporary, log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            env={**_environment(), **environment, "TMPDIR": temporary},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Ui(f"http://{HOST}:{port}", server, log)
        finally:
            _end(server)


def build(source: Path, root: Path, *settings: str) -> None:
    """Build a dataset by the command; the UI of the same root shows what it did."""
    options = [word for setting in settings for word in ("--set", setting)]
    command = [*_command("build", source, root), *options]
    done = subprocess.run(command, env=_environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]


def _command(name: str, source: Path, root: Path) -> list[str]:
    return [sys.executable, "-m", "video_assets.cli", name, "--source", str(source), "--root", str(root)]


def _environment() -> dict[str, str]:
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    environment.pop("DAGSTER_HOME", None)
    return environment


def _end(server: subprocess.Popen[bytes]) -> None:
    """Kill it and all that it started. What it would tidy up is thrown away, and would take it many seconds."""
    processes: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.pid)
        processes = [process, *process.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=30)
    server.wait(timeout=30)
