"""The settings for TF Model Garden, and the sentences about how clips match its windows."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.encoding import Encoding
from video_assets.domain.model_windows import MODEL_WINDOWS, ModelMatch, Proposal, WindowMatch
from video_assets.report.recipes import GardenDataset, model_garden_yaml, model_rows, model_sentence

DATASET = GardenDataset(
    root="/srv/datasets",
    name="clips",
    version="2.0.0",
    encoding=Encoding(resolution=172),
    num_classes=8,
    num_examples={"train": 80, "test": 16},
    num_frames=10,
)
FIT = ModelMatch(
    MODEL_WINDOWS[0],
    WindowMatch(96, 90, 6),
    (Proposal((("plan.encoding.num_frames", 50),), WindowMatch(96, 0, 0), 7),),
)


def test_the_block_holds_the_numbers_of_the_dataset() -> None:
    task = yaml.safe_load(model_garden_yaml(DATASET, MODEL_WINDOWS[0]))["task"]
    assert task["model"]["backbone"] == {"type": "movinet", "movinet": {"model_id": "a0"}}
    for part, split, number in (("train_data", "train", 80), ("validation_data", "test", 16)):
        data = task[part]
        assert (data["tfds_name"], data["tfds_data_dir"], data["tfds_split"]) == ("clips", "/srv/datasets", split)
        assert (data["num_classes"], data["num_examples"], data["feature_shape"]) == (8, number, [10, 172, 172, 3])
        assert data["is_training"] is (split == "train")
        assert "is_multilabel" not in data


def test_shards_of_sequences_are_named_by_their_pattern() -> None:
    encoding = Encoding(layout="sequence_example", image_format="png", multi_label=True)
    dataset = replace(DATASET, encoding=encoding)
    data = yaml.safe_load(model_garden_yaml(dataset, MODEL_WINDOWS[2]))["task"]["validation_data"]
    assert data["input_path"] == "/srv/datasets/clips/2.0.0/clips-test-*.tfrecord"
    assert (data["is_multilabel"], data["input_image_format"]) == (True, "png")
    assert "tfds_name" not in data


def test_a_layout_that_model_garden_cannot_read_has_no_block() -> None:
    dataset = replace(DATASET, encoding=Encoding(layout="movinets_helper"))
    assert model_garden_yaml(dataset, MODEL_WINDOWS[0]) == ""


@pytest.mark.parametrize(
    "root", ["/srv/with: colon", '/srv/"quoted" \\ # no comment', "/srv/🎬 שלום", "/srv/two\nlines"]
)
def test_any_path_survives_the_quoting(root: str) -> None:
    task = yaml.safe_load(model_garden_yaml(replace(DATASET, root=root), MODEL_WINDOWS[0]))["task"]
    assert task["train_data"]["tfds_data_dir"] == root


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_survives_the_quoting(root: str) -> None:
    task = yaml.safe_load(model_garden_yaml(replace(DATASET, root=root), MODEL_WINDOWS[0]))["task"]
    assert task["train_data"]["tfds_data_dir"] == root


def test_the_words_say_what_happens_and_what_would_not() -> None:
    assert model_sentence(FIT) == (
        "MoViNet-A0 (windows of 50 frames, 5 a second): 90 of 96 clips are shorter and would be looped; 6 are longer, "
        "and a window shows a part of them. With plan.encoding.num_frames=50: none looped, none cut; 7 videos have "
        "fewer frames and repeat some."
    )
    [row] = model_rows([FIT])
    assert (row["looped"], row["cut"], row["fits_better"]) == (90, 6, "plan.encoding.num_frames=50")
