"""Digests that name things on disk: their values are for ever."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.domain.hashing import json_digest, seeded_hash


@pytest.mark.parametrize(
    ("seed", "key", "expected"),
    [
        (0, "", 16476032584258269876),
        (0, "clip", 16179822744722420691),
        (-1, "clip", 6503213581062181858),
        (7, "über/日本.mp4", 7614731454087693142),
    ],
)
def test_seeded_hash_is_pinned(seed: int, key: str, expected: int) -> None:
    """Pinned: another value reassigns splits, reorders shards and samples, in every dataset that exists."""
    assert seeded_hash(seed, key) == expected


def test_json_digest_is_pinned() -> None:
    """Pinned: another value makes every shard of every dataset stale."""
    digest = "a23f2026da7141760f6eab8979e0a006e3d6b959fb01cff0cf750546df82e797"
    assert json_digest({"b": 1, "a": [None, True, 1.5, "ü"]}) == digest


def test_json_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert json_digest({"a": 1, "b": 2}) == json_digest({"b": 2, "a": 1})


def test_json_digest_tells_like_values_apart() -> None:
    values = [None, "", [], {}, 0, 0.0, "0", False, [""], [[]], "None", [0], [0, 0], ["0"]]
    assert len({json_digest(value) for value in values}) == len(values)


def test_json_digest_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_digest([float("nan")])


@given(st.text(st.characters()), st.integers(-(2**63), 2**63 - 1))
def test_every_text_and_seed_has_a_64_bit_hash(key: str, seed: int) -> None:
    assert 0 <= seeded_hash(seed, key) < 2**64
    assert seeded_hash(seed, key) == seeded_hash(seed, key)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(st.characters()), st.lists))
def test_equal_values_have_equal_digests(value: object) -> None:
    copy = json.loads(json.dumps(value))
    assert json_digest(copy) == json_digest(value)


def test_a_name_that_is_not_utf8_can_be_hashed() -> None:
    assert seeded_hash(0, "\udcff") != seeded_hash(0, "\udcfe")
    assert json_digest("\udcff") != json_digest("\udcfe")
