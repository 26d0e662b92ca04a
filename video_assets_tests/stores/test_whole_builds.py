"""What only whole commands and large files show: builds killed in a store, training from it, uploads in parts."""

import json
import os
import pickle
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from video_assets.domain.errors import StorageFailed
from video_assets.reader import StoredClips, Window
from video_assets.storage.files import AtomicFile
from video_assets.storage.object_requests import WrittenMeanwhile, publish_object
from video_assets_tests.datasets import Built
from video_assets_tests.stores.conftest import Bucket
from video_assets_tests.stores.test_stages_in_a_store import assert_same_version
from video_assets_tests.waiting import wait_until

LARGE_BYTES = 105_000_000
SETTINGS = ("splits.test_fraction=0.25", "plan.clips_per_shard=4", "plan.encoding.resolution=32")


def build(bucket: Bucket) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "video_assets.cli", "build", "--json", "--workers", "1"]
    command += ["--source", f"s3://{bucket.name}/videos", "--root", f"s3://{bucket.name}/root"]
    command += [part for setting in (*SETTINGS, "plan.encoding.num_frames=5") for part in ("--set", setting)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def shards_put(bucket: Bucket, since: int = 0) -> list[str]:
    """Shards that the store took, each as often as it took it."""
    taken = (request for request in bucket.proxy.log[since:] if request.method == "PUT" and request.status == 200)
    return [name for name in (request.path.rpartition("/")[2] for request in taken) if name.endswith(".tfrecord")]


@pytest.mark.long
def test_a_build_that_was_killed_is_gone_on_with_and_writes_no_shard_again(bucket: Bucket, built_once: Built) -> None:
    bucket.put_tree(built_once.source, "videos")
    with build(bucket) as killed:
        wait_until(lambda: len(shards_put(bucket)) >= 2, seconds=240, every=0.01, what="two shards in the store")
        os.killpg(killed.pid, signal.SIGKILL)
    sidecars = {key.rpartition("/")[2] for key in bucket.names() if "/shards/" in key}
    finished = {name for name in shards_put(bucket) if f"{name[6:-9]}.json" in sidecars}
    assert finished
    assert not [key for key in bucket.names() if key.endswith("dataset_info.json")]  # nothing is visible yet
    for key in [key for key in bucket.names() if "/.lock/" in key]:
        bucket.client.delete_object(Bucket=bucket.name, Key=key)  # for a minute it would count as held
    so_far = len(bucket.proxy.log)

    with build(bucket) as again:
        said, complaint = again.communicate(timeout=240)
    assert again.returncode == 0, complaint[-2000:]
    result = json.loads(said.splitlines()[-1])
    assert finished.isdisjoint(shards_put(bucket, so_far))
    assert result["clips_reused"] > 0
    assert result["clips_reused"] + result["clips_encoded"] == 24
    assert_same_version(bucket, built_once)


@pytest.mark.long
def test_training_reads_from_the_store_what_it_reads_from_a_disk(bucket: Bucket, built_once: Built) -> None:
    from video_assets.reader import load_dataset

    def clips(place: Any) -> list[tuple[Any, int, Any]]:
        rows = load_dataset(place, "train", seed=3).as_numpy_iterator()
        return [(row["id"], int(row["label"]), row["video"]) for row in rows]

    bucket.put_tree(built_once.version.directory, "root/clips/1.0.0")
    stored, local = clips(f"s3://{bucket.name}/root/clips/1.0.0"), clips(built_once.version.directory)
    assert len(stored) == 18
    for (name, label, video), (wanted, wanted_label, wanted_video) in zip(stored, local, strict=True):
        assert (name, label) == (wanted, wanted_label)
        np.testing.assert_array_equal(video, wanted_video)


@pytest.mark.parametrize("seed", [None, 3])
def test_a_shard_is_fetched_when_its_turn_comes(bucket: Bucket, built_once: Built, seed: int | None) -> None:
    """All that is asked for is the first record: in the stored order it needs one shard of five."""
    from video_assets.reader.load import committed_shards
    from video_assets.reader.stream import Epochs, Shuffle, StoredRecords, Worker, stream_records

    bucket.put_tree(built_once.version.directory, "root/clips/1.0.0")
    split = committed_shards(bucket.at("root/clips/1.0.0"), "train")
    stored = StoredRecords(files=[str(path) for path in split.files], num_records=split.num_clips)
    shuffle = None if seed is None else Shuffle(seed=seed)
    records = stream_records(stored, shuffle, Worker(), Epochs(first_epoch=0, num_epochs=1, start=0))

    def fetched() -> list[str]:
        paths = [request.path for request in bucket.proxy.log if request.method == "GET"]
        return sorted({path.rpartition("/")[2] for path in paths if path.endswith(".tfrecord")})

    turn = iter(records)
    next(turn)
    assert fetched() == [path.name for path in split.files[: 1 if seed is None else 5]]
    assert len([*turn]) == split.num_clips - 1
    assert fetched() == [path.name for path in split.files]


def test_stored_clips_come_from_the_store_as_from_a_disk_and_each_shard_when_it_is_needed(
    bucket: Bucket, built_once: Built
) -> None:
    """As a worker of a loader has them: pickled when nothing was read yet."""

    def fetched() -> int:
        return len({r.path for r in bucket.proxy.log if r.method == "GET" and r.path.endswith(".tfrecord")})

    bucket.put_tree(built_once.version.directory, "root/clips/1.0.0")
    options: Any = {"window": Window(2, 2), "seed": 3, "epoch": 5}
    stored = StoredClips(f"s3://{bucket.name}/root/clips/1.0.0", "train", **options)
    stored = pickle.loads(pickle.dumps(stored))
    local = StoredClips(built_once.version.directory, "train", **options)
    assert (len(stored), fetched()) == (18, 0)
    stored[0]
    assert fetched() == 1
    for clip, wanted in zip(stored, local, strict=True):
        assert clip.keys() == wanted.keys()
        for name, value in wanted.items():
            np.testing.assert_array_equal(clip[name], value)
    assert fetched() == 5


@pytest.mark.slow
def test_a_large_file_appears_whole_and_under_a_condition(bucket: Bucket) -> None:
    target: Any = bucket.at("root/large.bin")
    with AtomicFile(target) as file:
        for number in range(105):
            file.write(bytes([number]) * (LARGE_BYTES // 105))
        assert bucket.names() == []
    assert [request.condition for request in bucket.proxy.log if request.method == "PUT"] == ["*"]
    assert target.stat().st_size == LARGE_BYTES
    with target.open("rb") as stored:
        stored.seek(LARGE_BYTES - 1)
        assert stored.read(2) == bytes([104])

    with pytest.raises(WrittenMeanwhile, match="was written by somebody else meanwhile"):
        publish_object(b"x" * LARGE_BYTES, target, None)  # as who saw no object there would
    with target.open("rb") as stored:
        assert stored.read(1) == b"\0"


@pytest.mark.usefixtures("_asked_once")
def test_a_file_that_the_store_will_not_take_leaves_nothing(bucket: Bucket) -> None:
    bucket.proxy.refused = r"PUT .*root"

    def write() -> None:
        with AtomicFile(bucket.at("root/a.bin")) as file:
            file.write(b"x")

    with pytest.raises(StorageFailed, match=r"root/a\.bin cannot be written: 500 Internal Server Error: InternalError"):
        write()
    assert bucket.names() == []


def run_command(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the JSON that it prints."""
    command = [sys.executable, "-m", "video_assets.cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.long
def test_what_was_damaged_in_the_store_is_found_and_repaired_to_the_same_bytes(
    bucket: Bucket, built_once: Built
) -> None:
    source, root = f"s3://{bucket.name}/videos", f"s3://{bucket.name}/root"
    bucket.put_tree(built_once.source, "videos")
    with build(bucket) as process:
        assert process.communicate(timeout=240) and process.returncode == 0
    version = "root/clips/1.0.0"
    shard = f"{version}/clips-train-00001.tfrecord"
    whole = {name: bucket.at(name).read_bytes() for name in bucket.names() if name.startswith(version)}
    damaged = bytearray(whole[shard])
    damaged[len(damaged) // 2] ^= 1
    bucket.put(shard, bytes(damaged))
    bucket.client.delete_object(Bucket=bucket.name, Key=f"{version}/index.parquet")

    exit_code, found = run_command("verify", "--root", root)
    assert exit_code == 1
    assert "clips-train-00001.tfrecord" in json.dumps(found)
    exit_code, said = run_command("repair", "--root", root, "--source", source)
    assert exit_code == 0, said
    assert said["not_repaired"] == []
    assert said["shards_rebuilt"] == ["train-00001"]
    assert {name: bucket.at(name).read_bytes() for name in whole} == whole
    assert run_command("verify", "--root", root)[0] == 0
