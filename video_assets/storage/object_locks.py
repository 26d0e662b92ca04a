"""Locks in object stores: objects that are created only if absent, and rewritten by their holders while they work.

`flock` does not reach into a store. A writer that works alone creates the lock's object; one that shares creates an
object beside it, named after it. Each then looks for objects of the other kind and steps back if there is one. Stores
list what was written before (S3 since December 2020, Google Cloud Storage always), so of two writers at least one sees
the other. A holder rewrites its object every few seconds. If an object stays the same for `STALE_SECONDS`, by the clock
of the process that waits, its holder is gone. So is a holder that was a process of this machine and has ended.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from video_assets.domain.errors import StorageFailed
from video_assets.storage.file_locks import Holder, LockHeld, refusal
from video_assets.storage.object_facts import ObjectFacts
from video_assets.storage.object_requests import WrittenMeanwhile, publish_object
from video_assets.storage.objects import ObjectPath

BEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
_POLL_SECONDS = 1.0


@contextmanager
def hold_object_lock(path: Path, what: str, *, shared: bool, wait_seconds: float) -> Generator[Holder | None]:
    """Hold a lock in a store; see `storage.locks.hold_lock`.

    Raises:
        LockHeld: If somebody else still holds it after `wait_seconds`; or at the end, if somebody took it over because
            this process stood still for too long.
        StorageFailed: If the store does not answer.
    """
    place = cast("ObjectPath", path)
    mine = _Mine(place.with_name(f"{place.name}.{secrets.token_hex(8)}") if shared else place, what)
    before = _acquire(place, mine, shared=shared, wait_seconds=wait_seconds)
    ended = threading.Event()
    beating = threading.Thread(target=mine.beat, args=(ended,), name=f"lock {place.name}", daemon=True)
    beating.start()
    try:
        yield before
    finally:
        ended.set()
        beating.join()
        mine.remove()
    if mine.was_lost:
        raise LockHeld(f"{what} stood still for so long that somebody else took the lock {path}; start it again")


def object_lock_holder(path: Path) -> Holder | None:
    """Return who holds a lock now, alone or shared, as far as its objects tell; None if it is free."""
    place = cast("ObjectPath", path)
    found = (_read_holder(other) for other in [place, *place.parent.glob(f"{place.name}.*")])
    return next((holder for holder in found if holder is not None and holder.may_live), None)


class _Mine:
    """The object of this holder."""

    def __init__(self, place: ObjectPath, what: str, before: ObjectFacts | None = None) -> None:
        self.place = place
        self.what = what
        self.was_lost = False
        self._facts = before
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._holder = Holder(os.getpid(), socket.gethostname(), what, since)

    def write(self) -> None:
        """Create the object, or rewrite it.

        Raises:
            WrittenMeanwhile: If somebody else wrote it.
        """
        content = json.dumps({**asdict(self._holder), "beat": secrets.token_hex(8)})
        self._facts = publish_object(content.encode("utf-8"), self.place, self._facts)

    def remove(self) -> None:
        """Remove the object if it is still this holder's. If the store does not answer, it becomes stale by itself."""
        with suppress(StorageFailed):
            now = self.place.facts()
            if self._facts is not None and now is not None and now.e_tag == self._facts.e_tag:
                self.place.unlink(missing_ok=True)

    def beat(self, ended: threading.Event) -> None:
        """Rewrite the object until the end, or until somebody else took it over."""
        while not ended.wait(BEAT_SECONDS):
            try:
                self.write()
            except WrittenMeanwhile:
                self.was_lost = True
                return
            except StorageFailed:
                continue  # the next beat may reach the store; others wait for `STALE_SECONDS`


@dataclass(slots=True)
class _Rival:
    """Another holder's object, as this process has seen it."""

    place: ObjectPath
    facts: ObjectFacts
    holder: Holder | None
    since: float
    is_seen_alive: bool = False

    def is_left(self) -> bool:
        """Return whether its holder is gone."""
        if self.holder is not None and not self.holder.may_live:
            return True
        return time.monotonic() - self.since >= STALE_SECONDS


def _acquire(place: ObjectPath, mine: _Mine, *, shared: bool, wait_seconds: float) -> Holder | None:
    """Create this holder's object. Returns the dead holder whose object was removed, if this one works alone."""
    deadline = time.monotonic() + wait_seconds
    seen: dict[ObjectPath, _Rival] = {}
    left: Holder | None = None
    while True:
        seen = _look(place, seen, shared=shared)
        for rival in [rival for rival in seen.values() if rival.is_left()]:
            if _take_away(rival, mine):
                left = rival.holder
            seen.pop(rival.place)
        if not seen and _try(place, mine, shared=shared):
            return None if shared else left
        alive = [rival for rival in seen.values() if rival.is_seen_alive]
        if time.monotonic() >= deadline and (alive or not seen):
            raise LockHeld(refusal(mine.what, cast("Path", place), alive[0].holder if alive else None))
        time.sleep(_POLL_SECONDS)


def _look(
    place: ObjectPath, seen: Mapping[ObjectPath, _Rival], *, shared: bool, but: ObjectPath | None = None
) -> dict[ObjectPath, _Rival]:
    """Return the objects that are in the way now, `but` one, and since when each of them has not changed."""
    found: dict[ObjectPath, _Rival] = {}
    for other in [place] if shared else [place, *place.parent.glob(f"{place.name}.*")]:
        facts = other.facts() if other != but else None
        if facts is None:
            continue
        known = seen.get(other)
        if known is not None and known.facts == facts:
            found[other] = known
            continue
        holder = _read_holder(other)
        is_here = holder is not None and holder.host == socket.gethostname() and holder.may_live
        found[other] = _Rival(other, facts, holder, time.monotonic(), known is not None or is_here)
    return found


def _try(place: ObjectPath, mine: _Mine, *, shared: bool) -> bool:
    """Return whether this holder's object exists now, and none that excludes it."""
    try:
        mine.write()
    except WrittenMeanwhile:
        return False
    if _look(place, {}, shared=shared, but=mine.place):
        mine.remove()
        return False
    return True


def _take_away(rival: _Rival, mine: _Mine) -> bool:
    """Remove the object of a holder that is gone; False if another process did. Only one can rewrite it first."""
    taken = _Mine(rival.place, mine.what, rival.facts)
    try:
        taken.write()
    except WrittenMeanwhile:
        return False
    taken.remove()
    return True


def _read_holder(place: ObjectPath) -> Holder | None:
    try:
        values = json.loads(place.read_bytes())
        values.pop("beat")
        return Holder(**values)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None
