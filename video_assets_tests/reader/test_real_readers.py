"""Datasets that the stages built, opened by the readers that people have, unmodified.

DMVR, MediaSequence and movinets_helper cannot be installed from the index beside TensorFlow 2.21; what is run here is
TensorFlow's own parser with the feature specifications that they document.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from video_assets.domain.encoding import Compression, Encoding
from video_assets.domain.model_windows import MODEL_WINDOWS
from video_assets.pipeline.plan.model_fit import committed_fit
from video_assets.reader import load_dataset
from video_assets.report.model_garden import GardenDataset, ModelInput, recipes
from video_assets.setting_types import Layout
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.datasets import Built
from video_assets_tests.label_sets import NAMES, label_sets
from video_assets_tests.pipeline.stages import ENCODING, Stages


@pytest.fixture(scope="module")
def as_sequences(built_once: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same clips in the layout sequence_example."""
    return built_as("sequence_example", built_once, tmp_path_factory)


@pytest.fixture(scope="module")
def as_floats(built_once: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same clips in the layout movinets_helper."""
    return built_as("movinets_helper", built_once, tmp_path_factory)


def built_as(layout: Layout, built_once: Built, tmp_path_factory: pytest.TempPathFactory) -> Built:
    built = Built(built_once.source, DatasetPaths(tmp_path_factory.mktemp(layout), "clips"))
    stages = Stages(built.source, built.paths)
    stages.manifest()
    stages.splits()
    stages.plan(ENCODING.replace(layout=layout))
    stages.shards()
    stages.commit()
    return built


def ours(built: Built, split: Any = "train") -> list[dict[str, Any]]:
    """What load_dataset gives, the yardstick here."""
    clips: Any = load_dataset(built.version.directory, split)
    return list(clips.as_numpy_iterator())


def records(built: Built, split: str, compression: Compression = "") -> Any:
    """The serialized records of a split, by TensorFlow's own reader."""
    import tensorflow as tf

    files = [str(path) for path in sorted(built.version.directory.glob(f"*-{split}-*.tfrecord"))]
    return tf.data.TFRecordDataset(files, compression_type=compression)


# --- tensorflow-datasets --------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tensorflow_datasets_loads_every_clip_as_stored(tfds: ModuleType, built_once: Built) -> None:
    root = str(built_once.paths.root)
    for split in ("train", "test"):
        by_name = tfds.as_numpy(tfds.load("clips", data_dir=root, split=split, shuffle_files=False))
        builder = tfds.builder_from_directory(str(built_once.version.directory))
        by_directory = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))
        for one, other, expected in zip(by_name, by_directory, ours(built_once, split), strict=True):
            for clip in (one, other):
                assert (clip["id"], clip["label"]) == (expected["id"], expected["label"])
                assert (clip["video"] == expected["video"]).all()


@pytest.mark.slow
def test_subsplits_of_tensorflow_datasets_divide_the_clips(tfds: ModuleType, built_once: Built) -> None:
    def ids(split: str) -> list[bytes]:
        clips = tfds.load("clips", data_dir=str(built_once.paths.root), split=split, shuffle_files=False)
        return [clip["id"] for clip in tfds.as_numpy(clips)]

    expected = [clip["id"] for clip in ours(built_once)]
    assert len(expected) == 18
    assert ids("train[:50%]") == expected[:9]
    assert ids("train[50%:]") == expected[9:]
    assert ids("train[4:6]") == expected[4:6]
    assert len(ids("train+test")) == 24
    thirds = tfds.even_splits("train", n=3)
    shares = [[clip["id"] for clip in tfds.as_numpy(tfds.load("clips", data_dir=str(built_once.paths.root),
               split=third, shuffle_files=False))] for third in thirds]  # fmt: skip
    assert [clip_id for share in shares for clip_id in share] == expected


@pytest.mark.slow
def test_tensorflow_datasets_gives_all_labels_of_a_clip(tfds: ModuleType, label_sets_built: Built) -> None:
    """The feature is a Sequence of ClassLabel, whose names lie where those of a single label do."""
    builder = tfds.builder_from_directory(str(label_sets_built.version.directory))
    feature = builder.info.features["label"]
    assert (type(feature).__name__, type(feature.feature).__name__) == ("Sequence", "ClassLabel")
    assert (feature.names, feature.num_classes) == (NAMES, 5)
    by_name = tfds.load("clips", data_dir=str(label_sets_built.paths.root), split="train+test")
    found = {clip["id"].decode(): {NAMES[index] for index in clip["label"]} for clip in tfds.as_numpy(by_name)}
    assert found == label_sets()


# --- TF Model Garden ------------------------------------------------------------------------------------------------

MODEL_GARDEN = """
import json, sys
import numpy as np
from official.vision.configs import video_classification as configs
from official.vision.dataloaders import video_input
from official.vision.tasks import video_classification as tasks

settings = json.loads(sys.argv[1])
answers = {}
for name, fields in settings.items():
    task_config = configs.VideoClassificationTask(train_data=configs.DataConfig(
        feature_shape=(5, 32, 32, 3), num_examples=6, is_training=False, drop_remainder=False,
        global_batch_size=6, min_image_size=32, num_test_clips=1, num_test_crops=1, dtype="float32", **fields))
    task = tasks.VideoClassificationTask(task_config)
    (features, labels), = task.build_inputs(task_config.train_data).take(1)
    answers[name] = {"shape": list(features["image"].shape), "labels": np.argmax(labels.numpy(), axis=1).tolist(),
                     "vectors": labels.numpy().tolist(), "is_multilabel": task._is_multilabel(),
                     "means": features["image"].numpy().mean(axis=(1, 2, 3, 4)).tolist()}
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def read_by_model_garden(
    built_once: Built, as_sequences: Built, label_sets_built: Built, label_sets_as_sequences: Built
) -> dict[str, Any]:
    """What MoViNet training would get of the test split: by tfds_name, and from the shards of sequences.

    In a process of its own: Model Garden needs Keras 2, which is chosen when TensorFlow is imported.
    """
    if importlib.util.find_spec("official") is None:
        pytest.skip("needs TF Model Garden: `make setup` installs it from constraints-readers.txt")
    settings = {
        **_garden_settings(built_once, as_sequences, num_classes=3),
        **{
            f"{name} of label sets": {**fields, "is_multilabel": True}
            for name, fields in _garden_settings(label_sets_built, label_sets_as_sequences, num_classes=5).items()
        },
    }
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", MODEL_GARDEN, json.dumps(settings)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def _garden_settings(by_name: Built, by_path: Built, *, num_classes: int) -> dict[str, dict[str, Any]]:
    root = str(by_name.paths.root)
    return {
        "tfds": {"tfds_name": "clips:1.0.0", "tfds_data_dir": root, "tfds_split": "test", "num_classes": num_classes},
        "sequence_example": {
            "input_path": f"{by_path.version.directory}/clips-test-*.tfrecord",
            "num_classes": num_classes,
        },
    }


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["tfds", "sequence_example"])
def test_model_garden_gives_all_labels_of_a_clip_as_one_vector(
    tensorflow: ModuleType, read_by_model_garden: dict[str, Any], label_sets_built: Built, layout: str
) -> None:
    """With `is_multilabel`, which its block says; what load_dataset gives is the same vector."""
    answer = read_by_model_garden[f"{layout} of label sets"]
    expected = ours(label_sets_built, "test")
    assert answer["is_multilabel"] is True
    vectors = {round(float(clip["video"].mean()) / 255, 3): clip["label"].tolist() for clip in expected}
    found = {round(mean, 3): vector for mean, vector in zip(answer["means"], answer["vectors"], strict=True)}
    assert len(found) == 6
    assert found == vectors


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["tfds", "sequence_example"])
def test_model_gardens_own_input_pipeline_gives_every_clip(
    tensorflow: ModuleType, read_by_model_garden: dict[str, Any], built_once: Built, layout: str
) -> None:
    """The task's build_inputs: its reader, Decoder or TFDS decoder, and Parser, as MoViNet training calls them."""
    answer = read_by_model_garden[layout]
    expected = ours(built_once, "test")
    assert answer["shape"] == [6, 5, 32, 32, 3]
    assert [sum(vector) for vector in answer["vectors"]] == [1.0] * 6  # a label that is missing would be a row of zeros
    mean_of = {round(float(clip["video"].mean()) / 255, 3): int(clip["label"]) for clip in expected}
    found = {round(mean, 3): label for mean, label in zip(answer["means"], answer["labels"], strict=True)}
    assert found == mean_of


PARSE_CONFIG = """
import json, sys
from official.core import exp_factory
from official.modeling import hyperparams
from official.projects.movinet.configs import movinet

for path in sys.argv[1:]:
    config = exp_factory.get_exp_config("movinet_kinetics600")
    config = hyperparams.override_params_dict(config, path, is_strict=True)
    config.validate()
    data = {part: getattr(config.task, part).as_dict() for part in ("train_data", "validation_data")}
    backbone = config.task.model.backbone.get()
    model = {"model_id": backbone.model_id, "causal": backbone.causal}
    print(json.dumps({**model, **data, "trainer": config.trainer.as_dict()}))
"""


def _parsed_by_model_garden(recipes_to_parse: dict[str, str], folder: Path) -> dict[str, Any]:
    """What its trainer reads from each recipe, as `--config_file` does, strictly: an unknown field is an error."""
    if importlib.util.find_spec("official") is None:
        pytest.skip("needs TF Model Garden: `make setup` installs it from constraints-readers.txt")
    files = [folder / f"{name}.yaml" for name in recipes_to_parse]
    for file, text in zip(files, recipes_to_parse.values(), strict=True):
        file.write_text(text, "utf-8")
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-c", PARSE_CONFIG, *map(str, files)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(recipes_to_parse, map(json.loads, done.stdout.splitlines()[-len(files) :]), strict=True))


@pytest.mark.slow
def test_model_gardens_own_classes_parse_the_recipes_of_datasets_of_any_size(
    built_once: Built, label_sets_as_sequences: Built, tmp_path: Path
) -> None:
    """Of 18 committed clips in both layouts, and of 1,000 clips for every model, base and stream."""
    thousand = GardenDataset(
        root="/srv",
        name="clips",
        version="1.0.0",
        encoding=Encoding(resolution=172),
        num_classes=3,
        num_examples={"train": 1000, "test": 250},
    )
    readings = [ModelInput(window=window, num_frames=window.num_frames) for window in MODEL_WINDOWS]
    found = _parsed_by_model_garden(
        {
            "tfds": committed_fit(built_once.paths, str(built_once.paths.root)).recipe("a0", is_stream=False),
            "sequences": committed_fit(label_sets_as_sequences.paths, str(label_sets_as_sequences.paths.root)).recipe(
                "a0", is_stream=True
            ),
            **recipes(thousand, readings),
        },
        tmp_path,
    )
    assert len(found) == 2 + 2 * len(MODEL_WINDOWS)
    for name, answer in found.items():
        parts = {part: answer[part] for part in ("train_data", "validation_data")}
        assert [part["is_training"] for part in parts.values()] == [True, False]
        assert answer["causal"] == (name == "sequences" or name.endswith("_stream"))
        batch, clips = parts["train_data"]["global_batch_size"], parts["train_data"]["num_examples"]
        assert batch * 4 <= clips
        assert 10 <= answer["trainer"]["train_steps"] * batch / clips <= 130
        assert answer["trainer"]["optimizer_config"]["learning_rate"]["cosine"]["decay_steps"] >= 100

    by_name, by_path, large = found["tfds"], found["sequences"], found["movinet_a0_stream"]
    assert [by_name[part]["num_examples"] for part in ("train_data", "validation_data")] == [18, 6]
    assert [by_name[part]["num_classes"] for part in ("train_data", "validation_data")] == [3, 3]
    assert list(by_name["train_data"]["feature_shape"]) == [5, 32, 32, 3]
    assert by_name["train_data"]["tfds_data_dir"] == str(built_once.paths.root)
    assert (by_name["train_data"]["global_batch_size"], by_name["trainer"]["train_steps"]) == (4, 500)
    version = label_sets_as_sequences.version
    assert by_path["validation_data"]["input_path"] == (
        f"{version.directory}/commits/{version.current_commit()}/clips-test-*.tfrecord"
    )
    assert by_path["train_data"]["is_multilabel"] is True
    assert (large["train_data"]["global_batch_size"], large["trainer"]["train_steps"]) == (16, 2016)


# --- DMVR and MediaSequence -----------------------------------------------------------------------------------------


def decoded(images: Any) -> NDArray[np.uint8]:
    """By `decode_jpeg`, as both do."""
    import tensorflow as tf

    return np.stack([tf.io.decode_jpeg(image, channels=3).numpy() for image in images])


def test_the_specification_of_dmvr_parses_every_record(tensorflow: ModuleType, as_sequences: Built) -> None:
    """What `add_image` and `add_label(add_label_name=True)` ask for; source: google-deepmind/dmvr, modalities.py."""
    tf = tensorflow
    context_features = {
        "clip/label/index": tf.io.VarLenFeature(tf.int64),
        "clip/label/text": tf.io.VarLenFeature(tf.string),
    }
    lists = {"image/encoded": tf.io.FixedLenSequenceFeature((), tf.string)}
    names = as_sequences.version.label_names.read_text("utf-8").split()
    for record, expected in zip(records(as_sequences, "train"), ours(as_sequences), strict=True):
        context, sequences = tf.io.parse_single_sequence_example(record, context_features, lists)
        assert context["clip/label/index"].values.numpy().tolist() == [expected["label"]]
        assert context["clip/label/text"].values.numpy().tolist() == [names[expected["label"]].encode()]
        assert (decoded(sequences["image/encoded"]) == expected["video"]).all()


def test_the_specifications_of_dmvr_and_mediasequence_parse_all_labels_of_a_clip(
    tensorflow: ModuleType, label_sets_as_sequences: Built
) -> None:
    """Index, text and string each hold a value a label, in one order."""
    tf = tensorflow
    context_features = {
        "example/id": tf.io.FixedLenFeature([], tf.string),
        "clip/label/index": tf.io.VarLenFeature(tf.int64),
        "clip/label/text": tf.io.VarLenFeature(tf.string),
        "clip/label/string": tf.io.VarLenFeature(tf.string),
    }
    lists = {"image/encoded": tf.io.FixedLenSequenceFeature((), tf.string)}
    found: dict[str, set[str]] = {}
    for split in ("train", "test"):
        for record in records(label_sets_as_sequences, split):
            context, _ = tf.io.parse_single_sequence_example(record, context_features, lists)
            indices = context["clip/label/index"].values.numpy().tolist()
            texts = [text.decode() for text in context["clip/label/text"].values.numpy()]
            assert [NAMES[index] for index in indices] == texts
            assert [text.decode() for text in context["clip/label/string"].values.numpy()] == texts
            found[context["example/id"].numpy().decode()] = set(texts)
    assert found == label_sets()


def test_the_specification_of_mediasequence_parses_every_record(tensorflow: ModuleType, as_sequences: Built) -> None:
    """Keys and kinds; source: google-ai-edge/mediapipe, mediapipe/util/sequence/README.md, the tables of keys."""
    tf = tensorflow
    context_features = {
        "example/id": tf.io.FixedLenFeature([], tf.string),
        "clip/data_path": tf.io.FixedLenFeature([], tf.string),
        "clip/start/timestamp": tf.io.FixedLenFeature([], tf.int64),
        "clip/end/timestamp": tf.io.FixedLenFeature([], tf.int64),
        "clip/label/index": tf.io.VarLenFeature(tf.int64),
        "clip/label/string": tf.io.VarLenFeature(tf.string),
        "image/format": tf.io.FixedLenFeature([], tf.string),
        "image/channels": tf.io.FixedLenFeature([], tf.int64),
        "image/height": tf.io.FixedLenFeature([], tf.int64),
        "image/width": tf.io.FixedLenFeature([], tf.int64),
        "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
    }
    lists = {
        "image/encoded": tf.io.FixedLenSequenceFeature([], tf.string),
        "image/timestamp": tf.io.FixedLenSequenceFeature([], tf.int64),
    }
    for record, expected in zip(records(as_sequences, "test"), ours(as_sequences, "test"), strict=True):
        context, sequences = tf.io.parse_single_sequence_example(record, context_features, lists)
        times = sequences["image/timestamp"].numpy()
        assert context["example/id"].numpy() == expected["id"]
        assert context["clip/data_path"].numpy().decode() in expected["id"].decode()
        shape = [context[f"image/{name}"].numpy() for name in ("height", "width", "channels")]
        assert shape == list(expected["video"].shape[1:])
        assert (np.diff(times) > 0).all() and len(times) == len(expected["video"])
        assert context["clip/start/timestamp"].numpy() <= times[0]
        assert times[-1] <= context["clip/end/timestamp"].numpy()
        assert context["image/format"].numpy().lower() == b"jpeg"
        assert context["image/frame_rate"].numpy() > 0
        assert context["clip/label/index"].values.numpy().tolist() == [expected["label"]]


# --- movinets_helper ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_specification_of_movinets_helper_parses_every_record(
    tensorflow: ModuleType, as_floats: Built, built_once: Built
) -> None:
    """Its reader's features, reshape and types; source: plaguss/movinets_helper."""
    tf = tensorflow
    names = ("n_frames", "width", "height", "n_channels")
    features = {name: tf.io.FixedLenFeature([], tf.int64) for name in ("label", *names)}
    features["video"] = tf.io.FixedLenFeature([], tf.string)
    for split in ("train", "test"):
        parsed = [tf.io.parse_single_example(r, features) for r in records(as_floats, split, "GZIP")]
        jpegs = ours(built_once, split)
        for example, exact, jpeg in zip(parsed, ours(as_floats, split), jpegs, strict=True):
            video = tf.reshape(tf.io.parse_tensor(example["video"], tf.float32), [example[n] for n in names]).numpy()
            assert video.shape == (5, 32, 32, 3)
            assert (video == exact["video"]).all()
            assert int(example["label"]) == exact["label"] == jpeg["label"]
            assert np.abs(video - jpeg["video"]).mean() < 4
