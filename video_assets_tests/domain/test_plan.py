"""The plan: shards are immutable, growth opens new ones, and only what must be is superseded."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.encoding import Encoding
from video_assets.domain.plan import PlannedClip, ShardAssignment, ShardPlan, assign_shards, shard_fingerprint

Shards = Mapping[int, tuple[str, ...]]


def rows(*numbers: int) -> list[str]:
    return [f"r{number}" for number in numbers]


def build(present: list[str], before: ShardAssignment | None, clips_per_shard: int, seed: int = 0) -> ShardAssignment:
    return assign_shards(
        present,
        before.shards if before else {},
        num_shards=before.num_shards if before else 0,
        clips_per_shard=clips_per_shard,
        seed=seed,
    )


histories = st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=7)
"""Which rows are there at each of several builds: any sequence of arrivals and deletions."""
sizes = st.integers(1, 7)


def play(history: list[set[int]], clips_per_shard: int) -> list[ShardAssignment]:
    builds: list[ShardAssignment] = []
    for present in history:
        builds.append(build(rows(*present), builds[-1] if builds else None, clips_per_shard))
    return builds


@given(histories, sizes)
def test_each_row_is_in_exactly_one_shard(history: list[set[int]], clips_per_shard: int) -> None:
    for present, plan in zip(history, play(history, clips_per_shard), strict=True):
        placed = Counter(row for members in plan.shards.values() for row in members)
        assert placed == Counter(rows(*present))


@given(histories, sizes)
def test_the_rows_of_a_shard_never_change(history: list[set[int]], clips_per_shard: int) -> None:
    ever: dict[int, tuple[str, ...]] = {}
    for plan in play(history, clips_per_shard):
        for index, members in plan.shards.items():
            assert ever.setdefault(index, members) == members


@given(histories, sizes)
def test_an_index_is_never_used_again(history: list[set[int]], clips_per_shard: int) -> None:
    before = ShardAssignment({}, 0, (), ())
    for plan in play(history, clips_per_shard):
        assert list(plan.added) == list(range(before.num_shards, plan.num_shards))
        assert set(plan.shards) == set(before.shards) - set(plan.superseded) | set(plan.added)
        assert set(plan.superseded) <= set(before.shards)
        before = plan


@given(histories, sizes)
def test_no_shard_is_empty_or_holds_more_than_asked_for(history: list[set[int]], clips_per_shard: int) -> None:
    for plan in play(history, clips_per_shard):
        assert all(1 <= len(members) <= clips_per_shard for members in plan.shards.values())


@given(histories, sizes)
def test_only_shards_that_lost_a_row_and_at_most_one_that_is_not_full_are_superseded(
    history: list[set[int]], clips_per_shard: int
) -> None:
    before = ShardAssignment({}, 0, (), ())
    for present, plan in zip(history, play(history, clips_per_shard), strict=True):
        lost_a_row = {i for i, members in before.shards.items() if not set(members) <= set(rows(*present))}
        others = set(plan.superseded) - lost_a_row
        assert lost_a_row <= set(plan.superseded)
        assert len(others) <= 1
        assert all(len(before.shards[i]) < clips_per_shard for i in others)
        before = plan


@given(histories, sizes, st.sets(st.integers(0, 30), min_size=1))
def test_deletions_and_changes_reopen_no_other_shard(
    history: list[set[int]], clips_per_shard: int, gone: set[int]
) -> None:
    before = play(history, clips_per_shard)[-1]
    there = history[-1]
    harmed = {i for i, members in before.shards.items() if set(members) & set(rows(*gone))}
    assert set(build(rows(*there - gone), before, clips_per_shard).superseded) == harmed
    changed = [f"{row} changed" for row in rows(*there & gone)]
    again = build(rows(*there - gone) + changed, before, clips_per_shard)
    assert set(again.superseded) == harmed
    assert len(again.added) <= len(harmed)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), sizes)
def test_without_deletions_at_most_one_shard_is_not_full(arrivals: list[int], clips_per_shard: int) -> None:
    plan, count = None, 0
    for number in arrivals:
        count += number
        plan = build(rows(*range(count)), plan, clips_per_shard)
        assert sum(len(members) < clips_per_shard for members in plan.shards.values()) <= 1


def test_arrivals_fill_the_emptiest_shard() -> None:
    first = build(rows(*range(8)), None, 4)
    one, other = first.shards.values()
    holed = build([*one[:3], *other[:2]], first, 4)
    assert [len(members) for members in holed.shards.values()] == [4, 1]
    holed = build([*one[:3], *other], first, 4)
    assert [len(members) for members in holed.shards.values()] == [4, 3]
    twice = build([*one[:3], *other[:2]], holed, 4)
    assert sorted(map(len, twice.shards.values())) == [2, 3]
    filled = build([*one[:3], *other[:2], "new"], twice, 4)
    assert sorted(map(len, filled.shards.values())) == [3, 3]


@given(histories, sizes, st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(
    history: list[set[int]], clips_per_shard: int, shuffler: random.Random
) -> None:
    before = None
    for present in history:
        shuffled = rows(*present)
        shuffler.shuffle(shuffled)
        plan = build(rows(*present), before, clips_per_shard)
        assert build(shuffled, before, clips_per_shard) == plan
        before = plan


@given(histories, sizes)
def test_building_again_changes_nothing(history: list[set[int]], clips_per_shard: int) -> None:
    plan = play(history, clips_per_shard)[-1]
    again = build(rows(*history[-1]), plan, clips_per_shard)
    assert again == ShardAssignment(plan.shards, plan.num_shards, (), ())


def test_growth_opens_new_shards_and_replaces_a_last_partial_one() -> None:
    first = build(rows(1, 2, 3, 4, 5), None, 2)
    assert [len(members) for members in first.shards.values()] == [2, 2, 1]
    grown = build(rows(1, 2, 3, 4, 5, 6), first, 2)
    assert (grown.added, grown.superseded, grown.num_shards) == ((3,), (2,), 4)
    assert set(grown.shards[3]) == {*first.shards[2], "r6"}


def test_growth_after_full_shards_supersedes_none() -> None:
    first = build(rows(1, 2, 3, 4), None, 2)
    grown = build(rows(1, 2, 3, 4, 5), first, 2)
    assert (grown.added, grown.superseded) == ((2,), ())


def test_a_changed_row_supersedes_only_its_own_shard() -> None:
    first = build(rows(1, 2, 3, 4, 5, 6), None, 2)
    changed = first.shards[1][0]
    present = [row for row in rows(1, 2, 3, 4, 5, 6) if row != changed]
    again = build([*present, f"{changed} changed"], first, 2)
    assert again.superseded == (1,)
    assert again.shards[3] in ((first.shards[1][1], f"{changed} changed"), (f"{changed} changed", first.shards[1][1]))


def test_deleting_everything_leaves_no_shard_and_keeps_the_count() -> None:
    first = build(rows(1, 2, 3), None, 2)
    empty = build([], first, 2)
    assert (empty.shards, empty.superseded, empty.num_shards) == ({}, (0, 1), 2)
    assert build(rows(1, 2, 3), empty, 2).added == (2, 3)


def test_an_index_that_is_taken_is_not_given_again_whatever_the_count_says() -> None:
    first = build(rows(1, 2, 3, 4), None, 2)
    grown = assign_shards(rows(1, 2, 3, 4, 5), first.shards, num_shards=1, clips_per_shard=2, seed=0)
    assert (grown.added, grown.num_shards) == ((2,), 3)
    assert sorted(row for members in grown.shards.values() for row in members) == rows(1, 2, 3, 4, 5)


def test_smaller_shards_leave_the_larger_ones_alone() -> None:
    first = build(rows(1, 2, 3, 4), None, 4)
    grown = build(rows(1, 2, 3, 4, 5), first, 1)
    assert grown.superseded == ()
    assert grown.shards == {**first.shards, 1: ("r5",)}


def test_another_seed_gives_another_order() -> None:
    many = rows(*range(30))
    assert build(many, None, 10, seed=0).shards != build(many, None, 10, seed=1).shards


def test_an_assignment_to_shards_is_pinned() -> None:
    """Pinned: another order gives other bytes for the same source and settings."""
    plan = build(rows(*range(7)), None, 3)
    assert plan.shards == {0: ("r4", "r5", "r0"), 1: ("r1", "r3", "r6"), 2: ("r2",)}


def test_a_shard_of_no_clips_is_refused() -> None:
    with pytest.raises(ValueError, match="clips_per_shard is 0; it must be at least 1"):
        build(rows(1), None, 0)


def test_a_row_that_is_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="a row is listed twice among the rows to place"):
        build(rows(1, 1), None, 2)


# --- fingerprints ---------------------------------------------------------------------------------

WHOLE = PlannedClip("a/b.mp4", "a/b.mp4", "00ff", "a", 0)
SPAN = PlannedClip("c/d.mp4#t=1,2", "c/d.mp4", "11ee", "c", 1, 1.0, 2.0, "x")


def test_a_row_digest_is_pinned() -> None:
    """Pinned: plans on disk name their rows by it; another value supersedes every shard there is."""
    assert WHOLE.row_digest() == "76d0623c1927cd850ac4526f4659e4294a1622066962629be374630da0191850"


def test_a_shard_fingerprint_is_pinned() -> None:
    """Pinned: sidecars on disk hold it; another value makes every shard of every dataset stale."""
    first = ShardPlan("train", 0, (WHOLE, SPAN), Encoding(encoder_version=1)).fingerprint()
    assert first == "ad518d3c9f2295a99bb2e3976ff7fcd7131ff37a807bb1badb72e351c80d4537"
    newest = ShardPlan("train", 0, (WHOLE, SPAN), Encoding()).fingerprint()
    assert newest == "65583398060f336c858dc591703c1c7afa8ac1d1f1bba0bfd9ce7a8de9fb5c61"


def test_a_clip_of_several_labels_is_another_row_by_each_of_their_indices() -> None:
    """Its digest is pinned as well."""
    several = replace(WHOLE, label="a|b|c", other_label_indices=(1, 2))
    others = [
        replace(several, other_label_indices=(1, 3)),
        replace(several, other_label_indices=(2, 1)),
        replace(several, label="a|b|d"),
        replace(several, other_label_indices=()),
    ]
    assert several.label_indices == (0, 1, 2)
    assert several.row_digest() == "45e366d6e891bf1111434cb3850f822ac908bc839bd14557482ea2080f07d0ce"
    assert len({clip.row_digest() for clip in [WHOLE, several, *others]}) == 6


def test_each_field_of_a_row_changes_its_digest() -> None:
    others = [
        PlannedClip("z", "a/b.mp4", "00ff", "a", 0),
        PlannedClip("a/b.mp4", "z", "00ff", "a", 0),
        PlannedClip("a/b.mp4", "a/b.mp4", "z", "a", 0),
        PlannedClip("a/b.mp4", "a/b.mp4", "00ff", "z", 0),
        PlannedClip("a/b.mp4", "a/b.mp4", "00ff", "a", 9),
        PlannedClip("a/b.mp4", "a/b.mp4", "00ff", "a", 0, 0.0),
        PlannedClip("a/b.mp4", "a/b.mp4", "00ff", "a", 0, None, 0.0),
        PlannedClip("a/b.mp4", "a/b.mp4", "00ff", "a", 0, None, None, ""),
    ]
    assert len({clip.row_digest() for clip in [WHOLE, *others]}) == 9


def test_rows_order_and_each_setting_change_the_fingerprint() -> None:
    encoding = Encoding()
    changed = [
        Encoding(layout="sequence_example"),
        Encoding(sampling="fps"),
        Encoding(num_frames=11),
        Encoding(fps=6),
        Encoding(max_frames=1),
        Encoding(resolution=225),
        Encoding(resize="letterbox"),
        Encoding(image_format="png"),
        Encoding(jpeg_quality=94),
        Encoding(short_clip="loop"),
    ]
    assert len(changed) == len(encoding.as_dict())
    fingerprints = [shard_fingerprint(["a", "b"], each) for each in [encoding, *changed]]
    fingerprints += [shard_fingerprint(order, encoding) for order in (["b", "a"], ["a"], ["ab"], [])]
    assert len(set(fingerprints)) == len(fingerprints)


def test_where_a_shard_lies_is_not_part_of_its_fingerprint() -> None:
    assert (
        ShardPlan("train", 0, (WHOLE,), Encoding()).fingerprint()
        == ShardPlan("test", 7, (WHOLE,), Encoding()).fingerprint()
    )
