"""Comparing signatures: the right pairs, exact distances, and enough speed for real splits."""

import time
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from video_assets.domain import near_duplicates as module
from video_assets.domain.near_duplicates import (
    MAX_DISTANCE,
    NUM_BITS,
    SIGNATURE_BYTES,
    Comparison,
    NearDuplicate,
    near_duplicates,
)

Bits = NDArray[np.bool_]


def signature(picture: Bits, known: Bits | None = None) -> bytes:
    """Bits as the bytes of a signature; all are known unless it is said which."""
    known = np.ones(NUM_BITS, np.bool_) if known is None else known
    return np.packbits([picture & known, known], axis=1).tobytes()


def random_bits(seed: int) -> Bits:
    return np.random.default_rng(seed).random(NUM_BITS) < 0.5


def flipped(bits: Bits, num_flips: int, seed: int = 99) -> Bits:
    changed = bits.copy()
    changed[np.random.default_rng(seed).permutation(NUM_BITS)[:num_flips]] ^= True
    return changed


def random_signatures(num_clips: int, prefix: str, seed: int) -> dict[str, bytes]:
    """Signatures with a fifth of the bits unknown, as real clips have."""
    random = np.random.default_rng(seed)
    known = random.random((num_clips, NUM_BITS)) < 0.8
    picture = (random.random((num_clips, NUM_BITS)) < 0.5) & known
    rows = np.packbits(np.stack([picture, known], axis=1), axis=2)
    return {f"{prefix}{index:05d}": row.tobytes() for index, row in enumerate(rows)}


def test_a_signature_is_as_long_as_its_contract_says() -> None:
    assert (NUM_BITS, SIGNATURE_BYTES, len(signature(random_bits(0)))) == (864, 216, 216)


def test_the_distance_is_the_part_of_known_bits_that_differ() -> None:
    picture = random_bits(0)
    pairs = near_duplicates({"a": signature(picture)}, {"b": signature(flipped(picture, 108))})
    assert pairs == [NearDuplicate(0.125, "a", "b")]


@pytest.mark.parametrize(("num_flips", "found"), [(155, True), (156, False)])
def test_the_threshold_is_inclusive(num_flips: int, found: bool) -> None:
    """0.18 x 864 = 155.52."""
    picture = random_bits(1)
    pairs = near_duplicates({"a": signature(picture)}, {"b": signature(flipped(picture, num_flips))})
    assert bool(pairs) is found


def test_bits_that_either_side_does_not_know_are_not_compared() -> None:
    picture = random_bits(2)
    known_a, known_b = np.ones(NUM_BITS, np.bool_), np.ones(NUM_BITS, np.bool_)
    known_a[:200], known_b[600:] = False, False
    other = picture.copy()
    other[:200] ^= True  # a does not know them
    other[600:] ^= True  # b does not know them
    other[200:240] ^= True  # both know them, and another 360
    pairs = near_duplicates({"a": signature(picture, known_a)}, {"b": signature(other, known_b)})
    assert pairs == [NearDuplicate(0.1, "a", "b")]


def test_pictures_without_content_are_like_nothing() -> None:
    flat = signature(np.zeros(NUM_BITS, np.bool_), np.zeros(NUM_BITS, np.bool_))
    assert near_duplicates({"a": flat}, {"b": flat}) == []


def test_too_little_in_common_is_not_compared() -> None:
    picture = random_bits(3)
    few = np.arange(NUM_BITS) < 95
    assert near_duplicates({"a": signature(picture, few)}, {"b": signature(picture, few)}) == []
    first, last = np.arange(NUM_BITS) < 500, np.arange(NUM_BITS) >= 300  # 200 of 500 in common
    assert near_duplicates({"a": signature(picture, first)}, {"b": signature(picture, last)}) == []


def test_pairs_come_nearest_first_whatever_the_order_of_the_clips() -> None:
    picture = random_bits(4)
    a = {"z": signature(flipped(picture, 30)), "y": signature(picture)}
    b = {"m": signature(flipped(picture, 60, seed=5)), "k": signature(picture)}
    pairs = near_duplicates(a, b)
    assert [(pair.a, pair.b) for pair in pairs[:2]] == [("y", "k"), ("z", "k")]
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)
    assert pairs == near_duplicates(dict(reversed(a.items())), dict(reversed(b.items())))


def test_of_too_many_pairs_the_nearest_are_given() -> None:
    picture = random_bits(5)
    a = {f"a{n:03d}": signature(flipped(picture, n % 97)) for n in range(100)}
    b = {f"b{n:03d}": signature(picture) for n in range(100)}
    pairs = near_duplicates(a, b, max_pairs=250)
    assert pairs == near_duplicates(a, b, max_pairs=10**6)[:250]
    assert len(pairs) == 250


def test_no_clips_have_no_duplicates() -> None:
    some = {"a": signature(random_bits(6))}
    assert near_duplicates({}, some) == near_duplicates(some, {}) == near_duplicates({}, {}) == []


def test_a_signature_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="the signature of clip-7 has 3 bytes; it must have 216"):
        near_duplicates({"clip-7": b"abc"}, {})


@pytest.mark.slow
def test_strangers_are_not_near_and_planted_copies_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond four million pairs a sample of the bits decides first; the answer must be that of comparing all."""
    a, b = random_signatures(2500, "a", 1), random_signatures(2500, "b", 2)
    planted = {}
    for number, num_flips in enumerate([0, 20, 60, 100, 110, 115, 118]):
        halves = np.unpackbits(np.frombuffer(a[f"a{number:05d}"], np.uint8)).reshape(2, NUM_BITS).astype(bool)
        planted[f"b{number + 500:05d}"] = signature(flipped(halves[0], num_flips) & halves[1], halves[1])
    b |= planted
    sampled = near_duplicates(a, b)
    monkeypatch.setattr(module, "_EXACT_PAIRS", 10**9)
    assert sampled == near_duplicates(a, b)
    assert {pair.b for pair in sampled} == set(planted)
    assert all(pair.distance <= MAX_DISTANCE and pair.a[1:] < "00007" for pair in sampled)


def test_pairs_at_the_threshold_survive_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXACT_PAIRS", 0)
    pictures = {f"{seed:03d}": random_bits(seed) for seed in range(300)}
    a = {name: signature(picture) for name, picture in pictures.items()}
    b = {name: signature(flipped(picture, 155, seed=1000 + int(name))) for name, picture in pictures.items()}
    assert len(near_duplicates(a, b)) == 300


def test_sixteen_million_pairs_take_seconds() -> None:
    a, b = random_signatures(4000, "a", 3), random_signatures(4000, "b", 4)
    began = time.process_time()
    assert near_duplicates(a, b) == []
    assert time.process_time() - began < 5.0


Clip = tuple[str, int, int, int]
"""The sides it is on, its picture, and how many of its bits differ from that picture, and which."""
CLIPS = st.tuples(
    st.sampled_from(["a", "b", "ab"]), st.integers(0, 1), st.sampled_from([0, 60, 78, 155, 156]), st.integers(0, 3)
)
NAMES = st.sampled_from([f"{number:02d}" for number in range(24)])


@cache
def copy_of_picture(picture: int, num_flips: int, seed: int) -> bytes:
    return signature(flipped(random_bits(picture), num_flips, seed))


def sides(clips: Mapping[str, Clip]) -> tuple[dict[str, bytes], dict[str, bytes]]:
    a, b = ({name: copy_of_picture(*copy) for name, (where, *copy) in clips.items() if side in where} for side in "ab")
    return a, b


@given(
    clips=st.dictionaries(NAMES, CLIPS, max_size=24),
    changes=st.lists(st.dictionaries(NAMES, st.none() | CLIPS, max_size=8), min_size=1, max_size=5),
    max_pairs=st.sampled_from([5, 40, 10_000]),
    num_exact=st.sampled_from([0, 60]),
    with_themselves=st.booleans(),
)
def test_what_is_new_compared_with_all_gives_what_comparing_all_gives(
    clips: dict[str, Clip],
    changes: list[dict[str, Clip | None]],
    max_pairs: int,
    num_exact: int,
    with_themselves: bool,
) -> None:
    """Whatever arrives, leaves, changes its picture or its side."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_EXACT_PAIRS", num_exact)
        a, b = sides(clips)
        found = near_duplicates(a, b, max_pairs=max_pairs, with_themselves=with_themselves)
        for change in changes:
            earlier = Comparison(a, b, [(pair.a, pair.b) for pair in found])
            merged = clips | change
            clips = {name: clip for name, clip in merged.items() if clip is not None}
            a, b = sides(clips)
            found = near_duplicates(a, b, max_pairs=max_pairs, earlier=earlier, with_themselves=with_themselves)
            assert found == near_duplicates(a, b, max_pairs=max_pairs, with_themselves=with_themselves)


def test_of_clips_that_were_compared_only_the_known_pairs_are_looked_at() -> None:
    """A pair that an earlier comparison did not give is not found: nobody looks for it again."""
    a, b = random_signatures(400, "a", 5), random_signatures(400, "b", 6)
    a["a00007"], a["a00008"] = b["b00003"], b["b00004"]
    earlier = Comparison(a, b, [("a00007", "b00003")])
    assert near_duplicates(a, b, earlier=earlier) == [NearDuplicate(0.0, "a00007", "b00003")]
    assert len(near_duplicates(a | {"new": b["b00004"]}, b, earlier=earlier)) == 2


def test_a_set_can_be_compared_with_itself() -> None:
    clips = {"a": signature(random_bits(7)), "b": signature(random_bits(7))}
    assert near_duplicates(clips, clips, with_themselves=False) == [
        NearDuplicate(0.0, "a", "b"),
        NearDuplicate(0.0, "b", "a"),
    ]
