"""Class names and their indices."""

import unicodedata
from collections.abc import Iterable, Sequence


def clean_label(text: str) -> str:
    r"""The label as it is stored: one line, no outer blanks, control characters spelled out; empty if nothing is left.

    Label files hold one class a line and their readers strip each line.

    >>> clean_label(' jump\n')
    'jump'
    >>> clean_label('a\nb')
    'a\\nb'
    """
    composed = unicodedata.normalize("NFC", text).strip()
    spelled = "".join(_spelled_out(c) if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in composed)
    return unicodedata.normalize("NFC", spelled)  # an accent may have followed a character that is now a letter


def _spelled_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def append_labels(known: Sequence[str], found: Iterable[str]) -> list[str]:
    """Labels in index order: the known ones unmoved, then the new ones sorted. An index, once given, never changes.

    >>> append_labels(["run", "walk"], {"walk", "jump", "climb"})
    ['run', 'walk', 'climb', 'jump']
    """
    return [*known, *sorted(set(found) - set(known))]
