"""Find pictures that are missing in a stream without times, by the numbers that say the order of display."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_STEADY_SHARE: Final = 0.75
_MIN_STEPS: Final = 4


def order_count(low: int, num_bits: int, base: int | None) -> int:
    """Return a picture order count by its lower bits: the one that is nearest to `base`.

    >>> order_count(2, 4, base=14), order_count(14, 4, base=18)
    (18, 14)
    """
    half, base = 1 << num_bits - 1, base or 0
    return base + (low - base + half - 1) % (2 * half) - half + 1


@dataclass(frozen=True, slots=True)
class _Picture:
    number: int
    place: int  # in the order of the stream
    is_restart: bool


class DisplayNumbers:
    """Collects the numbers (picture order counts) of a stream's pictures: most of them come at one step.

    Editors that cut or join a stream leave out the pictures that follow a keyframe and are shown before it. So no
    picture is called missing right before a keyframe, unless one of these is there.
    """

    def __init__(self) -> None:
        self._sequences: list[list[_Picture]] = []
        self._num_pictures = 0
        self._is_unsure = False

    def add(self, number: int, *, is_restart: bool, begins_anew: bool) -> None:
        """Note the next picture; numbers begin anew with some keyframes, and where streams are joined."""
        self._num_pictures += 1
        latest = self._sequences[-1] if self._sequences else []
        if begins_anew or not latest or (is_restart and number <= max(picture.number for picture in latest)):
            self._sequences.append(latest := [])
        latest.append(_Picture(number, self._num_pictures, is_restart))

    def give_up(self) -> None:
        """Note that the stream's numbers are of another kind."""
        self._is_unsure = True

    def num_missing(self) -> int:
        """Return how many pictures are missing; 0 where numbers do not come at one step."""
        ordered = [sorted(sequence, key=lambda picture: picture.number) for sequence in self._sequences]
        steps = Counter(after.number - before.number for pictures in ordered for before, after in pairwise(pictures))
        if self._is_unsure or steps.total() < _MIN_STEPS:
            return 0
        usual, count = steps.most_common(1)[0]
        if usual < 1 or count < _STEADY_SHARE * steps.total():
            return 0
        return sum(_num_missing_of(pictures, usual) for pictures in ordered)


def _num_missing_of(pictures: list[_Picture], usual: int) -> int:
    """Return how many pictures are missing among some in the order of display."""
    num_missing = latest_place = 0  # latest_place: of all pictures that are shown earlier
    for before, after in pairwise(pictures):
        latest_place = max(latest_place, before.place)
        is_cut = after.is_restart and latest_place < after.place
        if after.number - before.number > usual and not is_cut:
            num_missing += (after.number - before.number) // usual - 1
    return num_missing
