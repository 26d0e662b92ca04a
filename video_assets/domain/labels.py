"""Class names and their indices."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import split_of_word

LABEL_SEPARATOR = "|"
"""Separates the labels of one clip, in a table's cell and wherever they are stored as one text."""


def are_names_of_splits(labels: Sequence[str]) -> bool:
    """Whether all classes are called as splits are: then the folders of the classes lie one level below.

    >>> are_names_of_splits(["Test", "train"]), are_names_of_splits(["test", "walk"])
    (True, False)
    """
    return len(labels) > 1 and all(split_of_word(label) for label in labels)


@lru_cache(10_000)  # a source names its few classes once per clip
def clean_label(text: str) -> str:
    r"""Return the label as it is stored: one line, stripped, control characters escaped; empty if nothing is left.

    Label files hold one class per line, and their readers strip each line.

    >>> clean_label(' jump\n')
    'jump'
    >>> clean_label('a\nb')
    'a\\nb'
    """
    composed = unicodedata.normalize("NFC", text).strip()
    spelled = "".join(_spelled_out(c) if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in composed)
    return unicodedata.normalize("NFC", spelled)  # an accent may follow a character that is a letter only now


def _spelled_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def stored_label(text: str, *, multi_label: bool) -> str:
    """Return a clip's label as it is stored. With `multi_label`, all of its labels, sorted, each once. Empty for none.

    >>> stored_label("walk | run|walk", multi_label=True)
    'run|walk'

    Raises:
        ValueError: If a part between two separators is empty.
    """
    if not multi_label:
        return clean_label(text)
    labels = [clean_label(part) for part in text.split(LABEL_SEPARATOR)]
    if labels == [""]:
        return ""
    if "" in labels:
        raise ValueError(f"the labels are {text!r:.200}; each part between {LABEL_SEPARATOR} must name a class")
    return LABEL_SEPARATOR.join(sorted(set(labels)))


def split_labels(stored: str, *, multi_label: bool) -> list[str]:
    """Return the classes of a stored label: the label itself, or with `multi_label` its parts.

    >>> split_labels("run|walk", multi_label=True)
    ['run', 'walk']
    """
    return stored.split(LABEL_SEPARATOR) if multi_label else [stored]


def label_indices(stored: str, indices: Mapping[str, int], *, multi_label: bool) -> tuple[int, ...]:
    """Return the index of each class of a stored label, in the label's order.

    Raises:
        KeyError: If a class has no index.
    """
    return tuple(indices[name] for name in split_labels(stored, multi_label=multi_label))


def append_labels(known: Sequence[str], found: Iterable[str]) -> list[str]:
    """Return all labels in index order: the known ones first, then the new ones sorted. An index never changes.

    >>> append_labels(["run", "walk"], {"walk", "jump", "climb"})
    ['run', 'walk', 'climb', 'jump']
    """
    return [*known, *sorted(set(found) - set(known))]


def in_fixed_order(known: Sequence[str], order: Sequence[str]) -> Sequence[str]:
    """Return the classes that come first: those of `manifest.class_names`, or those that have their numbers already.

    >>> in_fixed_order(["a"], ["a", "b"]), in_fixed_order(["a", "b", "c"], ["a", "b"])
    (['a', 'b'], ['a', 'b', 'c'])

    Raises:
        SettingsError: if the fixed order would change a number that a class has.
    """
    both = min(len(known), len(order))
    for number, (old, new) in enumerate(zip(known[:both], order[:both], strict=True)):
        if old != new:
            raise SettingsError(
                f"manifest.class_names would give the number {number} to {new}, but in the dataset it is that of "
                f"{old}, and numbers never change. Build another dataset under another name with this order"
            )
    return known if len(known) > len(order) else order
