"""Which records of a shard are looked at closely: a seeded sample within a budget."""

from collections.abc import Sequence

from video_assets.domain.hashing import seeded_hash

MIN_SOURCE_COST = 2e8
"""Pixels of all frames of the videos that may always be decoded again to look at a shard: about a second's work."""
COMPARED_RECORDS = 3
"""Records of a shard that are looked at closely, at most."""


def compared_cost(costs: Sequence[float]) -> float:
    """How much of its clips' costs (pixels of all frames) may be spent on comparing a shard with its source."""
    return max(MIN_SOURCE_COST, 0.05 * sum(costs))


def choose_sample(costs: Sequence[float], *, seed_text: str, max_records: int, max_cost: float) -> list[int]:
    """Indices of the records to look at, ascending.

    They are at most `max_records`, and cost together at most `max_cost`; but never none. The order of
    preference hangs on the seed text alone. If nothing fits the budget, the cheapest is taken.

    >>> choose_sample([1, 1, 1, 1], seed_text="x", max_records=2, max_cost=4.0)
    [0, 3]
    """
    if not costs:
        return []
    budget = max_cost
    chosen: list[int] = []
    for index in sorted(range(len(costs)), key=lambda i: seeded_hash(i, seed_text)):
        if len(chosen) < max_records and costs[index] <= budget:
            chosen.append(index)
            budget -= costs[index]
    return sorted(chosen) or [min(range(len(costs)), key=lambda i: (costs[i], i))]
