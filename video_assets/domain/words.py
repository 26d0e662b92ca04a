"""Words for people."""

from collections.abc import Sequence


def sequence_of(names: Sequence[str]) -> str:
    """Names for a sentence: the first five, and how many more.

    >>> sequence_of(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
