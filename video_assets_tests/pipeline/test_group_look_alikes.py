"""Look-alikes in one split by setting, and groups that come late: what they would cost."""

from pathlib import Path

import pytest

from video_assets.domain.near_duplicates import NearDuplicate
from video_assets.pipeline.dry_run import DryRunRefused, run_plan
from video_assets.pipeline.splits.stage import SplitReport, TooManyConflicts, build_splits
from video_assets.settings import ManifestSettings, Settings, SplitSettings
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.stages import InThisProcess, Stages
from video_assets_tests.pipeline.test_manifest import write_csv
from video_assets_tests.pipeline.videos import write_video

GROUPING = SplitSettings(test_fraction=0.5, group_near_duplicates=True)
NUMBERS = range(8)


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    return Stages(tmp_path / "videos", DatasetPaths(tmp_path / "root", "clips"))


def add(stages: Stages, name: str, seed: int, num_frames: int = 20) -> Path:
    return write_video(stages.source / name, seed, num_frames)


def splits(stages: Stages, settings: SplitSettings = GROUPING) -> SplitReport:
    return build_splits(stages.paths, settings, InThisProcess())


def test_look_alikes_are_in_one_split_and_told(stages: Stages) -> None:
    for number in NUMBERS:
        add(stages, f"run/{number}.mp4", number)
        add(stages, f"run/{number} again.mp4", number, 21)
    stages.manifest()
    report = splits(stages)
    split_of = stages.split_of()
    assert {split_of[f"run/{n}.mp4"] for n in NUMBERS} == {"train", "test"}
    assert all(split_of[f"run/{n}.mp4"] == split_of[f"run/{n} again.mp4"] for n in NUMBERS)
    assert {(pair.a, pair.b) for pair in report.alike} == {(f"run/{n} again.mp4", f"run/{n}.mp4") for n in NUMBERS}
    pool = InThisProcess()
    assert build_splits(stages.paths, GROUPING, pool).alike == []
    assert pool.jobs == []  # clips that have their split are not decoded again


def test_a_look_alike_that_comes_later_goes_where_the_committed_clip_is(stages: Stages) -> None:
    for number in NUMBERS:
        add(stages, f"run/{number}.mp4", number)
    stages.manifest()
    splits(stages)
    stages.plan()
    stages.shards()
    stages.commit()
    before = stages.split_of()
    for number in NUMBERS:
        add(stages, f"run/{number} again.mp4", number, 21)
    stages.manifest()
    assert len(splits(stages).alike) == len(NUMBERS)
    after = stages.split_of()
    assert {name: after[name] for name in before} == before
    assert all(after[f"run/{n} again.mp4"] == before[f"run/{n}.mp4"] for n in NUMBERS)


def test_clips_that_official_lists_put_apart_are_not_joined_for_their_looks(stages: Stages) -> None:
    add(stages, "a.mp4", 1)
    add(stages, "b.mp4", 1, 22)
    add(stages, "c.mp4", 1, 21)
    rows = [{"path": f"{n}.mp4", "label": "run", "split": s} for n, s in (("a", "train"), ("b", "test"), ("c", ""))]
    stages.source = write_csv(stages.source / "clips.csv", *rows)
    stages.manifest()
    report = splits(stages)
    assert report.lost == []
    assert {name: split for name, split in stages.split_of().items() if name != "c.mp4"} == {
        "a.mp4": "train",
        "b.mp4": "test",
    }
    assert [type(pair) for pair in report.alike] == [NearDuplicate]  # c went with the nearer of both


def grouped_late(stages: Stages) -> None:
    """A committed dataset whose table then puts all clips into one group."""
    folder = stages.source
    for number in NUMBERS:
        add(stages, f"{number}.mp4", number, 6)
    rows = [{"path": f"{number}.mp4", "label": "run"} for number in NUMBERS]
    stages.source = write_csv(folder / "clips.csv", *rows)
    stages.everything()
    write_csv(folder / "clips.csv", *({**row, "group": "one"} for row in rows))


def test_a_group_that_comes_late_is_refused_before_it_costs_clips(stages: Stages) -> None:
    grouped_late(stages)
    before = stages.split_of()
    in_test = sorted(name for name, split in before.items() if split == "test")
    stages.manifest()
    history = stages.paths.split_history.read_bytes()
    with pytest.raises(TooManyConflicts, match=r"2 of the 8 clips of the dataset \(25.0%\) would leave it") as refused:
        splits(stages, SplitSettings())
    assert "--set splits.max_conflict_fraction=1" in str(refused.value)
    assert [item.source for item in refused.value.lost] == in_test
    assert stages.paths.split_history.read_bytes() == history
    assert splits(stages, SplitSettings(max_conflict_fraction=1.0)).leaving == in_test
    assert set(stages.quarantined()) == set(in_test)


@pytest.mark.slow
def test_a_plan_names_the_clips_that_a_late_group_would_cost(stages: Stages) -> None:
    grouped_late(stages)
    in_test = {name for name, split in stages.split_of().items() if split == "test"}
    settings = Settings(manifest=ManifestSettings(allow_single_class=True))
    with pytest.raises(DryRunRefused) as refused:
        run_plan(stages.source, stages.paths, settings, num_workers=1)
    assert {item["source"] for item in refused.value.facts["quarantined"]} == in_test
    assert {item["reason"] for item in refused.value.facts["quarantined"]} == {"split_conflict"}
    allowed = settings.replace(splits=SplitSettings(max_conflict_fraction=1.0))
    planned = run_plan(stages.source, stages.paths, allowed, num_workers=1)
    assert planned["split_conflicts"] == len(in_test)
    assert set(planned["split_conflict_clips"]) == in_test
