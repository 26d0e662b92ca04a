"""The stages with source and root in an S3 store on loopback, which also fails at times."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from video_assets.domain.errors import StorageFailed
from video_assets.pipeline.commit.publish import publish
from video_assets.pipeline.shards.pending import shards_to_build
from video_assets.storage import clients
from video_assets.storage.locks import known_to_writer
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.pipeline.stages import Stages, copied_source
from video_assets_tests.pipeline.videos import write_video
from video_assets_tests.stores.conftest import Bucket

OF_THE_PLACE = ("checksums.json", "tables/")
"""They name the source's address and what it says of its files, or have the digests of files that do."""

NEWEST_VIDEO = re.compile(
    rb' Its newest video is of <span class="date">[\d-]{10}</span>\.|<tr><th scope="row">newest video</th>.*?</tr>'
    rb'|\| newest video \| [\d-]{10} \|\n|<meta name="inputs" content="\w{64}">'
)


def stages_in(bucket: Bucket, videos: Path) -> Stages:
    return Stages(bucket.put_tree(videos, "videos"), DatasetPaths(bucket.at("root"), "clips"))


def assert_same_version(bucket: Bucket, local: Built) -> None:
    """Every file that readers open is there, with the same bytes, and no other."""
    directory = local.version.directory
    files = [*directory.rglob("*"), *(directory / "tables").rglob("*")]  # the tables are behind a link
    wanted = {str(file.relative_to(directory)): file for file in files if file.is_file()}
    wanted = {name: file for name, file in wanted.items() if not name.startswith("commits/")}
    prefix = "root/clips/1.0.0/"
    found = {key.removeprefix(prefix) for key in bucket.names() if key.startswith(prefix)}
    assert found == wanted.keys()
    for name, file in wanted.items():
        if not name.startswith(OF_THE_PLACE):
            stored = bucket.at(f"{prefix}{name}").read_bytes()
            assert without_dates(stored) == without_dates(file.read_bytes()), name


def without_dates(page: bytes) -> bytes:
    """A card without the day of the newest video, which a store does not tell, and the hash of all that it says."""
    return NEWEST_VIDEO.sub(b"", page)


@pytest.mark.long
@pytest.mark.parametrize("is_alone", [False, True])
def test_a_store_that_fails_at_times_ends_with_the_bytes_of_a_local_build(
    make_bucket: Callable[..., Bucket], built_once: Built, is_alone: bool
) -> None:
    bucket = make_bucket(failures=0.1, seed=3)
    stages = stages_in(bucket, built_once.source)
    if is_alone:
        stages.paths = known_to_writer(stages.paths)
    assert stages.everything().records == {"train": 18, "test": 6}
    assert bucket.proxy.num_failed > 10
    assert_same_version(bucket, built_once)
    assert stages.quarantined().keys() == {"run/broken.mp4"}

    assert stages.manifest().num_files_probed == 0
    assert stages.shards() == []
    assert not stages.everything().was_changed


@pytest.mark.long
def test_a_dataset_in_a_store_grows_by_what_is_new_only(bucket: Bucket, videos: Path, tmp_path: Path) -> None:
    stages = stages_in(bucket, videos)
    stages.everything()
    shards = {key for key in bucket.names() if key.endswith(".tfrecord")}
    bucket.put("videos/jump/new.mp4", write_video(tmp_path / "new.mp4", seed=1234).read_bytes())
    before = len(bucket.proxy.log)
    assert stages.manifest().num_files_probed == 1
    stages.splits()
    stages.plan()
    written = stages.shards()
    assert sum(report.sidecar.records for report in written if report.sidecar) <= 4
    assert sum(report.num_encoded for report in written) == 1, "the other records of its shard are copied in the store"
    assert stages.commit(retired_grace_minutes=0).was_changed
    read = {request.path for request in bucket.proxy.log[before:] if request.method == "GET"}
    put = {request.path for request in bucket.proxy.log[before:] if request.method == "PUT"}
    assert not {path for path in put if path.partition("root/")[2] in {key.partition("root/")[2] for key in shards}}
    assert sum("/videos/" in path and path.endswith(".mp4") for path in read) <= 6


@pytest.mark.slow
def test_after_a_deletion_the_other_records_of_its_shard_are_copied_in_the_store(
    bucket: Bucket, built_once: Built, tmp_path: Path
) -> None:
    bucket.put_tree(built_once.paths.directory, "root/clips")
    source = copied_source(built_once.source, tmp_path)
    stages = Stages(source, DatasetPaths(bucket.at("root"), "clips"))
    local = Stages(built_once.source, built_once.paths)
    deleted = next(clip for clip, split in local.split_of().items() if split == "train")
    (source / deleted).unlink()
    plan = stages.up_to_plan()
    assert (len(plan.added), len(plan.superseded), len(plan.new_rows())) == (1, 1, 0)
    assert [report.num_encoded for report in stages.shards()] == [0]
    assert stages.commit(retired_grace_minutes=0).records == {"train": 17, "test": 6}


@pytest.mark.slow
def test_the_commit_is_looked_at_once_for_all_shards(bucket: Bucket, built_once: Built) -> None:
    bucket.put_tree(built_once.paths.directory, "root/clips")
    stages = Stages(built_once.source, DatasetPaths(bucket.at("root"), "clips"))

    def num_looks() -> int:
        heads = [request.path for request in bucket.proxy.log if request.method == "HEAD"]
        bucket.proxy.log.clear()
        return sum(path.endswith("/dataset_info.json") for path in heads)

    assert shards_to_build(stages.paths) == []
    assert num_looks() == 1
    stages.commit()
    assert num_looks() < len(built_once.keys)


@pytest.mark.slow
def test_a_store_that_does_not_answer_has_lost_neither_shards_nor_checksums(
    bucket: Bucket, built_once: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_tree(built_once.paths.directory, "root/clips")
    paths = DatasetPaths(bucket.at("root"), "clips")
    assert shards_to_build(paths) == []
    monkeypatch.setattr(clients, "MAX_RETRIES", 0)
    clients.client_of.cache_clear()
    paths = DatasetPaths(bucket.at("root"), "clips")
    bucket.proxy.refused = r"GET .*shards/train-00001\.json"
    with pytest.raises(StorageFailed, match=r"shards/train-00001\.json cannot be read: .*can be reached from here"):
        shards_to_build(paths)
    bucket.proxy.refused = r"GET .*/checksums\.json"
    before = len(bucket.proxy.log)
    with pytest.raises(StorageFailed, match=r"/checksums\.json cannot be read: "):
        publish(paths.version("1.0.0"), {"README.md": b"another"}, {})
    assert all(request.method == "GET" for request in bucket.proxy.log[before:])
