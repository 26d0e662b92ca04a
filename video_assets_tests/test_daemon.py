"""The dataset grows by itself: a real instance, its real daemon, and nobody who clicks."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from video_assets.storage.tables import INDEX, LEFT_OUT, read_table
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.videos import write_video
from video_assets_tests.waiting import end_process_group, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
PATIENCE_SECONDS = 400


@pytest.fixture
def growing(built: Built, tmp_path: Path) -> Iterator[Built]:
    """A committed dataset with a source of its own, and a daemon that watches both."""
    from video_assets.defs.instance import prepare_home

    source = tmp_path / "videos"
    shutil.copytree(built.source, source)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DAGSTER_HOME", raising=False)
        home = prepare_home(built.paths)
    workspace = tmp_path / "workspace.yaml"
    location = {"python_module": {"module_name": "video_assets.definitions"}}
    workspace.write_text(yaml.safe_dump({"load_from": [location]}), "utf-8")
    environment = os.environ | {
        "DAGSTER_HOME": str(home),
        "VIDEO_ASSETS_SOURCE": str(source),
        "VIDEO_ASSETS_ROOT": str(built.paths.root),
        "VIDEO_ASSETS_NAME": built.paths.name,
        "VIDEO_ASSETS_AUTOMATION": "on",
        "VIDEO_ASSETS_SENSOR_SECONDS": "3",
    }
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(workspace)]
    with (tmp_path / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=tmp_path
        )
        try:
            yield Built(source, built.paths)
        finally:
            end_process_group(daemon)


def committed_ids(dataset: Built) -> set[str]:
    """Clips of the committed dataset."""
    return set(read_table(dataset.version.index, INDEX, ["clip_id"])["clip_id"])


def num_committed(dataset: Built) -> int:
    """Records that dataset_info.json promises."""
    info = json.loads(dataset.version.dataset_info.read_text("utf-8"))
    return sum(int(length) for split in info["splits"] for length in split["shardLengths"])


def test_videos_that_arrive_are_in_the_dataset_without_anybodys_call(growing: Built, tmp_path: Path) -> None:
    before_ids, num_before = committed_ids(growing), num_committed(growing)
    before = {key: (growing.shard(key).read_bytes(), growing.shard(key).stat().st_mtime_ns) for key in growing.keys}
    whole = write_video(tmp_path / "arriving.mp4", seed=7001).read_bytes()
    slow = growing.source / "jump" / "slow_copy.mp4"
    slow.write_bytes(whole[: len(whole) // 2])

    def copy_on() -> None:
        with slow.open("ab") as file:  # one more byte at every look: it never stands still
            file.write(b"\0")

    arrivals = {f"run/arrival_{number}.mp4" for number in range(3)}
    for number, path in enumerate(sorted(arrivals)):
        write_video(growing.source / path, seed=7100 + number)
    wait_until(
        lambda: num_committed(growing) == num_before + len(arrivals),
        seconds=PATIENCE_SECONDS,
        what="three videos that arrived are committed",
        meanwhile=copy_on,
    )
    assert committed_ids(growing) == before_ids | arrivals
    assert "jump/slow_copy.mp4" in set(read_table(growing.paths.left_out, LEFT_OUT)["source"])

    slow.write_bytes(whole)
    wait_until(
        lambda: num_committed(growing) == num_before + len(arrivals) + 1,
        seconds=PATIENCE_SECONDS,
        what="the video whose copying ended is committed",
    )
    assert "jump/slow_copy.mp4" in committed_ids(growing)

    partial = {"train-00004", "test-00001"}  # 18 and 6 clips in shards of four: the last of each split is not full
    for key, (content, mtime_ns) in before.items():
        if key not in partial:
            assert growing.shard(key).read_bytes() == content, key
            assert growing.shard(key).stat().st_mtime_ns == mtime_ns, key
