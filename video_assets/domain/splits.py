"""Which split each clip belongs to: whole groups, stratified by class, and never moved afterwards."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from video_assets.domain.hashing import seeded_hash

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


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
    """How many clips of each class there are, and how many of them are in test."""

    test_fraction: float
    totals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    in_test: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def move(self, unit: Unit, sign: int) -> None:
        for name, count in unit.clips_by_class.items():
            self.in_test[name] += sign * count

    def gain(self, unit: Unit, sign: int = 1) -> float:
        """How much nearer to the target all classes come, in squared relative distance, if the unit enters test."""
        gained = 0.0
        for name, count in unit.clips_by_class.items():
            total = self.totals[name]
            off = self.in_test[name] - self.test_fraction * total
            gained += (off**2 - (off + sign * count) ** 2) / total**2
        return gained


def assign_splits(units: Sequence[Unit], *, test_fraction: float, seed: int) -> dict[str, Split]:
    """The split of every unit, by its key.

    Units that have a split keep it. The others are taken in an order that hangs on seed and key alone, and
    each enters test if that brings its classes nearer to `test_fraction` of their clips; so a class whose
    groups hold no other class ends within half of its largest group of the target. Afterwards every class with
    two groups or more has one in each split, as far as units without a split allow. A class with one group is
    for training, unless its group is already in test.

    Raises:
        ValueError: if two units have the same key, or test_fraction is outside [0, 1].
    """
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction is {test_fraction}; it must be from 0 to 1")
    if len({unit.key for unit in units}) != len(units):
        raise ValueError("two units have the same key")
    balance = _Balance(test_fraction)
    units_of: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        for name, count in unit.clips_by_class.items():
            balance.totals[name] += count
            units_of[name].append(unit)
    splits: dict[str, Split] = {unit.key: unit.split for unit in units if unit.split is not None}
    for unit in units:
        if unit.split == "test":
            balance.move(unit, 1)
    free = sorted((u for u in units if u.split is None), key=lambda u: (seeded_hash(seed, u.key), u.key))
    for unit in free:
        enters_test = _may_enter_test(unit, units_of) and balance.gain(unit) > 0
        splits[unit.key] = "test" if enters_test else "train"
        if enters_test:
            balance.move(unit, 1)
    if 0 < test_fraction < 1:
        _cover_classes(free, units_of, splits, balance)
    return splits


def _may_enter_test(unit: Unit, units_of: Mapping[str, Sequence[Unit]]) -> bool:
    """A unit that is all there is of one of its classes stays in train: nothing could be learned of that class."""
    return all(len(units_of[name]) > 1 for name in unit.clips_by_class)


_BOTH_WAYS: tuple[tuple[Split, Split], ...] = (("test", "train"), ("train", "test"))


def _cover_classes(
    free: Sequence[Unit], units_of: Mapping[str, Sequence[Unit]], splits: dict[str, Split], balance: _Balance
) -> None:
    """Moves free units so that each class with two units has one on both sides, at the least cost in balance."""
    is_free = {unit.key for unit in free}
    num_in: dict[tuple[str, Split], int] = defaultdict(int)
    for name, members in units_of.items():
        for unit in members:
            num_in[name, splits[unit.key]] += 1
    for name in sorted(units_of):
        members = units_of[name]
        for wanted, other in _BOTH_WAYS:
            if len(members) < 2 or num_in[name, wanted]:
                continue
            sign = 1 if wanted == "test" else -1
            movable = [
                unit
                for unit in members
                if unit.key in is_free and all(num_in[c, other] > 1 for c in unit.clips_by_class)
            ]
            if not movable:
                continue
            best = max(movable, key=lambda u: (balance.gain(u, sign), u.key))
            splits[best.key] = wanted
            balance.move(best, sign)
            for c in best.clips_by_class:
                num_in[c, wanted] += 1
                num_in[c, other] -= 1
