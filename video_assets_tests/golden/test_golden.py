"""Datasets that the first edition made are read, checked, grown and repaired, and the same sources give their bytes.

Only what users hold on to is used here: commands and their JSON, `load_dataset`, and files on disk. A test that fails
here says that existing datasets would break, so the code is to be changed and not the archive.
"""

import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from video_assets_tests.golden.archives import (
    NAME,
    Done,
    Golden,
    build,
    expected,
    live_shards,
    read_clips,
    run,
    shard_digests,
    unpack,
)

CPUINFO = Path("/proc/cpuinfo")
# Tried with FFmpeg's and OpenCV's AVX-512, AVX2 and SSE code: frames are the same bytes in all of them, resampled sound
# only where there are fused multiply-adds (FMA), as on every processor with AVX2.
same_bytes = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or (CPUINFO.exists() and "fma" not in CPUINFO.read_text().split()),
    reason="decoders give the same bytes only among x86 processors with FMA",
)
DELETED_TABLES = {
    "tfds_growth": "manifest.parquet",
    "spans": "splits/history.parquet",
    "movinets_helper": "plan.parquet",
    "multi_label": "labels.txt",
    "sound": "encoding.json",
    "quarantine": "quarantine.parquet",
}


@dataclass(frozen=True)
class Arrival:
    """A new video: the content of another, and an empty box at its end, so that it counts as new content.

    `row` is its row of the table, where the source is one.
    """

    copied_from: str
    path: str
    row: str = ""


ARRIVALS = {
    "tfds_growth": Arrival("run/v_run_g01_c02.mp4", "run/v_run_g01_c03.mp4"),
    "spans": Arrival("whole/2.mp4", "whole/new.mp4", "whole/new.mp4,close,0.2,0.9,train,room 9,new\r\n"),
    "movinets_helper": Arrival("left/2.mp4", "left/new.mp4"),
    "multi_label": Arrival("00.mp4", "new.mp4", "new.mp4,walk|run,g9\r\n"),
    "sound": Arrival("tones.mov", "new.mov", "new.mov,low,1,1.5,train\r\n"),
    "quarantine": Arrival("clap/clip_subject4_8.mp4", "clap/clip_subject4_new.mp4"),
}
EMPTY_BOX = b"\0\0\0\x08free"


@pytest.fixture(scope="module", params=list(expected()))
def golden(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """One golden dataset and its videos. Never changed by a test."""
    return unpack(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture
def copy(golden: Golden, tmp_path: Path) -> Golden:
    """One that a test may change."""
    return Golden(golden.name, Path(shutil.copytree(golden.folder, tmp_path / "copy")), golden.facts)


def failed_checks(done: Done) -> list[tuple[str, str]]:
    """Checks that make a dataset invalid; warnings do not."""
    return [
        (check["name"], check["description"])
        for check in done.result["checks"]
        if not check["passed"] and check["severity"] == "ERROR"
    ]


WORDS_FOR_PEOPLE = ("README.md", "card.html", "checksums.json")
"""The card is written in the words of the version that commits, and the checksums tell its bytes."""


def files_of(root: Path) -> dict[str, bytes]:
    """Every file of the committed dataset that programs read. Retired shards are left out: their time is over."""
    directory, live = root / NAME, live_shards(root)
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
        and path.name not in WORDS_FOR_PEOPLE
        and not path.relative_to(directory).parts[0].startswith(".")
        and (path.name in live or path.suffix not in (".tfrecord", ".retired"))
    }


def add_video(golden: Golden) -> str:
    """Add the new video to the source; return its path."""
    arrival, videos = ARRIVALS[golden.name], golden.folder / "videos"
    (videos / arrival.path).write_bytes((videos / arrival.copied_from).read_bytes() + EMPTY_BOX)
    if arrival.row:
        with golden.source.open("a", encoding="utf-8", newline="") as table:
            table.write(arrival.row)
    return arrival.path


def read_as_expected(golden: Golden) -> dict[str, list[dict[str, object]]]:
    has_sound = any("audio" in clip for clips in golden.facts["clips"].values() for clip in clips)
    return read_clips(golden.root, golden.facts["clips"], with_audio=has_sound)


def test_a_growth_left_a_retired_shard_behind() -> None:
    """The case would else show less than its name says."""
    names = [int(name[-14:-9]) for name in expected()["tfds_growth"]["live"] if "train" in name]
    assert max(names) >= len(names)


def test_status_reads_it(golden: Golden) -> None:
    done = run("status", "--root", golden.root)
    assert done.code == 0, done.result["error"]
    assert done.result["is_valid"] is True
    assert done.result["shards_missing"] == []
    assert done.result["versions"] == ["1.0.0"]
    assert done.result["splits"] == golden.facts["splits"]
    lost = [{"source": entry["source"], "reason": entry["reason"]} for entry in done.result["quarantined"]]
    assert lost == golden.facts["quarantined"]


def test_every_check_of_every_record_passes(golden: Golden) -> None:
    done = run("verify", "--root", golden.root, "--all")
    assert (done.code, failed_checks(done)) == (0, []), done.result["error"]
    assert done.result["is_valid"] is True
    assert done.result["splits"] == golden.facts["splits"]


@pytest.mark.slow
def test_readers_get_the_clips_that_they_got_then(tensorflow: ModuleType, golden: Golden) -> None:
    assert live_shards(golden.root) == golden.facts["live"]
    assert shard_digests(golden.root) == golden.facts["shards"]
    assert read_as_expected(golden) == golden.facts["clips"]


@same_bytes
@pytest.mark.slow
def test_every_shard_is_written_again_as_it_was_then(copy: Golden) -> None:
    """The dataset goes on under the version of the encoder that its first plan had."""
    label_names = (copy.version_dir / "label.labels.txt").read_bytes()
    shutil.rmtree(copy.version_dir)
    done = build(copy.source, copy.root, copy.facts["settings"])
    assert (done.code, failed_checks(done)) == (0, []), done.result["error"]
    assert done.result["clips_encoded"] == sum(copy.facts["live"].values())
    assert shard_digests(copy.root) == copy.facts["shards"]
    assert (copy.version_dir / "label.labels.txt").read_bytes() == label_names


@pytest.mark.slow
def test_a_build_over_it_reuses_every_clip_and_then_compares_them_with_the_source(copy: Golden) -> None:
    done = build(copy.source, copy.root, copy.facts["settings"])
    assert (done.code, failed_checks(done)) == (0, []), done.result["error"]
    assert (done.result["clips_encoded"], done.result["shards_written"]) == (0, 0)
    assert done.result["clips_reused"] == sum(copy.facts["live"].values())
    assert done.result["shards_reused"] == len(copy.facts["live"])
    assert done.result["splits"] == copy.facts["splits"]
    assert shard_digests(copy.root) == copy.facts["shards"]
    verified = run("verify", "--root", copy.root, "--all")
    compared = [check["passed"] for check in verified.result["checks"] if check["name"] == "shard_matches_source"]
    assert compared == [True] * len(copy.facts["live"])


@pytest.mark.slow
def test_a_new_video_costs_itself_and_at_most_an_unfilled_shard(tensorflow: ModuleType, copy: Golden) -> None:
    before, live_before = shard_digests(copy.root), live_shards(copy.root)
    new = add_video(copy)
    done = build(copy.source, copy.root, copy.facts["settings"])
    assert (done.code, failed_checks(done)) == (0, []), done.result["error"]
    after = shard_digests(copy.root)
    superseded = before.keys() - after.keys()
    assert before.items() - after.items() == {(name, before[name]) for name in superseded}
    assert len(superseded) <= 1
    assert 1 <= done.result["clips_encoded"] <= 1 + sum(live_before[name] for name in superseded)
    found = {split: {str(clip["id"]): clip for clip in clips} for split, clips in read_as_expected(copy).items()}
    for split, clips in copy.facts["clips"].items():
        assert {clip["id"]: found[split].pop(clip["id"]) for clip in clips} == {clip["id"]: clip for clip in clips}
    (added,) = (clip_id for clips in found.values() for clip_id in clips)
    assert added.partition("#")[0] == new


@same_bytes
@pytest.mark.slow
def test_a_damaged_shard_and_a_deleted_table_are_repaired_byte_for_byte(copy: Golden) -> None:
    before = files_of(copy.root)
    shard = copy.version_dir / next(iter(live_shards(copy.root)))
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    shard.write_bytes(damaged)
    deleted = DELETED_TABLES[copy.name]
    (copy.root / NAME / deleted).unlink()
    done = run("repair", "--root", copy.root, "--source", copy.source, "--workers", "1")
    assert (done.code, done.result["not_repaired"]) == (0, []), done.result["error"]
    assert sorted(done.result["repaired"]) == sorted([f"1.0.0/{shard.name}", deleted])
    assert files_of(copy.root) == before
    assert run("verify", "--root", copy.root, "--all").result["is_valid"] is True
