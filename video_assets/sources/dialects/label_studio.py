"""Exports of Label Studio: JSON, JSON-MIN and CSV.

JSON: a list of tasks `{"data": {"video": …}, "annotations": [{"result": [{"type": "choices", "value": {"choices":
[…]}}]}]}`; timelines have `{"ranges": [{"start", "end"}], "timelinelabels": […]}` in frames counted from 1, both
included. JSON-MIN and CSV: a task a row, with the control's name as a column. By the documentation of the tags Choices
and TimelineLabels, and of export formats. An uploaded file is `/data/upload/1/0a1b2c3d-name.mp4`: eight digits and a
dash before its own name; one of local storage `/data/local-files/?d=path`. Skipped tasks are left out.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import parse_qs, unquote, urlsplit

from video_assets.domain.clips import LeftOut, ListedFile, VideoLost
from video_assets.domain.errors import SettingsError
from video_assets.domain.splits import Split
from video_assets.domain.text import sequence_of
from video_assets.sources.annotations import Dialect, Match, RowTable
from video_assets.sources.columns import Columns, plain_name
from video_assets.sources.file_names import VIDEO_SUFFIXES, suffix_of
from video_assets.sources.path_finder import PathFinder
from video_assets.sources.source_clips import Doubt
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree

_MARKS: Final = frozenset({"annotation_id", "lead_time"})
_UPLOADED: Final = re.compile(r"[0-9a-f]{8}-(.+)")
_NOT_LABELS: Final = frozenset(
    {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "file_upload", "agreement", "meta"}
)


def recognise(tree: SourceTree) -> Match | None:
    """Return the exports: JSON lists of tasks, or tables with Label Studio's own columns."""
    found = [name for name in tree.with_suffix(".json") if _is_export(tree.first_object(name))]
    found += [name for name in tree.with_suffix(".csv", ".tsv") if tree.columns(name) >= _MARKS]
    return Match(tuple(found), "tasks have annotations, or an annotation_id and a lead_time") if found else None


def _is_export(task: Mapping[str, Any]) -> bool:
    return ({"data", "annotations"} <= task.keys() and isinstance(task["data"], dict)) or task.keys() >= _MARKS


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each export."""
    found: list[RowTable] = []
    for name in match.files:
        rows = list(_rows_of_tasks(tree, name) if suffix_of(name) == ".json" else _rows_of_csv(tree, name))
        _doubt_several_controls(tree, name, rows)
        finder = tree.finder(name, [_path_of(str(row.get("path"))) for row in rows[:100]])
        anywhere = PathFinder(tree.videos, [""], anywhere=True)
        found.append(RowTable(name, rows, _Finder(finder, anywhere).find, None, "result"))
    return found


def _doubt_several_controls(tree: SourceTree, name: str, rows: Sequence[Row]) -> None:
    """Doubt an export in which several controls label the videos: a free text or a rating is no class."""
    controls = sorted({str(row["control"]) for row in rows if "control" in row})
    if len(controls) > 1 and not tree.settings.multi_label:
        shown = sequence_of(controls)
        detail = f"{name} has labels of {len(controls)} controls, {shown}, and only one of them can be the class"
        tree.doubts.append(
            Doubt("several_controls", f"{detail}; choose with manifest.columns: {{label: {controls[0]}}}")
        )


class _Finder:
    """Finds a task's file by its address in Label Studio."""

    def __init__(self, direct: PathFinder, anywhere: PathFinder) -> None:
        self._direct, self._anywhere = direct, anywhere

    def find(self, text: str, split: Split | None) -> ListedFile:
        """Return the file that an address in Label Studio means.

        Raises:
            VideoLost: if there is none, or two.
        """
        path = _path_of(text)
        try:
            return self._direct.find(path, split)
        except VideoLost as error:
            first = error
        names = [path.rpartition("/")[2]]
        uploaded = _UPLOADED.fullmatch(names[0])
        if uploaded:
            names.append(uploaded[1])
        for name in names:
            try:
                return self._anywhere.find(name, split)
            except VideoLost as error:
                if error.loss.reason != "not_found":
                    raise
        raise first


def _path_of(address: str) -> str:
    """Return the path within the storage that an address in Label Studio means.

    >>> _path_of("/data/local-files/?d=clips/a%20b.mp4"), _path_of("/data/upload/1/0a1b2c3d-a.mp4")
    ('clips/a b.mp4', '0a1b2c3d-a.mp4')
    """
    parts = urlsplit(address) if "://" in address or address.startswith("/data/") else None
    if parts is None:
        return address
    local = parse_qs(parts.query).get("d")
    if local:
        return local[0].lstrip("/")
    return unquote(parts.path).rpartition("/")[2]


# --- JSON and JSON-MIN ------------------------------------------------------------------------------------------------


def _rows_of_tasks(tree: SourceTree, name: str) -> Iterator[Row]:
    tasks = tree.json(name)
    if not isinstance(tasks, list):
        raise SettingsError(f"{name} is not a list of tasks")
    for task in cast("list[dict[str, Any]]", tasks):
        if "annotations" in task:
            yield from _rows_of_annotations(tree, name, task)
        else:
            yield from _rows_of_values(tree, name, task)


def _rows_of_annotations(tree: SourceTree, name: str, task: Mapping[str, Any]) -> Iterator[Row]:
    path = _video_of(cast("Mapping[str, object]", task.get("data", {})))
    rows: list[Row] = []
    for annotation in task["annotations"] or ():
        if not annotation.get("was_cancelled"):
            for result in annotation.get("result") or ():
                control = str(result.get("from_name") or "")
                rows += _of_control(control, _rows_of_value(path, result.get("value") or {}, tree), tree)
    if not rows:
        tree.left_out.append(LeftOut(path or name, f"task {task.get('id')} of {name} has no label"))
    yield from rows


def _of_control(name: str, rows: Sequence[Row], tree: SourceTree) -> list[Row]:
    """The rows of one control; none if the settings choose another one."""
    chosen = tree.settings.columns.get("label")
    return [] if chosen and plain_name(chosen) != plain_name(name) else [{**row, "control": name} for row in rows]


def _rows_of_value(path: str, value: Mapping[str, Any], tree: SourceTree) -> list[Row]:
    """Rows of one result: a choice for the whole clip, or labels of ranges."""
    choices, ranges, spans = value.get("choices"), value.get("ranges"), value.get("timelinelabels")
    if choices:
        return [{"path": path, "label": label} for label in _labels(choices, tree)]
    if ranges and spans:
        return [
            {"path": path, "label": label, "start_frame": int(span["start"]) - 1, "end_frame": span["end"]}
            for label in _labels(spans, tree)
            for span in ranges
        ]
    if "start" in value and value.get("labels"):  # of the tag Audio or Paragraphs beside a video: seconds
        return [
            {"path": path, "label": label, "start": value["start"], "end": value.get("end")}
            for label in _labels(value["labels"], tree)
        ]
    return []


def _labels(values: Sequence[str], tree: SourceTree) -> list[str]:
    """A clip's labels: as one text where a clip may have several, else each as its own row, which are told apart."""
    return ["|".join(map(str, values))] if tree.settings.multi_label else [str(value) for value in values]


def _rows_of_values(tree: SourceTree, name: str, task: Mapping[str, object]) -> Iterator[Row]:
    path = _video_of(task)
    rows: list[Row] = []
    for key, value in task.items():
        if key in _NOT_LABELS or value == path or value in (None, ""):
            continue
        rows += _of_control(key, _rows_of_control(path, value, tree), tree)
    if not rows:
        tree.left_out.append(LeftOut(path or name, f"task {task.get('id')} of {name} has no label"))
    yield from rows


def _rows_of_control(path: str, value: object, tree: SourceTree) -> list[Row]:
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if isinstance(value, str):
        return [{"path": path, "label": value}]
    if isinstance(value, Mapping):
        return _rows_of_value(path, cast("Mapping[str, Any]", value), tree)
    if isinstance(value, list):
        parts = [part for part in cast("list[object]", value) if isinstance(part, Mapping)]
        return [row for part in parts for row in _rows_of_value(path, cast("Mapping[str, Any]", part), tree)]
    return []


def _video_of(data: Mapping[str, object]) -> str:
    """The address of a task's video: the value that ends as videos do, else the one called video."""
    for value in data.values():
        if isinstance(value, str) and suffix_of(value.split("?")[0] if "?d=" not in value else value) in VIDEO_SUFFIXES:
            return value
    return str(data.get("video") or "")


# --- CSV --------------------------------------------------------------------------------------------------------------


def _rows_of_csv(tree: SourceTree, name: str) -> Iterator[Row]:
    names = [column for column in sorted(tree.columns(name)) if column]
    columns = Columns({column: column for column in names}, (), only_chosen=True)
    for row in tree.rows(name, columns):
        yield from _rows_of_values(tree, name, row)


LABEL_STUDIO: Final = Dialect("label_studio", "Label Studio export", recognise, tables)
