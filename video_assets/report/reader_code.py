"""Code to copy: how each reader opens a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_assets.domain.encoding import Encoding
from video_assets.setting_types import Layout

RECORDS: Mapping[Layout, str] = {
    "tfds": "Each record is a tf.train.Example of video (T images), label, id, source and timestamps_us.",
    "sequence_example": "Each record is a tf.train.SequenceExample of image/encoded and image/timestamp, with "
    "clip/label/index, clip/label/text, example/id and more as its context.",
    "movinets_helper": "Each record is a tf.train.Example, alone in a GZIP member, whose video is a serialized float32 "
    "tensor of RGB from 0 to 255; width holds the height and height the width.",
}


@dataclass(frozen=True, slots=True)
class Feature:
    """One field of a record; T frames of H by W pixels, N labels, S samples of sound."""

    name: str
    kind: str
    what: str


def record_features(encoding: Encoding, *, has_captions: bool = False) -> list[Feature]:
    """Return the fields of a record of the layout, in the words of its readers."""
    image, labels = encoding.image_format.upper(), "int64 [N]" if encoding.multi_label else "int64"
    if encoding.layout == "tfds":
        found = [
            Feature("video", f"bytes [T], {image}", "the frames; decoded uint8 [T, H, W, 3] RGB"),
            Feature("label", labels, "index of the class, as label.labels.txt counts"),
            Feature("id", "bytes", "the clip's id"),
            Feature("source", "bytes", "path of the video in the source"),
            Feature("timestamps_us", "int64 [T]", "when the source shows each frame, in microseconds"),
        ]
        return [*found, *([Feature("caption", "bytes", "the caption, or nothing")] if has_captions else [])]
    if encoding.layout == "movinets_helper":
        return [
            Feature("video", "bytes", "a serialized float32 tensor [T, H, W, 3], RGB from 0 to 255"),
            Feature("label", "int64", "index of the class, as label.labels.txt counts"),
            Feature("n_frames, n_channels", "int64", "T, and 3"),
            Feature("width, height", "int64", "H in width and W in height, as the package reads them"),
        ]
    found = [
        Feature("image/encoded", f"bytes [T], {image}", "the frames; decoded uint8 [T, H, W, 3] RGB"),
        Feature("image/timestamp", "int64 [T]", "when the source shows each frame, in microseconds"),
        Feature("clip/label/index", labels, "index of the class, as label.labels.txt counts"),
        Feature("clip/label/text, clip/label/string", "bytes", "name of the class"),
        Feature("clip/start/timestamp, clip/end/timestamp", "int64", "the clip's span, in microseconds"),
        Feature("example/id", "bytes", "the clip's id"),
        Feature("video/filename, clip/data_path", "bytes", "path of the video in the source"),
    ]
    if encoding.audio_sample_rate:
        found.append(Feature("WAVEFORM/feature/floats", "float32 [S]", f"sound, {encoding.audio_sample_rate} a second"))
    return found


_LABEL_SETS: Mapping[Layout, str] = {
    "tfds": "label holds the index of each of a clip's labels.",
    "sequence_example": "clip/label/index and clip/label/text hold a value for each of a clip's labels.",
}


def record_sentences(encoding: Encoding) -> str:
    """Return what a record is, in sentences."""
    several = f" {_LABEL_SETS[encoding.layout]}" if encoding.multi_label else ""
    return RECORDS[encoding.layout] + several


@dataclass(frozen=True, slots=True)
class ReaderLines:
    """The code that reads a dataset with one reader."""

    reader: str
    language: str
    lines: str


def reader_lines(name: str, version: str, encoding: Encoding) -> list[ReaderLines]:
    """Return the code for each reader of the layout."""
    place = f"path/to/{name}/{version}"
    values = {
        "place": place,
        "name": name,
        "version": version,  # without it tensorflow-datasets takes the newest folder, also one that is being built
        "hot": "  # label: 1 for each class that the clip has" if encoding.multi_label else "",
        "one_or_more": "RaggedFeature(tf.int64)" if encoding.multi_label else "FixedLenFeature([], tf.int64)",
    }
    found = [ReaderLines("load_dataset, of this package", "python", _LOAD_DATASET.format_map(values))]
    others = _OTHERS[encoding.layout]
    return found + [ReaderLines(reader, "python", lines.format_map(values)) for reader, lines in others]


_LOAD_DATASET = """\
from video_assets.reader import load_dataset

train = load_dataset("{place}", "train")
for clip in train.take(1):
    print(clip["video"].shape, clip["label"], clip["id"]){hot}
"""

_TFDS = """\
import tensorflow_datasets as tfds

builder = tfds.builder_from_directory("{place}")
train = builder.as_dataset(split="train")
class_names = builder.info.features["label"].names
"""

_TFDS_BY_NAME = """\
import tensorflow_datasets as tfds

train = tfds.load("{name}:{version}", data_dir="path/to", split="train")
"""

_FILES = """\
import json

import tensorflow as tf

with tf.io.gfile.GFile("{place}/dataset_info.json") as file:
    lengths = {{split["name"]: split["shardLengths"] for split in json.load(file)["splits"]}}["train"]
# Other files may wait here to be removed, or to be committed.
files = [f"{place}/{name}-train-{{index:05d}}.tfrecord" for index, length in enumerate(lengths) if length != "0"]
"""

_SEQUENCES = (
    _FILES
    + """\


def parse(record):
    context, lists = tf.io.parse_single_sequence_example(
        record,
        {{"clip/label/index": tf.io.{one_or_more}}},
        {{"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string)}},
    )
    return lists["image/encoded"], context["clip/label/index"]


train = tf.data.TFRecordDataset(files).map(parse)
"""
)

_HELPER = (
    _FILES
    + """\
names = ("n_frames", "width", "height", "n_channels")  # width holds the height, and height the width


def parse(record):
    features = {{name: tf.io.FixedLenFeature([], tf.int64) for name in (*names, "label")}}
    features["video"] = tf.io.FixedLenFeature([], tf.string)
    example = tf.io.parse_single_example(record, features)
    video = tf.io.parse_tensor(example["video"], tf.float32)
    return tf.reshape(video, [example[name] for name in names]), example["label"]


train = tf.data.TFRecordDataset(files, compression_type="GZIP").map(parse)
"""
)

_OTHERS: Mapping[Layout, Sequence[tuple[str, str]]] = {
    "tfds": (("tensorflow-datasets, by directory", _TFDS), ("tensorflow-datasets, by name", _TFDS_BY_NAME)),
    "sequence_example": (("plain TensorFlow; DMVR and MediaSequence read the same keys", _SEQUENCES),),
    "movinets_helper": (("movinets_helper, or plain TensorFlow", _HELPER),),
}
