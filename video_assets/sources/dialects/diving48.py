"""Diving48: JSON lists of `{"vid_name", "label", "start_frame", "end_frame"}`, and a vocabulary of dives.

Videos are trimmed already: the frames are the whole of `VID_NAME.mp4`. A dive's name is its four parts joined by `+`,
as MMAction2's `tools/data/diving48/label_map.txt` writes them; `Diving48_vocab.json` lists the parts of each number.
Lists by the set's page (SVCL, RESOUND).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.class_names import ClassNames
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree


def recognise(tree: SourceTree) -> Match | None:
    """Return the JSON lists of `vid_name` and `label`."""
    found = [name for name in tree.with_suffix(".json") if {"vid_name", "label"} <= tree.first_object(name).keys()]
    if not found:
        return None
    vocabulary = tree.helper(r".*vocab.*\.json", found[0])
    if vocabulary is None:
        detail = "there is no Diving48_vocab.json beside the lists, so classes are called by their numbers"
        tree.notes.append(SourceWarning("class_numbers", found[0], f"{detail}; or set manifest.class_names"))
        return Match(tuple(found), "objects have a vid_name and a label")
    names = _names(tree.json(vocabulary), vocabulary)
    return Match(tuple(found), "objects have a vid_name and a label", (vocabulary,), names)


def _names(value: object, source: str) -> ClassNames:
    if not isinstance(value, list):
        raise SettingsError(f"{source} is not a list of dives")
    dives = [
        "+".join(map(str, cast("Sequence[object]", dive))) if isinstance(dive, list) else str(dive)
        for dive in cast("list[object]", value)
    ]
    return ClassNames(source, dict(enumerate(dives)))


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list."""
    found: list[RowTable] = []
    for name in match.files:
        split = split_in_name(name)
        found.append(RowTable(name, _rows(tree, name, split), tree.exact, split, "entry"))
    return found


def _rows(tree: SourceTree, name: str, split: Split | None) -> Iterator[Row]:
    for entry in cast("list[object]", tree.json(name)):
        facts = cast("Mapping[str, object]", entry) if isinstance(entry, Mapping) else {}
        row: dict[str, object] = {"label": facts.get("label")}
        tree.place(row, [str(facts.get("vid_name", ""))], split)
        yield row


DIVING48: Final = Dialect("diving48", "Diving48 lists", recognise, tables)
