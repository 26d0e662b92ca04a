"""Which clips look like others, by their signatures."""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CELLS = 12
NUM_BITS = 864
SIGNATURE_BYTES = 2 * NUM_BITS // 8
"""A signature is 864 bits of picture and 864 bits that say which of those are valid."""

MAX_DISTANCE = 0.18
"""Two clips are near duplicates if at most this part of the bits that are valid in both differ.

Measured on 120 real clips (UCF101, UT-Interaction, fights of surveillance cameras, talking heads) as 10 frames of
224x224. A clip and its copy: re-encoded at CRF 38 up to 0.08; a third of the size at CRF 32 up to 0.10; cropped by
2 % on each side, darker and re-encoded at half size up to 0.10; cropped by 4 % on each side 0.10, at most 0.19.
Clips of different groups: 0.50, at least 0.28, and that pair shows the same car park from the same camera.
"""

MAX_PAIRS = 10_000
RULES = (1, MAX_DISTANCE, MAX_PAIRS)
"""What a comparison depends on, besides the signatures. The number is raised when this module finds other pairs."""

_NUM_PICTURES = 3
_MAX_BLACK_BITS = 17
"""Of 864: what noise makes of a picture without an edge."""

_MAX_STILL_BITS = 4
"""Of the 576 bits of a picture: what encoding it again and again changes where brightness hardly grows."""

_MIN_COMMON_BITS = 96
_EXACT_PAIRS = 100_000
_SAMPLE_BITS = 128
_ROWS, _COLUMNS = 16, 4096
"""So many pairs at once: their sampled bits stay in a processor's cache."""
_PAIR = np.dtype([("distance", np.float64), ("a", np.intp), ("b", np.intp)])


def motions_of_signatures(signatures: Iterable[bytes]) -> list[Literal["black", "still", "moving"]]:
    """Return whether each clip shows anything, and whether that moves, as far as the frames of its signature tell.

    `black`: none of the three has an edge. `still`: all of them are one picture. A clip of one frame is still.
    """
    data = b"".join(signature or bytes(SIGNATURE_BYTES) for signature in signatures)
    bits = np.frombuffer(data, np.uint8).reshape(-1, 2, _NUM_PICTURES, NUM_BITS // 8 // _NUM_PICTURES)
    is_black = np.bitwise_count(bits[:, 1]).sum(axis=(1, 2)) <= _MAX_BLACK_BITS
    changed = np.bitwise_count(bits[:, :, 1:] ^ bits[:, :, :-1]).sum(axis=(1, 3))
    is_still = changed.max(axis=1) <= _MAX_STILL_BITS
    return np.select([is_black, is_still], ["black", "still"], "moving").tolist()


@dataclass(frozen=True, slots=True, order=True)
class NearDuplicate:
    """Two clips that look alike. `distance` is from 0 (the same picture) to about 0.5 (unrelated)."""

    distance: float
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `near_duplicates` was given and found before, so that the next time only what is new is compared."""

    signatures_a: Mapping[str, bytes]
    signatures_b: Mapping[str, bytes]
    pairs: Collection[tuple[str, str]]
    """Of a clip of each side."""


@dataclass(frozen=True, slots=True)
class _Signatures:
    """The bits of N clips: `picture` and `known` (N, 14) uint64. Bits that are not valid are 0 in both.

    `sample` (2, 2, N) uint64 has words of the sampled bits, of picture and known.
    """

    names: list[str]
    picture: NDArray[np.uint64]
    known: NDArray[np.uint64]
    sample: NDArray[np.uint64]


def near_duplicates(
    signatures_a: Mapping[str, bytes],
    signatures_b: Mapping[str, bytes],
    max_distance: float = MAX_DISTANCE,
    max_pairs: int = MAX_PAIRS,
    earlier: Comparison | None = None,
    *,
    with_themselves: bool = True,
) -> list[NearDuplicate]:
    """Return the pairs of one clip of each side that look alike, the nearest first; ties by name.

    The distance is the part of the bits that differ, among those that are valid in both. Clips are not compared if they
    have fewer than 96 such bits in common, or fewer than half of what the poorer of both has: nearly flat pictures
    would look like one another.

    Up to 100,000 pairs every distance is computed. Beyond that, a sample of 128 bits is compared first; it misses
    a pair right at `max_distance` about three times in 100,000, and nearer ones less often. 10,000 by 10,000 clips take
    1 to 2 seconds, 100,000 by 100,000 about two minutes.

    Args:
        signatures_a: Signature by clip; `SIGNATURE_BYTES` each, as `media.signature.clip_signature` gives them.
        signatures_b: The same for the other side.
        max_distance: From 0 to 0.5, inclusive.
        max_pairs: How many pairs are returned at most: the nearest.
        earlier: What these arguments gave for other clips: two clips that both were there are not compared again. The
            result is the same without it.
        with_themselves: Whether names that both sides have are compared with themselves.

    Raises:
        ValueError: If a signature has another length.
    """
    a, b = _parse(signatures_a), _parse(signatures_b)
    every_a, every_b = np.arange(len(a.names)), np.arange(len(b.names))
    is_sampled = len(every_a) * len(every_b) > _EXACT_PAIRS
    allowed = _allowed_in_sample(max_distance) if is_sampled else None

    def nearest(candidates: Iterable[NDArray[np.void]]) -> NDArray[np.void]:
        some = candidates if with_themselves else _of_two_clips(a, b, candidates)
        return _nearest_of(a, b, some, max_distance, max_pairs)

    found = None
    if earlier is not None and allowed is not None:
        is_old_a = _are_same(signatures_a, earlier.signatures_a, a.names)
        is_old_b = _are_same(signatures_b, earlier.signatures_b, b.names)
        known = nearest([_known_pairs(a, b, earlier.pairs, is_old_a, is_old_b, allowed)])
        # Of too many pairs the farthest were left out; they are wanted if a nearer one is gone.
        if len(earlier.pairs) < max_pairs or len(known) == len(earlier.pairs):
            old_a, new_a, new_b = np.flatnonzero(is_old_a), np.flatnonzero(~is_old_a), np.flatnonzero(~is_old_b)
            new = (_candidates(a, b, *some, allowed) for some in ((new_a, every_b), (old_a, new_b)))
            found = nearest(itertools.chain([known], *new))
    if found is None:
        found = nearest(_candidates(a, b, every_a, every_b, allowed))
    pairs: list[tuple[float, int, int]] = found.tolist()
    return [NearDuplicate(distance, a.names[i], b.names[j]) for distance, i, j in pairs]


def each_once(pairs: Iterable[NearDuplicate]) -> list[NearDuplicate]:
    """Return pairs of clips of one set, compared with itself: each pair once, the nearest first."""
    found: dict[tuple[str, str], NearDuplicate] = {}
    for pair in pairs:
        a, b = sorted((pair.a, pair.b))
        found.setdefault((a, b), NearDuplicate(pair.distance, a, b))
    return sorted(found.values())


def mirrored_signature(signature: bytes) -> bytes:
    """Return the signature that a clip would have if it were mirrored left to right.

    Steps to the right change their place and their sign, steps downwards their place alone.
    """
    bits = np.unpackbits(np.frombuffer(signature, np.uint8)).reshape(2, -1, 2, CELLS, CELLS).astype(np.bool_)
    picture, known = bits[..., ::-1]
    is_to_the_right = np.array([True, False])[None, :, None, None]
    return np.packbits([np.where(is_to_the_right, known & ~picture, picture), known]).tobytes()


def _parse(signatures: Mapping[str, bytes]) -> _Signatures:
    names = sorted(signatures)  # so that the order of the mapping does not matter
    for name in names:
        if len(signatures[name]) != SIGNATURE_BYTES:
            length = len(signatures[name])
            raise ValueError(f"the signature of {name} has {length} bytes; it must have {SIGNATURE_BYTES}")
    rows = np.frombuffer(b"".join(signatures[name] for name in names), np.uint8).reshape(len(names), 2, NUM_BITS // 8)
    picture, known = _words(rows[:, 0] & rows[:, 1]), _words(rows[:, 1])
    return _Signatures(names, picture, known, _sample(picture, known))


def _words(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return rows of bytes (N, bytes) as 64-bit words (N, words), the last one filled with zeros."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint64)


def _are_same(now: Mapping[str, bytes], earlier: Mapping[str, bytes], names: list[str]) -> NDArray[np.bool_]:
    """Return (N,) whether each clip was there before, with the same signature."""
    return np.fromiter((earlier.get(name) == now[name] for name in names), np.bool_, len(names))


def _known_pairs(
    a: _Signatures,
    b: _Signatures,
    pairs: Iterable[tuple[str, str]],
    is_old_a: NDArray[np.bool_],
    is_old_b: NDArray[np.bool_],
    allowed: np.uint8,
) -> NDArray[np.void]:
    """Return the earlier pairs whose clips are still there, and that the sample lets pass as any others."""
    place_a, place_b = ({name: place for place, name in enumerate(side.names)} for side in (a, b))
    there = [(place_a[one], place_b[other]) for one, other in pairs if one in place_a and other in place_b]
    found = np.zeros(len(there), _PAIR)
    found["a"], found["b"] = np.array(there, np.intp).reshape(-1, 2).T
    found = found[is_old_a[found["a"]] & is_old_b[found["b"]]]
    return found[_are_near(a.sample[..., found["a"]], b.sample[..., found["b"]], allowed)]


def _candidates(
    a: _Signatures, b: _Signatures, rows: NDArray[np.intp], columns: NDArray[np.intp], allowed: np.uint8 | None
) -> Iterator[NDArray[np.void]]:
    """Yield pairs of some clips that may be near, in chunks; their distances are not filled in yet.

    All of them are given if `allowed` is None: how many sampled bits may differ, see `_allowed_in_sample`.
    """
    sample_a, sample_b = a.sample[..., rows], b.sample[..., columns]
    step = max(_ROWS, _ROWS * _COLUMNS // max(1, len(columns)))
    for row, column in itertools.product(range(0, len(rows), step), range(0, len(columns), _COLUMNS)):
        some_a, some_b = sample_a[:, :, row : row + step, None], sample_b[:, :, None, column : column + _COLUMNS]
        shape = some_a.shape[2], some_b.shape[3]
        near = np.ones(shape, np.bool_) if allowed is None else _are_near(some_a, some_b, allowed)
        places = np.flatnonzero(near)  # ten times as fast as `nonzero` of two axes
        pairs = np.zeros(len(places), _PAIR)
        pairs["a"], pairs["b"] = rows[row + places // shape[1]], columns[column + places % shape[1]]
        yield pairs


def _are_near(a: NDArray[np.uint64], b: NDArray[np.uint64], allowed: np.uint8) -> NDArray[np.bool_]:
    """Return whether clips of both sides may be near, as far as the sampled bits (words, 2, …) tell."""
    num_common = num_different = np.zeros((), np.uint8)
    for (picture_a, known_a), (picture_b, known_b) in zip(a, b, strict=True):
        bits = known_a & known_b
        num_common = num_common + np.bitwise_count(bits)
        bits &= picture_a ^ picture_b
        num_different = num_different + np.bitwise_count(bits)
    return num_different <= (num_common >> 2) + allowed


def _sample(picture: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return (words, 2, N): picture and known of 128 bits drawn from the whole picture, the same for every clip."""
    chosen = np.random.default_rng(0).permutation(NUM_BITS)[:_SAMPLE_BITS]
    bits = [part.view(np.uint8)[:, chosen // 8] >> (7 - chosen % 8).astype(np.uint8) & 1 for part in (picture, known)]
    words = np.ascontiguousarray([np.packbits(part, axis=1) for part in bits]).view(np.uint64)
    return np.ascontiguousarray(words.transpose(2, 0, 1))


def _allowed_in_sample(max_distance: float) -> np.uint8:
    """Return how many sampled bits may differ in a near pair, beside a quarter of those that both know.

    Of n bits, the mean and four standard deviations. A straight line above that curve takes a third of a table's time.
    """
    n = np.arange(_SAMPLE_BITS + 1)
    curve = np.ceil(max_distance * n + 4 * np.sqrt(max_distance * (1 - max_distance) * n))
    return np.uint8(np.max(curve - n // 4))


def _of_two_clips(a: _Signatures, b: _Signatures, candidates: Iterable[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    """Yield the pairs without those of a clip and itself."""
    places = {name: place for place, name in enumerate(b.names)}
    own = np.array([places.get(name, -1) for name in a.names], np.intp)
    for pairs in candidates:
        yield pairs[own[pairs["a"]] != pairs["b"]]


def _nearest_of(
    a: _Signatures, b: _Signatures, candidates: Iterable[NDArray[np.void]], max_distance: float, max_pairs: int
) -> NDArray[np.void]:
    """Return the nearest of these pairs, with their distances."""
    found = np.zeros(0, _PAIR)
    for pairs in candidates:
        pairs["distance"] = _distances(a, b, pairs)
        found = np.concatenate([found, pairs[pairs["distance"] <= max_distance]])
        if len(found) > 4 * max_pairs:
            found = _nearest(found, max_pairs)
    return _nearest(found, max_pairs)


def _distances(a: _Signatures, b: _Signatures, pairs: NDArray[np.void]) -> NDArray[np.float64]:
    """Return the distance of each pair; 1 where there is too little to compare."""
    known_a, known_b = a.known[pairs["a"]], b.known[pairs["b"]]
    common = known_a & known_b
    num_common = _count(common)
    enough = np.maximum(_MIN_COMMON_BITS, np.minimum(_count(known_a), _count(known_b)) / 2)
    different = _count((a.picture[pairs["a"]] ^ b.picture[pairs["b"]]) & common)
    return np.where(num_common >= enough, different / np.maximum(num_common, 1), 1.0)


def _count(words: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.bitwise_count(words).sum(axis=1, dtype=np.int64)


def _nearest(found: NDArray[np.void], max_pairs: int) -> NDArray[np.void]:
    return found[np.lexsort((found["b"], found["a"], found["distance"]))][:max_pairs]
