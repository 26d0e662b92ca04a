"""Where a client's credentials, region and end point come from, and what people are told where they lead nowhere."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from video_assets.domain.errors import StorageFailed
from video_assets.storage import clients
from video_assets.storage.addresses import open_address
from video_assets.storage.files import write_text
from video_assets_tests.stores.conftest import Bucket

DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class _Denying(BaseHTTPRequestHandler):
    """A store that lets nobody in, but tells where a bucket lies."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name in the base class)
        pass

    def do_GET(self) -> None:
        self.send_response(403)
        self.send_header("x-amz-bucket-region", "eu-north-1")
        self.send_header("Content-Length", str(len(DENIED)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(DENIED.encode())

    do_HEAD = do_PUT = do_GET


@pytest.fixture
def denying() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Denying) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_keys_and_end_point_of_a_profile_are_used(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = bucket.put("a.txt", b"text")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id = of-other\naws_secret_access_key = x\n")
    (tmp_path / "config").write_text(f"[profile other]\nregion = eu-west-1\nendpoint_url = {bucket.proxy.url}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "other")
    clients.client_of.cache_clear()
    assert place.read_bytes() == b"text"


def test_keys_in_the_environment_need_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-somebody")
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    assert clients.profile_session() is None


def test_a_bucket_of_amazon_tells_its_region_to_everybody(denying: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_REGION_SERVER", denying)
    assert clients._region_of("bucket") == "eu-north-1"
    monkeypatch.setattr(clients, "_REGION_SERVER", "http://127.0.0.1:1")
    assert not clients._region_of("bucket")


@pytest.mark.usefixtures("make_bucket")
def test_whoever_has_no_right_is_told_so(denying: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", denying)
    clients.client_of.cache_clear()
    place = open_address("s3://closed/a.txt")
    remedy = "check that the environment has credentials with this permission; then run the build again"
    with pytest.raises(StorageFailed, match=rf"s3://closed/a\.txt cannot be read: 403 Forbidden: Access.*; {remedy}"):
        place.read_bytes()
    with pytest.raises(StorageFailed, match=rf"s3://closed/a\.txt cannot be looked at: 403 Forbidden; {remedy}"):
        write_text(place, "text")


def test_a_bucket_that_is_not_there_is_named_where_something_is_written(bucket: Bucket) -> None:
    place = open_address(f"s3://{bucket.name}-missing/a.txt")
    assert not place.exists()
    with pytest.raises(StorageFailed, match=r"cannot be written: there is no bucket .*-missing; create the bucket, or"):
        write_text(place, "text")


def test_a_store_without_conditions_is_written_to_with_a_warning(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(clients, "MAX_RETRIES", 0)
    bucket.proxy.knows_conditions = False
    for text in ("one", "two"):
        write_text(bucket.at("a.txt"), text)
        assert bucket.at("a.txt").read_bytes() == text.encode()
    assert [record.getMessage().partition("; ")[0] for record in caplog.records] == [
        f"the store of s3://{bucket.name} knows no conditional writes"
    ]
