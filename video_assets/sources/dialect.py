"""What a dialect is: a name, how it is recognised, and its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from video_assets.settings import SourceFormat
from video_assets.sources.annotations import RowTable
from video_assets.sources.class_names import ClassNames
from video_assets.sources.tree import SourceTree


@dataclass(frozen=True, slots=True)
class Match:
    """The annotation files of a source that a dialect reads, and by what it knows them.

    `beside` are files that it reads too but whose rows are no clips: names of classes. `names` turns numbers into
    names of classes.
    """

    files: tuple[str, ...]
    because: str
    beside: tuple[str, ...] = ()
    names: ClassNames | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way in which annotation files say which clips there are."""

    name: SourceFormat
    title: str
    recognise: Callable[[SourceTree], Match | None]
    tables: Callable[[SourceTree, Match], Sequence[RowTable]]
