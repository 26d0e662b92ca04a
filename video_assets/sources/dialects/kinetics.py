"""Kinetics 400, 600 and 700: `label,youtube_id,time_start,time_end,split` in one CSV for each split.

The sets' own archives hold the same as JSON, `{ID: {"annotations": {"label", "segment": [start, end]}, "subset"}}`.
JSON is read where there is no CSV.

Trimmed copies (CVDF's, MMAction2's) call a clip `ID_000003_000013.mp4`, with the seconds of the video that it was cut
from: the whole file is the clip. A file `ID.mp4` is the video before cutting: the times are a span of it. Columns by
the sets' own read-me (ActivityNet's Crawler/Kinetics), names of files by MMAction2's `tools/data/parse_file_list.py`
and torchvision's `datasets/kinetics.py`. Lists of test clips may come without labels.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from video_assets.domain.clips import LeftOut
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split, split_of_word
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns, parse_seconds
from video_assets.sources.file_names import split_in_name
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_KEYS: Final = frozenset({"youtube_id", "time_start", "time_end"})
_FIELDS: Final = {"id": "youtube_id", "start": "time_start", "end": "time_end", "label": "label", "split": "split"}
_COLUMNS: Final = Columns(_FIELDS, ("id", "label"), only_chosen=True)
_JSON_HEAD: Final = re.compile(
    r'\s*\{\s*"[^"]+"\s*:\s*\{\s*"annotations"\s*:\s*\{[^{}]*"label"\s*:[^{}]*"segment"|'
    r'\s*\{\s*"[^"]+"\s*:\s*\{\s*"annotations"\s*:\s*\{[^{}]*"segment"\s*:[^{}]*"label"'
)


def recognise(tree: SourceTree) -> Match | None:
    """Return the tables with the columns of Kinetics and a label, or JSON files that hold the same."""
    found = [name for name in tree.with_suffix(".csv", ".tsv") if tree.columns(name) >= _KEYS]
    labelled = [name for name in found if "label" in tree.columns(name)]
    for name in found:
        if name not in labelled and labelled:
            tree.left_out.append(LeftOut(name, "its rows have no labels"))
    in_json = tuple(name for name in tree.with_suffix(".json") if _JSON_HEAD.match(tree.head(name)))
    if not labelled:
        return Match(in_json, "JSON of videos with a label and a segment each") if in_json else None
    for name in in_json:
        tree.left_out.append(LeftOut(name, f"the tables beside it are read, such as {labelled[0]}"))
    unlabelled = tuple(name for name in found if name not in labelled)
    return Match(tuple(labelled), "the columns youtube_id, time_start and time_end", unlabelled)


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each table."""
    found: list[RowTable] = []
    for name in match.files:
        split = split_in_name(name)
        found.append(RowTable(name, _rows(tree, name, split), tree.exact, split))
    return found


def _rows(tree: SourceTree, name: str, split: Split | None) -> Iterator[Row]:
    for row in _json_rows(tree, name) if name.lower().endswith(".json") else tree.rows(name, _COLUMNS):
        placed: dict[str, object] = dict(row)
        video = str(placed.pop("id", "") or "").strip()
        official = split_of_word(str(row.get("split") or "")) or split
        names = [f"{video}_{times}" for times in _times(row)]
        if tree.place(placed, [*names, video], official) in names:
            del placed["start"], placed["end"]
        yield placed


def _json_rows(tree: SourceTree, name: str) -> Iterator[Row]:
    value = tree.json(name)
    if not isinstance(value, dict):
        raise SettingsError(f"{name} is no object of videos")
    for video, entry in cast("dict[str, object]", value).items():
        facts = cast("Mapping[str, object]", entry) if isinstance(entry, Mapping) else {}
        told = facts.get("annotations")
        if not isinstance(told, Mapping):
            tree.left_out.append(LeftOut(video, f"{name} has no label of it"))
            continue
        clip = cast("Mapping[str, object]", told)
        row: dict[str, object] = {"id": video, "label": clip.get("label"), "split": facts.get("subset")}
        times = clip.get("segment")
        if isinstance(times, Sequence) and len(cast("Sequence[object]", times)) == 2:
            row["start"], row["end"] = cast("Sequence[object]", times)
        yield row


def _times(row: Row) -> list[str]:
    """The times as they stand in the name of a trimmed clip; none if they are no times."""
    try:
        start, end = parse_seconds(row.get("start")), parse_seconds(row.get("end"))
        return [f"{int(start):06d}_{int(end):06d}"]
    except (ValueError, OverflowError):
        return []


KINETICS: Final = Dialect("kinetics", "Kinetics annotations", recognise, tables)
