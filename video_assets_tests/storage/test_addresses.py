"""Addresses: which texts name places, and that nothing of a store is needed for a local one."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from video_assets.domain.errors import SettingsError
from video_assets.storage.addresses import ask_each, is_remote, open_address
from video_assets.storage.paths import DatasetPaths


def test_a_local_address_is_a_plain_path() -> None:
    for text in ("videos", "/srv/videos", "a:b/c", Path("videos")):
        assert open_address(text) == Path(text)
        assert not is_remote(open_address(text))


def test_an_address_in_a_store_is_joined_and_taken_apart_like_a_path() -> None:
    place = open_address("s3://bucket/a/b/")
    shard = place / "c.tar.gz"
    assert is_remote(place)
    assert str(place.absolute()) == "s3://bucket/a/b"
    assert (str(shard), shard.name, shard.suffix, str(shard.parent)) == (
        "s3://bucket/a/b/c.tar.gz",
        "c.tar.gz",
        ".gz",
        "s3://bucket/a/b",
    )
    assert open_address(shard) is shard
    assert open_address("s3://bucket/a/b") == place


def test_keys_are_taken_as_they_are() -> None:
    name = "ü #t=1?versionId=x%20.mp4"
    assert str(open_address("s3://bucket/a") / name) == f"s3://bucket/a/{name}"


@pytest.mark.parametrize("address", ["http://host/videos", "file:///videos", "memory://a", "az://b/c"])
def test_another_scheme_is_refused_by_name(address: str) -> None:
    with pytest.raises(SettingsError, match=r"places are local paths, or s3://… or gs://…"):
        open_address(address)


@pytest.mark.parametrize("address", ["s3://", "s3:///key", "s3://key:secret@bucket/a"])
def test_an_address_without_a_bucket_or_with_a_secret_in_it_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(SettingsError, match="begins with s3://BUCKET/") as refusal:
        open_address(address)
    assert "secret" not in str(refusal.value)


def test_a_store_whose_module_is_not_installed_is_refused_with_the_extra_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r'needs obstore, which is not installed; pip install "video_assets\[s3\]"'):
        open_address("s3://bucket/a")


def test_the_dagster_instance_of_a_dataset_in_a_store_is_kept_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    homes = {DatasetPaths(open_address(f"s3://{name}/root"), "clips").dagster_home for name in ("a", "b")}
    assert len(homes) == 2
    assert all(home.is_relative_to(tmp_path / "video_assets") for home in homes)


def test_a_local_source_and_root_import_nothing_of_stores(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
import video_assets.pipeline.shards.encode, video_assets.pipeline.manifest.probing
import video_assets.pipeline.checks.comparison
from video_assets.storage.addresses import open_address
from video_assets.storage.files import write_text
from video_assets.storage.remote_files import locate_video
from video_assets.storage.tables import read_table
place = open_address(sys.argv[1])
write_text(place / "a.txt", "a")
assert locate_video(place / "a.txt").content == b"a"
chosen = {"obstore", "boto3", "botocore", "upath", "fsspec", "dagster", "tensorflow"}
print(sorted(chosen & sys.modules.keys()))
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_store_is_asked_many_things_at_once_and_answers_stay_in_order() -> None:
    together = threading.Barrier(8)

    def answer(item: int) -> int:
        together.wait(timeout=30)  # broken unless eight are here at the same time
        return item * item

    assert ask_each(open_address("s3://bucket/a"), answer, range(24)) == [n * n for n in range(24)]


def test_a_disk_is_asked_one_thing_after_the_other(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    assert ask_each(tmp_path, lambda n: asked.append((n, threading.get_ident())) or n, "abc") == list("abc")
    assert asked == [(letter, threading.get_ident()) for letter in "abc"]
