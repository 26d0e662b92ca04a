"""EPIC-KITCHENS-100: one row for each narrated action, in `EPIC_100_train.csv` and `EPIC_100_validation.csv`.

Times are `hh:mm:ss.ff`. The class is the verb, the noun or both (`manifest.epic_label`). Classes gather several words:
`EPIC_100_verb_classes.csv` and `EPIC_100_noun_classes.csv` name each by its key; without them the narrated word is
taken. Videos are `P01/videos/P01_01.MP4`. Columns by the read-me of epic-kitchens-100-annotations.
`EPIC_100_test_timestamps.csv` has no classes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from video_assets.domain.clips import LeftOut, SourceWarning
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_ALL: Final = frozenset({"narration_id", "video_id", "start_timestamp", "stop_timestamp"})
_KEYS: Final = _ALL | {"verb", "verb_class", "noun", "noun_class"}
_FIELDS: Final = {
    "id": "video_id",
    "start": "start_timestamp",
    "end": "stop_timestamp",
    "caption": "narration",
    "verb": "verb",
    "verb_class": "verb_class",
    "noun": "noun",
    "noun_class": "noun_class",
}
_COLUMNS: Final = Columns(_FIELDS, ("id", "start", "end", "verb", "noun"), only_chosen=True)
_CLASSES: Final = Columns({"id": "id", "key": "key"}, ("id", "key"), only_chosen=True)


def recognise(tree: SourceTree) -> Match | None:
    """Return the tables with the columns of EPIC-KITCHENS and with classes."""
    tables_of_set = [name for name in tree.with_suffix(".csv") if tree.columns(name) >= _ALL]
    found = [name for name in tables_of_set if tree.columns(name) >= _KEYS]
    if not found:
        return None
    others = [name for name in tables_of_set if name not in found]
    tree.left_out += [LeftOut(name, "its rows have no classes") for name in others]
    classes = [tree.helper(rf"EPIC_100_{word}_classes.*\.csv", found[0]) for word in ("verb", "noun")]
    beside = (*(name for name in classes if name), *others)
    return Match(tuple(found), "the columns narration_id, verb_class and noun_class", beside)


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each table."""
    words = ("verb", "noun") if tree.settings.epic_label == "action" else (tree.settings.epic_label,)
    keys = {word: _keys(tree, match, word) for word in words}
    found: list[RowTable] = []
    for name in match.files:
        split = split_in_name(name)
        found.append(RowTable(name, _rows(tree, name, split, keys), tree.exact, split))
    return found


def _keys(tree: SourceTree, match: Match, word: str) -> dict[str, str]:
    """Names of classes by their numbers; without the file that has them, none, which is said if it matters."""
    for name in match.beside:
        if f"_{word}_classes" in name:
            return {str(row.get("id")): str(row.get("key")) for row in tree.rows(name, _CLASSES)}
    words_of: dict[str, set[str]] = defaultdict(set)
    for name in match.files:
        for row in tree.rows(name, _COLUMNS):
            words_of[str(row.get(f"{word}_class"))].add(str(row.get(word)))
    several = sorted("/".join(sorted(found)) for found in words_of.values() if len(found) > 1)
    if several:
        detail = (
            f"EPIC_100_{word}_classes.csv is not there, so each {word} is a class of its own, though the annotations "
            f"count some as one: {sequence_of(several)}; put the file beside the annotations"
        )
        tree.notes.append(SourceWarning("classes_apart", match.files[0], detail, len(several)))
    return {}


def _rows(tree: SourceTree, name: str, split: Split | None, keys: Mapping[str, Mapping[str, str]]) -> Iterator[Row]:
    for row in tree.rows(name, _COLUMNS):
        placed: dict[str, object] = {field: row.get(field) for field in ("start", "end", "caption")}
        found = [names.get(str(row.get(f"{word}_class")), str(row.get(word) or "")) for word, names in keys.items()]
        placed["label"] = " ".join(found)
        tree.place(placed, [str(row.get("id") or "")], split)
        yield placed


EPIC_KITCHENS: Final = Dialect("epic_kitchens", "EPIC-KITCHENS-100 annotations", recognise, tables)
