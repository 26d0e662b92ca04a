"""Many clips leave a dataset only if somebody allows it, by command and in a run of Dagster."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from video_assets.cli import main
from video_assets.pipeline import shared_pools
from video_assets_tests.datasets import Built
from video_assets_tests.defs.location import Location, failures, open_location
from video_assets_tests.pipeline.removals import REMOVALS, Removal, empty_a_class
from video_assets_tests.pipeline.stages import InThisProcess, copied_source

REMEDY = "allow it for one run: video-assets build --set manifest.max_removed_fraction=1"
ALLOW = {"max_removed_fraction": 1.0}
each_removal = pytest.mark.parametrize("remove", REMOVALS, ids=lambda remove: remove.__name__)


@pytest.fixture
def source(built: Built, tmp_path: Path) -> Path:
    """The source of the dataset, which may be changed."""
    return copied_source(built.source, tmp_path)


@pytest.fixture(autouse=True)
def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_pools, "open_pool", lambda *_: InThisProcess())


def tables_of(built: Built) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in built.paths.tables()}


def build(
    source: Path, built: Built, settings: Mapping[str, Any], capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, Any]]:
    """The command; its exit code, and what it says to scripts."""
    arguments = ["build", "--source", str(source), "--root", str(built.paths.root), "--no-dagster", "--json"]
    for name, value in settings.items():
        arguments += ["--set", f"manifest.{name}={json.dumps(value)}"]
    code = main(arguments)
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


@each_removal
def test_the_command_refuses_a_removal_with_one_sentence_and_its_remedy(
    remove: Removal, source: Path, built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tables_of(built)
    code, said = build(source, built, remove(source), capsys)
    assert (code, said["committed"]) == (1, False)
    assert REMOVALS[remove] in said["error"]
    assert said["error"].endswith(REMEDY)
    assert tables_of(built) == before


def test_the_command_removes_what_it_is_allowed_to_and_does_not_remember_that(
    source: Path, built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = empty_a_class(source)
    code, said = build(source, built, {**settings, **ALLOW}, capsys)
    assert (code, said["committed"], said["gone"]) == (0, True, 8)
    shutil.rmtree(source / "walk")
    code, said = build(source, built, {}, capsys)
    assert (code, said["committed"]) == (1, False)
    assert "all of the class walk" in said["error"]


@pytest.fixture
def location(monkeypatch: pytest.MonkeyPatch, source: Path, built: Built) -> Iterator[Location]:
    """The dataset on an instance that knows nothing of it."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield open_location(monkeypatch, instance, source, built.paths)


def run_manifest(location: Location, settings: Mapping[str, Any]) -> str:
    """A run of `manifest` under these settings; why it failed, or nothing."""
    result = location.run("manifest", config={"ops": {"manifest": {"config": dict(settings)}}})
    return failures(result).get("manifest", "")


@each_removal
@pytest.mark.slow
def test_a_run_refuses_a_removal_and_allows_it_once(remove: Removal, location: Location, built: Built) -> None:
    before, settings = tables_of(built), remove(location.source)
    refused = run_manifest(location, settings)
    assert REMOVALS[remove] in refused
    assert refused.endswith(REMEDY)
    assert tables_of(built) == before
    assert run_manifest(location, {**settings, **ALLOW}) == ""
    assert run_manifest(location, settings).endswith(REMEDY)  # nothing was committed since


@pytest.mark.parametrize("way", ["command", "run"])
def test_a_source_that_is_not_mounted_is_no_deletion_whatever_is_allowed(
    way: str, location: Location, built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    before, source = tables_of(built), location.source
    shutil.rmtree(source)

    def told() -> str:
        return run_manifest(location, ALLOW) if way == "run" else str(build(source, built, ALLOW, capsys)[1]["error"])

    assert f"the source {source} is not there" in told()
    source.mkdir()
    refused = told()
    assert refused.startswith(f"no videos in the source {source}")
    assert refused.endswith("Mount its disk, or put the videos back.")
    assert tables_of(built) == before
