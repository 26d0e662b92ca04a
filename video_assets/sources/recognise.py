"""Which dialect a source is in: each says whether it knows the source, and by which files; two that do are refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from video_assets.domain.errors import SettingsError
from video_assets.domain.text import counted, sequence_of
from video_assets.sources.annotations import ClipRules, clips_of_rows
from video_assets.sources.class_names import ClassNames
from video_assets.sources.dialect import Dialect, Match
from video_assets.sources.dialects.activitynet import ACTIVITYNET
from video_assets.sources.dialects.charades import CHARADES
from video_assets.sources.dialects.diving48 import DIVING48
from video_assets.sources.dialects.epic_kitchens import EPIC_KITCHENS
from video_assets.sources.dialects.finegym import FINEGYM
from video_assets.sources.dialects.hf_videofolder import HF_VIDEOFOLDER
from video_assets.sources.dialects.hmdb51 import HMDB51
from video_assets.sources.dialects.kinetics import KINETICS
from video_assets.sources.dialects.label_studio import LABEL_STUDIO
from video_assets.sources.dialects.lists import MMACTION2, SLOWFAST
from video_assets.sources.dialects.moments import MOMENTS
from video_assets.sources.dialects.table import TABLE
from video_assets.sources.dialects.twentybn import JESTER, SOMETHING_SOMETHING
from video_assets.sources.dialects.ucf101 import UCF101
from video_assets.sources.found import AnnotatedClips
from video_assets.sources.tree import SourceTree
from video_assets.sources.unread import say_unread

DIALECTS: Final[Sequence[Dialect]] = (
    UCF101,
    HMDB51,
    KINETICS,
    SOMETHING_SOMETHING,
    JESTER,
    ACTIVITYNET,
    CHARADES,
    EPIC_KITCHENS,
    MOMENTS,
    DIVING48,
    FINEGYM,
    LABEL_STUDIO,
    HF_VIDEOFOLDER,
    MMACTION2,
    SLOWFAST,
    TABLE,
)
"""Those whose files have names or columns of their own first: what one knows, a later one does not look at."""


@dataclass(slots=True)
class Annotated:
    """A dialect that knows a source, the files it knows it by, and the clips that they ask for."""

    dialect: Dialect
    match: Match
    clips: AnnotatedClips


def read_annotated(tree: SourceTree, names: ClassNames | None) -> Annotated | None:
    """Return what the annotation files of a source ask for; None if no dialect knows any of them.

    Raises:
        SettingsError: if two dialects know files of it and would give different clips, or the one that
            `manifest.source_format` names knows none.
    """
    matches = _matches(tree)
    if all(dialect is TABLE for dialect, _ in matches):  # another dialect knows which files of the set it needs
        say_unread(tree, is_one_read=bool(matches))
    if not matches:
        return None
    read = [_read(tree, dialect, match, names) for dialect, match in matches]
    first = read[0]
    for other in read[1:]:
        if _told(other.clips) != _told(first.clips):
            raise SettingsError(_two_readings(tree, first, other))
    return first


def _matches(tree: SourceTree) -> list[tuple[Dialect, Match]]:
    """Dialects that know files of the source. Of files that one knows no later one is asked.

    Where the settings name a dialect, it alone counts; it is asked of what the surer ones leave, and of everything if
    it knows none of that.
    """
    wanted = tree.settings.source_format
    all_names = tree.annotations
    found = _matches_of(tree, all_names)
    if wanted == "auto":
        return found
    chosen = [(dialect, match) for dialect, match in found if dialect.name == wanted]
    tree.notes.clear()
    tree.left_out.clear()
    dialect = next(dialect for dialect in DIALECTS if dialect.name == wanted)
    tree.annotations = [*chosen[0][1].files, *chosen[0][1].beside] if chosen else all_names
    match = dialect.recognise(tree)
    tree.annotations = all_names
    if match is None:
        has = sequence_of(list(all_names)) or "no annotation file"
        raise SettingsError(
            f"manifest.source_format is {wanted}, but {tree.source} is not known as {dialect.title}; it holds {has}"
        )
    return [(dialect, match)]


def _matches_of(tree: SourceTree, names: Sequence[str]) -> list[tuple[Dialect, Match]]:
    is_asked_of_all = tree.settings.source_format == "auto"
    found: list[tuple[Dialect, Match]] = []
    for dialect in DIALECTS:
        claimed = {name for _, match in found for name in (*match.files, *match.beside)}
        tree.annotations = [name for name in names if name not in claimed]
        try:
            match = dialect.recognise(tree)
        except SettingsError:
            if is_asked_of_all:
                raise
            match = None  # another one is wanted: what keeps this one from reading does not matter
        if match is not None:
            found.append((dialect, match))
    tree.annotations = names
    return found


def _read(tree: SourceTree, dialect: Dialect, match: Match, names: ClassNames | None) -> Annotated:
    settings = tree.settings
    rules = ClipRules(settings.group_pattern, settings.multi_label, names or match.names)
    return Annotated(dialect, match, clips_of_rows(dialect.tables(tree, match), rules))


def _told(found: AnnotatedClips) -> set[tuple[str, str, str | None]]:
    return {(clip.clip_id, clip.label, clip.official_split) for clip in found.clips}


def _two_readings(tree: SourceTree, one: Annotated, other: Annotated) -> str:
    readings = [
        f"as {found.dialect.title} by {sequence_of(found.match.files)}, which gives {_counts(found.clips)}"
        for found in (one, other)
    ]
    formats = f"{one.dialect.name} or {other.dialect.name}"
    decide = f"set manifest.source_format: {formats}" if one.dialect is not other.dialect else "name one with --source"
    return f"{tree.source} can be read {' and '.join(readings)}. {decide}, or name one file with --source"


def _counts(found: AnnotatedClips) -> str:
    num_classes = len({clip.label for clip in found.clips})
    return f"{counted(len(found.clips), 'clip')} of {counted(num_classes, 'class', 'classes')}"
