"""The third split: there when it is asked for, and then as the other two are; otherwise nowhere."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.pipeline.checks.dataset import DatasetAudit
from video_assets.settings import SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import read_quarantine
from video_assets.storage.sidecars import read_sidecar
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.test_splits import table_of
from video_assets_tests.pipeline.videos import CLASSES, clip_path, write_class, write_video

THREE_WAY = SplitSettings(test_fraction=0.25, val_fraction=0.25)


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    return Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))


def build(stages: Stages, settings: SplitSettings) -> list[str]:
    """Everything, under these settings of the splits; the shards that the plan added."""
    stages.manifest()
    stages.splits(settings)
    added = stages.plan().added
    stages.shards()
    stages.commit()
    return added


def info_of(stages: Stages) -> dict[str, list[str]]:
    """Lengths of the shards of each split, as readers are told."""
    info = json.loads(stages.paths.version("1.0.0").dataset_info.read_text("utf-8"))
    return {split["name"]: split["shardLengths"] for split in info["splits"]}


def read_ids(stages: Stages, split: Split) -> set[str]:
    from video_assets.reader import load_dataset

    clips = load_dataset(stages.paths.version("1.0.0").directory, split)
    ids: list[Any] = [clip["id"] for clip in clips.as_numpy_iterator()]
    return {clip_id.decode() for clip_id in ids}


@pytest.mark.slow
def test_a_third_split_is_built_checked_and_read_like_the_others(stages: Stages) -> None:
    build(stages, THREE_WAY)
    splits = stages.split_of()
    for name in CLASSES:
        found = [splits[clip_path(name, group, clip)] for group in range(1, 5) for clip in (1, 2)]
        assert (found.count("train"), found.count("test"), found.count("val")) == (4, 2, 2)
        assert all(splits[clip_path(name, group, 1)] == splits[clip_path(name, group, 2)] for group in range(1, 5))
    assert info_of(stages) == {"train": ["4", "4", "4"], "test": ["4", "2"], "val": ["4", "2"]}
    for split in ("train", "test", "val"):
        assert read_ids(stages, split) == {clip_id for clip_id, where in splits.items() if where == split}
    audit = DatasetAudit(stages.paths)
    assert audit.classes_covered().description == "all 3 classes are in all splits"
    assert audit.no_leakage().passed
    card = stages.paths.version("1.0.0").card_markdown.read_text("utf-8")
    assert "| val | 6 |" in card


@pytest.mark.slow
def test_tensorflow_datasets_opens_the_third_split(stages: Stages, tfds: ModuleType) -> None:
    build(stages, THREE_WAY)
    builder = tfds.builder_from_directory(stages.paths.version("1.0.0").directory)
    assert {name: split.num_examples for name, split in builder.info.splits.items()} == {
        "train": 12,
        "test": 6,
        "val": 6,
    }
    clips = builder.as_dataset(split="val", shuffle_files=False)
    assert {clip["id"].decode() for clip in tfds.as_numpy(clips)} == read_ids(stages, "val")


def test_nothing_tells_of_val_where_nobody_asked_for_it(stages: Stages) -> None:
    build(stages, SplitSettings(test_fraction=0.25))
    assert not stages.paths.split("val").exists()
    assert list(info_of(stages)) == ["train", "test"]
    assert json.loads(stages.paths.encoding.read_text("utf-8"))["num_shards"] == {"train": 5, "test": 2}
    assert not re.search(r"\bval\b", stages.paths.version("1.0.0").card_markdown.read_text("utf-8"))
    assert DatasetAudit(stages.paths).classes_covered().description == "all 3 classes are in both splits"
    told = r"has no split val; it has train, test \(splits.val_fraction asks for val\)$"
    with pytest.raises(SettingsError, match=told):
        read_ids(stages, "val")


@pytest.mark.slow
def test_turning_val_on_later_concerns_new_clips_only(stages: Stages) -> None:
    build(stages, SplitSettings(test_fraction=0.25))
    before, version = stages.split_of(), stages.paths.version("1.0.0")
    full = {path: path.read_bytes() for path in sorted(version.directory.glob("*.tfrecord"))}
    assert build(stages, THREE_WAY) == []  # no new clip: nothing moves, nothing is written
    assert stages.split_of() == before
    assert list(info_of(stages)) == ["train", "test"]
    for name in CLASSES:
        write_class(stages.source, name, range(5, 9))
    added = build(stages, THREE_WAY)
    after = stages.split_of()
    assert {clip_id: after[clip_id] for clip_id in before} == before
    assert {clip_id for clip_id, where in after.items() if where == "val"} == read_ids(stages, "val")
    assert sum(where == "val" for where in after.values()) == 12  # a quarter of 48, and all of them are new
    assert [key for key in added if key.startswith("val-")] == ["val-00000", "val-00001", "val-00002"]
    rewritten = {"clips-train-00004.tfrecord", "clips-test-00001.tfrecord"}  # the last ones, which were not full
    for path, content in full.items():
        assert path.name in rewritten or path.read_bytes() == content


@pytest.mark.slow
def test_turning_val_off_later_moves_nothing_and_adds_nothing_to_it(stages: Stages) -> None:
    build(stages, THREE_WAY)
    before = stages.split_of()
    write_class(stages.source, "run", range(5, 9))
    build(stages, SplitSettings(test_fraction=0.25))
    after = stages.split_of()
    assert {clip_id: after[clip_id] for clip_id in before} == before
    assert {where for clip_id, where in after.items() if clip_id not in before} <= {"train", "test"}
    assert info_of(stages)["val"] == ["4", "2"]


def test_a_new_clip_of_a_group_in_val_joins_it_and_a_copy_elsewhere_is_lost(stages: Stages) -> None:
    build(stages, THREE_WAY)
    splits = stages.split_of()
    in_val = min(clip_id for clip_id, where in splits.items() if where == "val" and clip_id.startswith("run"))
    in_train = min(clip_id for clip_id, where in splits.items() if where == "train" and clip_id.startswith("run"))
    write_video(stages.source / in_val.replace("_c01", "_c07"), seed=77)
    torn = in_train.replace("_c01", "_c08")
    (stages.source / torn).write_bytes((stages.source / in_val).read_bytes())
    stages.manifest()
    stages.splits(THREE_WAY)
    after = stages.split_of()
    assert after[in_val.replace("_c01", "_c07")] == "val"
    assert torn not in after
    lost = read_quarantine(stages.paths.quarantine).set_index("source").loc[torn]
    assert (lost["reason"], "its content is in val, its group is in train" in lost["detail"]) == (
        "split_conflict",
        True,
    )


@pytest.mark.parametrize("word", ["val", "validation"])
def test_an_official_list_asks_for_val_by_itself(stages: Stages, word: str) -> None:
    official = {
        clip_path(name, group, clip): {1: "test", 2: word}.get(group, "train")
        for name in CLASSES
        for group in range(1, 5)
        for clip in (1, 2)
    }
    stages.source = table_of(stages, official)
    build(stages, SplitSettings())
    assert stages.split_of() == {clip_id: "val" if where == word else where for clip_id, where in official.items()}
    assert info_of(stages)["val"] == ["4", "2"]
    balance = stages.splits().balance()
    assert balance.columns.tolist() == ["train", "test", "val", "test_share", "val_share"]
    assert balance["val_share"].to_dict() == dict.fromkeys(CLASSES, 0.25)


def test_no_class_misses_a_split_that_the_official_list_leaves_empty(stages: Stages) -> None:
    """Many public sets have train and val alone."""
    official = {
        clip_path(name, group, clip): "val" if group == 1 and name != CLASSES[0] else "train"
        for name in CLASSES
        for group in range(1, 5)
        for clip in (1, 2)
    }
    other = Stages(stages.source, DatasetPaths(stages.paths.root, "other"))
    stages.source = table_of(stages, official)
    build(stages, SplitSettings())
    outcome = DatasetAudit(stages.paths).classes_covered()
    assert outcome.description == f"1 class with several groups is in one split only: {CLASSES[0]} (not in val)"
    other.source = table_of(other, official | {clip_path(CLASSES[0], 4, clip): "val" for clip in (1, 2)})
    build(other, SplitSettings())
    outcome = DatasetAudit(other.paths).classes_covered()
    assert (outcome.passed, outcome.description) == (True, "all 3 classes are in both splits")


def test_model_garden_validates_on_val_where_there_is_one(stages: Stages) -> None:
    from video_assets.pipeline.plan.model_fit import plan_fit

    stages.manifest()
    stages.splits(THREE_WAY)
    block = plan_fit(stages.paths, stages.plan(Encoding(resolution=32, num_frames=5))).yaml
    assert "tfds_split: val" in block
    assert "tfds_split: test" not in block


def test_a_near_duplicate_in_val_is_named(stages: Stages) -> None:
    build(stages, THREE_WAY)
    version = stages.paths.version("1.0.0")
    index = pd.read_parquet(version.index).drop_duplicates("split").set_index("split")
    sidecar = read_sidecar(version.sidecar("val", 0))
    assert sidecar is not None
    copied = {str(index.loc["val", "clip_id"]): index.loc["train", "signature"].hex()}
    clips = [replace(clip, signature=copied.get(clip.clip_id, clip.signature)) for clip in sidecar.clips]
    replace(sidecar, clips=clips).write(version.sidecar("val", 0))
    outcome = DatasetAudit(stages.paths).no_leakage()
    assert (outcome.passed, outcome.severity) == (False, "WARN")
    pair = f"{index.loc['train', 'clip_id']} and {index.loc['val', 'clip_id']}"
    assert outcome.description == f"1 clip of train looks like clips of val: {pair}"
