"""What a build that alone writes a dataset in a store does not ask for, and what it asks for all the same."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from video_assets.storage import object_facts
from video_assets.storage.file_locks import LockHeld
from video_assets.storage.files import AtomicFile, file_sha256, read_if_there, write_bytes, write_if_changed
from video_assets.storage.locks import building, current_holder, hold_lock, known_to_writer
from video_assets.storage.object_requests import WrittenMeanwhile
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.stores.conftest import Bucket


def known(bucket: Bucket) -> DatasetPaths:
    return known_to_writer(DatasetPaths(bucket.at("root"), "clips"))


def requests(bucket: Bucket, work: Callable[[], object]) -> list[str]:
    before = len(bucket.proxy.log)
    work()
    return [request.method for request in bucket.proxy.log[before:]]


def test_what_was_listed_or_written_is_asked_for_once(bucket: Bucket) -> None:
    bucket.put("root/clips/labels.txt", b"run\n")
    bucket.put("root/clips-others/labels.txt", b"walk\n")
    paths = known(bucket)
    assert requests(bucket, lambda: [read_if_there(paths.labels) for _ in range(3)]) == ["GET"]
    assert requests(bucket, lambda: [read_if_there(paths.plan), paths.plan.exists(), paths.versions()]) == []
    assert requests(bucket, lambda: write_bytes(paths.plan, b"plan")) == ["PUT"]
    assert requests(bucket, lambda: write_if_changed(paths.plan, b"plan")) == []
    assert paths.plan.read_bytes() == b"plan"
    assert bucket.at("root/clips/plan.parquet").read_bytes() == b"plan"


def test_folders_are_those_that_the_store_would_list(bucket: Bucket) -> None:
    for name in ("1.0.0/a", "1.0.0/a-b", "1.0.0/a/x", "1.0.0/a/y/z", "1.0.0.txt", "2.0.0/b", "plan.parquet"):
        bucket.put(f"root/clips/{name}", b"")
    paths = known(bucket)
    for folder in ("clips", "clips/1.0.0", "clips/1.0.0/a", "clips/2.0.0", "clips/none"):
        place = paths.root / folder
        assert [str(path) for path in place.iterdir()] == [str(path) for path in bucket.at(f"root/{folder}").iterdir()]
        assert place.is_dir() == bucket.at(f"root/{folder}").is_dir()
    (paths.directory / "2.0.0" / "b").unlink()
    assert paths.versions() == ["1.0.0"]
    assert not bucket.at("root/clips/2.0.0").exists()


def test_a_new_object_is_the_newest_of_all_and_keeps_its_etag(bucket: Bucket) -> None:
    bucket.put("root/clips/labels.txt", b"run\n")
    paths = known(bucket)
    with AtomicFile(paths.plan) as file:
        file.write(b"plan")
    assert paths.plan.stat().st_mtime >= paths.labels.stat().st_mtime
    told = bucket.at("root/clips/plan.parquet").stat()
    assert paths.plan.stat().st_mtime_ns == told.st_mtime_ns
    assert abs(paths.plan.stat().st_mtime - told.st_mtime) < 60


def test_what_somebody_else_wrote_meanwhile_is_left_as_it_is(bucket: Bucket) -> None:
    bucket.put("root/clips/labels.txt", b"run\n")
    paths = known(bucket)
    bucket.put("root/clips/labels.txt", b"walk\n")
    bucket.put("root/clips/plan.parquet", b"of another")
    for path in (paths.labels, paths.plan):
        with pytest.raises(WrittenMeanwhile):
            write_bytes(path, b"mine")
    assert bucket.at("root/clips/labels.txt").read_bytes() == b"walk\n"


def test_files_are_hashed_as_the_store_has_them(bucket: Bucket) -> None:
    paths = known(bucket)
    write_bytes(paths.labels, b"run\n")
    bucket.put("root/clips/labels.txt", b"damaged")
    assert file_sha256(paths.labels) == file_sha256(bucket.at("root/clips/labels.txt"))


def test_locks_are_asked_for_each_time(bucket: Bucket) -> None:
    paths = DatasetPaths(bucket.at("root"), "clips")
    with building(paths, "a build"):
        mine = known_to_writer(paths)
        assert str(current_holder(mine.build_lock)).count("a build") == 1
        with pytest.raises(LockHeld), hold_lock(mine.build_lock, "another", wait_seconds=0.0):
            pass
    assert current_holder(mine.build_lock) is None


def test_other_processes_ask_for_themselves(bucket: Bucket) -> None:
    paths = known(bucket)
    sent: Path = pickle.loads(pickle.dumps(paths.labels))
    bucket.put("root/clips/labels.txt", b"run\n")
    assert sent == paths.labels
    assert sent.read_bytes() == b"run\n"


def test_contents_that_take_too_much_memory_are_asked_for_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_facts, "_MOST_BYTES", 10)
    paths = known(bucket)
    write_bytes(paths.labels, b"12345678")
    assert requests(bucket, paths.labels.read_bytes) == []
    write_bytes(paths.plan, b"123")
    assert requests(bucket, paths.plan.read_bytes) == []
    assert requests(bucket, paths.labels.read_bytes) == ["GET"]
    write_bytes(paths.manifest, bytes(11))
    assert requests(bucket, paths.manifest.read_bytes) == ["GET"]
