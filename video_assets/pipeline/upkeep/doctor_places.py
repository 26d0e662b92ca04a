"""What the doctor looks at where videos come from and where datasets lie, also in object stores."""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import cast

from video_assets.domain.checks import Finding, ok, problem, warning
from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.domain.text import counted
from video_assets.settings import ManifestSettings
from video_assets.sources.doubts import refuse_misread
from video_assets.sources.read import read_source
from video_assets.sources.tree import is_table
from video_assets.storage.failures import failure_sentence
from video_assets.storage.files import read_part
from video_assets.storage.object_requests import WrittenMeanwhile, list_objects, publish_object
from video_assets.storage.objects import ObjectPath

MIN_FREE_BYTES, GOOD_FREE_BYTES = 500e6, 5e9
MIN_FREE_FILES = 1000
"""A small dataset and Dagster's history of it have some hundred."""
_MAX_SKEW_SECONDS = 2.0
FILES_LOOKED_AT = 2000
"""Of a source, at most: the doctor shall not take as long as a listing."""
PROBE = ".video-assets-doctor"
"""What the names of the files begin with that are made, and removed, to see whether that can be done."""


def existing_folder(path: Path) -> Path:
    """The path, or the nearest folder above it that is there: where it would be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def check_root(root: Path) -> Finding:
    """Files can be written beside, flushed and renamed there, as shards are."""
    folder = existing_folder(root)
    if not folder.is_dir():
        return problem("root", f"{folder} is a file", "Name a folder as --root; it is made if it is not there.")
    before, after = folder / f"{PROBE}.tmp", folder / PROBE
    try:
        with before.open("wb") as file:
            file.write(b"video-assets")
            file.flush()
            os.fsync(file.fileno())
        before.replace(after)
        after.unlink()
    except OSError as error:
        for path in (before, after):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        sentence, _, remedy = failure_sentence(error, folder).partition("; ")
        return problem("root", sentence, remedy or "Choose another root.")
    return ok("root", f"{root} can be written" if folder == root else f"{root} can be made in {folder}")


def check_disk(root: Path, free_bytes: float | None = None) -> Finding:
    """There is room for shards, and for more files."""
    status = os.statvfs(existing_folder(root))
    if status.f_files and status.f_favail < MIN_FREE_FILES:  # some file systems have no table of a fixed size
        found = f"{status.f_favail:,} of {status.f_files:,} files (inodes) free"
        return problem("disk space", found, "Delete files there, or choose another root: each shard is several files.")
    free = float(shutil.disk_usage(existing_folder(root)).free) if free_bytes is None else free_bytes
    found = f"{free / 1e9:.1f} GB free"
    if free < MIN_FREE_BYTES:
        remedy = "Make room, or choose another root; `video-assets plan` says how much the dataset takes."
        return problem("disk space", found, remedy)
    if free < GOOD_FREE_BYTES:
        return warning("disk space", found, "See with `video-assets plan` how much the dataset takes.")
    return ok("disk space", found)


def check_locks(root: Path, lock: Callable[[int, int], None] = fcntl.flock) -> Finding:
    """Of two who want a lock there only one gets it: otherwise two builds could write at once."""
    path = existing_folder(root) / f"{PROBE}.lock"
    remedy = "Mount it with a lock service (NFSv4, without nolock or local_lock), or see that only one build runs."
    try:
        with path.open("wb") as first, path.open("wb") as second:
            lock(first.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                lock(second.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ok("file locks", "they hold")
            return problem("file locks", f"two hold the same lock at {path.parent}", remedy)
    except OSError as error:
        return problem("file locks", f"{path.parent}: {error.strerror}", remedy)
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def check_clock(root: Path, clock: Callable[[], float] = time.time) -> Finding:
    """A new file's time is now: whether a video stands still is told by its time."""
    path = existing_folder(root) / f"{PROBE}.clock"
    try:
        path.write_bytes(b"now")
        skew = path.stat().st_mtime - clock()
    except OSError as error:
        return problem("clock", f"not compared, for no file could be written: {error.strerror}", "Fix the root first.")
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
    if abs(skew) > _MAX_SKEW_SECONDS:
        way = "ahead of" if skew > 0 else "behind"
        found = f"files at {path.parent} are {abs(skew):.0f} s {way} this machine's clock"
        return problem("clock", found, "Let both machines take their time from one server (NTP, chrony).")
    return ok("clock", "a new file's time is this machine's time")


def check_source(
    source: Path, reading: ManifestSettings | None = None, *, clock: Callable[[], float] = time.time
) -> list[Finding]:
    """Files and folders of the source can be read, none is of the future, and a build would understand them."""
    reading = reading or ManifestSettings()
    if not source.exists():
        return [problem("source", f"{source} is not there", "Name the folder of the videos, or the annotation table.")]
    found = list(islice(_walk(source), FILES_LOOKED_AT))
    closed = [path for path in found if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))]
    if closed:
        named = ", ".join(str(path) for path in closed[:3])
        remedy = f"Give user {os.geteuid()} the right to read: chmod -R a+rX {source}"
        return [
            problem(
                "source",
                f"{counted(len(closed), 'file or folder', 'files or folders')} cannot be read: {named}",
                remedy,
            )
        ]
    if is_table(source):
        return [check_table(source, reading)]
    files = [path for path in found if path.is_file()]
    if not files:
        return [problem("source", f"{source} holds no file", "Put videos there, a folder for each class.")]
    future = [path for path in files if path.stat().st_mtime > clock() + 60]
    if future:
        found_words = f"{counted(len(future), 'file is', 'files are')} of the future, such as {future[0]}"
        return [warning("source", found_words, "Sensors wait until then: set the clock, or `touch` these files.")]
    if len(found) == FILES_LOOKED_AT:
        return [ok("source", f"{len(files)} or more files can be read")]
    readable = ok("source", f"{counted(len(files), 'file')} can be read")
    return [readable, check_reading(source, reading)] if source.is_dir() else [readable]


def check_reading(source: Path, reading: ManifestSettings) -> Finding:
    """A build would not take the folder for another set than it is."""
    try:
        asked = read_source(source, reading)
        refuse_misread(asked, reading)
    except SettingsError as error:
        return problem("reading", str(error), f"See how it is read with `video-assets inspect {source}`.")
    return ok("reading", asked.reading.sentence if asked.reading else "")


def check_table(table: Path, reading: ManifestSettings) -> Finding:
    """A build would take the table, and finds the videos that its rows name."""
    try:
        asked = read_source(table, reading)
    except SettingsError as error:
        return problem("source", str(error), "Write it in UTF-8, with commas: path,label and a row for each clip.")
    try:
        refuse_misread(asked, reading)
    except SettingsError as error:
        return problem("source", str(error), f"See how it is read with `video-assets inspect {table}`.")
    num_lost, num_rows = len(asked.lost), len(asked.clips) + len(asked.lost) + len(asked.left_out)
    if not num_rows:
        return problem("source", f"{table} has no rows", "Write one for each clip, below the names of the columns.")
    if not num_lost:
        return ok("source", f"{counted(num_rows, 'row')}: each names a video that is there")
    named = "; ".join(item.loss.detail for item in asked.lost[:3])
    more = f"; and {num_lost - 3} more" if num_lost > 3 else ""
    found = f"{num_lost} of {num_rows} rows of {table.name} cannot be used: {named}{more}"
    remedy = (
        f"Correct these rows; paths are relative to {table.parent}. Else a build leaves their clips out, or refuses."
    )
    return warning("source", found, remedy) if asked.clips else problem("source", found, remedy)


def _walk(source: Path) -> Iterator[Path]:
    """The source, and everything in it; a folder that cannot be opened is itself given."""
    if source.is_file():
        yield source
        return
    yield source
    for folder, names, files in os.walk(source):
        yield from (Path(folder, name) for name in sorted(names))
        yield from (Path(folder, name) for name in sorted(files) if Path(folder, name).exists())


def check_store_root(root: Path) -> Finding:
    """Objects can be listed, written and removed there, and one that is there is not made a second time."""
    probe = cast("ObjectPath", root / f"{PROBE}-{secrets.token_hex(8)}")
    try:
        next(list_objects(root), None)
        try:
            has_conditions = _is_made_once(probe)
        finally:
            probe.unlink(missing_ok=True)
    except (StorageFailed, SettingsError) as error:
        return _failure("root", error)
    if not has_conditions:
        remedy = "See that only one build runs at a time, or take a store that refuses a write by If-None-Match."
        return warning("root", f"{root} can be written, but its store knows no conditional writes", remedy)
    return ok("root", f"{root} can be listed and written; of two who make one object one is refused")


def _is_made_once(probe: ObjectPath) -> bool:
    """Makes an object; whether the store refuses to make it again with another content."""
    publish_object(b"first", probe, None)
    try:
        publish_object(b"second", probe, None)
    except WrittenMeanwhile:
        return True
    return False


def check_store_source(source: Path) -> Finding:
    """Objects of the source can be listed, and the first one can be read."""
    try:
        if source.is_file():
            read_part(source, 0, 1)
            return ok("source", f"{source} can be read")
        found = [file.path for file in islice(list_objects(source), FILES_LOOKED_AT)]
        if not found:
            return problem("source", f"{source} holds no object", "Put videos there, a folder for each class.")
        read_part(source / found[0], 0, 1)
    except (StorageFailed, SettingsError) as error:
        return _failure("source", error)
    more = " or more" if len(found) == FILES_LOOKED_AT else ""
    return ok("source", f"{len(found)}{more} objects are listed, and the first can be read")


def _failure(check: str, error: StorageFailed | SettingsError) -> Finding:
    """A store that does not answer comes with its remedy; the other error is about a bucket that is not there."""
    sentence, _, remedy = str(error).partition("; ")
    return problem(check, sentence, remedy or "Make the bucket, or name another.")
