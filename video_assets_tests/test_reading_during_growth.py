"""A reader in a loop, while the dataset grows: the old clips or the new ones, never an error, never a mixture."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from video_assets_tests.datasets import RUN_CONFIG, Built
from video_assets_tests.pipeline.videos import write_video

pytestmark = pytest.mark.long


def grow_in_another_process(dataset: Built, source: Path, tmp_path: Path) -> "subprocess.Popen[bytes]":
    """Starts the build command."""
    import yaml

    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(RUN_CONFIG), "utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "VIDEO_ASSETS_"))
    }
    command = [sys.executable, "-m", "video_assets.cli", "build", "--source", str(source)]
    command += ["--root", str(dataset.paths.root), "--config", str(config)]
    command += ["--set", "dataset.retired_grace_minutes=15", "--json"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_readers_see_the_old_clips_or_the_new_ones(built: Built, tmp_path: Path, tfds: Any) -> None:
    from video_assets.reader import load_dataset

    source = tmp_path / "videos"
    shutil.copytree(built.source, source)
    for number in range(6):
        write_video(source / "swim" / f"new_{number}.mp4", seed=8000 + number)  # a new class, too

    def ids_by_tfds(split: str) -> frozenset[bytes]:
        dataset = tfds.builder_from_directory(str(built.version.directory)).as_dataset(split=split)
        return frozenset(clip["id"] for clip in dataset.as_numpy_iterator())

    def ids_by_reader(split: str) -> frozenset[bytes]:
        return frozenset(clip["id"] for clip in load_dataset(built.version.directory, split).as_numpy_iterator())  # type: ignore[arg-type]

    old = {split: ids_by_reader(split) for split in ("train", "test")}
    seen: dict[str, set[frozenset[bytes]]] = {"train": set(), "test": set()}
    growth = grow_in_another_process(built, source, tmp_path)
    try:
        while growth.poll() is None:
            for split, found in seen.items():
                found |= {ids_by_tfds(split), ids_by_reader(split)}
    finally:
        if growth.poll() is None:
            growth.kill()
        _, errors = growth.communicate()
    assert growth.returncode == 0, errors.decode()
    new = {split: ids_by_tfds(split) for split in ("train", "test")}
    assert len(new["train"] | new["test"]) == len(old["train"] | old["test"]) + 6
    for split, found in seen.items():
        assert found <= {old[split], new[split]}
        assert ids_by_reader(split) == new[split]
