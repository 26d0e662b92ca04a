"""Copies in other containers: one content, whatever their bytes."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from video_assets.media.probe import hash_pictures, probe_video
from video_assets.pipeline.splits.components import same_contents
from video_assets.settings import DEFAULT_LIMITS, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import MANIFEST, SPLIT_HISTORY, read_noted_table, write_table
from video_assets_tests.media.making import numbered_video, remuxed
from video_assets_tests.pipeline.stages import Stages
from video_assets_tests.pipeline.test_manifest import write_csv
from video_assets_tests.pipeline.videos import write_video

CONTAINERS = {
    "libx264": ("mp4", ["matroska", "mpegts", "mov", "flv", "h264"]),
    "libx265": ("mp4", ["matroska", "mpegts", "hevc"]),
    "mpeg4": ("avi", ["mp4", "matroska"]),
    "mpeg2video": ("mpegts", ["mp4", "matroska"]),
    "libvpx-vp9": ("webm", ["mp4", "ivf"]),
}


@pytest.mark.parametrize("codec", CONTAINERS)
def test_the_hash_of_the_pictures_is_the_same_in_every_container(codec: str) -> None:
    first, others = CONTAINERS[codec]
    video = numbered_video(12, codec=codec, container=first)
    expected = probe_video(video).picture_hash
    assert len(expected) == 64
    assert {name: hash_pictures(remuxed(video, name), DEFAULT_LIMITS) for name in others} == dict.fromkeys(
        others, expected
    )
    assert probe_video(numbered_video(13, codec=codec, container=first)).picture_hash != expected


def test_of_a_file_without_packets_nothing_is_said() -> None:
    assert hash_pictures(b"no video", DEFAULT_LIMITS) == ""


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))


def add(stages: Stages, name: str, seed: int) -> Path:
    return write_video(stages.source / name, seed, 6)


def copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(remuxed(path.read_bytes(), "matroska"))


def pairs_of(stages: Stages) -> Iterator[tuple[str, str]]:
    """Yield the splits of each clip and its copy."""
    split_of = stages.split_of()
    for name in split_of:
        if name.endswith(".mp4") and f"{name[:-4]}.mkv" in split_of:
            yield split_of[name], split_of[f"{name[:-4]}.mkv"]


def test_a_clip_and_its_copy_in_another_container_are_in_one_split(stages: Stages) -> None:
    for number in range(8):
        path = add(stages, f"run/{number}.mp4", number)
        copy(path, path.with_suffix(".mkv"))
    stages.manifest()
    stages.splits(SplitSettings(test_fraction=0.5))
    pairs = list(pairs_of(stages))
    assert len(pairs) == 8
    assert {one for one, _ in pairs} == {"train", "test"}
    assert all(one == other for one, other in pairs)


def test_copies_that_come_later_go_where_the_pictures_are_or_were(stages: Stages) -> None:
    paths = [add(stages, f"run/{number}.mp4", number) for number in range(8)]
    stages.manifest()
    stages.splits(SplitSettings(test_fraction=0.5))
    before = stages.split_of()
    for path in paths:
        copy(path, path.with_suffix(".mkv"))
    for path in paths[:4]:  # the whole dataset may be moved to another container
        path.unlink()
    stages.manifest(max_removed_fraction=1.0)
    stages.splits(SplitSettings(test_fraction=0.5))
    after = stages.split_of()
    assert {f"{name[:-4]}.mp4": split for name, split in after.items() if name.endswith(".mkv")} == before
    assert stages.quarantined() == {}


def test_the_same_pictures_under_two_labels_are_a_conflict(stages: Stages) -> None:
    path = add(stages, "run/1.mp4", 1)
    add(stages, "run/2.mp4", 2)
    add(stages, "jump/3.mp4", 3)
    copy(path, stages.source / "jump" / "1.mkv")
    stages.manifest(max_failed_fraction=0.5)
    lost = stages.quarantined()
    assert set(lost) == {"run/1.mp4", "jump/1.mkv"}
    assert lost["run/1.mp4"] == (
        "label_conflict",
        "the same content stands under 2 labels (jump: jump/1.mkv; run: run/1.mp4)",
    )


def test_copies_that_official_lists_put_apart_are_told_of(stages: Stages) -> None:
    path = add(stages, "a.mp4", 1)
    add(stages, "b.mp4", 2)
    copy(path, stages.source / "a.mkv")
    splits = {"a.mp4": "train", "a.mkv": "test", "b.mp4": "train"}
    rows = ({"path": name, "label": "run", "split": split} for name, split in splits.items())
    stages.source = write_csv(stages.source / "clips.csv", *rows)
    stages.manifest()
    stages.splits()
    assert len(stages.split_of()) == 2
    ((reason, detail),) = stages.quarantined().values()
    assert reason == "split_conflict"
    assert "or a copy of it, is in" in detail


def contents(hashes: Sequence[str], pictures: Sequence[str | None], known: dict[str, str]) -> list[str]:
    clips = pd.DataFrame({"content_hash": hashes, "picture_hash": pictures}).astype("str")
    rows = [("content", key, split) for key, split in known.items()]
    return same_contents(clips, pd.DataFrame(rows, columns=SPLIT_HISTORY.names)).tolist()


def test_copies_in_two_splits_of_an_earlier_edition_stay_where_they_are() -> None:
    assert contents(list("abc"), ["p", "p", "q"], {}) == ["a", "a", "c"]
    assert contents(list("abc"), ["p", "p", None], {"b": "train"}) == ["b", "b", "c"]
    assert contents(list("abc"), ["p", "p", "p"], {"b": "train", "c": "train"}) == ["b", "b", "b"]
    assert contents(list("abc"), ["p", "p", "p"], {"b": "train", "c": "test"}) == ["c", "b", "c"]


def test_a_dataset_of_an_earlier_edition_goes_on_without_pictures(stages: Stages) -> None:
    for number in range(4):
        add(stages, f"run/{number}.mp4", number)
    stages.up_to_plan()
    before = stages.split_of()
    rows, notes = read_noted_table(stages.paths.manifest, MANIFEST)
    assert rows["picture_hash"].str.len().eq(64).all()
    write_table(stages.paths.manifest, rows.assign(picture_hash=None), MANIFEST, notes)
    shutil.copy(stages.source / "run" / "1.mp4", stages.source / "run" / "copy.mp4")
    stages.up_to_plan()
    assert stages.split_of() == before | {"run/copy.mp4": before["run/1.mp4"]}
