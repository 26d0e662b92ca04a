"""FineGym (Gym99, Gym288): lists of elements `VIDEO_E_START_END_A_START_END number`, and JSON with their times.

An element's file may be cut already, under the element's id; else the event's, `VIDEO_E_START_END.mp4`, of which the
element is a span; else the whole `VIDEO.mp4`, where the event's start is added. The JSON is
`{VIDEO: {EVENT: {"timestamps": [[start, end]], "segments": {ACTION: {"timestamps": [[start, end], …]}}}}}`.
`gym99_categories.txt` has `Clabel: 0; set: 1; Glabel: 1; (VT) name` a line. Form by the set's page and MMAction2's
`tools/data/gym` (`trim_event.py`, `trim_subaction.py`, `generate_file_list.py`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from video_assets.domain.clips import SourceWarning
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.class_names import ClassNames
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_LIST: Final = re.compile(r"(gym\d+)_(train|val)_element.*\.txt", re.IGNORECASE)
_TIMES: Final = r"finegym_annotation_info.*\.json"
_ELEMENT: Final = re.compile(r"(?P<video>.+)_(?P<event>E_\d+_\d+)_(?P<action>A_\d+_\d+)")
_CATEGORY: Final = re.compile(r"\s*Clabel:\s*(\d+)\s*;.*?;\s*(?:Glabel:\s*\d+\s*;\s*)?(.+)")


def recognise(tree: SourceTree) -> Match | None:
    """Return the lists of elements of one set."""
    lists = tree.named(_LIST.pattern)
    if not lists:
        return None
    sets = sorted({_set_of(name) for name in lists})
    if len(sets) > 1:
        raise SettingsError(
            f"{tree.source} holds lists of {' and of '.join(sets)}, which are different sets of classes: {lists[0]}, "
            f"{lists[-1]}; move those away that are not meant (manifest.source_format cannot tell them apart)"
        )
    categories = tree.helper(rf"{sets[0]}_categor.*\.txt", lists[0])
    times = tree.helper(_TIMES, lists[0])
    names = _names(tree, categories, lists[0])
    beside = tuple(name for name in (categories, times) if name)
    return Match(tuple(lists), f"lists are called {sets[0]}_SPLIT_element.txt", beside, names)


def _set_of(name: str) -> str:
    match = _LIST.fullmatch(name.rpartition("/")[2])
    return match[1].lower() if match else ""


def _names(tree: SourceTree, categories: str | None, near: str) -> ClassNames | None:
    if categories is None:
        detail = "there is no file of categories beside the lists, so classes are called by their numbers"
        tree.notes.append(SourceWarning("class_numbers", near, f"{detail}; or set manifest.class_names"))
        return None
    matches = [_CATEGORY.fullmatch(line.strip()) for line in tree.lines(categories)]
    return ClassNames(categories, {int(match[1]): match[2].strip() for match in matches if match})


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list."""
    times = next((name for name in match.beside if name.lower().endswith(".json")), None)
    events: dict[str, Any] = tree.json(times) if times else {}
    found: list[RowTable] = []
    for name in match.files:
        split = split_in_name(name)
        found.append(RowTable(name, _rows(tree, name, split, events), tree.exact, split, "line"))
    return found


def _rows(tree: SourceTree, name: str, split: Split | None, events: Mapping[str, Any]) -> Iterator[Row]:
    for line in tree.lines(name):
        element, _, number = line.strip().rpartition(" ")
        element = element.strip()
        row: dict[str, object] = {"label": number}
        match = _ELEMENT.fullmatch(element)
        event = f"{match['video']}_{match['event']}" if match else element
        names = list(dict.fromkeys([element, event, match["video"] if match else element]))
        found = tree.place(row, names, split)
        if match and found and found != element:
            row |= _span(match, events, from_event=found == event)
        yield row


def _span(match: re.Match[str], events: Mapping[str, Any], *, from_event: bool) -> dict[str, object]:
    """The element's times within its event, or within the whole video; not a number where the JSON has none."""
    try:
        event = events[match["video"]][match["event"]]
        times = cast("Sequence[Sequence[float]]", event["segments"][match["action"]]["timestamps"])
        offset = 0.0 if from_event else float(event["timestamps"][0][0])
        return {"start": offset + float(times[0][0]), "end": offset + float(times[-1][1])}
    except (KeyError, IndexError, TypeError, ValueError):
        return {"start": "no time in the JSON of annotations"}


FINEGYM: Final = Dialect("finegym", "FineGym lists", recognise, tables)
