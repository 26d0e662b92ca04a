"""Which split each clip belongs to: whole groups, stratified by class, and never moved afterwards."""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from video_assets.domain.hashing import seeded_hash

Split = Literal["train", "test", "val"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""Every split that there may be. A dataset has `val` only if a fraction or an official list asks for it."""


def split_named(name: str) -> Split:
    """The split of this name; `validation` is another name of `val`.

    Raises:
        ValueError: if there is none.
    """
    for split in SPLITS:
        if name == split or (split == "val" and name == "validation"):
            return split
    raise ValueError(f"the split is {name!r}; it must be one of {', '.join(SPLITS)}")


_SPLIT_WORDS: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


def split_of_word(word: str) -> Split | None:
    """Return the split that a word of somebody's files or folders means, in any case; None if it means none.

    >>> split_of_word("Validate"), split_of_word("both")
    ('val', None)
    """
    return _SPLIT_WORDS.get(word.strip().lower())


@dataclass(frozen=True, slots=True)
class Unit:
    """Clips that go to one split together: a group, joined with whatever shares its content.

    `clips_by_class` counts its clips; `split` is where it already is, or where an official list puts it.
    """

    key: str
    clips_by_class: Mapping[str, int]
    split: Split | None = None


@dataclass(slots=True)
class _Balance:
    """How many clips of each class there are, and how many of them each held-out split has and should have."""

    fractions: Mapping[Split, float]
    totals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[tuple[str, Split], int] = field(default_factory=lambda: defaultdict(int))

    def move(self, unit: Unit, split: Split, sign: int = 1) -> None:
        for name, count in unit.clips_by_class.items():
            self.held[name, split] += sign * count

    def gain(self, unit: Unit, split: Split, sign: int = 1) -> float:
        """How much nearer to the target all classes come, in squared relative distance, if the unit enters.

        Train has what the others leave, so it has no target of its own.
        """
        if split not in self.fractions:
            return 0.0
        gained: list[float] = []
        for name, count in unit.clips_by_class.items():
            total = self.totals[name]
            off = self.held[name, split] - self.fractions[split] * total
            gained.append((off**2 - (off + sign * count) ** 2) / total**2)
        return math.fsum(gained)  # a plain sum hangs, in its last digit, on the order in which the classes were listed

    def unevenness(self, unit: Unit, split: Split, shares: Mapping[Split, float]) -> float:
        """How far its classes would be from these shares if it entered, in squared relative distance.

        Shares of what is placed already: 2 of 5 placed clips are right for a split that should have 0.4 of them.
        """
        distances: list[float] = []
        for name, count in unit.clips_by_class.items():
            placed = count + sum(self.held[name, other] for other in shares)
            for other, share in shares.items():
                has = self.held[name, other] + (count if other == split else 0)
                distances.append(((has - share * placed) / self.totals[name]) ** 2)
        return math.fsum(distances)


def assign_splits(
    units: Sequence[Unit],
    *,
    test_fraction: float,
    seed: int,
    val_fraction: float = 0.0,
    rarest_first: bool = False,
) -> dict[str, Split]:
    """The split of every unit, by its key.

    Units that have a split keep it. The others are taken in an order that hangs on seed and key alone, and each
    enters test or val if that brings its classes nearer to `test_fraction` and `val_fraction` of their clips, and
    the one of both where it brings them nearer; so a class whose groups hold no other class ends within half of its
    largest group of the targets. Afterwards every class with two groups or more has one in train and one in test,
    and with three or more one in val, as far as units without a split allow. A class with one group is for
    training, unless its group is held out already.

    `rarest_first` is for clips of several labels, where what one class needs the other does not: units of the class
    with the fewest clips left are taken first, and each enters the split that keeps the shares of all its classes, as
    far as they are placed, nearest to the targets. Source of the order: Sechidis, Tsoumakas and Vlahavas, On the
    Stratification of Multi-Label Data (ECML PKDD 2011), algorithm 1, which asks for the rarest class alone.

    Raises:
        ValueError: if two units have the same key, or a fraction is outside [0, 1], or both together are above 1.
    """
    fractions = _fractions(test_fraction, val_fraction)
    if len({unit.key for unit in units}) != len(units):
        raise ValueError("two units have the same key")
    balance = _Balance({split: fractions[split] for split in fractions if split != "train"})
    units_of: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        for name, count in unit.clips_by_class.items():
            balance.totals[name] += count
            units_of[name].append(unit)
    splits: dict[str, Split] = {unit.key: unit.split for unit in units if unit.split is not None}
    for unit in units:
        if unit.split is not None:
            balance.move(unit, unit.split)
    covered: list[Split] = [split for split in _RANKED if 0 < fractions[split] < 1]
    free = sorted((u for u in units if u.split is None), key=lambda u: (seeded_hash(seed, u.key), u.key))
    for unit in _rarest_first(free) if rarest_first else free:
        allowed = _allowed(unit, units_of, covered)
        splits[unit.key] = (
            _most_even(unit, allowed, balance, fractions) if rarest_first else _nearest(unit, allowed, balance)
        )
        balance.move(unit, splits[unit.key])
    _cover_classes(free, units_of, splits, balance, covered)
    return splits


_RANKED: tuple[Split, ...] = ("test", "train", "val")
"""Splits in the order in which a class that lacks one gets it; a class of two groups gets the first two."""


def _fractions(test_fraction: float, val_fraction: float) -> dict[Split, float]:
    for name, fraction in (("test_fraction", test_fraction), ("val_fraction", val_fraction)):
        if not 0 <= fraction <= 1:
            raise ValueError(f"{name} is {fraction}; it must be from 0 to 1")
    left = round(1 - test_fraction - val_fraction, 9)
    if left < 0:
        raise ValueError(
            f"test_fraction is {test_fraction} and val_fraction is {val_fraction}; together they must not be above 1"
        )
    return {"train": left, "test": test_fraction, "val": val_fraction}


def _rarest_first(units: Sequence[Unit]) -> Iterator[Unit]:
    """The units of the class with the fewest clips left, in their order; then those of the next, counted anew."""
    waiting: dict[str, dict[str, Unit]] = defaultdict(dict)
    left: dict[str, int] = defaultdict(int)
    for unit in units:
        for name, count in unit.clips_by_class.items():
            waiting[name][unit.key] = unit
            left[name] += count
    queue = [(count, name) for name, count in left.items()]
    heapq.heapify(queue)
    while queue:
        count, rarest = heapq.heappop(queue)
        if count != left[rarest]:
            continue  # it is in the queue again, with fewer
        for unit in list(waiting[rarest].values()):
            yield unit
            for name, taken in unit.clips_by_class.items():
                del waiting[name][unit.key]
                left[name] -= taken
                if name != rarest:
                    heapq.heappush(queue, (left[name], name))


def _allowed(unit: Unit, units_of: Mapping[str, Sequence[Unit]], covered: Sequence[Split]) -> list[Split]:
    """The splits that a unit may enter.

    A unit that is all there is of one of its classes stays in train: nothing could be learned of that class. Nor does
    val take what train and test need.
    """
    num_units = min((len(units_of[name]) for name in unit.clips_by_class), default=0)
    allowed: list[Split] = ["train"]
    if num_units > 1:
        allowed.append("test")
    if num_units > (2 if "test" in covered else 1):
        allowed.append("val")
    return allowed


def _most_even(unit: Unit, allowed: Sequence[Split], balance: _Balance, shares: Mapping[Split, float]) -> Split:
    """The split in which the unit leaves its classes nearest to their shares."""
    unevenness: dict[Split, float] = {split: balance.unevenness(unit, split, shares) for split in allowed}
    return min(unevenness, key=lambda split: unevenness[split])


def _nearest(unit: Unit, allowed: Sequence[Split], balance: _Balance) -> Split:
    """The held-out split that gains most by the unit, or train if none gains."""
    gains: dict[Split, float] = {split: balance.gain(unit, split) for split in allowed if split != "train"}
    best = max(gains, key=lambda split: gains[split], default=None)
    return best if best is not None and gains[best] > 0 else "train"


def _cover_classes(
    free: Sequence[Unit],
    units_of: Mapping[str, Sequence[Unit]],
    splits: dict[str, Split],
    balance: _Balance,
    covered: Sequence[Split],
) -> None:
    """Moves free units so that each class has one in every split, as far as it has units, at least cost in balance."""
    is_free = {unit.key for unit in free}
    num_in: dict[tuple[str, Split], int] = defaultdict(int)
    for name, members in units_of.items():
        for unit in members:
            num_in[name, splits[unit.key]] += 1
    for name in sorted(units_of):
        members = units_of[name]
        for rank, wanted in enumerate(covered):
            if len(members) < max(2, rank + 1) or num_in[name, wanted]:
                continue
            movable = [
                unit
                for unit in members
                if unit.key in is_free and all(num_in[c, splits[unit.key]] > 1 for c in unit.clips_by_class)
            ]
            if not movable:
                continue
            gains = [(balance.gain(u, wanted) + balance.gain(u, splits[u.key], -1), u.key) for u in movable]
            best = movable[gains.index(max(gains))]
            _move(best, wanted, splits, balance, num_in)


def _move(
    unit: Unit, wanted: Split, splits: dict[str, Split], balance: _Balance, num_in: dict[tuple[str, Split], int]
) -> None:
    other = splits[unit.key]
    splits[unit.key] = wanted
    balance.move(unit, wanted)
    balance.move(unit, other, -1)
    for name in unit.clips_by_class:
        num_in[name, wanted] += 1
        num_in[name, other] -= 1
