"""Which split each clip belongs to: whole groups, stratified by class, and never moved afterwards."""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from video_assets.domain.hashing import seeded_hash

Split = Literal["train", "test", "val"]
SPLITS: tuple[Split, ...] = get_args(Split)
"""All possible splits. A dataset has `val` only if a fraction or an official list asks for it."""


def split_named(name: str) -> Split:
    """Return the split of this name; `validation` is another name of `val`.

    Raises:
        ValueError: If there is no such split.
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
    """Clips that go to one split together: a group, and all groups that share content with it.

    `clips_by_class` counts its clips. `split` is the split that it is in already, or that an official list gives it.
    """

    key: str
    clips_by_class: Mapping[str, int]
    split: Split | None = None


@dataclass(slots=True)
class _Balance:
    """How many clips each class has, and how many of them each held-out split has and should have."""

    fractions: Mapping[Split, float]
    totals: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[tuple[str, Split], int] = field(default_factory=lambda: defaultdict(int))

    def move(self, unit: Unit, split: Split, sign: int = 1) -> None:
        for name, count in unit.clips_by_class.items():
            self.held[name, split] += sign * count

    def gain(self, unit: Unit, split: Split, sign: int = 1) -> float:
        """Return how much nearer to their targets all classes come, in squared relative distance, if the unit enters.

        Train gets what the other splits leave, so it has no target of its own.
        """
        if split not in self.fractions:
            return 0.0
        gained: list[float] = []
        for name, count in unit.clips_by_class.items():
            total = self.totals[name]
            off = self.held[name, split] - self.fractions[split] * total
            gained.append((off**2 - (off + sign * count) ** 2) / total**2)
        return math.fsum(gained)  # in a plain sum the last digit depends on the order of the classes

    def unevenness(self, unit: Unit, split: Split, shares: Mapping[Split, float]) -> float:
        """Return how far the unit's classes would be from these shares if it entered, in squared relative distance.

        Shares count only clips that are placed: 2 of 5 placed clips are right for a split that should have 0.4 of them.
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
    """Assign every unit to a split; return the split by the unit's key.

    Units that have a split keep it. The others are taken in an order that depends only on seed and key. Each enters
    test or val if that brings its classes nearer to `test_fraction` and `val_fraction` of their clips; if both would,
    it enters the one that gains more. So a class whose groups hold no other class ends within half of its largest group
    of the targets. Afterwards, as far as units without a split allow, every class with two groups or more has one in
    train and one in test, and every class with three or more has one in val. A class with one group is for training,
    unless its group is held out already.

    `rarest_first` is for clips of several labels, where what one class needs may harm another. Units of the class
    with the fewest clips left are taken first. Each enters the split that keeps the shares of all its classes, counting
    only placed clips, nearest to the targets. Source of the order: Sechidis, Tsoumakas and Vlahavas, On the
    Stratification of Multi-Label Data (ECML PKDD 2011), algorithm 1, which looks at the rarest class alone.

    Raises:
        ValueError: If two units have the same key, a fraction is outside [0, 1], or both together are above 1.
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
"""The order in which splits get a class that they lack; a class of two groups gets the first two."""


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
    """Yield the units of the class with the fewest clips left, in their order; then count again for the next class."""
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
            continue  # the class was put back with fewer clips
        for unit in list(waiting[rarest].values()):
            yield unit
            for name, taken in unit.clips_by_class.items():
                del waiting[name][unit.key]
                left[name] -= taken
                if name != rarest:
                    heapq.heappush(queue, (left[name], name))


def _allowed(unit: Unit, units_of: Mapping[str, Sequence[Unit]], covered: Sequence[Split]) -> list[Split]:
    """Return the splits that a unit may enter.

    A unit that is the only one of a class stays in train: nothing could be learned of that class otherwise. And val
    does not take what train and test need.
    """
    num_units = min((len(units_of[name]) for name in unit.clips_by_class), default=0)
    allowed: list[Split] = ["train"]
    if num_units > 1:
        allowed.append("test")
    if num_units > (2 if "test" in covered else 1):
        allowed.append("val")
    return allowed


def _most_even(unit: Unit, allowed: Sequence[Split], balance: _Balance, shares: Mapping[Split, float]) -> Split:
    """Return the split in which the unit leaves its classes nearest to their shares."""
    unevenness: dict[Split, float] = {split: balance.unevenness(unit, split, shares) for split in allowed}
    return min(unevenness, key=lambda split: unevenness[split])


def _nearest(unit: Unit, allowed: Sequence[Split], balance: _Balance) -> Split:
    """Return the held-out split that gains most by the unit, or train if none gains."""
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
    """Move free units so that each class has one in every split, as far as it has units, at least cost in balance."""
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


def join_components(groups: Sequence[str | None], content_hashes: Sequence[str]) -> NDArray[np.int64]:
    """Return the component (N,) int64 of each clip; clips that share a group or content, also indirectly, are in one.

    Components are numbered by the first clip that belongs to each, from 0.

    >>> join_components(["a", "a", "b", None, None], ["h1", "h2", "h2", "h3", "h4"])
    array([0, 0, 0, 1, 2])
    """
    num_clips = len(content_hashes)
    parent = list(range(num_clips))

    def root_of(clip: int) -> int:
        while parent[clip] != clip:
            parent[clip] = parent[parent[clip]]
            clip = parent[clip]
        return clip

    for names in (groups, content_hashes):
        first_with: dict[str, int] = {}
        for clip, name in enumerate(names):
            if name is None:
                continue
            other = first_with.setdefault(name, clip)
            if other != clip:
                low, high = sorted((root_of(other), root_of(clip)))
                parent[high] = low
    roots = np.fromiter((root_of(clip) for clip in range(num_clips)), np.int64, num_clips)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def component_keys(
    components: NDArray[np.int64], groups: Sequence[str | None], content_hashes: Sequence[str]
) -> list[str]:
    """Return a name for each component that depends only on its members: its least group, or its least content hash."""
    keys: list[str] = [""] * (int(components.max()) + 1 if len(components) else 0)
    for component, group, content_hash in zip(components.tolist(), groups, content_hashes, strict=True):
        candidate = f"0{group}" if group is not None else f"1{content_hash}"
        if not keys[component] or candidate < keys[component]:
            keys[component] = candidate
    return keys
