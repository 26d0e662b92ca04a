"""Reading a committed dataset for training."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.errors import FileDamaged, SettingsError
from video_assets.domain.splits import Split
from video_assets.reader.load import committed_shards, load_dataset
from video_assets_tests.records.test_tfds import (
    SMALL,
    clip_record,
    expected_video,
    id_of,
    info_text,
    write_dataset,
    write_shard,
)


def loaded_ids(version_dir: Path, split: Split = "train") -> list[str]:
    clips: Any = load_dataset(version_dir, split).as_numpy_iterator()
    return [clip["id"].decode() for clip in clips]


def test_a_clip_is_frames_label_id_and_times(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    dataset = load_dataset(paths.directory, "train")
    assert dataset.element_spec == {
        "video": tensorflow.TensorSpec([None, None, None, 3], tensorflow.uint8),
        "label": tensorflow.TensorSpec([], tensorflow.int64),
        "id": tensorflow.TensorSpec([], tensorflow.string),
        "timestamps_us": tensorflow.TensorSpec([None], tensorflow.int64),
    }
    clips: list[Any] = list(dataset.as_numpy_iterator())
    assert [clip["id"].decode() for clip in clips] == [id_of(1), id_of(2), id_of(3)]
    assert [int(clip["label"]) for clip in clips] == [0, 1, 0]
    for number, clip in enumerate(clips, start=1):
        assert (clip["video"] == expected_video(number)).all()
        assert clip["timestamps_us"].tolist() == [0, 33_367, 66_733]


def test_clips_come_in_the_order_in_which_they_are_stored_each_time(tensorflow: ModuleType, tmp_path: Path) -> None:
    shards = [[clip_record(number) for number in range(first, first + 5)] for first in (0, 5, 10)]
    paths = write_dataset(tmp_path, {"train": shards, "test": []})
    expected = [id_of(number) for number in range(15)]
    assert loaded_ids(paths.directory) == loaded_ids(paths.directory) == expected


def test_a_version_directory_may_be_given_as_text(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    dataset = load_dataset(f"{paths.directory}/", "test")
    assert [clip["label"] for clip in dataset.as_numpy_iterator()] == [np.int64(1)]


def test_clips_of_one_size_make_a_batch(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    (batch,) = load_dataset(paths.directory, "train").batch(3).as_numpy_iterator()
    assert batch["video"].shape == (3, 3, 4, 6, 3)


def test_retired_shards_and_shards_that_are_not_committed_are_not_read(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, {"train": [[], [clip_record(1)]], "test": []})
    write_shard(paths, "train", 0, [clip_record(8)])  # retired, its file not yet removed
    write_shard(paths, "train", 2, [clip_record(9)])  # written, not yet committed
    assert loaded_ids(paths.directory) == [id_of(1)]


def test_a_growth_is_seen_by_the_next_call_only(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    before = load_dataset(paths.directory, "train")
    write_shard(paths, "train", 2, [clip_record(5)])
    paths.dataset_info.write_text(info_text({"train": [2, 1, 1], "test": [1]}))
    assert len(list(before)) == 3
    assert loaded_ids(paths.directory)[-1] == id_of(5)


def test_a_split_without_shards_has_no_clips(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, {"train": SMALL["train"], "test": []})
    assert loaded_ids(paths.directory, "test") == []


def test_a_damaged_shard_is_an_error_of_tensorflow(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    data = bytearray(paths.shard("train", 1).read_bytes())
    data[100] ^= 1
    paths.shard("train", 1).write_bytes(data)
    with pytest.raises(tensorflow.errors.DataLossError):
        loaded_ids(paths.directory)


def test_the_committed_shards_and_their_encoding_are_told_without_tensorflow(tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, {"train": [[clip_record(1)], [], [clip_record(2)]], "test": []})
    committed = committed_shards(paths.directory, "train")
    assert [file.name for file in committed.files] == ["clips-train-00000.tfrecord", "clips-train-00002.tfrecord"]
    assert (committed.num_clips, committed.encoding) == (2, Encoding(image_format="png"))


@pytest.mark.parametrize("text", ["", "null", '{"splits": []}'])
def test_a_damaged_commit_is_named_with_the_remedy(tmp_path: Path, text: str) -> None:
    paths = write_dataset(tmp_path, SMALL)
    paths.dataset_info.write_text(text)
    told = f"^{paths.dataset_info} is damaged: it is not what a commit writes .*; run `video-assets repair`"
    with pytest.raises(FileDamaged, match=told):
        committed_shards(paths.directory, "train")


def test_a_moved_dataset_is_read_by_the_name_that_it_was_given(tensorflow: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path / "old", SMALL)
    moved = paths.directory.parent.rename(tmp_path / "Renamed Folder")
    assert loaded_ids(moved / "1.0.0", "test") == [id_of(4)]


@pytest.mark.parametrize(
    ("directory", "split", "message"),
    [
        ("clips", "train", "{}/clips is not a version directory, such as root/clips/1.0.0"),
        ("clips/latest", "train", "{}/clips/latest is not a version directory, such as root/clips/1.0.0"),
        ("clips/1.0.0", "dev", "the split is 'dev'; it must be one of train, test, val"),
        (
            "clips/1.0.0",
            "val",
            "{}/clips/1.0.0 has no split val; it has train, test (splits.val_fraction asks for val)",
        ),
        ("clips/2.0.0", "train", "{}/clips/2.0.0 holds no committed dataset (no dataset_info.json); build it first"),
        ("clips/9.9.9", "train", "{}/clips/9.9.9 holds no committed dataset (no dataset_info.json); build it first"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, directory: str, split: str, message: str) -> None:
    write_dataset(tmp_path, SMALL)
    (tmp_path / "clips/2.0.0").mkdir()
    with pytest.raises(SettingsError, match=f"^{re.escape(message.format(tmp_path))}$"):
        committed_shards(tmp_path / directory, split)
