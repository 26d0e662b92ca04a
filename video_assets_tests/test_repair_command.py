"""`video-assets repair`: exit codes, what it prints, and that it waits for nobody who writes."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from video_assets.cli import main
from video_assets.storage.locks import building
from video_assets_tests.datasets import TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage

pytestmark = pytest.mark.slow


def repair(built: Built, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict, str]:
    code = main(["repair", "--root", str(built.paths.root), "--workers", "1", "--json", *more])
    said = capsys.readouterr()
    return code, json.loads(said.out.splitlines()[-1]) if said.out else {}, " ".join(said.err.split())


def test_what_is_damaged_is_repaired_with_0_and_again_there_is_nothing_to_do(
    built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = built.shard(TRAIN_SHARDS[1]).read_bytes()
    damage.flip_byte(built.shard(TRAIN_SHARDS[1]), 700)
    damage.flip_byte(built.paths.plan, 300)
    code, result, _ = repair(built, capsys)
    assert (code, result["not_repaired"], result["shards_rebuilt"]) == (0, [], [TRAIN_SHARDS[1]])
    assert sorted(result["repaired"]) == ["1.0.0/clips-train-00001.tfrecord", "plan.parquet"]
    assert built.shard(TRAIN_SHARDS[1]).read_bytes() == whole
    code, result, words = repair(built, capsys)
    assert (code, result["damaged"], result["repaired"]) == (0, [], [])
    assert "Nothing to repair" in words


def test_what_cannot_be_repaired_ends_with_1_by_name(
    built: Built, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    damage.flip_byte(built.shard(TRAIN_SHARDS[1]), 700)
    empty = tmp_path / "empty"
    empty.mkdir()
    code, result, _ = repair(built, capsys, "--source", str(empty))
    assert (code, result["repaired"]) == (1, [])
    (failed,) = result["not_repaired"]
    assert failed["file"] == "1.0.0/clips-train-00001.tfrecord"
    assert (
        f"cannot be read in {empty} (No such file or directory): put it back, or name another place" in failed["reason"]
    )


def test_a_dataset_or_a_source_that_is_not_there_ends_with_2(
    built: Built, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["repair", "--root", str(tmp_path / "nowhere")]) == 2
    assert "there is no dataset clips in" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "nowhere").exists()
    assert main(["repair", "--root", str(built.paths.root), "--source", str(tmp_path / "nowhere")]) == 2


def test_while_a_build_writes_a_repair_is_told_to_wait(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    damage.flip_byte(built.shard(TRAIN_SHARDS[1]), 700)
    left = built.shard(TRAIN_SHARDS[1]).read_bytes()
    with ThreadPoolExecutor(1) as elsewhere:
        build = building(built.paths, "video-assets build")
        elsewhere.submit(build.__enter__).result()
        code = main(["repair", "--root", str(built.paths.root)])
        elsewhere.submit(build.__exit__, None, None, None).result()
    assert code == 1
    assert "video-assets repair must wait" in " ".join(capsys.readouterr().err.split())
    assert built.shard(TRAIN_SHARDS[1]).read_bytes() == left
