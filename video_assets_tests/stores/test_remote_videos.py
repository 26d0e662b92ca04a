"""Videos in a store: how much of them is fetched, and what a store that fails makes of them."""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import StorageFailed
from video_assets.domain.geometry import FrameSize
from video_assets.domain.sampling import Timeline
from video_assets.media.decode.decode_clip import decode_clip
from video_assets.media.probe import probe_video
from video_assets.pipeline.manifest.probing import ProbeJob, probe_file
from video_assets.settings import DEFAULT_LIMITS
from video_assets.sources.listing import list_videos
from video_assets.storage.addresses import stat_file
from video_assets.storage.files import read_lines, read_part
from video_assets.storage.remote_files import WHOLE_BYTES, content_identity, locate_video
from video_assets_tests.pipeline.videos import write_video
from video_assets_tests.stores.conftest import Bucket
from video_assets_tests.stores.long_video import write_long_video

_log = logging.getLogger(__name__)


def ten_times(timeline: Timeline) -> list[int]:
    starts = timeline.starts_us
    return [int(starts[place]) for place in np.linspace(0, len(starts) - 1, 10).round().astype(int)]


@pytest.mark.long
@pytest.mark.parametrize("moov_first", [True, False], ids=["moov in front", "moov at the end"])
def test_ten_frames_of_a_video_of_300_megabytes_fetch_at_most_15_percent_of_it(
    moov_first: bool, bucket: Bucket, tmp_path: Path
) -> None:
    local = write_long_video(tmp_path / "long.mp4", 300_000_000, moov_first=moov_first)
    size_bytes = local.stat().st_size
    assert abs(size_bytes - 300_000_000) < 10_000_000
    bucket.client.upload_file(str(local), bucket.name, "videos/long.mp4")
    path = bucket.at("videos/long.mp4")

    found = decode_clip(locate_video(path), ten_times, FrameSize("stretch", 64))
    ranges = [request for request in bucket.proxy.log if request.method == "GET"]
    fetched = sum(request.num_bytes for request in ranges)
    _log.info("%.2f %% of %d bytes in %d requests", 100 * fetched / size_bytes, size_bytes, len(ranges))
    wanted = decode_clip(local, ten_times, FrameSize("stretch", 64))
    assert np.array_equal(found.frames, wanted.frames)
    assert all(request.status == 206 for request in ranges)
    assert fetched <= 0.15 * size_bytes

    bucket.proxy.log.clear()
    facts = probe_file(ProbeJob(bucket.at("videos"), stat_file(path, "long.mp4"), DEFAULT_LIMITS))
    assert facts.video == probe_video(local)
    assert sum(request.num_bytes for request in bucket.proxy.log if request.method == "GET") <= 0.05 * size_bytes
    bucket.client.delete_object(Bucket=bucket.name, Key="videos/long.mp4")


def test_a_small_video_is_fetched_by_one_request_and_hashed_as_a_local_one_is(bucket: Bucket, tmp_path: Path) -> None:
    local = write_video(tmp_path / "a.mp4", seed=1)
    path = bucket.put("videos/run/a.mp4", local.read_bytes())
    facts = probe_file(ProbeJob(bucket.at("videos"), stat_file(path, "run/a.mp4"), DEFAULT_LIMITS))
    assert facts.content_hash == hashlib.sha256(local.read_bytes()).hexdigest()
    assert facts.video == probe_video(local)
    assert [request.method for request in bucket.proxy.log].count("GET") == 1


def test_whole_objects_and_parts_of_them_take_one_request_each(bucket: Bucket) -> None:
    path = bucket.put("table", b"0123456789")
    for read, found in (
        (path.read_bytes, b"0123456789"),
        (lambda: read_part(path, 3, 4), b"3456"),
        (lambda: read_part(path, 8, 100), b"89"),
        (lambda: read_lines(path), ["0123456789"]),
        (lambda: read_lines(bucket.at("nothing")), []),
    ):
        before = len(bucket.proxy.log)
        assert read() == found
        assert [request.method for request in bucket.proxy.log[before:]] == ["GET"]
    assert read_part(path, 3, 0) == read_part(path, 10, 5) == b""


def test_a_large_video_is_named_by_the_checksum_that_it_was_uploaded_with_else_by_its_etag(bucket: Bucket) -> None:
    content = bytes(WHOLE_BYTES + 1)
    bucket.client.put_object(Bucket=bucket.name, Key="told", Body=content, ChecksumAlgorithm="SHA256")
    bucket.put("untold", content)
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest()
    assert content_identity(locate_video(bucket.at("told"))) == sha256
    assert content_identity(locate_video(bucket.at("untold"))) == f"{md5}-{len(content)}"
    assert not [request for request in bucket.proxy.log if request.method == "GET"]
    assert content_identity(locate_video(bucket.at("untold")), hash_whole=True) == sha256


def test_an_object_that_was_replaced_within_a_second_by_one_of_the_same_size_is_noticed(bucket: Bucket) -> None:
    bucket.put("videos/run/a.mp4", b"1")
    (before,) = list_videos(bucket.at("videos")).files
    bucket.put("videos/run/a.mp4", b"2")
    (after,) = list_videos(bucket.at("videos")).files
    assert (before.path, before.size_bytes) == (after.path, after.size_bytes)
    assert before != after
    assert stat_file(bucket.at("videos/run/a.mp4"), "run/a.mp4") == after


@pytest.mark.usefixtures("_asked_once")
def test_a_store_that_cannot_be_reached_is_not_taken_for_a_bad_video(bucket: Bucket, tmp_path: Path) -> None:
    path = bucket.put("videos/run/a.mp4", write_video(tmp_path / "a.mp4", seed=1).read_bytes())
    listed = stat_file(path, "run/a.mp4")
    bucket.proxy.refused = r"GET .*a\.mp4"
    with pytest.raises(StorageFailed, match=r"s3://.*a\.mp4 cannot be read: .*check that the store can be reached"):
        probe_file(ProbeJob(bucket.at("videos"), listed, DEFAULT_LIMITS))
    bucket.proxy.refused = r"HEAD .*a\.mp4"
    with pytest.raises(StorageFailed, match=r"cannot be looked at"):
        path.exists()


def test_a_listing_takes_as_many_pages_as_there_are(bucket: Bucket) -> None:
    bucket.proxy.page = 10
    names = [f"run/{number:05d}.mp4" for number in range(23)]
    for name in names:
        bucket.put(f"videos/{name}", b"")
    for name in ("run/.hidden/a.mp4", ".trash/b.mp4", "run/notes.txt"):
        bucket.put(f"videos/{name}", b"x")
    bucket.put("videos/run/", b"")  # as consoles make folders
    bucket.put("videos2/run/other.mp4", b"x")
    bucket.proxy.log.clear()
    listing = list_videos(bucket.at("videos"))
    assert [file.path for file in listing.files] == names
    assert listing.files[0] == ListedFile(names[0], 0, listing.files[1].mtime_ns)
    assert [(item.source, item.reason) for item in listing.left_out] == [
        (".trash", "hidden"),
        ("run/.hidden", "hidden"),
        ("run/notes.txt", "not a video by its name"),
    ]
    assert len(bucket.proxy.log) == 3
    bucket.put("videos/run//c.mp4", b"x")
    again = list_videos(bucket.at("videos"))
    assert (again.files, again.left_out) == (listing.files, listing.left_out)
    assert [(item.source, item.loss.reason) for item in again.lost] == [("run//c.mp4", "bad_name")]
