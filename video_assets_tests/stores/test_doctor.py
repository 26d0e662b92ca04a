"""The doctor really looks at a store: it lists, writes under a condition, reads, and leaves nothing."""

import json
import subprocess
import sys

import obstore
import pytest

from video_assets.pipeline.upkeep import doctor_places as doctor_stores
from video_assets.pipeline.upkeep.doctor_places import check_store_root, check_store_source
from video_assets.storage.addresses import open_address
from video_assets.storage.objects import ObjectPath
from video_assets_tests.stores.conftest import Bucket

pytestmark = pytest.mark.usefixtures("_asked_once")


def test_a_root_in_a_store_is_written_under_a_condition_and_left_as_it_was(bucket: Bucket) -> None:
    bucket.put("root/clips/labels.txt", b"run\n")
    root = bucket.at("root")
    finding = check_store_root(root)
    assert (finding.state, finding.check) == ("ok", "root")
    assert finding.found == f"{root} can be listed and written; of two who make one object one is refused"
    assert bucket.names() == ["root/clips/labels.txt"]
    puts = [request for request in bucket.proxy.log if request.method == "PUT"]
    assert [request.condition for request in puts] == ["*", "*"]


@pytest.mark.parametrize(
    ("refused", "what"),
    [(r"GET .*list-type=2", "listed"), (r"PUT .*doctor", "written"), (r"DELETE .*doctor", "removed")],
)
@pytest.mark.slow
def test_what_a_store_refuses_is_told_with_the_remedy(bucket: Bucket, refused: str, what: str) -> None:
    bucket.proxy.refused = refused
    finding = check_store_root(bucket.at("root"))
    assert finding.state == "problem"
    assert f" cannot be {what}: " in finding.found
    assert finding.remedy.startswith("check that the store can be reached from here")


def test_a_bucket_that_is_not_there_is_told(bucket: Bucket) -> None:
    place = open_address("s3://no-such-bucket/root")
    for finding in (check_store_root(place), check_store_source(place)):
        assert finding.found == f"{place} cannot be listed: there is no bucket no-such-bucket"
        assert (finding.state, finding.remedy) == ("problem", "Make the bucket, or name another.")


def test_a_store_without_conditional_writes_is_a_warning(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def unconditional(content: bytes, target: ObjectPath, _before: None) -> None:
        obstore.put(target.client, target.key, content)

    monkeypatch.setattr(doctor_stores, "publish_object", unconditional)
    finding = check_store_root(bucket.at("root"))
    assert finding.state == "warning"
    assert finding.found == f"{bucket.at('root')} can be written, but its store knows no conditional writes"
    assert bucket.names() == []


@pytest.mark.slow
def test_a_source_in_a_store_is_listed_and_its_first_object_read(bucket: Bucket) -> None:
    source = bucket.at("videos")
    assert check_store_source(source).found == f"{source} holds no object"
    table = bucket.put("videos/clips.csv", b"path,label\n")
    bucket.put("videos/run/a.mp4", b"1")
    assert check_store_source(source).found == "2 objects are listed, and the first can be read"
    assert check_store_source(table).found == f"{table} can be read"
    bucket.proxy.refused = r"GET .*clips\.csv"
    assert check_store_source(source).state == check_store_source(table).state == "problem"


@pytest.mark.slow
def test_the_command_looks_at_the_store_and_not_at_a_folder_of_its_name(bucket: Bucket) -> None:
    root = f"s3://{bucket.name}/root"

    def doctor(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "video_assets.cli", "doctor", "--port", "1", "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout or done.stderr

    _, said = doctor("--root", root, "--source", f"s3://{bucket.name}/videos")
    found = {finding["check"]: finding for finding in json.loads(said)["findings"]}
    assert (found["root"]["state"], found["source"]["state"]) == ("ok", "problem")
    assert found["root"]["found"].startswith(f"{root} can be listed and written")
    assert found["disk space"]["state"] in ("ok", "warning")
    assert "file locks" not in found
    assert bucket.names() == []
    exit_code, said = doctor("--root", "ftp://bucket/root")
    assert exit_code == 2
    assert "places are local paths, or s3://… or gs://…" in json.loads(said)["error"]
