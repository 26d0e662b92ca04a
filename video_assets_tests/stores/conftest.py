"""Fixtures: an S3 server for all tests here, and for each a bucket of its own behind a proxy that keeps a log."""

import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from video_assets.storage.addresses import open_address
from video_assets_tests.stores.serving import Proxy, s3_server

_numbers = itertools.count()


@dataclass(frozen=True)
class Bucket:
    """A bucket behind a proxy."""

    name: str
    proxy: Proxy
    client: Any

    def at(self, key: str) -> Path:
        """The path of an object."""
        return open_address(f"s3://{self.name}/{key}")

    def put(self, key: str, content: bytes) -> Path:
        """Writes an object, past everything that is tested."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return self.at(key)

    def put_tree(self, folder: Path, key: str) -> Path:
        """Copies a folder."""
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(f"{key}/{file.relative_to(folder)}", file.read_bytes())
        return self.at(key)

    def names(self) -> list[str]:
        """Names of all objects."""
        found = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry["Key"] for page in found for entry in page.get("Contents", ())]


@pytest.fixture(scope="session")
def s3_port() -> Generator[int]:
    with s3_server() as port:
        yield port


@pytest.fixture
def make_bucket(s3_port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Bucket]]:
    """Makes a bucket, and lets this process's environment lead to it through a proxy of its own."""
    import boto3

    from video_assets.storage import clients

    for name, value in (("ACCESS_KEY_ID", "nobody"), ("SECRET_ACCESS_KEY", "secret-of-nobody")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    with ExitStack() as running:

        def make(failures: float = 0.0, seed: int = 0) -> Bucket:
            clients.client_of.cache_clear()  # a client keeps the end point that it was made with
            clients.boto3_client.cache_clear()
            proxy = Proxy(s3_port, failures, seed)
            monkeypatch.setenv("AWS_ENDPOINT_URL", running.enter_context(proxy.serve()))
            client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3_port}")
            running.callback(client.close)
            name = f"bucket-{next(_numbers)}"
            client.create_bucket(Bucket=name)
            return Bucket(name, proxy, client)

        yield make


@pytest.fixture
def bucket(make_bucket: Callable[..., Bucket]) -> Bucket:
    return make_bucket()


@pytest.fixture
def _asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that fail are not repeated."""
    from video_assets.storage import clients

    monkeypatch.setattr(clients, "MAX_RETRIES", 0)
