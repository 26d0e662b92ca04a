"""What a new look at the source means: which files stood still since the look before, and whether to build."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import pandas as pd

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import FileDamaged
from video_assets.domain.text import counted
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.tables import ARRIVALS, TEXT, empty_table, read_table, write_table


@dataclass(frozen=True, slots=True)
class LookCursor:
    """What is remembered between two looks: digests, never the listing.

    `seen` is the listing of the last look, `requested` the settled files that a build was last asked for, and
    `number` counts the builds asked for. All of it is of one `place`: a source and a dataset.
    """

    seen: str = ""
    requested: str = ""
    number: int = 0
    place: str = ""

    def to_json(self) -> str:
        """As Dagster stores it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> "LookCursor":
        """The inverse of `to_json`; without a text, or with one of another version, nothing is remembered."""
        try:
            return cls(**json.loads(text or "{}"))
        except (TypeError, ValueError):
            return cls()

    def at(self, place: str) -> "LookCursor":
        """The cursor where it is of this place, else one that remembers nothing of files.

        Dagster keeps a cursor by the sensor's name: a dataset that was moved, another one that shares DAGSTER_HOME, or
        another source would get what was noted for the one before, and be told that there is nothing new.
        """
        return self if place == self.place else LookCursor(number=self.number, place=place)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to ask for a build, the sentence that says why or why not, and what to remember.

    `was_requested`: a build of just these files was asked for already.
    """

    kind: Literal["build", "wait"]
    reason: str
    cursor: LookCursor
    was_requested: bool = False


def files_digest(files: Sequence[ListedFile]) -> str:
    """SHA-256 of paths, sizes and times, in the order of the paths; of a million files in about a second."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.path}\0{file.size_bytes}\0{file.mtime_ns}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def decide(cursor: LookCursor, *, listing: str, settled: str, num_listed: int, num_settled: int) -> Decision:
    """Decides from digests and counts alone: of all files that are there, and of those that stood still.

    A build is asked for when the files that stood still since the last look are others than those of the last
    request. An empty listing asks for nothing: it does not mean that everything was deleted.
    """
    looked = replace(cursor, seen=listing)
    num_moving = num_listed - num_settled
    if num_listed == 0:
        return Decision("wait", "the source lists no videos; that is not taken for a deletion of all of them", looked)
    if settled == cursor.requested:
        moving = f"; {counted(num_moving, 'video is', 'videos are')} new or still being written" if num_moving else ""
        return Decision(
            "wait", f"nothing new among {counted(num_settled, 'video')}{moving}", looked, was_requested=True
        )
    if num_settled == 0:
        return Decision(
            "wait", f"first look at {counted(num_listed, 'video')}; the next one tells which stood still", looked
        )
    asked = replace(cursor, seen=listing, requested=settled, number=cursor.number + 1)
    return Decision("build", f"{counted(num_settled, 'video')} stood still and differ from what was built last", asked)


def look(paths: DatasetPaths, files: Sequence[ListedFile], cursor: LookCursor) -> Decision:
    """Compares a listing with that of the last look, remembers it in `arrivals.parquet`, and decides."""
    listing = files_digest(files)
    if not paths.arrivals.exists():  # the dataset's folder was removed since, to begin again
        cursor = replace(cursor, seen="", requested="")
    if listing == cursor.seen and listing == cursor.requested:
        return decide(cursor, listing=listing, settled=listing, num_listed=len(files), num_settled=len(files))
    current = _frame(files)
    previous = _remembered(paths).drop(columns="is_settled").assign(is_settled=True)
    current = current.merge(previous, on=["path", "size_bytes", "mtime_ns"], how="left")
    current["is_settled"] = current["is_settled"].notna()
    settled = [file for file, stood_still in zip(files, current["is_settled"], strict=True) if stood_still]
    decision = decide(
        cursor,
        listing=listing,
        settled=files_digest(settled),
        num_listed=len(files),
        num_settled=len(settled),
    )
    if files:
        write_table(paths.arrivals, current, ARRIVALS)
    return decision


def settled_files(paths: DatasetPaths) -> set[ListedFile]:
    """The files that stood still between the last two looks."""
    rows = _remembered(paths)
    rows = rows[rows["is_settled"]]
    columns = (rows["path"].tolist(), rows["size_bytes"].tolist(), rows["mtime_ns"].tolist())
    return {ListedFile(*values) for values in zip(*columns, strict=True)}


def _remembered(paths: DatasetPaths) -> pd.DataFrame:
    """The last listing; none where its file is damaged, as before the first look."""
    try:
        return read_table(paths.arrivals, ARRIVALS)
    except FileDamaged:
        return empty_table(ARRIVALS)


def _frame(files: Sequence[ListedFile]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "path": pd.Series([file.path for file in files], dtype=TEXT),
            "size_bytes": pd.Series([file.size_bytes for file in files], dtype="int64"),
            "mtime_ns": pd.Series([file.mtime_ns for file in files], dtype="int64"),
        }
    )
