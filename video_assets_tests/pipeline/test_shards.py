"""Shards: the same bytes whoever writes them, whole or not there, and never written twice."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.media.workers.pool import DecodingPool
from video_assets.pipeline.plan.plan_table import read_plan
from video_assets.pipeline.shards import encode
from video_assets.pipeline.shards.pending import is_current, missing_shards, shards_to_build
from video_assets.pipeline.shards.stage import build_shards
from video_assets.storage.files import AtomicFile, file_sha256
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import TEST_SHARDS, TRAIN_SHARDS, Built
from video_assets_tests.pipeline import damage
from video_assets_tests.pipeline.stages import LIMITS, InThisProcess, Stages, copied_source
from video_assets_tests.pipeline.videos import write_video

KEYS = [*TRAIN_SHARDS, *TEST_SHARDS]


@pytest.fixture
def stages(videos: Path, tmp_path: Path) -> Stages:
    """A planned dataset without shards."""
    stages = Stages(copied_source(videos, tmp_path), DatasetPaths(tmp_path / "root", "clips"))
    stages.up_to_plan()
    return stages


def version(stages: Stages) -> Any:
    return stages.paths.version("1.0.0")


def hashes(directory: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in sorted(directory.glob("*.tfrecord"))}


def no_pool() -> Any:
    raise AssertionError("nothing is to be decoded, so no process is needed")


def test_every_planned_shard_is_written_with_a_sidecar_that_describes_it(stages: Stages) -> None:
    reports = stages.shards()
    assert [report.key for report in reports] == KEYS
    fingerprints = read_plan(stages.paths).fingerprints()
    for report in reports:
        assert (report.error, report.was_reused) == ("", False)
        sidecar = report.sidecar
        assert sidecar is not None
        assert sidecar == is_current(version(stages), report.key, fingerprints[report.key])
        file = version(stages).directory / f"clips-{report.key}.tfrecord"
        assert (sidecar.bytes, sidecar.sha256) == (file.stat().st_size, file_sha256(file))
        assert sidecar.records == len(sidecar.clips)
        ends = [clip.offset + clip.length for clip in sidecar.clips]
        assert [0, *ends] == [*(clip.offset for clip in sidecar.clips), sidecar.bytes]
        assert {clip.num_frames for clip in sidecar.clips} == {5}
    assert shards_to_build(stages.paths) == []


def test_shards_are_the_same_bytes_on_one_process_and_on_two_and_from_a_source_made_in_another_order(
    videos: Path, tmp_path: Path, built_once: Built
) -> None:
    found = []
    for number, (num_workers, is_reversed) in enumerate([(1, False), (2, True)]):
        source = tmp_path / f"source {number}"
        files = sorted((path for path in videos.rglob("*.mp4")), reverse=is_reversed)
        for file in files:
            target = source / file.relative_to(videos)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        stages = Stages(source, DatasetPaths(tmp_path / f"root {number}", "clips"))
        stages.up_to_plan()
        assert all(not report.error for report in stages.shards(pool=partial(DecodingPool, num_workers, LIMITS)))
        found.append(hashes(version(stages).directory))
    assert found[0] == found[1] == hashes(built_once.version.directory)
    assert len(found[0]) == len(KEYS)


def test_shards_do_not_depend_on_the_order_of_the_keys(stages: Stages, built_once: Built) -> None:
    reports = stages.shards(list(reversed(KEYS)))
    assert [report.key for report in reports] == list(reversed(KEYS))
    assert hashes(version(stages).directory) == hashes(built_once.version.directory)


def test_a_shard_that_is_there_is_left_alone_without_starting_a_process(built: Built) -> None:
    before = {key: built.shard(key).stat().st_mtime_ns for key in KEYS}
    reports = list(build_shards(built.paths, KEYS, LIMITS, no_pool))
    assert all(report.was_reused and report.sidecar is not None for report in reports)
    assert {key: built.shard(key).stat().st_mtime_ns for key in KEYS} == before


def test_only_the_shards_that_are_asked_for_are_written(stages: Stages) -> None:
    stages.shards(["train-00002"])
    assert list(hashes(version(stages).directory)) == ["clips-train-00002.tfrecord"]
    assert shards_to_build(stages.paths) == [key for key in KEYS if key != "train-00002"]


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "no sidecar", "torn sidecar", "other fingerprint"])
def test_a_damaged_shard_is_written_again_and_is_what_it_was(built: Built, harm: str) -> None:
    key = "train-00001"
    before = hashes(built.version.directory)
    shard, sidecar = built.shard(key), built.sidecar(key)
    match harm:
        case "flipped":
            damage.flip_byte(shard, 700)
        case "cut":
            os.truncate(shard, 700)
        case "gone":
            shard.unlink()
        case "no sidecar":
            sidecar.unlink()
        case "torn sidecar":
            sidecar.write_text(sidecar.read_text()[:100])
        case _:
            damage.edit_sidecar(built, key, fingerprint="0" * 64)
    assert shards_to_build(built.paths) == [key]
    (report,) = build_shards(built.paths, [key], LIMITS, InThisProcess())
    assert (report.error, report.was_reused) == ("", False)
    assert hashes(built.version.directory) == before
    assert shards_to_build(built.paths) == []


def test_a_byte_that_flips_without_another_time_is_left_to_the_checks_that_read_everything(built: Built) -> None:
    key = "train-00001"
    status = built.shard(key).stat()
    damage.flip_byte(built.shard(key), 700)
    os.utime(built.shard(key), ns=(status.st_atime_ns, status.st_mtime_ns))
    fingerprint = read_plan(built.paths).fingerprints()[key]
    assert missing_shards(built.version, {key: fingerprint}) == {}
    assert is_current(built.version, key, fingerprint) is None


def fail_on(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Writing into a file of this name fails."""
    write = AtomicFile.write

    def failing(self: AtomicFile, data: bytes) -> None:
        if self.path.name == name:
            raise error
        write(self, data)

    monkeypatch.setattr(AtomicFile, "write", failing)


@pytest.mark.parametrize("key", ["train-00000", "train-00002", "test-00001"])
def test_a_shard_that_cannot_be_written_does_not_stop_the_others(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, built_once: Built, key: str
) -> None:
    with monkeypatch.context() as patch:
        fail_on(patch, f"clips-{key}.tfrecord", OSError(28, "No space left on device"))
        reports = {report.key: report for report in stages.shards()}
    assert {k for k, report in reports.items() if report.error} == {key}
    assert reports[key].error == f"{key}: [Errno 28] No space left on device"
    assert reports[key].sidecar is None
    expected = hashes(built_once.version.directory)
    missing = expected.pop(f"clips-{key}.tfrecord")
    assert hashes(version(stages).directory) == expected
    assert [path for path in version(stages).directory.iterdir() if ".tmp-" in path.name] == []
    assert [report.key for report in stages.shards()] == [key]
    assert hashes(version(stages).directory)[f"clips-{key}.tfrecord"] == missing


@pytest.mark.parametrize("key", ["train-00000", "train-00002", "test-00001"])
def test_a_shard_whose_videos_cannot_be_had_does_not_stop_the_others_and_costs_no_clip(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, built_once: Built, key: str
) -> None:
    """A store that does not answer says nothing of a clip: the shard fails, and the next run builds it."""
    wanted = damage.known_of(built_once, key).clips[1].clip_id
    encode_clip = encode.encode_clip

    def unanswered(job: Any) -> Any:
        if job.clip.clip_id == wanted:
            raise StorageFailed("the store does not answer")
        return encode_clip(job)

    with monkeypatch.context() as patch:
        patch.setattr(encode, "encode_clip", unanswered)
        reports = {report.key: report for report in stages.shards()}
    assert {k: report.error for k, report in reports.items() if report.error} == {
        key: f"{key}: the store does not answer"
    }
    expected = hashes(built_once.version.directory)
    missing = expected.pop(f"clips-{key}.tfrecord")
    assert hashes(version(stages).directory) == expected
    assert [report.key for report in stages.shards() if not report.was_reused] == [key]
    assert hashes(version(stages).directory)[f"clips-{key}.tfrecord"] == missing


def test_what_cannot_be_read_back_never_gets_its_name(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    from video_assets.pipeline.shards import encode

    frame = encode.frame_record

    def broken(data: bytes, _compression: str) -> bytes:
        framed = bytearray(frame(data))
        framed[-1] ^= 1
        return bytes(framed)

    with monkeypatch.context() as patch:
        patch.setattr(encode, "frame_record", broken)
        (report,) = stages.shards(["train-00000"])
    assert report.error.startswith("train-00000: what was written cannot be read back: ")
    assert hashes(version(stages).directory) == {}
    assert not version(stages).sidecar("train", 0).exists()


def test_a_write_that_goes_to_another_place_on_disk_is_found(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    write = AtomicFile.write

    def twice(self: AtomicFile, data: bytes) -> None:
        write(self, data)
        if self.path.suffix == ".tfrecord":
            self._file.write(data)

    with monkeypatch.context() as patch:
        patch.setattr(AtomicFile, "write", twice)
        (report,) = stages.shards(["train-00000"])
    assert report.error == "train-00000: what was written holds 8 records, not the planned 4 in their order"
    assert hashes(version(stages).directory) == {}


_KILLED = """
    import os, signal, sys
    from pathlib import Path
    from video_assets.storage.files import AtomicFile
    from video_assets.storage.paths import DatasetPaths
    from video_assets_tests.pipeline.stages import Stages

    write = AtomicFile.write

    def killed(self, data):
        write(self, data)
        self._file.flush()
        if self.path.name == "clips-train-00002.tfrecord" and self.num_bytes > len(data):
            os.kill(os.getpid(), signal.SIGKILL)

    AtomicFile.write = killed
    Stages(Path(sys.argv[1]), DatasetPaths(Path(sys.argv[2]), "clips")).shards()
"""


def test_a_killed_build_leaves_whole_shards_and_temporaries_that_the_next_one_removes(
    stages: Stages, built_once: Built
) -> None:
    command = [sys.executable, "-c", textwrap.dedent(_KILLED), str(stages.source), str(stages.paths.root)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    expected = hashes(built_once.version.directory)
    found = hashes(version(stages).directory)
    assert found == {name: expected[name] for name in ("clips-train-00000.tfrecord", "clips-train-00001.tfrecord")}
    left = [path.name for path in version(stages).directory.iterdir() if ".tmp-" in path.name]
    assert len(left) == 1
    assert left[0].startswith("clips-train-00002.tfrecord.tmp-")
    reports = stages.shards(KEYS)
    assert [report.key for report in reports if report.was_reused] == ["train-00000", "train-00001"]
    assert hashes(version(stages).directory) == expected
    assert [path for path in version(stages).directory.iterdir() if ".tmp-" in path.name] == []


def test_a_build_killed_between_shard_and_sidecar_writes_that_shard_again(stages: Stages, built_once: Built) -> None:
    version(stages).directory.mkdir(parents=True)
    shutil.copy(built_once.shard("train-00000"), version(stages).directory)
    assert "train-00000" in shards_to_build(stages.paths)
    (report,) = stages.shards(["train-00000"])
    assert not report.was_reused


def test_a_file_that_changed_after_the_manifest_is_a_loss_of_that_clip_alone(stages: Stages) -> None:
    plan = read_plan(stages.paths)
    clip = plan.shard("train", 0)[0].clips[1]
    write_video(stages.source / clip.path, seed=5, num_frames=22)
    reports = {report.key: report.sidecar for report in stages.shards()}
    sidecar = reports["train-00000"]
    assert sidecar is not None
    assert [(loss.clip_id, loss.reason) for loss in sidecar.losses] == [(clip.clip_id, "changed")]
    assert "materialize manifest again" in sidecar.losses[0].detail
    assert sidecar.records == 3
    assert clip.clip_id not in {stored.clip_id for stored in sidecar.clips}
    assert all(not other.losses for key, other in reports.items() if other is not None and key != "train-00000")


def test_a_file_that_vanished_after_the_manifest_is_a_loss_of_that_clip_alone(stages: Stages) -> None:
    clip = read_plan(stages.paths).shard("test", 1)[0].clips[0]
    (stages.source / clip.path).unlink()
    (report,) = stages.shards(["test-00001"])
    assert report.sidecar is not None
    assert [(loss.clip_id, loss.reason) for loss in report.sidecar.losses] == [(clip.clip_id, "missing_file")]


def test_a_shard_whose_clips_are_all_lost_is_an_empty_file_with_reasons(stages: Stages) -> None:
    clips = read_plan(stages.paths).shard("test", 1)[0].clips
    for clip in clips:
        (stages.source / clip.path).unlink()
    (report,) = stages.shards(["test-00001"])
    assert report.error == ""
    assert report.sidecar is not None
    assert (report.sidecar.records, report.sidecar.bytes, len(report.sidecar.losses)) == (0, 0, len(clips))


def test_a_key_that_is_not_planned_is_refused_by_name(stages: Stages) -> None:
    with pytest.raises(SettingsError, match="train-00099 is not in the plan"):
        stages.shards(["train-00099"])
    with pytest.raises(SettingsError, match="'nonsense' is not a shard; shards are named like 'train-00007'"):
        stages.shards(["nonsense"])
