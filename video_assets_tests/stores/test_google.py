"""Google Cloud Storage: the same calls as for S3, by its XML API and its generations. The stages are tested on S3.

The server is moto's, which speaks S3's API, behind a proxy that translates Google's conditions: no emulator has the XML
API with conditions. What Google itself does was not tried.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.sources.listing import list_videos
from video_assets.storage.addresses import open_address
from video_assets.storage.file_locks import LockHeld
from video_assets.storage.files import AtomicFile, read_part, write_if_changed
from video_assets.storage.locks import current_holder, hold_lock, known_to_writer
from video_assets.storage.object_requests import WrittenMeanwhile
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.remote_files import WHOLE_BYTES, content_identity, locate_video
from video_assets_tests.stores.conftest import Bucket


@pytest.fixture
def bucket(make_bucket: Callable[..., Bucket], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    bucket = make_bucket()
    bucket.proxy.speaks_google = True
    monkeypatch.setenv("GOOGLE_BASE_URL", bucket.proxy.url)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "of-nobody")
    return bucket


@pytest.fixture
def root(bucket: Bucket) -> Path:
    return open_address(f"gs://{bucket.name}/root")


def test_files_and_listings_work_on_google_cloud_storage(root: Path) -> None:
    video = root / "run" / "a.mp4"
    assert not video.exists()
    assert write_if_changed(video, b"1")
    (first,) = list_videos(root).files
    assert not write_if_changed(video, b"1")
    assert write_if_changed(video, b"2")
    (second,) = list_videos(root).files
    assert (first.path, first.size_bytes) == (second.path, second.size_bytes) == ("run/a.mp4", 1)
    assert first != second
    assert video.stat().st_mtime_ns == second.mtime_ns
    assert video.read_bytes() == video.open("rb").read() == b"2"
    write_if_changed(root / "long", b"0123456789")
    assert read_part(root / "long", 3, 4) == b"3456"
    assert [path.name for path in root.iterdir()] == ["long", "run"]
    video.unlink()
    assert not video.exists()


def test_a_file_appears_at_its_end_unless_somebody_else_wrote_it_meanwhile(root: Path, bucket: Bucket) -> None:
    for content in (b"whole", b"another"):
        with AtomicFile(root / "b") as file:
            file.write(content)
            assert not (root / "b").exists() or content == b"another"
        assert (root / "b").read_bytes() == content
    file = AtomicFile(root / "b")
    file.__enter__()
    file.write(b"mine")
    bucket.put("root/b", b"theirs")
    with pytest.raises(WrittenMeanwhile):
        file.__exit__(None, None, None)
    assert (root / "b").read_bytes() == b"theirs"


def test_what_google_lists_is_written_over_under_its_generation(root: Path, bucket: Bucket) -> None:
    write_if_changed(root / "clips" / "labels.txt", b"0")
    paths = known_to_writer(DatasetPaths(root, "clips"))
    for content in (b"1", b"2"):
        assert write_if_changed(paths.labels, content)
    assert (root / "clips" / "labels.txt").read_bytes() == b"2"
    bucket.client.put_object(Bucket=bucket.name, Key="root/clips/labels.txt", Body=b"of another")
    with pytest.raises(WrittenMeanwhile):
        write_if_changed(paths.labels, b"3")


def test_one_writer_at_a_time_on_google_cloud_storage(root: Path, bucket: Bucket) -> None:
    lock = root / ".lock" / "build"
    with hold_lock(lock, "a build"):
        holder = current_holder(lock)
        assert holder is not None
        assert holder.what == "a build"
        with pytest.raises(LockHeld), hold_lock(lock, "another build"):
            pass
    assert bucket.names() == []


def test_a_large_video_on_google_cloud_storage_is_named_by_its_md5(root: Path, bucket: Bucket) -> None:
    content = bytes(WHOLE_BYTES + 1)
    bucket.put("root/a.mp4", content)
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    assert content_identity(locate_video(root / "a.mp4")) == f"{md5}-{len(content)}"


def test_a_name_that_is_no_path_ends_a_listing_of_google_with_its_name(root: Path, bucket: Bucket) -> None:
    bucket.put("root/run//c.mp4", b"x")
    with pytest.raises(SettingsError, match=r'"root/run//c\.mp4" contained empty path segment; rename that object'):
        list_videos(root)
