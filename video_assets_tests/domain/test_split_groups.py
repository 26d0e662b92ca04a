"""Which clips must stay together: one group, one content, and every chain of both."""

import random

from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.splits import component_keys, join_components

clips = st.lists(st.tuples(st.none() | st.sampled_from("abcd"), st.sampled_from(["h1", "h2", "h3", "h4", "h5"])))


def join(rows: list[tuple[str | None, str]]) -> list[int]:
    return join_components([group for group, _ in rows], [content for _, content in rows]).tolist()


def keys(rows: list[tuple[str | None, str]]) -> list[str]:
    """The key of every row's component."""
    groups, contents = [group for group, _ in rows], [content for _, content in rows]
    components = join_components(groups, contents)
    found = component_keys(components, groups, contents)
    return [found[component] for component in components.tolist()]


def closure(rows: list[tuple[str | None, str]]) -> list[set[int]]:
    """The slow, plain way: join neighbours until nothing changes."""
    members = [{i} for i in range(len(rows))]
    changed = True
    while changed:
        changed = False
        for i, (group, content) in enumerate(rows):
            for j, (other_group, other_content) in enumerate(rows):
                is_joined = content == other_content or (group is not None and group == other_group)
                if is_joined and members[i] != members[j]:
                    members[i] = members[j] = members[i] | members[j]
                    changed = True
    return members


def test_clips_of_one_group_stay_together() -> None:
    assert join([("a", "h1"), ("b", "h2"), ("a", "h3")]) == [0, 1, 0]


def test_clips_of_one_content_stay_together_whatever_their_groups() -> None:
    assert join([("a", "h1"), ("b", "h1"), (None, "h1")]) == [0, 0, 0]


def test_a_chain_of_groups_and_contents_is_one_component() -> None:
    assert join([("a", "h1"), ("b", "h2"), ("b", "h1"), ("c", "h2"), ("d", "h9")]) == [0, 0, 0, 0, 1]


def test_no_group_joins_nothing() -> None:
    assert join([(None, "h1"), (None, "h2")]) == [0, 1]


def test_a_group_named_like_a_content_joins_nothing() -> None:
    assert join([("h2", "h1"), (None, "h2")]) == [0, 1]
    assert keys([("h2", "h1"), (None, "h2")]) == ["0h2", "1h2"]


def test_no_clips_have_no_components() -> None:
    assert join([]) == []
    assert keys([]) == []


@given(clips)
def test_components_are_the_closure_of_group_and_content(rows: list[tuple[str | None, str]]) -> None:
    found, expected = join(rows), closure(rows)
    assert [{j for j, other in enumerate(found) if other == mine} for mine in found] == expected


@given(clips)
def test_components_are_numbered_by_their_first_clip(rows: list[tuple[str | None, str]]) -> None:
    found = join(rows)
    assert list(dict.fromkeys(found)) == list(range(len(set(found))))


@given(clips)
def test_each_component_has_a_key_of_its_own(rows: list[tuple[str | None, str]]) -> None:
    assert len(set(keys(rows))) == len(set(join(rows)))


@given(clips, st.randoms(use_true_random=False))
def test_keys_depend_on_the_members_and_not_on_their_order(
    rows: list[tuple[str | None, str]], shuffler: random.Random
) -> None:
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert sorted(zip(shuffled, keys(shuffled), strict=True), key=str) == sorted(
        zip(rows, keys(rows), strict=True), key=str
    )


def test_the_key_of_a_component_is_pinned() -> None:
    """Pinned: splits are drawn by these keys, so another key is another split."""
    assert keys([("g2", "aa"), ("g1", "aa"), (None, "ff")]) == ["0g1", "0g1", "1ff"]
