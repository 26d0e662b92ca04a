"""Addresses: texts become local paths or paths in object stores, only here."""

import hashlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import SettingsError

STORES: Mapping[str, tuple[str, str]] = {"s3": ("obstore", "s3"), "gs": ("obstore", "gcs")}
"""For each scheme, the module that speaks to such a store, and this package's extra that installs it."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_QUESTIONS_AT_ONCE = 32
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def open_address(address: str | Path) -> Path:
    """Return the path of an address: a local path, or `s3://bucket/…`, `gs://bucket/…`. Nothing is requested yet.

    The path of a store is no `pathlib.Path` (`is_remote` tells), but has those of its methods that this package calls:
    names, `/`, `exists`, `stat`, `open("rb")`, `read_bytes`, `iterdir`, `glob`, `unlink`. Only `storage.files` writes
    to it. Credentials and end points come from the store's own environment variables, never from here.

    Raises:
        SettingsError: If the scheme is unknown, no bucket is named, or the store's module is not installed.
    """
    if is_remote(address):
        return cast("Path", address)
    match = _SCHEME.match(str(address))
    if match is None:
        return Path(address)
    scheme = match[1].lower()
    if scheme not in STORES:
        raise SettingsError(f"{address}: places are local paths, or {' or '.join(f'{name}://…' for name in STORES)}")
    if not re.match(r"[^/@:]+(/|$)", str(address)[match.end() :]):
        raise SettingsError(f"an address in a store begins with {scheme}://BUCKET/, without a user or a port in it")
    module, extra = STORES[scheme]
    if importlib.util.find_spec(module) is None:
        raise SettingsError(f'{address} needs {module}, which is not installed; pip install "video_assets[{extra}]"')
    from video_assets.storage.objects import object_path

    return cast("Path", object_path(f"{scheme}://{str(address)[match.end() :].rstrip('/')}"))


def is_remote(place: object) -> bool:
    """Return whether this is a path in an object store."""
    return not isinstance(place, Path | str)


def store_modules(place: Path) -> list[str]:
    """Return the modules that talk to the store of a place; none for a local one."""
    return ["obstore.store", "video_assets.storage.objects"] if is_remote(place) else []


def is_store_address(text: str) -> bool:
    """Return whether a text is the address of something in a store, and not a local path.

    >>> is_store_address("s3://bucket/videos"), is_store_address("/data/videos")
    (True, False)
    """
    return _SCHEME.match(text) is not None


def ask_each(place: Path, question: Callable[[Asked], Answer], items: Iterable[Asked]) -> list[Answer]:
    """Return the answer for each item, in order. If `place` is in a store, 32 questions are asked at the same time.

    A store takes tens of milliseconds for any answer: a hundred thousand shards one by one would take hours.
    """
    if not is_remote(place):
        return [question(item) for item in items]
    with ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as threads:
        return list(threads.map(question, items))


def stat_file(path: Path, name: str) -> ListedFile:
    """Return what a listing would say of this file now, under the given name.

    Raises:
        OSError: As `stat` does.
    """
    status = path.stat()
    return ListedFile(name, status.st_size, status.st_mtime_ns)


def place_name(place: Path) -> str:
    """Return the absolute path, without `..` and symbolic links: the same for all spellings of one place."""
    return str(place.absolute() if is_remote(place) else place.resolve())


def place_digest(place: Path) -> str:
    """Return eight hexadecimal digits that identify a place in names of other things."""
    return hashlib.sha256(place_name(place).encode("utf-8", "surrogateescape")).hexdigest()[:8]


def state_directory(place: Path) -> Path:
    """Return where this machine keeps local files for a place in a store, such as databases.

    Below `$XDG_STATE_HOME`, or `~/.local/state` (XDG Base Directory Specification 0.8).
    """
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "video_assets" / f"{place.name}-{place_digest(place)}"
