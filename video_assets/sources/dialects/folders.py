"""Folders that say it all: a folder per class; split folders above class folders; classes in files' names.

Split folders above class folders are what Hugging Face's VideoFolder reads without metadata, and what most downloads
with `train` and `val` have.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from video_assets.domain.clips import ListedFile, Loss, LostSource, WantedClip, group_from_path
from video_assets.domain.errors import SettingsError
from video_assets.domain.labels import stored_label
from video_assets.domain.splits import Split, split_of_word
from video_assets.domain.text import counted, sequence_of
from video_assets.setting_types import SourceFormat
from video_assets.settings import ManifestSettings
from video_assets.sources.file_names import split_of_folder
from video_assets.sources.listing import Listing
from video_assets.sources.source_clips import AnnotatedClips, Doubt

_STRAY: Final = "the video lies beside the class folders; move it into one of them"


@dataclass(frozen=True, slots=True)
class FolderReading:
    """How folders are to be read: a sentence why, and what gives the clips."""

    name: SourceFormat
    title: str
    because: str
    read: Callable[[Listing, ManifestSettings, str], AnnotatedClips]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Folders of the first level, with the numbers of videos in each folder of the second; "" is the first itself."""

    children: Mapping[str, Counter[str]]

    @property
    def folders(self) -> list[str]:
        """Names of the folders of the first level that hold videos."""
        return [name for name in self.children if name]


def shape_of(files: Iterable[ListedFile]) -> _Shape:
    """Return what lies where, down to the second level."""
    children: dict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        parts = file.path.split("/", 2)
        first = parts[0] if len(parts) > 1 else ""
        children[first][parts[1] if len(parts) > 2 else ""] += 1
    return _Shape(children)


def choose_folders(listing: Listing, source: str, name: str = "auto") -> FolderReading:
    """Return how folders are to be read.

    Raises:
        SettingsError: if they are folders of splits without folders of classes.
    """
    shape = shape_of(listing.files)
    if name == "folders":
        return FOLDERS
    splits = [folder for folder in shape.folders if split_of_folder(folder)]
    if name == "split_folders" and not splits and not _are_split_below(shape):
        raise SettingsError(
            f"manifest.source_format is split_folders, but no folder of {source} is called as a split is; it holds "
            f"{sequence_of(sorted(shape.folders)) or 'no folders'}. Name them train, val and test"
        )
    if splits and (len(splits) == len(shape.folders) or name == "split_folders"):
        _refuse_without_classes(shape, splits, source)
        return FolderReading(
            "split_folders",
            f"split folders ({sequence_of(sorted(splits))})",
            "all folders are called as splits are",
            read_split_folders,
        )
    if _are_split_below(shape):
        return FolderReading(
            "split_folders",
            "class folders that hold split folders",
            "all class folders hold folders of splits",
            read_class_split_folders,
        )
    return FOLDERS


def _are_split_below(shape: _Shape) -> bool:
    return len(shape.folders) > 1 and all(
        name and split_of_word(name) for folder in shape.folders for name in shape.children[folder]
    )


def _refuse_without_classes(shape: _Shape, splits: Sequence[str], source: str) -> None:
    without = sorted(folder for folder in splits if not any(shape.children[folder].keys() - {""}))
    if not without:
        return
    if len(without) == len(splits):
        raise SettingsError(
            f"{source} holds the split folders {sequence_of(without)}, and these hold videos but no class folders, so "
            "nothing says what class a video is of. Put a folder for each class into them, or name a table "
            "with --source, or say with manifest.label_pattern where files' names tell the class"
        )
    others = sorted(set(splits) - set(without))
    raise SettingsError(
        f"{source} holds class folders in {sequence_of(others)}, but in {sequence_of(without)} videos lie without any. "
        f'Put them into class folders, or leave them out with manifest.include: ["{others[0]}/*"]'
    )


# --- a folder per class -----------------------------------------------------------------------------------------------


def read_folders(listing: Listing, settings: ManifestSettings, own_name: str) -> AnnotatedClips:
    """Return the clips of class folders. Videos directly in the source and nowhere below are one class of its name."""
    shape = shape_of(listing.files)
    found = AnnotatedClips()
    for file in listing.files:
        class_name, separator, _ = file.path.partition("/")
        if not separator and shape.folders:
            found.lost.append(LostSource(file.path, Loss("no_label", _STRAY)))
        else:
            _add(found, file, class_name if separator else own_name, None, settings)
    if settings.source_format == "auto":
        found.doubts += doubts_of(shape)
    return found


def doubts_of(shape: _Shape) -> list[Doubt]:
    """Return why folders of the first level may not be the classes."""
    folders = sorted(shape.folders)
    splits = [name for name in folders if split_of_folder(name)]
    if splits and len(splits) < len(folders):
        others = [name for name in folders if name not in splits]
        return [
            Doubt(
                "split_words",
                f"the folders {sequence_of(splits)} are called as splits are, and beside them are "
                f"{sequence_of(others)}: either all are classes, or the first are splits and the others do not belong "
                "there. Move them apart, or set manifest.source_format: folders if all are classes",
            )
        ]
    inner = {name: {child for child in shape.children[name] if child} for name in folders}
    if len(folders) == 1 and len(inner[folders[0]]) > 1:
        return [_doubt_of_one_folder(folders[0], sorted(inner[folders[0]]))]
    common = set.intersection(*inner.values()) if len(folders) > 1 else set[str]()
    if len(common) > 1 and all(2 * len(common) >= len(names) for names in inner.values()):
        return [_doubt_of_common_folders(folders, sorted(common))]
    if len(folders) > 1 and (all(map(_DATE.search, folders)) or _are_numbered_parts(folders)):
        return [_doubt_of_parts(folders)]
    return []


_DATE: Final = re.compile(r"(?<!\d)(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?!\d)")
_NUMBERED: Final = re.compile(r"(.*?)[\s_\-]*(\d+)")
# fmt: off
_PARTS: Final = frozenset((
    "set", "part", "batch", "session", "day", "week", "cam", "camera", "view", "subject", "subj", "sub", "person",
    "participant", "user", "actor", "patient", "driver", "vol", "volume", "disc", "disk", "dataset", "ds", "vp",
))
# fmt: on
"""Words that number recordings, not what is seen in them: `segmented_set1`, `Part-2`, `subject03`."""


def _are_numbered_parts(folders: Sequence[str]) -> bool:
    """Whether folders differ by a number alone, and are called as parts of a set or as people are.

    >>> _are_numbered_parts(["Part1", "Part2"]), _are_numbered_parts(["P01", "P02"]), _are_numbered_parts(["c1", "c2"])
    (True, True, False)
    """
    matches = [match for folder in folders if (match := _NUMBERED.fullmatch(folder))]
    if len(matches) < len(folders) or len({match[1] for match in matches}) > 1:
        return False
    words = re.findall(r"[a-z]+", matches[0][1].lower())
    is_padded = all(match[2].startswith("0") or len(match[2]) > 2 for match in matches[:1])
    return bool(words) and (words[-1] in _PARTS or (words[-1] in ("p", "s") and is_padded))


def _doubt_of_parts(folders: Sequence[str]) -> Doubt:
    return Doubt(
        "numbered_folders",
        f"the folders {sequence_of(folders)} are called as parts of a set, days or people are, and not as classes: "
        "mostly the labels are elsewhere. Name the annotation table with --source, say with manifest.label_pattern "
        "where files' names tell the class, or set manifest.source_format: folders if these are the classes",
    )


def _doubt_of_one_folder(folder: str, inner: Sequence[str]) -> Doubt:
    return Doubt(
        "one_folder",
        f"all videos lie in one folder, {folder}, which holds {counted(len(inner), 'folder')} ({sequence_of(inner)}): "
        f"either {folder} is the one class, or these are the classes. Point --source at {folder} if they are, or set "
        "manifest.source_format: folders and manifest.allow_single_class: true",
    )


def _doubt_of_common_folders(folders: Sequence[str], common: Sequence[str]) -> Doubt:
    return Doubt(
        "common_folders",
        f"each of the folders {sequence_of(folders)} holds the folders {sequence_of(common)}: either the first are "
        "the classes, or the second are. Set manifest.source_format: folders if the first are; otherwise put the "
        "second on top, or name a table",
    )


def _add(found: AnnotatedClips, file: ListedFile, name: str, split: Split | None, settings: ManifestSettings) -> None:
    detail = "the class folder's name is blank; rename it"
    try:
        label = stored_label(name, multi_label=settings.multi_label)
    except ValueError as error:
        label, detail = "", f"of the class folder's name, {error}; rename it"
    if not label:
        found.lost.append(LostSource(file.path, Loss("no_label", detail)))
        return
    group = group_from_path(file.path, settings.group_pattern)
    found.clips.append(WantedClip(file=file, label=label, group=group, official_split=split))


# --- split folders ----------------------------------------------------------------------------------------------------


def read_split_folders(listing: Listing, settings: ManifestSettings, own_name: str) -> AnnotatedClips:  # noqa: ARG001  (one signature)
    """Return the clips of class folders within split folders."""
    found = AnnotatedClips()
    for file in listing.files:
        parts = file.path.split("/", 2)
        if len(parts) < 3:
            where = "beside the split folders" if len(parts) == 1 else "beside the class folders"
            detail = f"the video lies {where}; move it into a class folder of a split"
            found.lost.append(LostSource(file.path, Loss("no_label", detail)))
        elif split_of_folder(parts[0]) is None:
            detail = f"the folder {parts[0]} is not called as a split is: train, val or test"
            found.lost.append(LostSource(file.path, Loss("no_label", detail)))
        else:
            _add(found, file, parts[1], split_of_folder(parts[0]), settings)
    if settings.source_format == "auto":
        found.doubts += _doubts_of_splits(found.clips)
    return found


def _doubts_of_splits(clips: Sequence[WantedClip]) -> list[Doubt]:
    """Return why folders within splits may not be the classes: people are in one split each, classes in all."""
    classes: dict[Split | None, set[str]] = defaultdict(set)
    for clip in clips:
        classes[clip.official_split].add(clip.label)
    is_apart = len(set.union(*classes.values())) == sum(map(len, classes.values())) if classes else False
    if not is_apart or sum(len(names) > 1 for names in classes.values()) < 2:
        return []
    shown = ", ".join(f"{split}: {sequence_of(sorted(names))}" for split, names in classes.items())
    return [
        Doubt(
            "classes_apart",
            f"no folder is in two splits ({shown}): mostly these are people or recordings, and the labels are "
            "elsewhere. Name the annotation table with --source, or set manifest.source_format: split_folders if "
            "these are the classes",
        )
    ]


def read_class_split_folders(listing: Listing, settings: ManifestSettings, own_name: str) -> AnnotatedClips:  # noqa: ARG001  (one signature)
    """Return the clips of split folders within class folders."""
    found = AnnotatedClips()
    for file in listing.files:
        parts = file.path.split("/", 2)
        if len(parts) < 3:
            found.lost.append(LostSource(file.path, Loss("no_label", _STRAY)))
        else:
            _add(found, file, parts[0], split_of_word(parts[1]), settings)
    return found


# --- classes in names -------------------------------------------------------------------------------------------------


def read_file_names(listing: Listing, settings: ManifestSettings, own_name: str) -> AnnotatedClips:  # noqa: ARG001  (one signature)
    """Return the clips whose files' names tell their classes; a split folder above tells the split.

    Raises:
        SettingsError: if `label_pattern` is empty.
    """
    if not settings.label_pattern:
        raise SettingsError(r"manifest.source_format is file_names; set manifest.label_pattern, such as ([^_]+)_")
    pattern = re.compile(settings.label_pattern)
    found = AnnotatedClips()
    for file in listing.files:
        first, separator, _ = file.path.partition("/")
        label = label_in_name(file.path.rpartition("/")[2], pattern)
        if label is None:
            detail = f"the file's name does not match manifest.label_pattern {settings.label_pattern}"
            found.lost.append(LostSource(file.path, Loss("no_label", detail)))
        else:
            _add(found, file, label, split_of_folder(first) if separator else None, settings)
    return found


def label_in_name(name: str, pattern: re.Pattern[str]) -> str | None:
    """Return the class that a file's name tells: the group `label`, else the first group, else all that matches.

    >>> label_in_name("run_003.mp4", re.compile("[^_]+"))
    'run'
    """
    match = pattern.search(name)
    if match is None:
        return None
    if "label" in pattern.groupindex:
        return match["label"] or ""
    return (match[1] if pattern.groups else match[0]) or ""


FOLDERS: Final = FolderReading("folders", "a folder per class", "no annotation file tells more", read_folders)
FILE_NAMES: Final = FolderReading(
    "file_names", "classes in file names", "manifest.label_pattern is set", read_file_names
)
