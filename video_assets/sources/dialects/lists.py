"""Lists of MMAction2, SlowFast and PyTorchVideo: a path and the class's number a line, without a header.

MMAction2's are `.txt` (`kinetics400_train_list_videos.txt`, paths relative to a data prefix such as `videos_train`);
several numbers are several classes (`datasets/video_dataset.py`). Its lists of extracted frames
(`hmdb51_train_split_1_rawframes.txt`) put the number of frames between; they are read where there is no list of videos.
SlowFast's and PyTorchVideo's are `train.csv`,
`val.csv` and `test.csv`, separated by a blank unless configured otherwise (`slowfast/datasets/kinetics.py`,
`pytorchvideo/data/labeled_video_paths.py`). Names of classes are in `label_map.txt`, `classInd.txt` or
`class_names.json` beside them. A test list that repeats the validation list, as recipes of both have it, is no split.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from video_assets.domain.clips import LeftOut, Loss, SourceWarning
from video_assets.setting_types import SourceFormat
from video_assets.sources.annotations import LOSS, Dialect, Match, RowTable
from video_assets.sources.class_names import ClassNames, parse_class_names
from video_assets.sources.file_names import VIDEO_SUFFIXES, suffix_of
from video_assets.sources.table_rows import Row
from video_assets.sources.tree import SourceTree, splits_of_names

_LINE: Final = re.compile(r"(?P<path>\S.*?)[ \t,;]+(?P<numbers>\d+(?:[ \t,;]+\d+)*)\s*")
_FRAMES_LINE: Final = re.compile(r"(?P<path>\S.*?)[ \t]+\d+[ \t]+(?P<numbers>\d+(?:[ \t]+\d+)*)\s*")
_LOOKED_AT: Final = 20
_NAMES: Final = r"(?:.*label_?map.*|.*class_?(?:names?|ids?|list)|classes|labels|classInd)\.(?:txt|json|csv)"
_OFFICIAL: Final = re.compile(r"split_?0?(\d)(?!\d)", re.IGNORECASE)


def recognise_mmaction2(tree: SourceTree) -> Match | None:
    """Return lists that end with `.txt`."""
    return _recognise(tree, tree.with_suffix(".txt"))


def recognise_slowfast(tree: SourceTree) -> Match | None:
    """Return lists that end with `.csv`."""
    return _recognise(tree, tree.with_suffix(".csv", ".tsv"))


def _recognise(tree: SourceTree, names: Sequence[str]) -> Match | None:
    lists = [name for name in names if _is_list(tree.head(name))]
    lists = lists or [name for name in names if _is_of_frames(name) and _all_lines(_FRAMES_LINE, tree.head(name))]
    if not lists:
        return None
    chosen = _of_official_split(lists, tree.settings.official_split)
    chosen = _without_copies(tree, chosen)
    others = [name for name in lists if name not in chosen]
    classes = tree.helper(_NAMES, chosen[0])
    class_names: ClassNames | None = None
    if classes is not None:
        class_names = parse_class_names(tree.text(classes), classes)
    elif not tree.settings.class_names:
        detail = "no file beside the lists names the classes, so they are called by their numbers"
        tree.notes.append(SourceWarning("class_numbers", chosen[0], f"{detail}; set manifest.class_names"))
    beside = (*((classes,) if classes else ()), *others)
    return Match(tuple(chosen), "each line is a path and a number", beside, class_names)


def _is_list(head: str) -> bool:
    """Whether a text's first lines are paths of videos and numbers."""
    matches = _all_lines(_LINE, head)
    return bool(matches) and all(suffix_of(match["path"]) in VIDEO_SUFFIXES for match in matches)


def _is_of_frames(name: str) -> bool:
    return "rawframes" in name.rpartition("/")[2].lower()


def _all_lines(form: re.Pattern[str], head: str) -> list[re.Match[str]]:
    """The first lines of a text, if all have this form; else none."""
    lines = [line.strip() for line in head.splitlines()[:_LOOKED_AT] if line.strip()]
    matches = [match for line in lines if (match := form.fullmatch(line))]
    return matches if len(matches) == len(lines) else []


def _of_official_split(names: Sequence[str], wanted: int) -> list[str]:
    """Lists without a number of a split, and of those that have one the chosen ones."""
    numbers = {name: match[1] for name in names if (match := _OFFICIAL.search(name.rpartition("/")[2]))}
    if len(set(numbers.values())) < 2:
        return list(names)
    return [name for name in names if numbers.get(name, str(wanted)) == str(wanted)] or list(names)


def _without_copies(tree: SourceTree, names: Sequence[str]) -> list[str]:
    """The lists without one for testing that says the same as the one for validation."""
    splits = splits_of_names(names)
    val = {tree.text(name): name for name in names if splits[name] == "val"}
    kept: list[str] = []
    for name in names:
        first = val.get(tree.text(name)) if splits[name] == "test" else None
        if first is None:
            kept.append(name)
        else:
            tree.left_out.append(LeftOut(name, f"it says the same as {first}"))
    return kept


def tables(tree: SourceTree, match: Match) -> list[RowTable]:
    """Return the rows of each list."""
    splits = splits_of_names(match.files)
    found: list[RowTable] = []
    for name in match.files:
        rows = list(_rows(tree, name))
        finder = tree.finder(name, [str(row["path"]) for row in rows[:100]])
        found.append(RowTable(name, rows, finder.find, splits[name], "line"))
    return found


def _rows(tree: SourceTree, name: str) -> Iterator[Row]:
    form = _FRAMES_LINE if _is_of_frames(name) else _LINE
    for line in tree.lines(name):
        match = form.fullmatch(line.strip())
        if match is None:
            detail = f"the line is {line.strip()!r:.200}, not a path and a number"
            yield {"path": line.strip(), LOSS: Loss("bad_row", detail)}
            continue
        numbers = re.split(r"[ \t,;]+", match["numbers"])
        row: dict[str, object] = {"path": match["path"].strip("\"'"), "label": "|".join(numbers)}
        if len(numbers) > 1 and not tree.settings.multi_label:
            row[LOSS] = Loss("bad_row", f"the line has {len(numbers)} classes; manifest.multi_label takes them all")
        yield row


def _dialect(name: SourceFormat, title: str) -> Dialect:
    return Dialect(name, title, recognise_mmaction2 if name == "mmaction2" else recognise_slowfast, tables)


MMACTION2: Final = _dialect("mmaction2", "MMAction2 lists")
SLOWFAST: Final = _dialect("slowfast", "SlowFast lists")
