"""Class names as they are stored, and their indices, which never change."""

import re
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from video_assets.domain.labels import append_labels, clean_label, label_indices, split_labels, stored_label

any_text = st.text(st.characters())
label_sets = st.sets(st.text("abc", min_size=1, max_size=3))


@given(st.lists(label_sets, max_size=6))
def test_a_label_keeps_its_index_for_ever(builds: list[set[str]]) -> None:
    labels: list[str] = []
    for found in builds:
        grown = append_labels(labels, found)
        assert grown[: len(labels)] == labels
        assert set(grown) == set(labels) | found
        assert len(set(grown)) == len(grown)
        labels = grown


def test_label_order_is_pinned() -> None:
    """Pinned: models are trained on these numbers. By code point at first; what is new comes after, sorted too."""
    first = append_labels([], ["walk", "Run", "run", "über", "10", "9"])
    assert first == ["10", "9", "Run", "run", "walk", "über"]
    assert append_labels(first, ["a", "Z", "run"]) == [*first, "Z", "a"]


def test_a_class_that_is_gone_keeps_its_index() -> None:
    assert append_labels(["run", "walk"], ["walk"]) == ["run", "walk"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jump", "jump"),
        (" jump\r\n", "jump"),
        ("two words", "two words"),
        ("a\nb", "a\\nb"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\u2028b", "a\\u2028b"),
        ("u\u0308ber", "über"),  # composed, so that two spellings are one class
        ("\udcff", "\\udcff"),
        ("<b>&|", "<b>&|"),  # escaped where it is shown, not where it is stored
        ("", ""),
        (" \t\n\u3000", ""),
    ],
)
def test_a_label_is_stored_on_one_line(text: str, expected: str) -> None:
    assert clean_label(text) == expected


@given(any_text)
def test_a_clean_label_survives_a_label_file(text: str) -> None:
    """As tensorflow-datasets reads one: UTF-8, a class a line, each line stripped, empty lines dropped."""
    label = clean_label(text)
    stored = label.encode("utf-8").decode("utf-8")
    assert stored.strip() == label
    assert len(stored.splitlines()) == (1 if label else 0)


@given(any_text)
@example("a\n\u0301")  # an accent that meets the n of a spelled-out newline
def test_a_clean_label_stays_as_it_is(text: str) -> None:
    assert clean_label(clean_label(text)) == clean_label(text)


names = st.text(st.characters(exclude_characters="|")).filter(clean_label)


@given(st.lists(names, min_size=1, max_size=6), st.randoms())
def test_labels_of_a_clip_are_stored_alike_however_they_are_written(labels: list[str], random: Random) -> None:
    stored = stored_label("|".join(labels), multi_label=True)
    again = [*labels, random.choice(labels)]
    random.shuffle(again)
    assert stored_label(" | ".join(again), multi_label=True) == stored
    parts = split_labels(stored, multi_label=True)
    assert parts == sorted({clean_label(label) for label in labels})
    assert stored_label(stored, multi_label=True) == stored


@pytest.mark.parametrize("text", ["a|", "|a", "a||b", "|", "a| \n|b"])
def test_a_part_without_a_name_is_refused(text: str) -> None:
    told = f"the labels are {text!r}; each part between | must name a class"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        stored_label(text, multi_label=True)


def test_a_bar_is_part_of_a_name_where_clips_have_one_label() -> None:
    assert stored_label(" a||b ", multi_label=False) == "a||b"
    assert split_labels("a||b", multi_label=False) == ["a||b"]
    assert label_indices("a|b", {"a": 0, "b": 1, "a|b": 7}, multi_label=False) == (7,)


def test_indices_stand_in_the_order_of_the_labels() -> None:
    assert label_indices("jump|run", {"run": 0, "jump": 4}, multi_label=True) == (4, 0)
    assert stored_label(" ", multi_label=True) == ""
