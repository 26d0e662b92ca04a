"""Which clips look like others, by their signatures."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
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
class _Signatures:
    """The bits of N clips: `picture` and `known` (N, 14) uint64. Bits that are not valid are 0 in both."""

    names: list[str]
    picture: NDArray[np.uint64]
    known: NDArray[np.uint64]


def near_duplicates(
    signatures_a: Mapping[str, bytes],
    signatures_b: Mapping[str, bytes],
    max_distance: float = MAX_DISTANCE,
    max_pairs: int = MAX_PAIRS,
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

    Raises:
        ValueError: If a signature has another length.
    """
    a, b = _parse(signatures_a), _parse(signatures_b)
    found = np.zeros(0, _PAIR)
    for pairs in _candidates(a, b, max_distance):
        pairs["distance"] = _distances(a, b, pairs)
        found = np.concatenate([found, pairs[pairs["distance"] <= max_distance]])
        if len(found) > 4 * max_pairs:
            found = _nearest(found, max_pairs)
    nearest: list[tuple[float, int, int]] = _nearest(found, max_pairs).tolist()
    return [NearDuplicate(distance, a.names[i], b.names[j]) for distance, i, j in nearest]


def look_alikes(
    signatures: Mapping[str, bytes], others: Mapping[str, bytes], max_distance: float = MAX_DISTANCE
) -> list[NearDuplicate]:
    """Return the pairs of two clips that look alike, each once, the nearest first; `others` may be the same clips."""
    found: dict[tuple[str, str], NearDuplicate] = {}
    for pair in near_duplicates(signatures, others, max_distance):
        if pair.a != pair.b:
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
    known = rows[:, 1]
    return _Signatures(names, _words(rows[:, 0] & known), _words(known))


def _words(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return rows of bytes (N, bytes) as 64-bit words (N, words), the last one filled with zeros."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 8))).view(np.uint64)


def _candidates(a: _Signatures, b: _Signatures, max_distance: float) -> Iterator[NDArray[np.void]]:
    """Yield pairs that may be near, in chunks; their distances are not filled in yet."""
    exact = len(a.names) * len(b.names) <= _EXACT_PAIRS
    sample_a, sample_b = _sample(a), _sample(b)
    allowed = _allowed_in_sample(max_distance)
    rows = max(_ROWS, _ROWS * _COLUMNS // max(1, len(b.names)))
    for row, column in itertools.product(range(0, len(a.names), rows), range(0, len(b.names), _COLUMNS)):
        some_a, some_b = sample_a[:, :, row : row + rows], sample_b[:, :, column : column + _COLUMNS]
        near = np.ones((some_a.shape[2], some_b.shape[2]), np.bool_) if exact else _are_near(some_a, some_b, allowed)
        places = np.flatnonzero(near)  # ten times as fast as `nonzero` of two axes
        pairs = np.zeros(len(places), _PAIR)
        pairs["a"], pairs["b"] = row + places // near.shape[1], column + places % near.shape[1]
        yield pairs


def _are_near(a: NDArray[np.uint64], b: NDArray[np.uint64], allowed: np.uint8) -> NDArray[np.bool_]:
    """Return (rows of a, rows of b): whether two clips may be near, as far as the sampled bits tell."""
    num_common = num_different = np.zeros((a.shape[2], b.shape[2]), np.uint8)
    for (picture_a, known_a), (picture_b, known_b) in zip(a[..., None], b, strict=True):
        bits = known_a & known_b
        num_common = num_common + np.bitwise_count(bits)
        bits &= picture_a ^ picture_b
        num_different = num_different + np.bitwise_count(bits)
    return num_different <= (num_common >> 2) + allowed


def _sample(signatures: _Signatures) -> NDArray[np.uint64]:
    """Return (words, 2, N): picture and known of 128 bits drawn from the whole picture, the same for every clip."""
    chosen = np.random.default_rng(0).permutation(NUM_BITS)[:_SAMPLE_BITS]
    parts = (signatures.picture, signatures.known)
    bits = [part.view(np.uint8)[:, chosen // 8] >> (7 - chosen % 8).astype(np.uint8) & 1 for part in parts]
    words = np.ascontiguousarray([np.packbits(part, axis=1) for part in bits]).view(np.uint64)
    return np.ascontiguousarray(words.transpose(2, 0, 1))


def _allowed_in_sample(max_distance: float) -> np.uint8:
    """Return how many sampled bits may differ in a near pair, beside a quarter of those that both know.

    Of n bits, the mean and four standard deviations. A straight line above that curve takes a third of a table's time.
    """
    n = np.arange(_SAMPLE_BITS + 1)
    curve = np.ceil(max_distance * n + 4 * np.sqrt(max_distance * (1 - max_distance) * n))
    return np.uint8(np.max(curve - n // 4))


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
