"""Splits: stratified by class, whole groups, and never moved by growth, renaming, change or loss."""

import random
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from video_assets.domain.splits import SPLITS, Split, join_components
from video_assets.pipeline.dataset_warnings import dataset_warnings
from video_assets.pipeline.noted_settings import settings_note
from video_assets.pipeline.splits import components
from video_assets.pipeline.splits.stage import OfficialIgnored, SplitReport, build_splits
from video_assets.settings import ManifestSettings, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import MANIFEST, SPLIT_HISTORY, write_table
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.test_manifest import write_csv
from video_assets_tests.pipeline.videos import CLASSES, NUM_CLIPS, clip_path, write_class, write_video


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    """A source whose splits are assigned."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    stages.manifest()
    stages.splits()
    return stages


def again(stages: Stages) -> dict[str, str]:
    """Manifest and splits once more; the split of every clip."""
    stages.manifest(max_failed_fraction=0.5)
    stages.splits()
    return stages.split_of()


def a_clip_of(stages: Stages, split: str, label: str = "run") -> str:
    """The first clip of a class in a split."""
    return min(clip_id for clip_id, where in stages.split_of().items() if where == split and clip_id.startswith(label))


def groups_in_both(stages: Stages) -> set[str]:
    manifest = pd.read_parquet(stages.paths.manifest).set_index("clip_id")["group"]
    where = pd.Series(stages.split_of()).groupby(manifest).nunique()
    return set(where.index[where > 1])


def test_every_class_has_its_share_in_test_exactly(stages: Stages) -> None:
    labels = Counter((clip_id.partition("/")[0], split) for clip_id, split in stages.split_of().items())
    assert labels == {(name, split): count for name in CLASSES for split, count in (("train", 6), ("test", 2))}


def test_a_group_is_in_one_split(stages: Stages) -> None:
    assert groups_in_both(stages) == set()


def test_the_report_tells_the_balance_of_each_class(stages: Stages) -> None:
    balance = stages.splits().balance()
    assert balance["test_share"].to_dict() == dict.fromkeys(CLASSES, 0.25)
    assert balance.columns.tolist() == ["train", "test", "test_share"]


def test_splitting_again_moves_nothing_and_writes_the_same_bytes(stages: Stages) -> None:
    files = [stages.paths.split("train"), stages.paths.split("test"), stages.paths.split_history]
    before = [file.read_bytes() for file in files]
    assert stages.splits().num_new == 0
    assert [file.read_bytes() for file in files] == before


def test_another_seed_or_fraction_moves_no_clip_that_was_assigned(stages: Stages) -> None:
    before = stages.split_of()
    stages.splits(SplitSettings(test_fraction=0.5, seed=7))
    assert stages.split_of() == before


def test_growth_moves_no_clip_and_goes_where_the_class_lacks(stages: Stages) -> None:
    before = stages.split_of()
    for class_name in CLASSES:
        write_class(stages.source, class_name, range(5, 9))
    after = again(stages)
    assert {clip_id: after[clip_id] for clip_id in before} == before
    labels = Counter((clip_id.partition("/")[0], split) for clip_id, split in after.items())
    assert labels == {(name, split): count for name in CLASSES for split, count in (("train", 12), ("test", 4))}
    assert groups_in_both(stages) == set()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_new_clip_of_a_known_group_joins_its_group(stages: Stages, split: str) -> None:
    known = a_clip_of(stages, split)
    new = known.replace("_c01", "_c07")
    write_video(stages.source / new, seed=77)
    assert again(stages)[new] == split


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_renamed_file_keeps_its_split_by_its_content(stages: Stages, split: str) -> None:
    old = a_clip_of(stages, split)
    renamed = "run/another name.mp4"
    (stages.source / old).rename(stages.source / renamed)
    after = again(stages)
    assert old not in after
    assert after[renamed] == split


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_changed_file_keeps_its_split_by_its_group(stages: Stages, split: str) -> None:
    changed = a_clip_of(stages, split)
    write_video(stages.source / changed, seed=99, num_frames=24)
    assert again(stages)[changed] == split


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_changed_file_without_a_group_keeps_its_split_by_its_name(tmp_path: Path, split: str) -> None:
    stages = Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))
    for number in range(8):
        write_video(stages.source / "run" / f"{number}.mp4", seed=number)
    again(stages)
    changed = a_clip_of(stages, split)
    write_video(stages.source / changed, seed=99, num_frames=24)
    assert again(stages)[changed] == split


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_deleted_clip_moves_no_other_and_comes_back_where_it_was(stages: Stages, tmp_path: Path, split: str) -> None:
    before = stages.split_of()
    gone = a_clip_of(stages, split)
    (stages.source / gone).rename(tmp_path / "away.mp4")
    after = again(stages)
    assert after == {clip_id: where for clip_id, where in before.items() if clip_id != gone}
    (tmp_path / "away.mp4").rename(stages.source / gone)
    assert again(stages) == before


def test_identical_content_joins_its_groups_into_one(videos: Path, tmp_path: Path) -> None:
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    for group in (2, 3, 4):
        shutil.copy(stages.source / clip_path("run", group - 1, 1), stages.source / f"run/v_run_g{group:02d}_c09.mp4")
    again(stages)
    assert {split for clip_id, split in stages.split_of().items() if clip_id.startswith("run/")} == {"train"}


def test_a_copy_of_a_clip_in_a_group_of_the_other_split_is_lost_by_name(stages: Stages) -> None:
    before = stages.split_of()
    content, group = a_clip_of(stages, "test"), a_clip_of(stages, "train")
    copy = group.replace("_c01", "_c09")
    shutil.copy(stages.source / content, stages.source / copy)
    assert again(stages) == before
    reason, detail = stages.quarantined()[copy]
    own = "its content is in test, its group is in train"
    others = f"{group} is in train, {content} is in test"
    assert reason == "split_conflict"
    assert detail == f"it would put one group into train and test ({own}, {others}); correct the group"
    (stages.source / copy).unlink()
    again(stages)
    assert copy not in stages.quarantined()


def test_a_newcomer_that_would_join_both_splits_is_lost_and_nothing_else(stages: Stages) -> None:
    before = stages.split_of()
    copies = {"run/v_run_g50_c01.mp4": a_clip_of(stages, "test"), "run/v_run_g50_c02.mp4": a_clip_of(stages, "train")}
    for copy, content in copies.items():
        shutil.copy(stages.source / content, stages.source / copy)
    after = again(stages)
    assert {clip_id: after[clip_id] for clip_id in before} == before
    lost = {source for source, (reason, _) in stages.quarantined().items() if reason == "split_conflict"}
    assert lost == set(copies)
    assert groups_in_both(stages) == set()


def build_tables(paths: DatasetPaths, groups: dict[str, list[str]], before: Mapping[str, str]) -> SplitReport:
    """Splits of clips, each of its own content, of which `before` says where they were put."""
    columns = [(clip_id, group) for group, members in groups.items() for clip_id in members]
    rows = pd.DataFrame(columns, columns=["clip_id", "group"]).assign(label="x")
    rows["path"], rows["content_hash"] = rows["clip_id"], "hash of " + rows["clip_id"]
    notes = {"source": "videos", **settings_note(ManifestSettings())}
    write_table(paths.manifest, rows.reindex(columns=MANIFEST.names), MANIFEST, notes)
    kinds = {"clip": "", "content": "hash of "}
    history = [(kind, prefix + key, split) for kind, prefix in kinds.items() for key, split in before.items()]
    write_table(paths.split_history, pd.DataFrame(history, columns=SPLIT_HISTORY.names), SPLIT_HISTORY)
    return build_splits(paths, SplitSettings())


def test_of_clips_that_a_table_joins_now_the_fewer_are_lost_whatever_their_splits(tmp_path: Path) -> None:
    drawn = random.Random(1)
    clip_ids = [f"{number:03d}.mp4" for number in range(300)]
    before = {clip_id: drawn.choice(SPLITS) for clip_id in clip_ids}
    groups: dict[str, list[str]] = {}
    for clip_id in clip_ids:
        groups.setdefault(f"group {drawn.randrange(70)}", []).append(clip_id)
    lost: set[str] = set()
    for members in groups.values():
        counts = Counter(before[clip_id] for clip_id in members)
        stays = max(SPLITS, key=lambda split: (counts[split], split))
        lost |= {clip_id for clip_id in members if before[clip_id] != stays}
    report = build_tables(DatasetPaths(tmp_path, "clips"), groups, before)
    assert {item.source for item in report.lost} == lost


def test_a_group_of_three_splits_is_told_with_a_clip_of_each_other_one(tmp_path: Path) -> None:
    before: dict[str, Split] = {"a.mp4": "train", "b.mp4": "train", "c.mp4": "test", "d.mp4": "val"}
    report = build_tables(DatasetPaths(tmp_path, "clips"), {"one": list(before)}, before)
    told = "it would put one group into train and test and val"
    assert {item.source: item.loss.detail for item in report.lost} == {
        "c.mp4": f"{told} (its content is in test, a.mp4 is in train, d.mp4 is in val); correct the group",
        "d.mp4": f"{told} (its content is in val, a.mp4 is in train, c.mp4 is in test); correct the group",
    }


def test_clips_are_joined_once_and_again_only_after_some_were_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joining is the dearest part of the stage: seconds of a million clips."""
    joined: list[int] = []

    def counted(groups: Sequence[str | None], contents: Sequence[str]) -> NDArray[np.int64]:
        joined.append(len(contents))
        return join_components(groups, contents)

    monkeypatch.setattr(components, "join_components", counted)
    groups = {f"group {number}": [f"{number}a.mp4", f"{number}b.mp4"] for number in range(5)}
    clip_ids = [clip_id for members in groups.values() for clip_id in members]
    build_tables(DatasetPaths(tmp_path, "whole"), groups, dict.fromkeys(clip_ids, "train"))
    assert joined == [10]
    joined.clear()
    build_tables(DatasetPaths(tmp_path, "torn"), groups, dict.fromkeys(clip_ids, "train") | {"3b.mp4": "test"})
    assert joined == [10, 9]


def table_of(stages: Stages, splits: dict[str, str], groups: dict[str, str] | None = None) -> Path:
    rows = [
        {"path": path, "label": path.partition("/")[0], "split": split, "group": (groups or {}).get(path, "")}
        for path, split in splits.items()
    ]
    return write_csv(stages.source / "clips.csv", *rows)


def test_official_splits_win(videos: Path, tmp_path: Path) -> None:
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    official = {
        clip_path(name, group, clip): "test" if group in (1, 2, 3) else "train"
        for name in CLASSES
        for group in range(1, 5)
        for clip in (1, 2)
    }
    stages.source = table_of(stages, official)
    again(stages)
    assert stages.split_of() == official


def test_clips_without_an_official_split_fill_up_what_is_lacking(videos: Path, tmp_path: Path) -> None:
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    official = {clip_path("run", group, clip): "test" if group == 3 else "" for group in range(1, 5) for clip in (1, 2)}
    stages.source = table_of(stages, official)
    again(stages)
    assert {c for c, split in stages.split_of().items() if split == "test"} == {
        clip_path("run", 3, 1),
        clip_path("run", 3, 2),
    }


def test_a_clip_whose_official_split_tears_its_group_is_lost_by_name(videos: Path, tmp_path: Path) -> None:
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    paths = [clip_path("run", 1, 1), clip_path("run", 1, 2), clip_path("run", 2, 1), clip_path("run", 3, 1)]
    official = {paths[0]: "train", paths[1]: "train", paths[2]: "test", paths[3]: "test"}
    stages.source = table_of(stages, official, groups=dict.fromkeys(paths[:3], "one"))
    again(stages)
    assert stages.split_of() == {paths[0]: "train", paths[1]: "train", paths[3]: "test"}
    assert stages.quarantined()[paths[2]] == (
        "split_conflict",
        "the table puts it in test, but its group, or a copy of it, is in train; correct the table",
    )
    again(stages)  # as after a kill: what is known now is the group, not this clip
    assert paths[2] not in stages.split_of()
    assert stages.quarantined()[paths[2]][0] == "split_conflict"


def test_copies_that_official_lists_put_into_two_splits_are_told_of(videos: Path, tmp_path: Path) -> None:
    """They are in no group that the person who wrote the table would know of."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    paths = [clip_path("run", number, 1) for number in (1, 2)]
    shutil.copy(stages.source / paths[0], stages.source / "copy.mp4")
    stages.source = write_csv(
        stages.source / "clips.csv",
        {"path": paths[0], "label": "run", "split": "train"},
        {"path": paths[1], "label": "run", "split": "train"},
        {"path": "copy.mp4", "label": "run", "split": "test"},
    )
    again(stages)
    assert stages.split_of() == {"copy.mp4": "test", paths[1]: "train"}
    assert "or a copy of it, is in test" in stages.quarantined()[paths[0]][1]


def test_official_splits_that_change_later_move_nothing_and_are_named(videos: Path, tmp_path: Path) -> None:
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    first = {clip_path("run", group, 1): "test" if group == 1 else "train" for group in range(1, 5)}
    folder = stages
    stages.source = table_of(folder, first)
    again(stages)
    stages.source = stages.source.parent
    stages.source = table_of(stages, dict.fromkeys(first, "test"))
    stages.manifest()
    report = stages.splits()
    stay = [OfficialIgnored(clip_id, "test", "train") for clip_id, split in first.items() if split == "train"]
    assert report.official_ignored == stay
    assert stages.split_of() == first
    told = [w.source for w in dataset_warnings(stages.paths) if w.code == "official_split_ignored"]
    assert told == [item.clip_id for item in stay]


def test_the_splits_do_not_depend_on_where_the_source_lies(stages: Stages, videos: Path, tmp_path: Path) -> None:
    other = Stages(videos, DatasetPaths(tmp_path / "other root", "clips"))
    assert again(other) == stages.split_of()


def test_another_seed_gives_another_split_of_a_new_dataset(videos: Path, tmp_path: Path) -> None:
    found: set[frozenset[str]] = set()
    stages = Stages(videos, DatasetPaths(tmp_path / "root", "clips"))
    stages.manifest()
    for seed in range(4):
        stages.paths.split_history.unlink(missing_ok=True)
        stages.splits(SplitSettings(test_fraction=0.25, seed=seed))
        found.add(frozenset(clip_id for clip_id, split in stages.split_of().items() if split == "test"))
    assert len(found) > 1
    assert {len(test) for test in found} == {NUM_CLIPS // 4}
