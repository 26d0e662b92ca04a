"""The recipes for TF Model Garden, and the sentences about how clips match its windows."""

from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from video_assets.cli.command_list import MODELS
from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import MODEL_WINDOWS, ModelMatch, Proposal, RateMatch, WindowMatch
from video_assets.report.model_garden import (
    GardenDataset,
    ModelInput,
    model_garden_yaml,
    model_rows,
    model_sentence,
    recipe_name,
    recipes,
    schedule_for,
)

DATASET = GardenDataset(
    root="/srv/datasets",
    name="clips",
    version="2.0.0",
    encoding=Encoding(resolution=172),
    num_classes=8,
    num_examples={"train": 80, "test": 16},
)
INPUTS = [ModelInput(window=window, num_frames=10, stride=2) for window in MODEL_WINDOWS]
A0, A2 = INPUTS[0], INPUTS[2]
FIT = ModelMatch(
    MODEL_WINDOWS[0],
    WindowMatch(96, 90, 6),
    (Proposal((("plan.encoding.num_frames", 50),), WindowMatch(96, 0, 0), 7, 40),),
    RateMatch(2.0, 1, 0),
)


def settings(dataset: GardenDataset, model_input: ModelInput = A0, *, is_stream: bool = False) -> Any:
    return yaml.safe_load(model_garden_yaml(dataset, model_input, is_stream=is_stream))


def test_a_recipe_holds_the_numbers_of_the_dataset() -> None:
    task = settings(DATASET)["task"]
    for part, split, number in (("train_data", "train", 80), ("validation_data", "test", 16)):
        data = task[part]
        assert (data["tfds_name"], data["tfds_data_dir"], data["tfds_split"]) == ("clips:2.0.0", "/srv/datasets", split)
        assert (data["num_classes"], data["num_examples"], data["feature_shape"]) == (8, number, [10, 172, 172, 3])
        assert data["is_training"] is (split == "train")
        assert data["temporal_stride"] == 2
        assert "is_multilabel" not in data
    assert task["losses"]["label_smoothing"] == 0.1


@pytest.mark.parametrize(
    ("num_clips", "batch", "steps_per_epoch", "train_steps"),
    [(1, 1, 1, 100), (18, 4, 5, 500), (80, 16, 5, 500), (1000, 16, 63, 2016), (100_000, 16, 6250, 62_500)],
)
def test_the_schedule_follows_from_the_number_of_clips(
    num_clips: int, batch: int, steps_per_epoch: int, train_steps: int
) -> None:
    dataset = replace(DATASET, num_examples={"train": num_clips, "test": 37})
    found = settings(dataset)
    trainer, rates = found["trainer"], found["trainer"]["optimizer_config"]
    assert found["task"]["train_data"]["global_batch_size"] == batch
    assert trainer["train_steps"] == rates["learning_rate"]["cosine"]["decay_steps"] == train_steps
    assert rates["learning_rate"]["cosine"]["initial_learning_rate"] == pytest.approx(1.8 / 1024 * batch, rel=0.01)
    assert 1 <= rates["warmup"]["linear"]["warmup_steps"] <= max(1, train_steps // 20)
    assert trainer["validation_steps"] == -(-37 // found["task"]["validation_data"]["global_batch_size"])
    assert trainer["summary_interval"] % trainer["steps_per_loop"] == 0
    assert steps_per_epoch == schedule_for(num_clips, 16).steps_per_epoch


def test_every_model_has_a_recipe_as_base_and_as_stream() -> None:
    found = {name: yaml.safe_load(text)["task"] for name, text in recipes(DATASET, INPUTS).items()}
    names = [recipe_name(model_id, is_stream=is_stream) for model_id in MODELS for is_stream in (False, True)]
    assert list(found) == names
    for name, task in found.items():
        backbone = task["model"]["backbone"]["movinet"]
        assert task["init_checkpoint"] == f"path/to/{name}"
        assert name == recipe_name(backbone["model_id"], is_stream=backbone.get("causal", False))
    stream = found["movinet_a3_stream"]["model"]["backbone"]["movinet"]
    assert stream == {
        "model_id": "a3",
        "stochastic_depth_drop_rate": 0.2,
        "causal": True,
        "conv_type": "2plus1d",
        "se_type": "2plus3d",
        "activation": "hard_swish",
        "gating_activation": "hard_sigmoid",
        "use_positional_encoding": True,
    }


@pytest.mark.parametrize(
    ("stored", "side", "min_image_size"), [(172, 172, 172), (180, 172, 180), (224, 172, 192), (64, 64, 64)]
)
def test_frames_are_cropped_to_the_models_size_and_never_enlarged(stored: int, side: int, min_image_size: int) -> None:
    data = settings(replace(DATASET, encoding=Encoding(resolution=stored)))["task"]["train_data"]
    assert (data["feature_shape"], data["min_image_size"]) == ([10, side, side, 3], min_image_size)


def test_shards_of_sequences_are_named_by_their_pattern() -> None:
    encoding = Encoding(layout="sequence_example", image_format="png", multi_label=True)
    dataset = replace(DATASET, encoding=encoding)
    data = settings(dataset, A2)["task"]["validation_data"]
    assert data["input_path"] == "/srv/datasets/clips/2.0.0/clips-test-*.tfrecord"
    assert (data["is_multilabel"], data["input_image_format"]) == (True, "png")
    assert "tfds_name" not in data
    here = settings(replace(dataset, root="."), A2)["task"]["train_data"]
    assert here["input_path"] == "clips/2.0.0/clips-train-*.tfrecord"


def test_a_dataset_without_clips_to_validate_on_is_only_trained_on() -> None:
    text = model_garden_yaml(replace(DATASET, num_examples={"train": 80, "test": 0}), A0)
    assert "--mode=train " in text
    assert yaml.safe_load(text)["trainer"]["validation_steps"] == 0


def test_a_layout_that_model_garden_cannot_read_has_no_recipe() -> None:
    dataset = replace(DATASET, encoding=Encoding(layout="movinets_helper"))
    assert model_garden_yaml(dataset, A0) == ""
    assert recipes(dataset, INPUTS) == {}


@pytest.mark.parametrize(
    "root", ["/srv/with: colon", '/srv/"quoted" \\ # no comment', "/srv/🎬 שלום", "/srv/two\nlines"]
)
def test_any_path_survives_the_quoting(root: str) -> None:
    task = settings(replace(DATASET, root=root))["task"]
    assert task["train_data"]["tfds_data_dir"] == root


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_the_quoting(root: str) -> None:
    task = settings(replace(DATASET, root=root))["task"]
    assert task["train_data"]["tfds_data_dir"] == root


def test_the_words_say_what_happens_and_what_would_not() -> None:
    assert model_sentence(FIT) == (
        "MoViNet-A0 (windows of 50 frames, 5 a second): 0 of 96 clips come at its own rate, with every stored frame; "
        "stored are about 2 frames a second; 90 of 96 clips are shorter and would be looped; 6 are longer, and a "
        "window shows a part of them. With plan.encoding.num_frames=50: 40 of 96 clips at its own rate, none looped, "
        "none cut; 7 videos have fewer frames and repeat some."
    )
    [row] = model_rows([FIT])
    assert (row["looped"], row["cut"], row["at_own_rate"]) == (90, 6, 0)
    assert (row["stored_per_second"], row["stride"], row["fits_better"]) == (2.0, 1, "plan.encoding.num_frames=50")


def test_the_words_say_which_stored_frames_give_a_model_its_own_rate() -> None:
    native = ModelMatch(MODEL_WINDOWS[0], WindowMatch(96, 0, 0), (), RateMatch(25.0, 5, 96))
    assert model_sentence(native) == (
        "MoViNet-A0 (windows of 50 frames, 5 a second): one stored frame in 5 gives its own rate; every clip is as "
        "long as its window."
    )
