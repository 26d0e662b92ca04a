"""The dataset card, as text and as a page."""

import base64
import hashlib
import html.parser
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.checks import CheckOutcome
from video_assets.domain.encoding import Encoding
from video_assets.report.card import (
    MAX_CLASS_ROWS,
    MAX_ROWS,
    Card,
    Change,
    ClassRow,
    LostRow,
    SplitTotals,
    card_html,
)
from video_assets.report.card_markdown import card_markdown
from video_assets.report.charts import nice_histogram
from video_assets.report.contact_sheet import SampledClip
from video_assets.report.escape import markdown_text, visible
from video_assets.report.reader_code import reader_lines, record_features
from video_assets.setting_types import Layout

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)</script>",
    "\"quoted\" & 'twice'",
    "a|b",
    "[x](javascript:y)",
    "two\nlines",
    "`code`",
    "{{ 7 * 7 }}{% raw %}",
    "😀 كلب",
    "\u202egpj.mp4",
    "nul\0 and \ud800 half",
    "</title></svg><b>",
]


def a_card(labels: list[str], layout: Layout = "tfds", **values: Any) -> Card:
    card = Card(
        name="clips",
        version="2.0.0",
        encoding=Encoding(resolution=64, layout=layout),
        splits=[SplitTotals("train", 12, 2, 2_100_000), SplitTotals("test", 3, 1, 500_000)],
        classes=[ClassRow(index, label, {"train": 4 + index, "test": 1}) for index, label in enumerate(labels)],
        durations=nice_histogram([1.0, 2.5, 3.0], "seconds"),
        motion=nice_histogram([2.0, 2.5, 9.0], "grey levels"),
        hours=0.5,
        licence="",
        source="videos",
        digest="d" * 64,
        versions={"av": "18.1.0"},
        readers=reader_lines("clips", "2.0.0", Encoding(layout=layout)),
        lost_by_reason={},
        quarantine=[],
        checks=[CheckOutcome(name="no_leakage", passed=True, description="no group is in two splits")],
        changes=None,
    )
    return replace(card, **values)


def a_clip(label: str, clip_id: str = "run/a.mp4") -> SampledClip:
    frames = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), np.uint8)
    return SampledClip(clip_id, label, frames, [0, 500_000, 1_000_000, 1_500_000])


class Tags(html.parser.HTMLParser):
    """Tags of a page with their attributes, and all text that can be read."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.tags]


def test_the_card_says_what_there_is() -> None:
    text = card_markdown(a_card(["run", "walk"]))
    assert "---\n\n# clips 2.0.0\n\n" in text
    assert "15 labelled clips of 2 classes, 30.0 minutes of video, 2.6 MB." in text
    assert "| train | 12 | 2 | 2.1 |\n| test | 3 | 1 | 0.5 |\n" in text
    assert "| 0 | run | 4 | 1 |\n| 1 | walk | 5 | 1 |\n" in text
    assert "Durations: 3 clips from 1 to 3.2 seconds" in text
    assert "Licence: none given; say it with dataset.licence\n" in text
    assert text.endswith("This is the first commit of this version.\n")


def test_both_cards_show_every_setting_that_makes_a_difference() -> None:
    text, page = card_markdown(a_card(["run"])), card_html(a_card(["run"]), [])
    assert "fps" not in Encoding(resolution=64).used()
    assert '<th scope="row">fps</th>' not in page
    for name, value in Encoding(resolution=64).used().items():
        assert (
            f"| {markdown_text(name)} | {value if isinstance(value, int | float) else markdown_text(str(value))} |\n"
            in text
        )
        assert f'<th scope="row">{name}</th><td>{value}</td>' in page


def test_both_cards_tell_licence_quarantine_changes_and_checks() -> None:
    card = a_card(
        ["run"],
        licence="CC BY 4",
        lost_by_reason={"unreadable": 2},
        quarantine=[LostRow("broken", "unreadable", "it is no video")],
        changes=[Change("added", 7, ["run/new"])],
        checks=[CheckOutcome(name="no leakage", passed=False, severity="WARN", description="one looks like another")],
    )
    for text in (card_markdown(card), Tags(card_html(card, [])).text):
        for words in ("CC BY 4", "2 clips could not be used (2 unreadable)", "it is no video", "run/new", "warning"):
            assert words in text
        assert "one looks like another" in text


@pytest.mark.parametrize(
    ("layout", "line", "not_there"),
    [
        ("tfds", 'tfds.builder_from_directory("path/to/clips/2.0.0")', "parse_single"),
        ("sequence_example", 'GFile("path/to/clips/2.0.0/dataset_info.json")', "tensorflow_datasets"),
        ("movinets_helper", 'compression_type="GZIP"', "tensorflow_datasets"),
    ],
)
def test_both_cards_show_how_each_reader_of_the_layout_reads(layout: Layout, line: str, not_there: str) -> None:
    card = a_card(["run"], layout)
    for text in (card_markdown(card), Tags(card_html(card, [])).text):
        assert line in text
        assert not_there not in text
        assert 'load_dataset("path/to/clips/2.0.0", "train")' in text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_cannot_become_markup_in_text(name: str) -> None:
    text = card_markdown(a_card([name]))
    assert len(text.splitlines()) == len(card_markdown(a_card(["plain"])).splitlines())
    assert "<script" not in text
    assert "<img" not in text


def hostile_card(name: str) -> Card:
    return a_card(
        [name],
        licence=name,
        source=name,
        quarantine=[LostRow(name, "unreadable", name)],
        lost_by_reason={"unreadable": 1},
        changes=[Change("added", 1, [name])],
        checks=[CheckOutcome(name="no_leakage", passed=True, description=name)],
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_read_as_it_is_on_the_page_and_adds_no_tag(name: str) -> None:
    found = Tags(card_html(hostile_card(name), [a_clip(name, name)]))
    assert found.names == Tags(card_html(hostile_card("plain"), [a_clip("plain", "plain")])).names
    assert found.names.count("script") == 1
    assert found.text.count(visible(name)) >= 8
    [picture] = [attributes for tag, attributes in found.tags if tag == "img"]
    assert picture["alt"] == f"4 frames of a clip of {visible(name)}: {visible(name)}"


@given(st.text(max_size=40))
def test_no_text_adds_a_tag_to_the_page(name: str) -> None:
    assert Tags(card_html(hostile_card(name), [])).names == Tags(card_html(hostile_card("x"), [])).names


def test_the_page_needs_nothing_else() -> None:
    page = card_html(a_card(["run"]), [a_clip("run")])
    for _, attributes in Tags(page).tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/jpeg;base64,"))
        assert not [name for name in attributes if name.startswith("on")]
    assert "default-src 'none'" in page
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page  # the page's own script runs, and no other
    assert "url(" not in page.replace(script, "")
    assert re.findall(r"url\(([^)]*)\)", script) == ["${strip.src}"]  # a picture that is in the page already


def test_every_picture_and_plot_has_words_for_those_who_cannot_see_it() -> None:
    found = Tags(card_html(a_card(["run"]), [a_clip("run")]))
    assert [a["alt"] for tag, a in found.tags if tag == "img"] == ["4 frames of a clip of run: run/a.mp4"]
    assert [a["aria-label"] for tag, a in found.tags if tag == "svg"] == [
        "Clips of each class in train and test",
        "3 clips from 1 to 3.2 seconds; most, 1, between 1 and 1.2 seconds",
        "3 clips from 2 to 9.5 grey levels; most, 1, between 2 and 2.5 grey levels",
    ]


def test_a_third_split_has_a_column_and_a_colour() -> None:
    splits = [SplitTotals(name, 5, 1, 10) for name in ("train", "test", "val")]
    card = a_card(["run"], splits=splits, classes=[ClassRow(0, "run", {"train": 3, "test": 1, "val": 2})])
    assert "| 0 | run | 3 | 1 | 2 |" in card_markdown(card)
    assert 'class="split-2"' in card_html(card, [])


def test_the_same_dataset_has_the_same_card() -> None:
    card = a_card(["run", "walk"])
    assert card_html(card, [a_clip("run")]) == card_html(card, [a_clip("run")])
    assert card_markdown(card) == card_markdown(card)


def test_a_card_of_very_many_classes_stays_small_and_says_what_it_leaves_out() -> None:
    card = a_card([f"class {number}" for number in range(5000)])
    text, page = card_markdown(card), card_html(card, [])
    assert f"And {5000 - MAX_ROWS} more classes: `label.labels.txt` names them in order." in text
    assert f"And {5000 - MAX_CLASS_ROWS} more: label.labels.txt names them in order." in page
    assert len(page) < 500_000


@pytest.mark.parametrize(
    ("licence", "lines"),
    [
        ("", []),
        ("CC BY 4.0", ["license: cc-by-4.0"]),
        ('ours: "internal"', ["license: other", r'license_name: "ours: \"internal\""']),
    ],
)
def test_hugging_face_reads_the_front_matter(licence: str, lines: list[str]) -> None:
    text = card_markdown(a_card(["run"], licence=licence))
    head, title = text.split("---\n\n")[0], text.split("---\n\n")[1]
    assert [line for line in head.splitlines() if line.startswith("license")] == lines
    found = yaml.safe_load(head.removeprefix("---\n"))
    assert found["task_categories"] == ["video-classification"]
    assert found["size_categories"] == ["n<1K"]
    assert title.startswith("# clips 2.0.0")


def test_what_has_to_be_known_comes_first() -> None:
    failed = CheckOutcome(name="no_leakage", passed=False, severity="WARN", description="a looks like b")
    card = a_card(["run"], checks=[failed], warnings=["a and b"])
    for text in (card_markdown(card), card_html(card, [])):
        assert 0 < text.index("a looks like b") < text.index("a and b") < text.rindex("Changes since the commit before")
    assert "Warnings" not in card_markdown(a_card(["run"], checks=[]))


def test_citation_and_intended_use_are_shown_as_they_were_given() -> None:
    card = a_card(["run"], citation="@misc{a,\n  title={T}\n}", intended_use="gestures; <b>not</b> faces")
    for text in (card_markdown(card), Tags(card_html(card, [])).text):
        assert "@misc{a,\n  title={T}\n}" in text
        assert "gestures; " in text
    assert "<b>not</b>" not in card_html(card, [])


@pytest.mark.parametrize(
    ("layout", "fields"),
    [
        ("tfds", ["video", "label", "id", "source", "timestamps_us"]),
        ("sequence_example", ["image/encoded", "image/timestamp", "clip/label/index"]),
        ("movinets_helper", ["n_frames, n_channels", "width, height"]),
    ],
)
def test_the_card_says_which_fields_a_record_has(layout: Layout, fields: list[str]) -> None:
    found = [feature.name for feature in record_features(Encoding(layout=layout))]
    assert set(fields) <= set(found)
    for name in found:
        assert name in Tags(card_html(a_card(["run"], layout), [])).text


def test_a_picture_says_which_split_its_clip_is_in() -> None:
    page = Tags(card_html(a_card(["run"]), [replace(a_clip("run"), split="test")]))
    assert "test · " in page.text
