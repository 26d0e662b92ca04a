"""`verify` runs every check again on what is on disk, and names all that is wrong, not only the first."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from video_assets.domain.errors import BuildRefused, SettingsError
from video_assets.pipeline import shared_pools
from video_assets.pipeline.checks.dataset import DATASET_CHECKS
from video_assets.pipeline.checks.shard import MISSING_VIDEO, SHARD_CHECKS
from video_assets.pipeline.upkeep.verify import CHECK, verify_dataset
from video_assets.storage.files import temporary_prefix
from video_assets.storage.locks import building, remove_abandoned_folders
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import InThisProcess, Stages, copied_source


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[InThisProcess]:
    """The pools that were opened; they decode here."""
    pools: list[InThisProcess] = []

    def open_here(*_: object, beside: object) -> InThisProcess:
        pools.append(InThisProcess())
        return pools[-1]

    monkeypatch.setattr(shared_pools, "DecodingPool", open_here)
    return pools


def failures(found: dict) -> set[tuple[str, str]]:
    return {(check["name"], check["target"]) for check in found["checks"] if not check["passed"]}


def test_a_right_dataset_is_valid(built_once: Built, opened: list[InThisProcess]) -> None:
    found = verify_dataset(built_once.paths, all_records=True)
    assert len(opened) == 2  # one that reads shards, one that decodes, for all shards
    assert found["is_valid"] is True
    assert failures(found) == set()
    of_files = ["bytes_are_as_written", "commit_is_finished"]
    assert len(found["checks"]) == len(of_files) + 7 * len(SHARD_CHECKS) + len(DATASET_CHECKS)
    assert found["splits"] == {"train": {"records": 18, "shards": 5}, "test": {"records": 6, "shards": 2}}
    assert found["version_dir"] == str(built_once.version.directory)
    assert [lost["source"] for lost in found["quarantined"]] == ["run/broken.mp4"]


def test_every_damage_is_named_at_its_own_shard(
    built: Built,
    built_at_another_size: Built,
) -> None:
    damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 100)
    damage.rewrite_shard(built, TRAIN_SHARDS[2], damage.with_another_label)
    damage.rewrite_shard(built, TRAIN_SHARDS[3], damage.without_the_second)
    damage.rewrite_shard(built, TEST_SHARDS[0], damage.with_swapped_frames)
    shutil.copy2(built_at_another_size.sidecar(TRAIN_SHARDS[1]), built.sidecar(TRAIN_SHARDS[1]))
    shutil.copy2(built_at_another_size.shard(TRAIN_SHARDS[1]), built.shard(TRAIN_SHARDS[1]))
    found = verify_dataset(built.paths, all_records=True)
    assert found["is_valid"] is False
    assert failures(found) == {
        *((name, TRAIN_SHARDS[0]) for name in SHARD_CHECKS),
        *((name, TRAIN_SHARDS[1]) for name in SHARD_CHECKS),
        ("shard_is_complete", TRAIN_SHARDS[2]),
        ("shard_decodes", TRAIN_SHARDS[2]),
        ("shard_is_complete", TRAIN_SHARDS[3]),
        ("shard_matches_source", TEST_SHARDS[0]),
        ("one_encoding", TRAIN_SHARDS[1]),
        ("nothing_lost", TRAIN_SHARDS[3]),
        *((CHECK, key) for key in (*TRAIN_SHARDS[:4], TEST_SHARDS[0])),
    }


def moved_source(built: Built, tmp_path: Path) -> Path:
    """A place of its own for the source, which the dataset knows."""
    source = tmp_path / "videos"
    shutil.copytree(built.source, source)
    Stages(source, built.paths).everything()
    return source


@pytest.mark.slow
def test_a_source_that_was_moved_is_a_warning_that_names_the_remedy(built: Built, tmp_path: Path) -> None:
    source = moved_source(built, tmp_path)
    shutil.move(source, tmp_path / "elsewhere")
    found = verify_dataset(built.paths, all_records=False)
    assert found["is_valid"] is True
    warnings = [check for check in found["checks"] if not check["passed"]]
    assert [(check["name"], check["target"]) for check in warnings] == [
        ("shard_matches_source", key) for key in built.keys
    ]
    assert {check["severity"] for check in warnings} == {"WARN"}
    assert warnings[0]["description"] == (
        f"the source {source} is not there, so nothing could be compared with it; no shard is damaged by that. If it "
        f"was moved, tell its new place: video-assets build --source NEW --root {built.paths.root} "
        "--name clips"
    )
    before = built.shard(TRAIN_SHARDS[0]).stat().st_mtime_ns
    Stages(tmp_path / "elsewhere", built.paths).everything()  # what the sentence advises
    assert failures(verify_dataset(built.paths, all_records=False)) == set()
    assert built.shard(TRAIN_SHARDS[0]).stat().st_mtime_ns == before


@pytest.mark.slow
def test_a_video_that_is_gone_is_an_error_that_no_repair_would_mend(built: Built, tmp_path: Path) -> None:
    source = moved_source(built, tmp_path)
    clip = damage.known_of(built, TRAIN_SHARDS[0]).clips[0]
    (source / clip.source).unlink()
    found = verify_dataset(built.paths, all_records=True)
    assert failures(found) == {("shard_matches_source", TRAIN_SHARDS[0])}
    (check,) = (check for check in found["checks"] if not check["passed"])
    assert check["facts"] == {MISSING_VIDEO: clip.source}
    assert check["description"].endswith(
        f"its video {clip.source} is not in the source {source} any more; put it back, or build again, which takes the "
        "clip out of the dataset"
    )


def test_with_a_damaged_table_only_the_damage_is_told(built: Built) -> None:
    damage.flip_byte(built.paths.plan, 200)
    damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 700)
    found = verify_dataset(built.paths, all_records=True)
    assert found["is_valid"] is False
    assert failures(found) == {(CHECK, "plan.parquet"), (CHECK, TRAIN_SHARDS[0])}
    assert len(found["checks"]) == 2


def test_a_shard_that_vanished_is_named(built: Built) -> None:
    built.shard(TEST_SHARDS[1]).unlink()
    found = verify_dataset(built.paths, all_records=False)
    assert found["is_valid"] is False
    assert failures(found) == {(name, TEST_SHARDS[1]) for name in (*SHARD_CHECKS, CHECK)}


def test_what_was_never_planned_cannot_be_verified(tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = DatasetPaths(tmp_path_factory.mktemp("empty"), "clips")
    with pytest.raises(SettingsError, match=r"there is no dataset clips in .*; build it first"):
        verify_dataset(paths, all_records=False)
    paths.directory.mkdir()
    with pytest.raises(BuildRefused, match=r"there is no manifest in .*; materialize manifest first"):
        verify_dataset(paths, all_records=False)


@pytest.mark.slow
def test_beside_a_running_build_only_what_is_committed_is_judged(built: Built, tmp_path: Path) -> None:
    """The build has made another plan already, and none of its shards is there yet."""
    stages = Stages(copied_source(built.source, tmp_path), built.paths)
    shutil.copy2(stages.source / "jump/v_jump_g01_c01.mp4", stages.source / "run/new.mp4")
    (stages.source / "jump/v_jump_g01_c01.mp4").unlink()
    stages.up_to_plan()
    assert not verify_dataset(built.paths, all_records=False)["is_valid"]
    with building(built.paths, "video-assets build"):
        found = verify_dataset(built.paths, all_records=False)
        assert found["is_valid"], failures(found)
        assert "video-assets build" in found["beside"]
        damage.flip_byte(built.shard(TRAIN_SHARDS[0]), 100)
        assert ("bytes_are_as_written", TRAIN_SHARDS[0]) in failures(verify_dataset(built.paths, all_records=False))


def test_a_refused_first_build_leaves_nothing_behind(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path / "root", "clips")
    with pytest.raises(BuildRefused), building(paths, "a build"):
        raise BuildRefused("no")
    assert list(tmp_path.iterdir()) == []
    with building(paths, "a build"):
        (paths.directory / "plan.parquet").touch()
    assert paths.build_lock.exists()


def test_temporary_folders_of_killed_processes_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    mine = tmp_path / f"{temporary_prefix('plan')}x"
    left, foreign = tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{ended.pid}-"), tmp_path / "video-assets-plan-x"
    for folder in (mine, left, foreign):
        folder.mkdir()
    remove_abandoned_folders()
    assert sorted(tmp_path.iterdir()) == sorted([mine, foreign])
