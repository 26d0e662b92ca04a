"""The dataset card."""

import pytest

from video_assets.domain.encoding import Encoding
from video_assets.domain.splits import Split
from video_assets.report.card import card_markdown


def card(labels: list[str]) -> str:
    records: dict[Split, int] = {"train": 12, "test": 3}
    num_bytes: dict[Split, int] = {"train": 2_100_000, "test": 500_000}
    return card_markdown("clips", "2.0.0", Encoding(resolution=64), labels, records, num_bytes)


def test_the_card_says_what_there_is() -> None:
    text = card(["run", "walk"])
    assert text.startswith("# clips 2.0.0\n")
    assert "| train | 12 | 2.1 |\n| test | 3 | 0.5 |\n" in text
    assert "Classes: 0 run, 1 walk\n" in text
    assert text.endswith("```\n")


def test_the_card_shows_every_setting() -> None:
    text = card(["run"])
    for name, value in Encoding(resolution=64).as_dict().items():
        assert f"| {name} | {value} |\n" in text


def test_the_card_shows_how_to_read_the_dataset_in_both_ways() -> None:
    text = card(["run"])
    assert 'tfds.builder_from_directory("path/to/clips/2.0.0")' in text
    assert 'load_dataset("path/to/clips/2.0.0", "train")' in text


@pytest.mark.parametrize("label", ["<img src=x onerror=alert(1)>", "a|b", "[x](javascript:y)", "two\nlines", "`code`"])
def test_a_label_cannot_become_markup(label: str) -> None:
    text = card([label])
    assert label not in text
    assert len(text.splitlines()) == len(card(["plain"]).splitlines())


def test_the_same_dataset_has_the_same_card() -> None:
    assert card(["run", "walk"]) == card(["run", "walk"])


def test_the_card_names_the_readers_of_its_layout() -> None:
    records: dict[Split, int] = {"train": 1, "test": 1}
    tfds = card_markdown("clips", "1.0.0", Encoding(), ["run"], records, records)
    sequence = card_markdown("clips", "1.0.0", Encoding(layout="sequence_example"), ["run"], records, records)
    assert 'tfds.builder_from_directory("path/to/clips/1.0.0")' in tfds
    assert "tensorflow_datasets" not in sequence
    assert "path/to/clips/1.0.0/clips-train-*.tfrecord" in sequence
