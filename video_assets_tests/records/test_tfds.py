"""The tfds layout: records that are pinned, and datasets that the real tensorflow-datasets opens as its own."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import Split
from video_assets.records.clip_record import ClipRecord
from video_assets.records.dataset_info import dataset_info_json
from video_assets.records.framing import frame_record
from video_assets.records.messages import parse_example, serialize_example
from video_assets.records.tfds import decode_record, encode_record, features_json
from video_assets.storage.paths import FILEPATH_TEMPLATE, DatasetPaths, VersionPaths

LABELS = ["run", "walk, slowly"]


def frame_image(value: int) -> bytes:
    """A PNG, 6 by 4, that is red in the left half and `value` bright in the right one."""
    import cv2

    frame = np.full((4, 6, 3), value, np.uint8)
    frame[:, :3] = (0, 0, 255)  # OpenCV's order is blue, green, red
    return cv2.imencode(".png", frame)[1].tobytes()


def clip_record(number: int, label_index: int = 0, labels: Sequence[str] = LABELS) -> ClipRecord:
    """Three frames that carry the clip's number and their own."""
    return ClipRecord(
        clip_id=f"{number}.mp4#t=1,2",
        source=f"{number}.mp4",
        label=labels[label_index],
        label_index=label_index,
        images=[frame_image(10 * number + frame) for frame in range(3)],
        timestamps_us=np.array([0, 33_367, 66_733], np.int64),
    )


def stored(images: Sequence[bytes] = (b"one", b"two"), note: str = "") -> ClipRecord:
    return ClipRecord(
        clip_id="run/ü.mp4",
        source="run/ü.mp4",
        label="walk, slowly",
        label_index=1,
        images=images,
        timestamps_us=np.array([-40_000, 2**40], np.int64),
        note=note,
    )


def as_tuple(record: ClipRecord) -> tuple[object, ...]:
    return (record.clip_id, record.source, record.label, record.label_index, list(record.images),
            record.timestamps_us.tolist(), record.note)  # fmt: skip


# --- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("note", "sha256"),
    [
        ("", "0b93e2be699b0dce1adbffa045258e815a221ad3b34d20078405f735b7975b5a"),
        ("the index was not trusted", "69839d1c5e2c0bfb8d2692aefd38b0a3c1a4b533096e8e5cd68b88110f366421"),
    ],
)
def test_a_golden_records_bytes_are_pinned(note: str, sha256: str) -> None:
    """Pinned: the same fingerprint promises the same bytes, so these may change only with ENCODER_VERSION."""
    assert hashlib.sha256(frame_record(encode_record(stored(note=note)))).hexdigest() == sha256


@given(
    clip_id=st.text(),
    label_index=st.integers(0, 1),
    images=st.lists(st.binary(max_size=30), min_size=1, max_size=5),
    times=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5),
    note=st.text(),
)
def test_a_record_is_decoded_as_it_was_encoded(
    clip_id: str, label_index: int, images: list[bytes], times: list[int], note: str
) -> None:
    record = ClipRecord(
        clip_id=clip_id,
        source="a.mp4",
        label=LABELS[label_index],
        label_index=label_index,
        images=images,
        timestamps_us=np.array(times, np.int64),
        note=note,
    )
    assert as_tuple(decode_record(encode_record(record), LABELS)) == as_tuple(record)


@pytest.mark.parametrize("labels", [[], ["run"]])
def test_a_label_without_a_name_has_none(labels: list[str]) -> None:
    decoded = decode_record(encode_record(stored()), labels)
    assert (decoded.label, decoded.label_index) == ("", 1)


FEATURES: dict[str, Any] = {
    "video": [b"one"], "label": 1, "id": b"a", "source": b"a", "timestamps_us": np.array([0], np.int64),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_a_missing_feature_is_named(name: str) -> None:
    data = serialize_example({key: value for key, value in FEATURES.items() if key != name})
    with pytest.raises(ValueError, match=rf"^not a record of the tfds layout: KeyError\('{name}'\)$"):
        decode_record(data, LABELS)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("id", 7, "id is ndarray, not one text"),
        ("id", [b"a", b"b"], "id is list, not one text"),
        ("source", [], "source is list, not one text"),
        ("timestamps_us", b"now", "timestamps_us holds no integers"),
        ("label", b"7", "label holds no integers"),
        ("label", np.array([], np.int64), "label holds 0 integers, not one"),
        ("id", b"\xff", "UnicodeDecodeError"),
        ("video", 7, "video holds no images"),
    ],
)
def test_a_feature_of_another_kind_is_named(name: str, value: Any, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        decode_record(serialize_example({**FEATURES, name: value}), LABELS)


# --- metadata -------------------------------------------------------------------------------------


def info_text(lengths: Mapping[Split, Sequence[int]]) -> str:
    return dataset_info_json(
        name="clips",
        version="1.0.0",
        description="clips",
        encoding=Encoding(image_format="png").as_dict(),
        plan_digest="digest",
        notes={"licence": ""},
        filepath_template=FILEPATH_TEMPLATE,
        shard_lengths=lengths,
        num_bytes=dict.fromkeys(lengths, 1),
    )


def features_text(labels: Sequence[str]) -> str:
    return features_json(image_format="png", num_classes=len(labels))


def label_text(labels: Sequence[str]) -> str:
    return "".join(f"{label}\n" for label in labels)


def write_shard(paths: VersionPaths, split: str, index: int, records: Sequence[ClipRecord]) -> None:
    paths.directory.mkdir(parents=True, exist_ok=True)
    path = paths.shard("train" if split == "train" else "test", index)
    path.write_bytes(b"".join(frame_record(encode_record(record)) for record in records))


Shards = Mapping[Split, Sequence[Sequence[ClipRecord]]]


def write_dataset(root: Path, shards: Shards, labels: Sequence[str] = LABELS) -> VersionPaths:
    """A version directory; a shard without records is retired and has no file."""
    paths = DatasetPaths(root, "clips").version("1.0.0")
    for split, of_split in shards.items():
        for index, records in enumerate(of_split):
            if records:
                write_shard(paths, split, index, records)
    paths.label_names.write_text(label_text(labels), "utf-8")
    paths.features.write_text(features_text(labels), "utf-8")
    lengths: dict[Split, list[int]] = {
        split: [len(records) for records in of_split] for split, of_split in shards.items()
    }
    paths.dataset_info.write_text(info_text(lengths), "utf-8")
    return paths


SMALL: Shards = {"train": [[clip_record(1), clip_record(2, 1)], [clip_record(3)]], "test": [[clip_record(4, 1)]]}


def ids(dataset: Any) -> list[str]:
    return [example["id"].numpy().decode() for example in dataset]


def id_of(number: int) -> str:
    return f"{number}.mp4#t=1,2"


def expected_video(number: int) -> NDArray[np.uint8]:
    frames = np.stack([np.full((4, 6, 3), 10 * number + frame, np.uint8) for frame in range(3)])
    frames[:, :, :3] = (255, 0, 0)
    return frames


def readers(tfds: ModuleType, paths: VersionPaths) -> Iterator[Any]:
    """Each way of tensorflow-datasets to open the dataset: by its directory, and by its name."""
    yield tfds.builder_from_directory(str(paths.directory))
    yield tfds.builder("clips", data_dir=str(paths.directory.parents[1]))


def test_metadata_is_pinned() -> None:
    """Pinned: what readers open; a change of these bytes must be tried with the real tensorflow-datasets."""
    assert json.loads(info_text({"train": [2, 0], "test": [1]}) ) == {
        "name": "clips",
        "version": "1.0.0",
        "description": "clips",
        "configDescription": json.dumps(
            {"commit": {"licence": ""}, "encoding": Encoding(image_format="png").as_dict(), "plan": "digest"},
            sort_keys=True,
        ),
        "fileFormat": "tfrecord",
        "supervisedKeys": {"tuple": {"items": [{"featureKey": "video"}, {"featureKey": "label"}]}},
        "splits": [
            {"name": "train", "filepathTemplate": FILEPATH_TEMPLATE, "shardLengths": ["2", "0"], "numBytes": "1"},
            {"name": "test", "filepathTemplate": FILEPATH_TEMPLATE, "shardLengths": ["1"], "numBytes": "1"},
        ],
    }  # fmt: skip
    features = json.loads(features_text(LABELS))["featuresDict"]["features"]
    assert features["video"]["video"] == {
        "dtype": "uint8", "encodingFormat": "png", "shape": {"dimensions": ["-1", "-1", "-1", "3"]},
    }  # fmt: skip
    assert features["label"]["classLabel"] == {"numClasses": "2"}


def test_a_dataset_opens_by_its_directory_and_by_its_name(tfds: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    for builder in readers(tfds, paths):
        info = builder.info
        assert {split: info.splits[split].num_examples for split in ("train", "test")} == {"train": 3, "test": 1}
        assert info.features["label"].names == LABELS
        assert [str(info.full_name), str(info.version)] == ["clips/1.0.0", "1.0.0"]
        dataset = builder.as_dataset(split="train", shuffle_files=False)
        assert ids(dataset) == [id_of(1), id_of(2), id_of(3)]


def test_load_gives_every_frame_label_and_id_as_stored(tfds: ModuleType, tmp_path: Path) -> None:
    write_dataset(tmp_path, SMALL)
    both = tfds.load("clips", data_dir=str(tmp_path), split=["train", "test"])
    seen = {}
    for dataset in both:
        for example in dataset:
            assert set(example) == {"video", "label", "id"}
            number = int(example["id"].numpy().decode().partition(".")[0])
            seen[number] = int(example["label"])
            assert example["video"].dtype.name == "uint8"
            assert (example["video"].numpy() == expected_video(number)).all()
    assert seen == {1: 0, 2: 1, 3: 0, 4: 1}


def test_subsplits_and_supervised_reading_work(tfds: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    for builder in readers(tfds, paths):
        assert ids(builder.as_dataset(split="train[1:3]")) == [id_of(2), id_of(3)]
        assert len(ids(builder.as_dataset(split="train+test"))) == 4
        pairs = list(builder.as_dataset(split="train", as_supervised=True))
        assert [int(label) for _, label in pairs] == [0, 1, 0]
        assert (pairs[1][0].numpy() == expected_video(2)).all()


def test_a_dataset_grows_by_a_shard(tfds: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, SMALL)
    opened_before = tfds.builder_from_directory(str(paths.directory))
    write_shard(paths, "train", 2, [clip_record(5)])
    paths.dataset_info.write_text(info_text({"train": [2, 1, 1], "test": [1]}))
    for builder in readers(tfds, paths):
        assert ids(builder.as_dataset(split="train")) == [id_of(n) for n in (1, 2, 3, 5)]
    assert ids(opened_before.as_dataset(split="train")) == [id_of(n) for n in (1, 2, 3)]


@pytest.mark.parametrize("retired", [[0], [1], [0, 1]])
def test_a_retired_shard_has_no_records_and_no_file(tfds: ModuleType, tmp_path: Path, retired: list[int]) -> None:
    shards = [*SMALL["train"], [clip_record(5)]]
    shards = [[] if index in retired else list(records) for index, records in enumerate(shards)]
    paths = write_dataset(tmp_path, {"train": shards, "test": SMALL["test"]})
    assert not any(paths.shard("train", index).exists() for index in retired)
    left = [record.clip_id for records in shards for record in records]
    for builder in readers(tfds, paths):
        assert ids(builder.as_dataset(split="train")) == left
        assert builder.info.splits["train"].num_examples == len(left)


def test_a_split_whose_shards_are_all_retired_can_still_be_listed(tfds: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, {"train": SMALL["train"], "test": [[]]})
    for builder in readers(tfds, paths):
        assert ids(builder.as_dataset(split="train")) == [id_of(n) for n in (1, 2, 3)]


def test_a_split_without_any_shard_can_be_committed(tfds: ModuleType, tmp_path: Path) -> None:
    paths = write_dataset(tmp_path, {"train": SMALL["train"], "test": []})
    for builder in readers(tfds, paths):
        assert ids(builder.as_dataset(split="train")) == [id_of(n) for n in (1, 2, 3)]


GROWN_LABELS = [*LABELS, "jump <b>"]


@pytest.mark.parametrize("num_steps", [0, 1, 2, 3])
def test_every_mixture_of_metadata_reads_while_a_class_is_added(
    tfds: ModuleType, tmp_path: Path, num_steps: int
) -> None:
    """The new class's shard is there; the commit writes names, features and info in this order, and may be killed."""
    paths = write_dataset(tmp_path, SMALL)
    write_shard(paths, "train", 2, [clip_record(5, 2, GROWN_LABELS)])
    steps = [
        (paths.label_names, label_text(GROWN_LABELS)),
        (paths.features, features_text(GROWN_LABELS)),
        (paths.dataset_info, info_text({"train": [2, 1, 1], "test": [1]})),
    ]
    for path, text in steps[:num_steps]:
        path.write_text(text, "utf-8")
    numbers = [1, 2, 3, 5] if num_steps == 3 else [1, 2, 3]
    for builder in readers(tfds, paths):
        examples = list(builder.as_dataset(split="train"))
        assert [example["id"].numpy().decode() for example in examples] == [id_of(n) for n in numbers]
        label = builder.info.features["label"]
        names = [label.int2str(int(example["label"])) for example in examples]
        assert names == ["run", "walk, slowly", "run", "jump <b>"][: len(numbers)]
        assert label.names == (LABELS if num_steps == 0 else GROWN_LABELS)


@pytest.mark.parametrize(
    "label", ["a b", "ü 跑 🏃", "a\\nb", "<b>&amp;", '"quoted"', "'", "007", "NA", "#", "-", "a,b"]
)
def test_odd_labels_are_read_as_they_were_written(tfds: ModuleType, tmp_path: Path, label: str) -> None:
    labels = ["plain", label]
    paths = write_dataset(tmp_path, {"train": [[clip_record(1, 1, labels)]], "test": []}, labels)
    builder = tfds.builder_from_directory(str(paths.directory))
    assert builder.info.features["label"].names == labels
    assert builder.info.features["label"].str2int(label) == 1


def test_tensorflow_datasets_notices_a_shard_that_holds_fewer_records_than_promised(
    tfds: ModuleType, tmp_path: Path
) -> None:
    paths = write_dataset(tmp_path, SMALL)
    write_shard(paths, "train", 1, [])
    builder = tfds.builder_from_directory(str(paths.directory))
    with pytest.raises(Exception, match="expected to contain 3 elements but contained only 2"):
        ids(builder.as_dataset(split="train"))


def test_a_clip_of_several_labels_has_all_their_indices() -> None:
    clip = replace(stored(), label="run|walk, slowly", label_index=0, other_label_indices=(1,))
    data = encode_record(clip)
    assert parse_example(data)["label"].tolist() == [0, 1]  # pyright: ignore[reportAttributeAccessIssue]
    back = decode_record(data, ["run", "walk, slowly"])
    assert (back.label, back.label_indices.tolist(), back.labels) == (
        "run|walk, slowly",
        [0, 1],
        ["run", "walk, slowly"],
    )
    alone = replace(clip, label="run", other_label_indices=())
    assert encode_record(alone) == encode_record(replace(alone, label="a|b"))  # one label of that name
