"""ActivityNet, and sets in its form (THUMOS, HACS): JSON with a `database` of videos and their segments.

Each video has a `subset` (training, validation, testing) and `annotations` of `{"label", "segment": [start, end]}` in
seconds. Files are called `v_ID.mp4` or `ID.mp4`. Form by the set's own crawler and evaluation (activitynet/ActivityNet,
`Evaluation/data`) and MMAction2's `tools/data/activitynet`. Kinetics comes in a like form without `database`, where
`annotations` is one object. Videos of the testing subset have no annotations.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from video_assets.domain.clips import LeftOut
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import split_of_word
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree


def recognise(tree: SourceTree) -> Match | None:
    """Return the JSON files that begin as ActivityNet's does."""
    found = [name for name in tree.with_suffix(".json") if _begins_so(tree.head(name))]
    return Match(tuple(found), 'an object with a "database" of videos') if found else None


def _begins_so(head: str) -> bool:
    return head.lstrip().startswith("{") and ('"database"' in head or '"taxonomy"' in head)


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return a row for each segment."""
    return [RowTable(name, _rows(tree, name), tree.exact, None, "segment") for name in match.files]


def _rows(tree: SourceTree, name: str) -> Iterator[Row]:
    value = tree.json(name)
    database = value.get("database") if isinstance(value, dict) else None
    if not isinstance(database, dict):
        raise SettingsError(f'{name} has no "database" of videos')
    for video, entry in cast("dict[str, object]", database).items():
        facts = cast("Mapping[str, object]", entry) if isinstance(entry, Mapping) else {}
        subset = str(facts.get("subset") or "")
        split = split_of_word(subset)
        annotations = facts.get("annotations") or []
        segments = cast("Sequence[object]", annotations if isinstance(annotations, list) else [annotations])
        if not segments:
            tree.left_out.append(LeftOut(video, f"{name} has no segment of it"))
            continue
        placed: dict[str, object] = {"split": subset}
        tree.place(placed, [f"v_{video}", video], split)
        for segment in segments:
            yield {**placed, **_segment(segment)}


def _segment(value: object) -> dict[str, object]:
    facts = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}
    times = facts.get("segment")
    row: dict[str, object] = {"label": facts.get("label")}
    if isinstance(times, Sequence) and len(cast("Sequence[object]", times)) == 2:
        row["start"], row["end"] = cast("Sequence[object]", times)
    return row


ACTIVITYNET: Final = Dialect("activitynet", "ActivityNet annotations", recognise, tables)
