"""How far a stage has come, as told to a log or a terminal."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

Counter = Callable[[int, int], None]
"""Called with the numbers of clips and source bytes that were finished since the last call."""
Progress = Callable[[str, int, int], Counter]
"""Called when a phase begins: with its name and how many clips and source bytes it has. Returns the phase's counter."""


UNITS: Final[Mapping[str, str]] = {"checking": "shards"}
"""What a phase counts, where it is not clips."""


def silent(_phase: str, _num_clips: int, _num_bytes: int) -> Counter:
    """Report no progress."""
    return lambda _clips, _bytes: None


def after_first(begin: Callable[[], object], progress: Progress, *, min_clips: int = 1) -> Progress:
    """Return the same progress, which also calls `begin` when the first clip of a phase of so many is finished."""

    def begin_phase(phase: str, num_clips: int, num_bytes: int) -> Counter:
        counter = progress(phase, num_clips, num_bytes)
        has_begun = num_clips < min_clips

        def count(clips: int, num_bytes_done: int) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                begin()
            counter(clips, num_bytes_done)

        return count

    return begin_phase


@dataclass(slots=True)
class LineProgress:
    """Reports one line every few seconds at most, and one at the end of each phase."""

    say: Callable[[str], None]
    every_seconds: float = 5.0
    clock: Callable[[], float] = field(default=time.monotonic)

    def __call__(self, phase: str, num_clips: int, num_bytes: int) -> Counter:
        """Begin a phase."""
        begun = self.clock()
        num_done, bytes_done, said = 0, 0, begun

        def count(clips: int, num_bytes_done: int) -> None:
            nonlocal num_done, bytes_done, said
            num_done, bytes_done = num_done + clips, bytes_done + num_bytes_done
            now = self.clock()
            if num_done < num_clips and now - said < self.every_seconds:
                return
            said = now
            self.say(progress_line(phase, num_done, num_clips, bytes_done, now - begun, num_bytes=num_bytes))

        return count


def progress_line(
    phase: str, num_done: int, num_clips: int, bytes_done: float, seconds: float, *, num_bytes: float = 0
) -> str:
    """Return one line about a phase. With `num_bytes`, the time left is estimated from bytes: clips differ in length.

    >>> progress_line("encoding", 20, 100, 4e6, 2.0)
    'encoding: 20 of 100 clips, 10.0 clips/s, 8 s left'
    """
    rate = num_done / max(seconds, 1e-9)
    share = bytes_done / num_bytes if num_bytes else num_done / max(1, num_clips)
    left = ""
    if 0 < num_done < num_clips and 0 < share < 1:
        left = f", {format_duration(seconds * (1 - share) / share)} left"
    unit = UNITS.get(phase, "clips")
    megabytes = f", {bytes_done / max(seconds, 1e-9) / 1e6:.1f} MB/s" if num_bytes else ""
    return f"{phase}: {num_done} of {num_clips} {unit}, {rate:.1f} {unit}/s{megabytes}{left}"


def format_duration(seconds: float) -> str:
    """Return a duration for people.

    >>> [format_duration(s) for s in (1.25, 42, 600, 7500)]
    ['1.2 s', '42 s', '10 min', '2 h 05 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    if round(seconds) < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
