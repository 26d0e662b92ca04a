"""Times as people write them: seconds, minutes and seconds, hours, minutes and seconds."""

import math
import re
from typing import Final, cast

_CLOCK: Final = re.compile(r"(?:(\d{1,4}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d+)?)")
_LONGEST: Final = 400


def parse_seconds(value: object) -> float:
    """Return a time in seconds: a number, or a text such as `75.5`, `1:15.5` or `00:01:15.50`.

    >>> parse_seconds("00:01:15.50"), parse_seconds("1:15"), parse_seconds(3)
    (75.5, 75.0, 3.0)

    Raises:
        ValueError: if it is none of these. Numbers that are not finite are given as they are.
    """
    if isinstance(value, str) and ":" in value:
        return _parse_clock(value)
    try:
        return float(cast("float", value))
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _parse_clock(text: str) -> float:
    match = _CLOCK.fullmatch(text.strip()) if len(text) < _LONGEST else None
    if match is None:
        raise ValueError("not a time")
    hours, minutes, seconds = int(match[1] or 0), int(match[2]), float(match[3].replace(",", "."))
    if seconds >= 60 or (match[1] and minutes >= 60):
        raise ValueError("minutes and seconds go to 59")
    return math.fsum((hours * 3600, minutes * 60, seconds))


def parse_frame(value: object) -> int:
    """Return the number of a frame: a whole number, however it is written.

    >>> parse_frame("25"), parse_frame(25.0)
    (25, 25)

    Raises:
        ValueError: if it is not one.
    """
    try:
        number = float(cast("float", value))
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error
    if not number.is_integer():
        raise ValueError("not a whole number")
    return int(number)
