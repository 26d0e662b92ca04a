"""Which records are looked at closely."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.checks import choose_sample

costs_lists = st.lists(st.floats(0, 1e9), min_size=1, max_size=30)


def choose(costs: list[float], max_records: int = 3, fraction: float = 1.0, seed_text: str = "x") -> list[int]:
    return choose_sample(costs, seed_text=seed_text, max_records=max_records, max_cost=fraction * sum(costs))


@given(costs_lists, st.integers(1, 10), st.floats(0, 1), st.text())
def test_the_sample_keeps_to_its_limits_and_is_never_empty(
    costs: list[float], max_records: int, fraction: float, seed_text: str
) -> None:
    chosen = choose(costs, max_records, fraction, seed_text)
    assert 1 <= len(chosen) <= max_records
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(len(costs)))
    if len(chosen) > 1:
        assert sum(costs[i] for i in chosen) <= fraction * sum(costs) * (1 + 1e-9) + 1e-9


def test_if_nothing_fits_the_cheapest_is_taken() -> None:
    assert choose([5, 3, 9, 3], fraction=0.01) == [1]


def test_a_record_too_dear_is_passed_over_for_the_next() -> None:
    # Six clips of one second and one of a hundred: a tenth of the cost buys the six, never the one.
    chosen = choose([1, 1, 1, 100, 1, 1, 1], max_records=7, fraction=0.1)
    assert chosen == [0, 1, 2, 4, 5, 6]


def test_a_full_budget_takes_all_records() -> None:
    assert choose([1, 2, 3], max_records=9) == [0, 1, 2]


def test_no_records_give_no_sample() -> None:
    assert choose([]) == []


def test_another_text_gives_another_sample() -> None:
    samples = {tuple(choose([1.0] * 50, seed_text=f"day {day}")) for day in range(20)}
    assert len(samples) > 15


@pytest.mark.parametrize("num_records", [10, 50])
def test_over_many_days_every_record_is_looked_at(num_records: int) -> None:
    seen = {index for day in range(200) for index in choose([1.0] * num_records, seed_text=f"day {day}")}
    assert seen == set(range(num_records))


def test_a_sample_is_pinned() -> None:
    """Pinned: it hangs on the seed text alone, so that a check can be repeated on the very same records."""
    assert choose([1, 1, 1, 1], max_records=2) == [0, 3]
