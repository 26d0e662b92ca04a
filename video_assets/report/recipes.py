"""Code and settings to copy: how each reader opens a dataset, and how the dataset matches MoViNet."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import ModelMatch, ModelWindow, Proposal
from video_assets.domain.splits import Split
from video_assets.settings import Layout

READABLE_LAYOUTS = ("tfds", "sequence_example")
"""Layouts that Model Garden reads; not movinets_helper, because it ignores the setting for GZIP files."""

NO_MODEL_GARDEN = "TF Model Garden does not read this layout; choose `plan.encoding.layout` tfds or sequence_example."


@dataclass(frozen=True, slots=True, kw_only=True)
class GardenDataset:
    """What Model Garden has to know about a dataset; `root` holds `<name>/<version>`."""

    root: str
    name: str
    version: str
    encoding: Encoding
    num_classes: int
    num_examples: Mapping[Split, int]
    num_frames: int


def model_garden_yaml(dataset: GardenDataset, window: ModelWindow) -> str:
    """Return the YAML for `--config_file` of the experiment `movinet_kinetics600`; empty if it cannot read the layout.

    `validation_data` is val where the dataset has it, and test otherwise. Texts are quoted as in JSON, which YAML reads
    too; what YAML does not allow as it is, is escaped.
    """
    if dataset.encoding.layout not in READABLE_LAYOUTS:
        return ""
    lines = [
        "task:",
        "  model:",
        "    backbone:",
        "      type: movinet",
        f"      movinet: {{model_id: {window.model_id}}}  # a stream model: causal: true, and its other fields",
    ]
    validation: Split = "val" if dataset.num_examples.get("val") else "test"
    parts: tuple[tuple[str, Split], ...] = (("train_data", "train"), ("validation_data", validation))
    for part, split in parts:
        lines += [f"  {part}:", *(f"    {line}" for line in _data_lines(dataset, split, is_training=split == "train"))]
    return "\n".join(lines) + "\n"


def _data_lines(dataset: GardenDataset, split: Split, *, is_training: bool) -> list[str]:
    encoding, side = dataset.encoding, dataset.encoding.resolution
    place = f"{dataset.root}/{dataset.name}/{dataset.version}/{dataset.name}-{split}-*.tfrecord"
    if encoding.layout == "tfds":
        lines = [
            f"tfds_name: {_quoted(dataset.name)}",
            f"tfds_data_dir: {_quoted(dataset.root)}",
            f"tfds_split: {split}",
        ]
    else:
        lines = [f"input_path: {_quoted(place)}", "file_type: tfrecord"]
    lines += [
        f"name: {_quoted(dataset.name)}",
        f"split: {split}",
        f"feature_shape: [{dataset.num_frames}, {side}, {side}, 3]  # frames, height, width, channels",
        "temporal_stride: 1  # the frames that are stored were chosen already",
        f"min_image_size: {side}",
        f"num_classes: {dataset.num_classes}",
        f"num_examples: {dataset.num_examples.get(split, 0)}",
        f"is_training: {'true' if is_training else 'false'}",
    ]
    lines += [] if is_training else ["drop_remainder: false", "num_test_clips: 1", "num_test_crops: 1"]
    lines += ["is_multilabel: true"] if encoding.multi_label else []
    lines += [f"input_image_format: {encoding.image_format}"] if encoding.image_format != "jpeg" else []
    return lines


def _quoted(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def model_rows(models: Sequence[ModelMatch]) -> list[dict[str, str | int]]:
    """Return one row per model: its window, how many clips it would loop or cut, and better settings."""
    return [
        {
            "model": model.window.name,
            "window": f"{model.window.num_frames} frames, {model.window.frames_per_second:.3g} a second",
            "size": f"{model.window.resolution}x{model.window.resolution}",
            "clips": model.match.num_clips,
            "looped": model.match.num_looped,
            "cut": model.match.num_cut,
            "fits_better": " or ".join(proposal.settings_text for proposal in model.proposals),
        }
        for model in models
    ]


def model_sentence(model: ModelMatch) -> str:
    """Return how many clips a model's window would loop or cut, and better settings, in one sentence.

    >>> from video_assets.domain.model_windows import MODEL_WINDOWS, WindowMatch
    >>> model_sentence(ModelMatch(MODEL_WINDOWS[0], WindowMatch(3, 0, 0), ()))
    'MoViNet-A0 (windows of 50 frames, 5 a second): every clip is as long as its window.'
    """
    window, found = model.window, model.match
    head = f"{window.name} (windows of {window.num_frames} frames, {window.frames_per_second:.3g} a second)"
    if found.is_perfect:
        return f"{head}: every clip is as long as its window."
    parts = [
        (found.num_looped, f"{found.num_looped} of {found.num_clips} clips are shorter and would be looped"),
        (found.num_cut, f"{found.num_cut} are longer, and a window shows a part of them"),
    ]
    what = "; ".join(text for number, text in parts if number)
    return " ".join([f"{head}: {what}.", *map(_proposal_sentence, model.proposals)])


def _proposal_sentence(proposal: Proposal) -> str:
    found = proposal.match
    if found.is_perfect:
        what = "none looped, none cut"
        what += f"; {proposal.num_padded} videos have fewer frames and repeat some" if proposal.num_padded else ""
    else:
        what = f"{found.num_looped} looped, {found.num_cut} cut"
    return f"With {proposal.settings_text}: {what}."


RECORDS: Mapping[Layout, str] = {
    "tfds": "Each record is a tf.train.Example of video (T images), label, id, source and timestamps_us.",
    "sequence_example": "Each record is a tf.train.SequenceExample of image/encoded and image/timestamp, with "
    "clip/label/index, clip/label/text, example/id and more as its context.",
    "movinets_helper": "Each record is a tf.train.Example, alone in a GZIP member, whose video is a serialized float32 "
    "tensor of RGB from 0 to 255; width holds the height and height the width.",
}


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


def reader_lines(name: str, version: str, encoding: Encoding, model_garden: str) -> list[ReaderLines]:
    """Return the code for each reader of the layout; `model_garden` is its YAML, or empty."""
    place = f"path/to/{name}/{version}"
    values = {
        "place": place,
        "name": name,
        "hot": "  # label: 1 for each class that the clip has" if encoding.multi_label else "",
        "one_or_more": "RaggedFeature(tf.int64)" if encoding.multi_label else "FixedLenFeature([], tf.int64)",
    }
    found = [ReaderLines("load_dataset, of this package", "python", _LOAD_DATASET.format_map(values))]
    others = _OTHERS[encoding.layout]
    found += [ReaderLines(reader, "python", lines.format_map(values)) for reader, lines in others]
    if model_garden:
        found.append(ReaderLines("TF Model Garden, as --config_file", "yaml", model_garden))
    return found


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

train = tfds.load("{name}", data_dir="path/to", split="train")
"""

_SEQUENCES = """\
import tensorflow as tf

files = tf.io.gfile.glob("{place}/{name}-train-*.tfrecord")


def parse(record):
    context, lists = tf.io.parse_single_sequence_example(
        record,
        {{"clip/label/index": tf.io.{one_or_more}}},
        {{"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string)}},
    )
    return lists["image/encoded"], context["clip/label/index"]


train = tf.data.TFRecordDataset(files).map(parse)
"""

_HELPER = """\
import tensorflow as tf

files = tf.io.gfile.glob("{place}/{name}-train-*.tfrecord")
names = ("n_frames", "width", "height", "n_channels")  # width holds the height, and height the width


def parse(record):
    features = {{name: tf.io.FixedLenFeature([], tf.int64) for name in (*names, "label")}}
    features["video"] = tf.io.FixedLenFeature([], tf.string)
    example = tf.io.parse_single_example(record, features)
    video = tf.io.parse_tensor(example["video"], tf.float32)
    return tf.reshape(video, [example[name] for name in names]), example["label"]


train = tf.data.TFRecordDataset(files, compression_type="GZIP").map(parse)
"""

_OTHERS: Mapping[Layout, Sequence[tuple[str, str]]] = {
    "tfds": (("tensorflow-datasets, by directory", _TFDS), ("tensorflow-datasets, by name", _TFDS_BY_NAME)),
    "sequence_example": (("plain TensorFlow; DMVR and MediaSequence read the same keys", _SEQUENCES),),
    "movinets_helper": (("movinets_helper, or plain TensorFlow", _HELPER),),
}
