"""Shards as tasks of a real Ray cluster of two nodes: the same bytes, whatever happens to a node."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.errors import SettingsError, VideoAssetsError
from video_assets.pipeline.shards import ray_engine
from video_assets.pipeline.shards.ray_engine import RayEngine
from video_assets.storage.files import file_sha256
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.engines.cluster import run_alone, why_no_cluster
from video_assets_tests.pipeline.stages import Stages

SETTINGS = (
    "splits.test_fraction=0.25",
    "plan.clips_per_shard=6",
    "plan.encoding.sampling=all",
    "plan.encoding.image_format=png",
    "plan.encoding.resolution=160",
)
"""Enough work for a shard that a node can be caught in the middle of one."""


@pytest.fixture(scope="module")
def needs_cluster() -> None:
    """Skips by name where there is no Ray, or no such cluster can be made."""
    pytest.importorskip("ray", reason="needs Ray (pip install 'video_assets[ray]')")
    if reason := why_no_cluster():
        pytest.skip(f"a Ray cluster for tests {reason}")


def hashes(version: Path) -> dict[str, str]:
    """Of all files of a version directory, with sidecars. Those of its commit stand once, where readers open them."""
    files = [path for path in [*version.rglob("*"), *(version / "tables").rglob("*")] if path.is_file()]  # a link
    found = {str(path.relative_to(version)): file_sha256(path) for path in files}
    return {name: digest for name, digest in found.items() if not name.startswith("commits/")}


@pytest.fixture(scope="module")
def local_hashes(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of the version that a build on this machine alone gives."""
    root = tmp_path_factory.mktemp("local")
    command = [sys.executable, "-m", "video_assets.cli", "build", "--source", videos, "--root", root, "--json"]
    command += [part for setting in SETTINGS for part in ("--set", setting)]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    return hashes(root / "clips" / "1.0.0")


def result_of(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.timeout(900)  # Ray alone takes half a minute to start its nodes on a busy machine
@pytest.mark.usefixtures("needs_cluster")
def test_a_build_that_loses_a_node_in_the_middle_of_a_shard_gives_the_bytes_of_a_local_build(
    videos: Path, tmp_path: Path, local_hashes: dict[str, str]
) -> None:
    said = result_of(run_alone("video_assets_tests.engines.lose_a_node", videos, tmp_path / "ray", *SETTINGS))

    assert said["half"]
    assert said["result"]["exit_code"] == 0
    assert said["result"]["clips_encoded"] == 24
    assert hashes(tmp_path / "ray" / "clips" / "1.0.0") == local_hashes


@pytest.mark.long
@pytest.mark.timeout(900)  # Ray alone takes half a minute to start its nodes on a busy machine
@pytest.mark.usefixtures("needs_cluster")
def test_the_same_in_a_store_that_fails_at_times_loses_nothing_and_doubles_nothing(
    videos: Path, tmp_path: Path, local_hashes: dict[str, str]
) -> None:
    pytest.importorskip("moto", reason="needs an S3 server (pip install 'moto[s3]')")
    said = result_of(run_alone("video_assets_tests.engines.lose_a_node_in_a_store", videos, tmp_path, *SETTINGS))

    assert said["half"]
    assert said["num_failed"] > 20
    assert said["result"]["exit_code"] == 0
    assert {name: split["records"] for name, split in said["result"]["splits"].items()} == {"train": 18, "test": 6}
    assert [item["source"] for item in said["result"]["quarantined"]] == ["run/broken.mp4"]
    found = hashes(tmp_path / "version")
    assert found.keys() == local_hashes.keys()
    differing = {name for name in found if found[name] != local_hashes[name]}
    # These name the source's address and what it says of its files, or have the digests of files that do; the card has
    # the day of the newest video, which a store does not tell.
    assert all(name.startswith(("checksums.json", "tables/", "card.html", "README.md")) for name in differing)
    assert set(said["shards_put"].values()) == {1}
    assert said["shards_put"].keys() == {name for name in found if name.endswith(".tfrecord")}
    # Keys come to nodes by their environment, and to nowhere else: no event, no log of Ray's.
    assert said["ray_logs"] > 0
    assert said["files_with_the_secret"] == []


@pytest.mark.long
@pytest.mark.timeout(900)  # Ray alone takes half a minute to start its nodes on a busy machine
@pytest.mark.usefixtures("needs_cluster")
def test_a_shard_that_keeps_failing_fails_alone_and_by_name(videos: Path, tmp_path: Path) -> None:
    stages = Stages(videos, DatasetPaths(tmp_path, "clips"))
    stages.up_to_plan()
    # Where this shard belongs there is a folder: no node can ever write it.
    stages.paths.version("1.0.0").shard("train", 1).mkdir(parents=True)

    said = result_of(run_alone("video_assets_tests.engines.build_on_ray", tmp_path))

    reports = {report["key"]: report["error"] for report in said["reports"]}
    failed = reports.pop("train-00001")
    assert failed.startswith("train-00001: ")
    assert "clips-train-00001.tfrecord" in failed
    assert len(reports) == 6
    assert not any(reports.values())
    assert said["imported"] == []


def test_another_version_on_a_node_is_refused_before_it_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_engine, "encoder_versions", lambda: {"av": "18.1.0", "numpy": "2.4.0"})
    wanted = {"av": "19.0.0", "numpy": "2.4.0"}

    with pytest.raises(
        VideoAssetsError, match=r"the Ray cluster has av 18\.1\.0 instead of 19\.0\.0; install the same there"
    ):
        ray_engine._build_on_node(None, (None, wanted), 1)  # pyright: ignore[reportArgumentType]


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(SettingsError, match=r"Ray is not installed: pip install 'video_assets\[ray\]'"):
        list(RayEngine()([], None, lambda *_: lambda *_: None))  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_neither_the_command_nor_the_code_location_imports_ray_unless_it_is_chosen(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from video_assets.definitions import defs\n"
        "defs().get_repository_def()\n"
        "print([name for name in ('ray', 'av', 'tensorflow') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout.strip() == "[]"
