"""20BN's sets: Something-Something and Jester.

Something-Something v2 has JSON lists of `{"id", "label", "template", "placeholders"}`; a class is a template without
brackets, as its `labels.json` writes it, and its label is the sentence with what was seen: a caption. Jester and
Something-Something v1 have `id;label` a line. Videos are called by their id. Lists of test clips name no class, unless
`test-answers.csv` (`id;label`) is there. Read so by MMAction2's `tools/data/parse_file_list.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Final, cast

from video_assets.domain.clips import LeftOut
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_SENTENCES: Final = r"(?:something-something-v2-)?(?:train|validation|test)\.json"
_OF_SOMETHING_V1: Final = r"something-something-v1-(?:train|validation|test)\.csv"
_OF_JESTER: Final = r"jester-v\d-(?:train|validation|test)\.csv"


def recognise_something(tree: SourceTree) -> Match | None:
    """Return the JSON lists of templates, or the lists of the first version."""
    old = _labelled(tree, tree.named(_OF_SOMETHING_V1))
    if old:
        return Match(old, "lists are called something-something-v1-SPLIT.csv")
    found = [name for name in tree.with_suffix(".json") if {"id", "template"} <= tree.first_object(name).keys()]
    if not found:
        return None
    answers = tree.helper(r"(?:something-something-v2-)?test-answers\.csv", found[0])
    tests = [name for name in tree.named(_SENTENCES) if split_in_name(name) == "test" and name not in found]
    beside = [name for name in (tree.helper(r".*labels\.json", found[0]), *tests) if name]
    if answers:
        return Match((*found, answers), "objects have an id and a template", tuple(beside))
    tree.left_out += [LeftOut(name, "its rows have no labels") for name in tests]
    return Match(tuple(found), "objects have an id and a template", tuple(beside))


def recognise_jester(tree: SourceTree) -> Match | None:
    """Return the lists that are called as Jester's are."""
    lists = tree.named(_OF_JESTER)
    labelled = _labelled(tree, lists)
    beside = tuple(tree.named(r"jester-v\d-labels\.csv")) + tuple(name for name in lists if name not in labelled)
    return Match(labelled, "lists are called jester-v1-SPLIT.csv", beside) if labelled else None


def _labelled(tree: SourceTree, lists: list[str]) -> tuple[str, ...]:
    labelled = [name for name in lists if ";" in tree.head(name).partition("\n")[0]]
    tree.left_out += [LeftOut(name, "its rows have no labels") for name in lists if name not in labelled]
    return tuple(labelled)


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list."""
    found: list[RowTable] = []
    for name in match.files:
        split = split_in_name(name)
        if name.endswith(".json"):
            found.append(RowTable(name, _sentences(tree, name, split), tree.exact, split, "entry"))
        else:
            found.append(RowTable(name, _lines(tree, name, split), tree.exact, split, "line"))
    return found


def _sentences(tree: SourceTree, name: str, split: Split | None) -> Iterator[Row]:
    entries = tree.json(name)
    if not isinstance(entries, list):
        raise SettingsError(f"{name} is not a list of objects with an id and a template")
    for entry in cast("list[object]", entries):
        row: dict[str, object] = {}
        if isinstance(entry, Mapping):
            values = cast("Mapping[str, object]", entry)
            template = str(values.get("template") or "").replace("[", "").replace("]", "")
            row = {"label": template, "caption": values.get("label"), "path": str(values.get("id", ""))}
            tree.place(row, [str(row["path"])], split)
        yield row


def _lines(tree: SourceTree, name: str, split: Split | None) -> Iterator[Row]:
    for line in tree.lines(name):
        video, _, label = line.partition(";")
        row: dict[str, object] = {"label": label.strip()}
        tree.place(row, [video.strip()], split)
        yield row


SOMETHING_SOMETHING: Final = Dialect(
    "something_something", "Something-Something annotations", recognise_something, tables
)
JESTER: Final = Dialect("jester", "Jester lists", recognise_jester, tables)
