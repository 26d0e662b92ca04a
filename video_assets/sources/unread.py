"""Files of a source that no dialect reads though they may say which clips there are: refused, or named in a warning."""

import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from video_assets.domain.clips import LeftOut, SourceWarning
from video_assets.domain.errors import SettingsError
from video_assets.sources.columns import CHECKSUM, Columns, plain_name
from video_assets.sources.file_names import VIDEO_SUFFIXES, split_in_name, suffix_of, without_suffix
from video_assets.sources.source_clips import Doubt, Unread
from video_assets.sources.tree import SourceTree

UNREAD: Final = "unread_table"
"""The code of the warning and of the doubt."""

_USUAL_NAMES: Final = re.compile(
    r"metadata|clips?|videos?|(?:.*[_ .-])?(?:labels?|annotations?|ground_?truth)(?:[_ .-].*)?", re.IGNORECASE
)
_SPREADSHEETS: Final = {
    ".xlsx": ("xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"),
    ".ods": ("content.xml",),
}
_OTHER_FORMS: Final = (
    *(*_SPREADSHEETS, ".xls", ".xml", ".eaf", ".yaml", ".yml", ".pkl", ".pickle", ".mat", ".h5", ".hdf5", ".npz"),
    *(".feather", ".arrow", ".sqlite", ".sqlite3", ".db"),
)
"""What programs for labelling, spreadsheets and Python write, and nothing here reads."""
_SAVE: Final = "save its rows as CSV with the columns path and label"
_OF_DOWNLOADS: Final = ".info.json"
"""Ending of what yt-dlp notes of a video."""
_HEAD_BYTES: Final = 1 << 16
_MOST_FILES: Final = 500
_BETWEEN_NAMES: Final = re.compile(r"[\x00-\x1f\x7f\ufffd\"',;<>|=\[\]{}()#?]+")
_NO_TABLES: Final = re.compile(r"read.?me|licen[cs]e|change.?log|checksums?|md5.*|sha\d+.*", re.IGNORECASE)
_FACTS: Final = re.compile(
    r"|index|idx|id|no|nr|.*duration.*|.*seconds|length|.*size.*|bytes|width|height|fps|.*rate|.*frames|.*count|md5|sha\d*|"
    r"hash|checksum|crc\w*|url|link|codec|resolution|date|created.*|modified.*|mtime"
)
"""Names of columns and keys that hold facts of files and no labels."""


def say_unread(tree: SourceTree, *, is_one_read: bool) -> None:
    """Put down what is to be said of the files that are not read though they may say which clips there are.

    A file that names clips and labels must not be passed over: the folders would be taken for classes, or half of a
    set would be missing. It refuses a new dataset. One that names videos alone, or has a usual name, is a warning.
    Notes of other programs are nothing. `is_one_read` says that a table of the source is read.
    """
    is_any = tree.unread or tree.with_suffix(".json", ".txt", ".csv") or _files_of_other_forms(tree)
    if tree.is_one_file or not is_any:  # do not gather the names of a million videos for nothing
        return
    columns = Columns(tree.settings.columns)
    names = _names_of_videos(tree)
    of_settings = {_base(setting) for setting in (tree.settings.class_names, tree.settings.exclude)}
    lists = {name: video for name, video in _lists_of_videos(tree, names).items() if _base(name) not in of_settings}
    beside = names | {without_suffix(file.path) for file in tree.videos.listing().files}
    for name, unread in {**_unknown_forms(tree, names, beside), **tree.unread}.items():
        why = unread.why.rstrip(".")
        if _base(name) in of_settings:
            continue
        is_other_form = suffix_of(name) in _OTHER_FORMS
        values = [] if is_other_form else tree.first_values(name)
        named = lists.get(name, "") if len(lists) > 1 else ""
        named = named or _video_named_in(tree, name, names)
        if unread.names_files and _is_of_clips(name, values, columns) and not (is_other_form and is_one_read):
            tree.doubts.append(_doubt(why, is_one_read=is_one_read))
        elif named and not is_one_read:
            tree.doubts.append(_doubt(f"{name} names videos of the source, such as {named}: {why}", is_one_read=False))
        elif not named and not _may_be_of_clips(name, values, columns):
            continue
        short = why.replace(f"{tree.folder}/", "")
        tree.notes.append(SourceWarning(UNREAD, name, f"{short}; the file is not read"))
        tree.left_out.append(LeftOut(name, short))
    if not is_one_read:
        _say_of_files_beside(tree, beside)


def _base(name: str) -> str:
    return name.rpartition("/")[2]


def _unknown_forms(tree: SourceTree, names: frozenset[str], beside: frozenset[str]) -> dict[str, Unread]:
    """Return JSON and files of other forms that may be annotations, and why they are not read."""
    found: dict[str, Unread] = {}
    for name in tree.with_suffix(".json"):
        if _is_beside_its_video(name, beside) or not (_has_usual_name(name) or _video_named_in(tree, name, names)):
            continue
        try:
            if _has_usual_name(name):
                tree.json(name)
            found[name] = Unread(f"{name} is JSON of no form that is known; {_SAVE}", names_files=False)
        except SettingsError as error:
            found[name] = Unread(str(error))
    for name in _files_of_other_forms(tree):
        if not _is_beside_its_video(name, beside) and (_has_usual_name(name) or _video_named_in(tree, name, names)):
            found[name] = Unread(f"{name} is in a form that is not read; {_SAVE}", names_files=_has_usual_name(name))
    return found


def _files_of_other_forms(tree: SourceTree) -> list[str]:
    if tree.listing is None:
        return []
    found = (item.source for item in tree.listing.left_out if suffix_of(item.source) in _OTHER_FORMS)
    return [name for name in found if name.count("/") < 4][:_MOST_FILES]


# --- files that name videos -------------------------------------------------------------------------------------------


def _names_of_videos(tree: SourceTree) -> frozenset[str]:
    """Names of the source's videos without folders; also without endings where they cannot be mere words."""
    names = {_base(file.path) for file in tree.videos.listing().files}
    stems = {without_suffix(name) for name in names}
    stems |= {stem.removeprefix("v_") for stem in stems}  # as ActivityNet and HACS call the file of an id
    return frozenset(
        names | {stem for stem in stems if re.search(r"\d", stem) and len(stem) > (4 if stem.isdigit() else 3)}
    )


def _video_named_in(tree: SourceTree, name: str, names: frozenset[str]) -> str:
    """Return a video that a file names beside something that may be its label; empty if there is none."""
    stem = _base(name).rpartition(".")[0]
    if not names or _NO_TABLES.fullmatch(stem):
        return ""
    text = _text_of(tree, name)
    if suffix_of(name) in (".csv", ".tsv", ".txt"):
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        return _video_in_lines(name, lines, names)
    found = min(names.intersection(_parts_of(text)), default="")
    keys = {key for key in re.findall(r'"([^"\\]+)"\s*:', text) if not names.intersection(_parts_of(key))}
    are_facts = bool(keys) and all(_FACTS.fullmatch(plain_name(key)) for key in keys)
    return "" if are_facts else found


def _video_in_lines(name: str, lines: Sequence[str], names: frozenset[str]) -> str:
    """The same of a table or list: most of its lines name a video, and not by facts of files alone."""
    parts_of_lines = [[*_parts_of(line)] for line in lines]
    found = [next((part for part in parts if part in names), "") for parts in parts_of_lines]
    if not lines or 2 * sum(map(bool, found)) < len(lines) - (not found[0]):
        return ""
    first = next(filter(None, found), "")
    others = [value for value in re.split(r"[,;\t]", lines[0]) if not _FACTS.fullmatch(plain_name(value))]
    if not found[0] and len(others) < 2:
        return ""
    is_path_alone = found[0] and not re.search(r"[\s,;]", lines[0].strip())
    if is_path_alone and split_in_name(name) is None:
        return ""
    return "" if any(CHECKSUM.fullmatch(part) for part in parts_of_lines[-1]) else first


def _lists_of_videos(tree: SourceTree, names: frozenset[str]) -> dict[str, str]:
    """Return lists of paths and nothing else, each with a video it names: several may be one for each class."""
    found: dict[str, str] = {}
    for name in tree.unread:
        lines = [line.strip() for line in tree.head(name).splitlines() if line.strip()]
        named = [line for line in lines if _base(line.replace("\\", "/")) in names]
        if len(named) >= len(lines) - 1 > 0 or named == lines != []:
            found[name] = named[0]
    return found


def _text_of(tree: SourceTree, name: str) -> str:
    members = _SPREADSHEETS.get(suffix_of(name))
    if members is None:
        return tree.head(name)
    try:
        with (tree.folder / name).open("rb") as file, zipfile.ZipFile(file) as archive:
            there = [member for member in members if member in archive.namelist()]
            return "".join(archive.open(member).read(_HEAD_BYTES).decode("utf-8", "replace") for member in there)
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile):  # damaged, or encrypted
        return ""


def _parts_of(text: str) -> Iterator[str]:
    """What may be names of files in a text: between quotes, commas, brackets; and the words of these."""
    for part in _BETWEEN_NAMES.split(text):
        base = re.split(r"[/\\]", part.strip())[-1]
        yield base
        yield from base.split()


# --- files beside each video ------------------------------------------------------------------------------------------


def _is_beside_its_video(name: str, names: frozenset[str]) -> bool:
    """Whether a file is called as a video is, with another ending or one more; `names` may have whole paths."""
    is_of_download = name.endswith(_OF_DOWNLOADS)
    path = name.removesuffix(_OF_DOWNLOADS) if is_of_download else name.rpartition(".")[0]
    return path in names or _base(path) in names


def _say_of_files_beside(tree: SourceTree, names: frozenset[str]) -> None:
    """Say that most videos have a file of their own name beside them.

    ELAN's are annotations, and so are files that are called as Supervisely's, `a.mp4.json`: they refuse a new dataset.
    """
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in (*tree.with_suffix(".json", ".txt", ".csv"), *_files_of_other_forms(tree)):
        if _is_beside_its_video(name, names) and not name.endswith(_OF_DOWNLOADS):
            kinds["video" if suffix_of(name.rpartition(".")[0]) in VIDEO_SUFFIXES else suffix_of(name)].append(name)
    for kind, beside in kinds.items():
        if 2 * len(beside) < min(len(tree.videos.listing().files), _MOST_FILES) or len(beside) < 2:
            continue
        detail = f"{len(beside)} files are called as videos are, such as {beside[0]}, and not read"
        tree.notes.append(SourceWarning(UNREAD, beside[0], f"{detail}; labels in them do not count", len(beside)))
        if kind in ("video", ".eaf"):
            remedy = "annotations of single videos are not understood; write one table with the columns path and label"
            tree.doubts.append(_doubt(f"{detail}: {remedy}", is_one_read=False))


# --- by names and columns ---------------------------------------------------------------------------------------------


def _is_of_clips(name: str, values: Sequence[str], columns: Columns) -> bool:
    """Whether a file has paths and labels, or is called so and nothing of it can be read."""
    if columns.has("path", values) and columns.has("label", values):
        return True
    is_list = any(suffix_of(value.strip()) in VIDEO_SUFFIXES for value in values)
    others = [value for part in values for value in part.split() if not CHECKSUM.fullmatch(value)]
    return (is_list and len(values) > 1 and len(others) > 1) or (not values and _has_usual_name(name))


def _may_be_of_clips(name: str, values: Sequence[str], columns: Columns) -> bool:
    if columns.has("path", values) or _has_usual_name(name):
        return True
    return not values and suffix_of(name) != ".txt"


def _has_usual_name(name: str) -> bool:
    """Whether a file is called as annotations are; of a text, `labels` mostly means names of classes."""
    stem = _base(name).rpartition(".")[0]
    is_usual = suffix_of(name) != ".txt" and _USUAL_NAMES.fullmatch(stem) is not None
    return is_usual or split_in_name(name) is not None


def _doubt(why: str, *, is_one_read: bool) -> Doubt:
    folders = "set manifest.source_format: folders (or split_folders), which takes folders for classes"
    remedy = "name the one table that counts with --source" if is_one_read else folders
    return Doubt(UNREAD, f"{why}. Correct it; or, if it does not belong to the set, remove it or {remedy}")
