"""Every file that is not as it was written is found by its checksum, and named with its records and clips."""

import os
import shutil
from pathlib import Path

import pytest

from tools.reliability.flips import choose_flips, files_at_risk, flip_campaign
from video_assets.pipeline.checks.shard import SHARD_CHECKS
from video_assets.pipeline.upkeep.verify import CHECK, find_damage, integrity_outcomes
from video_assets.storage.sidecars import Checksums, read_checksums
from video_assets_tests.datasets import TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import Stages, audit_of
from video_assets_tests.pipeline.videos import write_class


def test_an_untouched_dataset_has_no_damage(built_once: Built) -> None:
    assert find_damage(built_once.paths) == []
    (outcome,) = integrity_outcomes([], built_once.paths)
    assert (outcome.name, outcome.passed) == (CHECK, True)


def test_a_flipped_bit_in_any_file_is_found_and_named_with_record_and_clip(built: Built) -> None:
    num_files = len(files_at_risk(built.paths))
    assert len({flip.path for flip in choose_flips(built.paths, num_files, seed=5)}) == num_files
    figures = flip_campaign(built.paths, 3 * num_files, seed=5)
    assert figures.faults == []
    assert figures.false_alarms == 0


def test_the_records_of_a_damaged_shard_are_told_by_the_index_if_its_sidecar_is_damaged_too(built: Built) -> None:
    damage.flip_byte(built.shard(TRAIN_SHARDS[1]), 700)
    by_sidecar = find_damage(built.paths)
    damage.flip_byte(built.sidecar(TRAIN_SHARDS[1]), 30)
    by_index = find_damage(built.paths)
    assert [item.path for item in by_index] == [built.shard(TRAIN_SHARDS[1]), built.sidecar(TRAIN_SHARDS[1])]
    assert by_index[0] == by_sidecar[0]
    clip_id = damage.known_of(built, TRAIN_SHARDS[0]).clips[0].clip_id  # of another shard: not this one's
    assert by_index[0].sentence.startswith("clips-train-00001.tfrecord (record 0, clip ")
    assert clip_id not in by_index[0].sentence


def test_what_follows_the_last_record_is_damage_of_the_file(built: Built) -> None:
    with built.shard(TRAIN_SHARDS[0]).open("ab") as file:
        file.write(b"more")
    (found,) = find_damage(built.paths)
    assert found.sentence == "clips-train-00000.tfrecord is not as it was committed"


@pytest.mark.parametrize("name", ["index.parquet", "features.json", "clips-train-00000.tfrecord", "checksums.json"])
def test_a_file_that_is_gone_is_named(built: Built, name: str) -> None:
    (built.version.directory / name).unlink()
    (found,) = find_damage(built.paths)
    assert found.sentence == f"{name} is missing"


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_what_is_no_file_in_a_shards_place_is_named_and_never_read(built: Built, kind: str) -> None:
    """To read one would never end, or never begin."""
    for path in (built.shard(TRAIN_SHARDS[0]), built.sidecar(TRAIN_SHARDS[1])):
        path.unlink()
        make = {"device": lambda p: p.symlink_to("/dev/zero"), "pipe": os.mkfifo, "folder": Path.mkdir}[kind]
        make(path)
    assert [item.sentence for item in find_damage(built.paths)] == [
        "clips-train-00000.tfrecord is not a regular file, nor a link to one",
        "train-00001.json is not a regular file, nor a link to one",
    ]
    assert not any(audit_of(built.paths, TRAIN_SHARDS[0]).run(name).passed for name in SHARD_CHECKS)


def test_a_table_that_is_gone_is_named(built: Built) -> None:
    built.paths.split_history.unlink()
    assert [item.sentence for item in find_damage(built.paths)] == ["history.parquet is missing"]


def test_what_a_build_has_not_committed_yet_is_looked_at_too(
    built: Built, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = tmp_path_factory.mktemp("grown") / "videos"
    shutil.copytree(built.source, source)
    write_class(source, "run", range(5, 6))
    stages = Stages(source, built.paths)
    stages.up_to_plan()
    new = next(report.key for report in stages.shards())
    assert find_damage(built.paths) == []
    damage.flip_byte(built.shard(new), 100)
    assert [item.path for item in find_damage(built.paths)] == [built.shard(new)]
    damage.flip_byte(built.shard(new), 100)
    damage.flip_byte(built.sidecar(new), 100)
    assert [item.path for item in find_damage(built.paths)] == [built.sidecar(new)]


def test_amid_a_commit_the_files_before_and_after_it_are_right_and_no_others(built: Built) -> None:
    """As a kill between `checksums.json` and the files that it is about leaves it."""
    known = read_checksums(built.version.checksums)
    assert known is not None
    now = known.files["README.md"]
    built.version.checksums.write_bytes(
        Checksums({**known.files, "README.md": "0" * 64}, {"README.md": now}).to_bytes()
    )
    assert find_damage(built.paths) == []
    damage.flip_byte(built.version.card_markdown, 3)
    assert [item.path for item in find_damage(built.paths)] == [built.version.card_markdown]


def test_files_of_others_beside_the_sidecars_are_not_looked_at(built: Built) -> None:
    for name in ("notes.json", "train-7.json", "val-00000.json.bak"):
        (built.version.directory / "shards" / name).write_text("mine")
    assert find_damage(built.paths) == []
