"""Plots as SVG."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.report.charts import (
    MAX_BARS,
    Bar,
    Histogram,
    as_picture,
    bar_chart,
    histogram_chart,
    nice_histogram,
    share_chart,
)

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter(f"{SVG}text")]


def widths(svg: str, split: int) -> list[float]:
    """Of the bars of one part; the first is that of the legend."""
    nodes = ET.fromstring(svg).iter(f"{SVG}rect")
    return [float(node.attrib["width"]) for node in nodes if node.get("class") == f"split-{split}"][1:]


def test_bars_are_as_long_as_their_numbers() -> None:
    svg = bar_chart([Bar("run", [30, 10]), Bar("walk", [15, 5])], ["train", "test"], "balance")
    long, short = widths(svg, 0)
    assert long == pytest.approx(2 * short, abs=0.2)
    assert widths(svg, 1)[0] == pytest.approx(long / 3, abs=0.2)
    assert "30 + 10" in texts(svg)


def test_shares_are_cut_at_their_share_and_the_target_is_marked() -> None:
    svg = share_chart([Bar("run", [3, 1])], ["train", "test"], [0.8, 0.2], "balance")
    train, test = widths(svg, 0)[0], widths(svg, 1)[0]
    assert train == pytest.approx(3 * test, abs=0.2)
    [line] = ET.fromstring(svg).iter(f"{SVG}line")
    assert float(line.attrib["x1"]) == pytest.approx(190 + 0.8 * (train + test), abs=0.2)
    assert "75% : 25%" in texts(svg)


def test_of_very_many_classes_the_first_are_drawn_and_the_others_counted() -> None:
    svg = bar_chart([Bar(str(number), [1, 1]) for number in range(500)], ["train", "test"], "balance")
    assert len(widths(svg, 0)) == MAX_BARS
    assert texts(svg)[-1] == "and 460 more"


@given(st.text(max_size=30))
def test_no_name_breaks_a_picture(name: str) -> None:
    plain, hostile = (as_picture(bar_chart([Bar(n, [1, 2])], ["train", "test"], n)) for n in ("x", name))
    tags = [node.tag for node in ET.fromstring(hostile).iter()]
    assert tags == [node.tag for node in ET.fromstring(plain).iter()]


def test_edges_of_a_histogram_are_round_numbers() -> None:
    assert nice_histogram([1.0, 2.5, 2.6, 4.0], "s", max_bins=4) == Histogram(
        [1.0, 2.0, 3.0, 4.0, 5.0], [1, 2, 0, 1], "s"
    )
    assert nice_histogram([], "s") is None


def test_what_lies_far_above_is_counted_in_the_last_bin() -> None:
    found = nice_histogram([*np.linspace(1, 10, 999).tolist(), 5000.0], "s")
    assert found is not None
    assert found.total == 1000
    assert found.edges[-1] < 20
    assert found.has_more
    assert "and more" in found.sentence()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_a_histogram_counts_every_value_once_in_few_bins(values: list[float]) -> None:
    found = nice_histogram(values, "s")
    assert found is not None
    assert found.total == len(values)
    assert len(found.edges) == len(found.counts) + 1 <= 17
    assert found.edges[0] <= min(values) + 1e-6
    ET.fromstring(histogram_chart(found, "x"))
