"""The model of docs/SCALING.md: what it says is what its figures give, and it behaves as such a thing must."""

import json
import math
from pathlib import Path

import pytest

from tools.benchmarks.scaling import CLIPS, Figures, fit_bookkeeping, predict, print_model

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def figures() -> Figures:
    return Figures(**json.loads((DOCS / "scaling-figures.json").read_text("utf-8")))


def test_the_table_of_the_page_is_what_its_figures_give(figures: Figures, capsys: pytest.CaptureFixture[str]) -> None:
    print_model(figures)
    table = capsys.readouterr().out.partition("\n\n")[2].splitlines()[1:]
    assert len(table) == 1 + len(CLIPS)
    page = (DOCS / "SCALING.md").read_text("utf-8")
    assert [line.rstrip() for line in table if line.rstrip() not in page] == []


def test_cores_shorten_the_encoding_alone_and_never_beyond_a_shard_each(figures: Figures) -> None:
    one, hundred, many = (predict(figures, 1_000_000, cores) for cores in (1, 100, 10**6))
    assert one.encoding_hours == pytest.approx(1_000_000 * figures.encode_seconds / 3600, rel=0.01)
    assert hundred.encoding_hours == pytest.approx(one.encoding_hours / 100, rel=0.05)
    assert many.encoding_hours == pytest.approx(one.encoding_hours / one.num_shards)
    assert one.driver_hours == hundred.driver_hours == many.driver_hours


def test_look_alikes_grow_with_the_square_and_the_rest_in_a_line(figures: Figures) -> None:
    small, large = predict(figures, 1_000_000, 1), predict(figures, 10_000_000, 1)
    assert large.look_alike_hours == pytest.approx(100 * small.look_alike_hours)
    for name in ("probing_hours", "bookkeeping_hours", "checking_hours", "request_hours", "memory_gb", "num_requests"):
        assert getattr(large, name) == pytest.approx(10 * getattr(small, name), rel=0.02), name


def test_a_step_that_was_ended_for_its_memory_is_fitted_from_the_sizes_that_it_stood() -> None:
    steps = ("manifest, first", "splits, first", "plan, first", "commit, all committed")
    results = {
        size: {name: {"seconds": size / 1e4, "peak_mb": 100 + size / 1e3} for name in steps} for size in (10**4, 10**5)
    }
    results[10**4]["look-alikes"] = {"seconds": 9.0, "peak_mb": 1}
    results[10**6] = {name: {"seconds": math.nan, "peak_mb": 13_000} for name in steps}
    seconds, memory, pair_seconds = fit_bookkeeping(results)
    assert seconds == pytest.approx(4e-4)
    assert memory == pytest.approx(dict.fromkeys(steps, 1000))
    assert pair_seconds == pytest.approx(1e-6)
