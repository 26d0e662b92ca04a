"""Sources in a store are understood as on a disk: folders, sets with annotations, tables."""

import pytest

from video_assets.settings import ManifestSettings
from video_assets.sources.read import list_source, read_source
from video_assets.sources.tree import source_directory
from video_assets_tests.sources.sets import Told, told
from video_assets_tests.stores.conftest import Bucket


def test_split_folders_in_a_store_are_splits(bucket: Bucket) -> None:
    for path in ("Train/run/a.mp4", "Train/jump/b.mp4", "val/run/c.mp4"):
        bucket.put(f"set/{path}", b"video")
    assert told(read_source(bucket.at("set"))) == [
        Told("Train/jump/b.mp4", "jump", "train"),
        Told("Train/run/a.mp4", "run", "train"),
        Told("val/run/c.mp4", "run", "val"),
    ]


@pytest.mark.parametrize("source", ["set", "set/annotations/train.csv"])
@pytest.mark.slow
def test_annotations_in_a_store_are_read(bucket: Bucket, source: str) -> None:
    for name in ("aB3_dE-f000_000003_000013.mp4", "aB3_dE-f001_000004_000014.mp4"):
        bucket.put(f"set/videos/{name}", b"video")
    rows = "run,aB3_dE-f000,3,13,train\njump,aB3_dE-f001,4,14,train\njump,gone,4,14,train\n"
    bucket.put("set/annotations/train.csv", f"label,youtube_id,time_start,time_end,split\n{rows}".encode())
    options = ManifestSettings(videos=str(bucket.at("set/videos")))
    found = read_source(bucket.at(source), options)
    assert found.reading is not None
    assert (found.reading.dialect, found.reading.num_missing) == ("kinetics", 1)
    assert [(clip.path, clip.label) for clip in told(found)] == [
        ("aB3_dE-f000_000003_000013.mp4", "run"),
        ("aB3_dE-f001_000004_000014.mp4", "jump"),
    ]
    assert str(source_directory(bucket.at(source), options.videos)) == str(found.directory)
    assert len(list_source(bucket.at(source), options)) == 3


def test_a_table_in_a_store_names_its_videos_in_any_way(bucket: Bucket) -> None:
    for name in ("run/a.mp4", "run/b c.mp4", "d.mp4"):
        bucket.put(f"set/{name}", b"video")
    rows = f"run\\a;x\nRun/B c;y\n{bucket.at('set')}/d.mp4;y\nnone.mp4;y\n"
    bucket.put("set/labels.csv", f"File;Class\n{rows}".encode("utf-16"))
    bucket.proxy.log.clear()
    found = read_source(bucket.at("set/labels.csv"))
    assert [(clip.file.path, clip.label) for clip in found.clips] == [
        ("d.mp4", "y"),
        ("run/a.mp4", "x"),
        ("run/b c.mp4", "y"),
    ]
    assert [(item.source, item.loss.reason) for item in found.lost] == [("none.mp4", "not_found")]
    assert len(bucket.proxy.log) < 20
