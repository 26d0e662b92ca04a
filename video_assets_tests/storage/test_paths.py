"""Names of files: made and parsed in one place, each the other's inverse, and pinned."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import SPLITS, Split
from video_assets.storage.paths import (
    FILEPATH_TEMPLATE,
    FIRST_VERSION,
    DatasetPaths,
    VersionPaths,
    next_version,
    parse_partition_key,
    parse_shard_file_name,
    parse_version,
    partition_key,
    shard_file_name,
)

splits = st.sampled_from(SPLITS)
indices = st.integers(0, 10**9)
names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)


@given(splits, indices)
def test_a_partition_key_is_parsed_as_it_was_made(split: Split, index: int) -> None:
    assert parse_partition_key(partition_key(split, index)) == (split, index)


@given(names, splits, indices)
def test_a_shard_file_name_is_parsed_as_it_was_made(name: str, split: Split, index: int) -> None:
    assert parse_shard_file_name(shard_file_name(name, split, index)) == (name, split, index)


@given(splits, st.integers(0, 99_999), st.integers(0, 99_999))
def test_partition_keys_sort_as_their_indices(split: Split, one: int, other: int) -> None:
    assert (partition_key(split, one) < partition_key(split, other)) == (one < other)


def test_names_on_disk_are_pinned() -> None:
    """Pinned: datasets that exist, Dagster's partitions and tensorflow-datasets' template all rely on them."""
    assert partition_key("train", 7) == "train-00007"
    assert shard_file_name("clips", "test", 123_456) == "clips-test-123456.tfrecord"
    assert FILEPATH_TEMPLATE == "{DATASET}-{SPLIT}-{SHARD_INDEX}.{FILEFORMAT}"
    assert FIRST_VERSION == "1.0.0"
    paths = DatasetPaths(Path("/r"), "clips")
    version = paths.version("1.0.0")
    made = [
        paths.manifest, paths.left_out, paths.quarantine, paths.labels, paths.split("train"), paths.split("test"),
        paths.split_history, paths.plan, paths.encoding, paths.dagster_home,
        version.directory, version.shard("train", 3), version.sidecar("test", 4), version.retired_marker("test", 4),
        version.dataset_info, version.features, version.label_names, version.index, version.card_markdown,
        version.card_html,
    ]  # fmt: skip
    assert [path.as_posix().removeprefix("/r/clips/") for path in made] == [
        "manifest.parquet", "left_out.parquet", "quarantine.parquet", "labels.txt", "splits/train.parquet",
        "splits/test.parquet", "splits/history.parquet", "plan.parquet", "encoding.json", ".dagster",
        "1.0.0", "1.0.0/clips-train-00003.tfrecord", "1.0.0/shards/test-00004.json", "1.0.0/shards/test-00004.retired",
        "1.0.0/dataset_info.json", "1.0.0/features.json", "1.0.0/label.labels.txt", "1.0.0/index.parquet",
        "1.0.0/README.md", "1.0.0/card.html",
    ]  # fmt: skip


def test_a_shard_file_is_what_the_template_says() -> None:
    values = {"DATASET": "clips", "SPLIT": "train", "SHARD_INDEX": "00007", "FILEFORMAT": "tfrecord"}
    assert shard_file_name("clips", "train", 7) == FILEPATH_TEMPLATE.format(**values)


@pytest.mark.parametrize(
    "key", ["", "train", "train-7", "train-0007", "dev-00007", "train-00007 ", "train-00007\n", "Train-00007", "-00007"]
)
def test_what_is_no_partition_key_is_refused_with_an_example(key: str) -> None:
    message = f"{key!r} is not a shard; shards are named like 'train-00007'"
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        parse_partition_key(key)


@pytest.mark.parametrize(
    "file_name",
    [
        "clips-train-00007.tfrecord.tmp-1-abc",
        "clips-train-7.tfrecord",
        "clips-dev-00007.tfrecord",
        "clips-train-00007.tfrecord\n",
        "Clips-train-00007.tfrecord",
        "dataset_info.json",
        "video_batch_1_2.tfrecords",
    ],
)
def test_other_files_are_not_shards(file_name: str) -> None:
    assert parse_shard_file_name(file_name) is None


@pytest.mark.parametrize(
    "name", ["", "Clips", "1clips", "_clips", "clips-2", "clips 2", "a/b", "..", "clïps", "clips\n"]
)
def test_a_name_that_tensorflow_datasets_would_not_take_is_refused(name: str) -> None:
    message = (
        f"the dataset's name is {name!r}; it must begin with a small letter and hold only small letters, digits and "
        "underscores (tensorflow-datasets' rule)"
    )
    with pytest.raises(SettingsError, match=f"^{re.escape(message)}$"):
        DatasetPaths(Path("/r"), name)


def test_versions_are_listed_oldest_first_by_their_numbers(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path, "clips")
    assert paths.versions() == []
    for name in ("10.0.0", "2.0.0", "1.0.0", "1.0", "splits", ".dagster", "3.0.0.incomplete"):
        (paths.directory / name).mkdir(parents=True)
    (paths.directory / "4.0.0").write_text("a file")
    assert paths.versions() == ["1.0.0", "2.0.0", "10.0.0"]


@given(st.tuples(*[st.integers(0, 999)] * 3))
def test_a_version_is_parsed_as_it_is_written(numbers: tuple[int, int, int]) -> None:
    assert parse_version(".".join(map(str, numbers))) == numbers


@pytest.mark.parametrize("text", ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.x", " 1.0.0", "1.0.0\n", "-1.0.0"])
def test_what_is_no_version_is_none(text: str) -> None:
    assert parse_version(text) is None


def test_the_next_version_raises_the_first_number() -> None:
    assert next_version("1.0.0") == "2.0.0"
    assert next_version("9.3.1") == "10.0.0"
    with pytest.raises(SettingsError, match=r"^'latest' is not a version; versions look like 1\.0\.0$"):
        next_version("latest")


def test_paths_of_a_version_do_not_depend_on_how_they_were_reached() -> None:
    paths = DatasetPaths(Path("/r"), "clips")
    assert paths.version("2.0.0") == VersionPaths(Path("/r/clips/2.0.0"), "clips", "2.0.0")
