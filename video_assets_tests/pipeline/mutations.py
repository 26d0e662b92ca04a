"""Broken videos from good ones: a seeded generator of what disks, networks and strangers do to files."""

import random
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"mvex", b"moof", b"traf", b"udta")
FAULT_OF_OURS = re.compile(r"\b(AssertionError|AttributeError|TypeError)\b")
"""In the sentence of a loss: code of ours broke on the file, which no known file has led to."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken file; the name says which file it was made of, and how."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Box:
    """A box of an mp4 file: bytes [start, stop), its four-letter kind, and its parents' starts, outermost first."""

    start: int
    stop: int
    kind: bytes
    parents: tuple[int, ...]


def mutate(originals: Mapping[str, bytes], count: int, seed: int) -> Iterator[Mutant]:
    """`count` broken copies of the originals, which are in turn; the same seed gives the same bytes."""
    rng = random.Random(seed)
    names = sorted(originals)
    for number in range(count):
        name = names[number % len(names)]
        data, other = originals[name], originals[rng.choice(names)]
        kinds = _ANY_FILE | (_MP4 if mp4_boxes(data) else {})
        kind = rng.choice(sorted(kinds))
        stem, _, suffix = name.rpartition(".")
        yield Mutant(f"{stem}_{kind}_{number:04d}.{suffix}", kinds[kind](data, other, rng))


def mp4_boxes(data: bytes) -> list[Box]:
    """All boxes of an mp4 file, parents before children; none if it is something else."""
    if data[4:8] != b"ftyp":
        return []
    return list(_boxes(data, 0, len(data), ()))


def _boxes(data: bytes, start: int, stop: int, parents: tuple[int, ...]) -> Iterator[Box]:
    while start + 8 <= stop:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size < 8 or start + size > stop:
            return
        yield Box(start, start + size, kind, parents)
        if kind in _CONTAINERS:
            yield from _boxes(data, start + 8, start + size, (*parents, start))
        start += size


# --- Any file ---------------------------------------------------------------------------------------------------------


def flip_bits(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """One to sixty-four single bits, anywhere."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def flip_near_an_end(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Bits of the first or last 600 bytes, where headers and indices lie."""
    changed = bytearray(data)
    reach = min(600, len(data))
    base = rng.choice((0, len(data) - reach))
    for _ in range(rng.choice((1, 4, 16))):
        changed[base + rng.randrange(reach)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def truncate(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Only the beginning is there."""
    return data[: rng.randrange(1, len(data))]


def lose_the_beginning(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Only the end is there."""
    return data[rng.randrange(1, len(data)) :]


def cut_out(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """A part is missing."""
    first, second = sorted(rng.sample(range(1, len(data)), 2))
    return data[:first] + data[second:]


def zero_out(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """A part was never written: zeros."""
    first, second = sorted(rng.sample(range(1, len(data)), 2))
    return data[:first] + bytes(second - first) + data[second:]


def insert_noise(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Bytes that belong to nothing."""
    place = rng.randrange(len(data))
    return data[:place] + rng.randbytes(rng.choice((1, 7, 512))) + data[place:]


def splice(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: rng.randrange(1, len(data))] + other[rng.randrange(1, len(other)) :]


def set_a_number(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Four bytes become an extreme number."""
    place = rng.randrange(max(1, len(data) - 4))
    value = rng.choice((b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00"))
    return data[:place] + value + data[place + 4 :]


# --- mp4 --------------------------------------------------------------------------------------------------------------


def duplicate_a_box(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """A box stands twice; its parents know."""
    box = rng.choice(mp4_boxes(data))
    return _with_part(data, box, data[box.start : box.stop] * 2)


def drop_a_box(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """A box is gone; its parents know."""
    return _with_part(data, rng.choice(mp4_boxes(data)), b"")


def splice_a_box(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """A box of another file, of the same kind where there is one, stands in the place of this one."""
    box = rng.choice(mp4_boxes(data))
    candidates = mp4_boxes(other) or mp4_boxes(data)
    same = [candidate for candidate in candidates if candidate.kind == box.kind] or candidates
    chosen = rng.choice(same)
    return _with_part(data, box, (other if mp4_boxes(other) else data)[chosen.start : chosen.stop])


def resize_a_box(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """A box lies about its size, and nobody knows."""
    box = rng.choice(mp4_boxes(data))
    size = rng.choice((0, 1, 7, 8, 0x7FFFFFFF, 0xFFFFFFFF, box.stop - box.start + rng.randrange(-8, 64)))
    return data[: box.start] + struct.pack(">I", max(0, size)) + data[box.start + 4 :]


def swap_boxes(data: bytes, _other: bytes, rng: random.Random) -> bytes:
    """Two boxes that stand one after another change places."""
    boxes = mp4_boxes(data)
    pairs = [(a, b) for a in boxes for b in boxes if a.stop == b.start and a.parents == b.parents]
    if not pairs:
        return flip_bits(data, data, rng)
    first, second = rng.choice(pairs)
    return data[: first.start] + data[second.start : second.stop] + data[first.start : first.stop] + data[second.stop :]


def _with_part(data: bytes, box: Box, part: bytes) -> bytes:
    """The box replaced, and the sizes of all its parents put right."""
    changed = bytearray(data[: box.start] + part + data[box.stop :])
    for parent in box.parents:
        (size,) = struct.unpack_from(">I", changed, parent)
        struct.pack_into(">I", changed, parent, size + len(part) - (box.stop - box.start))
    return bytes(changed)


Mutation = Callable[[bytes, bytes, random.Random], bytes]
_ANY_FILE: dict[str, Mutation] = {
    function.__name__: function
    for function in (
        flip_bits,
        flip_near_an_end,
        truncate,
        lose_the_beginning,
        cut_out,
        zero_out,
        insert_noise,
        splice,
        set_a_number,
    )
}
_MP4: dict[str, Mutation] = {
    function.__name__: function for function in (duplicate_a_box, drop_a_box, splice_a_box, resize_a_box, swap_boxes)
}
