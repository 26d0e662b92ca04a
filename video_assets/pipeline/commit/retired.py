"""Files that a commit replaced: they stay a while for readers that opened the dataset before it.

A marker stands for each: it says how long the file is kept, and its own time is when that began.
"""

import json
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from video_assets.storage.addresses import is_remote
from video_assets.storage.files import NOT_THERE, json_text, read_if_there, remove_tree, write_text
from video_assets.storage.paths import DatasetPaths, VersionPaths, parse_shard_file_name, partition_key

_DEFAULT_MINUTES = 15.0
"""For markers of earlier versions, which do not say how long."""


@dataclass(frozen=True, slots=True)
class Retired:
    """What a commit replaced, by its name in the version directory, and how long it is still kept."""

    version: str
    name: str
    minutes_left: float


@dataclass(frozen=True, slots=True)
class _Kept:
    marker: Path
    files: tuple[Path, ...]
    name: str

    def minutes_left(self, keep_minutes: float | None = None) -> float:
        """Return how long it is still kept, by its marker or by what is given."""
        if keep_minutes is None:
            keep_minutes = _DEFAULT_MINUTES
            with suppress(ValueError, KeyError, TypeError):
                keep_minutes = float(json.loads(read_if_there(self.marker) or b"")["keep_minutes"])
        # The age whichever way the clock went: a marker of the future must not stay until then.
        return keep_minutes - abs(time.time() - self.marker.stat().st_mtime) / 60

    def remove(self) -> None:
        """Remove the files, and the marker last."""
        for path in self.files:
            if path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)
        self.marker.unlink(missing_ok=True)


def retire(paths: VersionPaths, live: Collection[str], keep_minutes: float) -> None:
    """Mark what the dataset no longer holds: files of shards that are not `live`, folders of earlier commits."""
    text = json_text({"keep_minutes": keep_minutes})
    for path in sorted(paths.directory.iterdir()):
        parsed = parse_shard_file_name(path.name)
        if parsed is None or parsed[0] != paths.name or partition_key(*parsed[1:]) in live:
            continue
        paths.sidecar(*parsed[1:]).unlink(missing_ok=True)
        _mark(paths.retired_marker(*parsed[1:]), text)
    current = paths.current_commit()
    for name in paths.commit_names():
        if current and name != current:  # in a copy that was made without keeping links, none is
            _mark(paths.commit_marker(name), text)


def _mark(marker: Path, text: str) -> None:
    if not marker.exists():
        write_text(marker, text)


def remove_expired(paths: DatasetPaths, *, keep_minutes: float | None = None) -> list[str]:
    """Remove what has been retired for long enough, in every version; return the names of what was removed.

    `keep_minutes` counts instead of what the markers say. Where nothing may be removed, because the root is mounted
    read-only for one, nothing is.
    """
    removed: list[str] = []
    for version in paths.versions():
        for kept in _kept(paths.version(version)):
            with suppress(OSError):
                if kept.minutes_left(keep_minutes) <= 0 or not any(path.exists() for path in kept.files):
                    kept.remove()
                    removed.append(kept.name)
    return removed


def waiting(paths: DatasetPaths) -> list[Retired]:
    """Return what is retired and still kept, in every version."""
    found: list[Retired] = []
    for version in paths.versions():
        for kept in _kept(paths.version(version)):
            with suppress(*NOT_THERE):
                found.append(Retired(version, kept.name, round(max(0.0, kept.minutes_left()), 1)))
    return found


def _kept(paths: VersionPaths) -> Iterator[_Kept]:
    for place in paths.retired_markers():
        yield _Kept(
            paths.retired_marker(*place), (paths.text_index(*place), paths.shard(*place)), partition_key(*place)
        )
    if not is_remote(paths.directory):
        for name in paths.retired_commits():
            yield _Kept(paths.commit_marker(name), (paths.commit(name),), f"commits/{name}")
