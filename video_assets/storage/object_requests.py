"""Requests to object stores: list objects, and write a whole object under a condition."""

import errno
import hashlib
import itertools
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, InvalidPathError, PreconditionError

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.storage.clients import (
    boto3_client,
    boto3_failures,
    client_of,
    first_line,
    may_be_asked_again,
    store_failures,
)
from video_assets.storage.failures import failure_sentence
from video_assets.storage.object_facts import KnownObjects, ObjectFacts, object_facts
from video_assets.storage.objects import ObjectPath

_CHUNK = 1000


def list_objects(place: Path) -> Iterator[ListedFile]:
    """Yield every object below `place` in the store's order, with its name relative to it; nothing if there is none.

    The time of each is a number derived from the object's etag. Objects that only stand for a folder (empty, with other
    objects below their name) are left out.

    Raises:
        SettingsError: If there is no such bucket.
        StorageFailed: If the store does not answer.
    """
    path = cast("ObjectPath", place)
    begin = len(path.key) + 1 if path.key else 0
    before: ListedFile | None = None
    for key, facts in _listed(path):
        file = ListedFile(key[begin:], facts.st_size, facts.st_mtime_ns)
        if before is not None and not (before.size_bytes == 0 and file.path.startswith(f"{before.path}/")):
            yield before
        before = file
    if before is not None:
        yield before


def with_known(path: Path, below: Path, unknown: str) -> Path:
    """Return a path that knows what is `below`, listed now, but for its folder `unknown`; see `KnownObjects`."""
    place = cast("ObjectPath", below)
    known = KnownObjects(place.key, unknown, dict(_listed(place)))
    return cast("Path", replace(cast("ObjectPath", path), known=known))


def _listed(path: ObjectPath) -> Iterator[tuple[str, ObjectFacts]]:
    last = ""
    with store_failures(path, "listed"):
        for attempt in itertools.count():
            try:
                for chunk in obstore.list(path.client, path.key or None, offset=last or None, chunk_size=_CHUNK):
                    for entry in chunk:
                        last = entry["path"]
                        yield last, object_facts(entry)
                return
            except InvalidPathError as error:
                yield from _listed_as_they_are(path, last, error)
                return
            except BaseError as error:
                if "<Code>NoSuchBucket</Code>" in str(error):
                    raise SettingsError(f"{path} cannot be listed: there is no bucket {path.bucket}") from error
                if not may_be_asked_again(error, attempt):
                    raise


def _listed_as_they_are(path: ObjectPath, last: str, error: InvalidPathError) -> Iterator[tuple[str, ObjectFacts]]:
    """List what comes after an object: names that are no paths, such as `a//b`, end a listing of obstore's."""
    client = boto3_client() if path.scheme == "s3" else None
    if client is None:
        sentence = f"{path} cannot be listed: {first_line(error)}; rename that object, or name another source"
        raise SettingsError(sentence) from error
    prefix = f"{path.key}/" if path.key else ""
    with boto3_failures(path, "listed"):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=path.bucket, Prefix=prefix, StartAfter=last or prefix
        )
        for entry in (entry for page in pages for entry in page.get("Contents", ())):
            if not entry["Key"].endswith("/"):
                yield entry["Key"], ObjectFacts(entry["Size"], entry["LastModified"].timestamp(), entry["ETag"])


_log = logging.getLogger(__name__)
_PATIENT_BYTES = 16 << 20
_MOST_BYTES = 5 << 30
"""The most that S3 takes by one request; more goes up in parts, without a condition."""
_unconditional: set[tuple[str, str]] = set()
"""Buckets of stores that know no conditional writes."""


class WrittenMeanwhile(StorageFailed):
    """The object is not, or no longer, what the condition of a write demands."""


def publish_object(content: Any, target: ObjectPath, before: ObjectFacts | None) -> ObjectFacts:
    """Upload bytes (or a mapped file) to `target` in one step, if the object there still is `before` (None: none is).

    If the answer to a request was lost, the repeated request fails its condition although the object holds this very
    content; that is no failure. A store that knows no conditions is written to without one, with a warning.

    Returns what is there now; its time is not told.

    Raises:
        WrittenMeanwhile: If somebody else wrote it.
        StorageFailed: If the store does not take it.
    """
    client = client_of(target.scheme, target.bucket, is_for_writing=len(content) > _PATIENT_BYTES)
    with store_failures(target, "written"):
        for attempt in itertools.count():
            try:
                put = obstore.put(client, target.key, content, mode=_mode(content, target, before))
                facts = ObjectFacts(len(content), 0.0, put["e_tag"] or target.anew.stat().e_tag, put["version"])
                return target.noted(facts, content if isinstance(content, bytes) else None)
            except (AlreadyExistsError, PreconditionError) as error:
                if (now := _holding(target.anew, content)) is not None:
                    return target.noted(now)
                raise WrittenMeanwhile(
                    f"{target} was written by somebody else meanwhile, and is left as it is; one writer at a time: see "
                    "who else works on this dataset, then start again; what is finished is kept"
                ) from error
            except FileNotFoundError as error:
                missing = FileNotFoundError(errno.ENOENT, f"there is no bucket {target.bucket}")
                raise StorageFailed(failure_sentence(missing, target)) from error
            except BaseError as error:
                if not _has_no_conditions(error, target) and not may_be_asked_again(error, attempt):
                    raise
        raise AssertionError  # it is asked until it answers or fails


def publish_if_changed(content: bytes, target: ObjectPath) -> bool:
    """Write an object unless it has this content already; return whether it was written.

    Raises:
        WrittenMeanwhile: If somebody else wrote it after it was looked at.
        StorageFailed: If the store does not answer.
    """
    try:
        found, before = target.read_whole()
    except FileNotFoundError:
        publish_object(content, target, None)
        return True
    if found != content:
        publish_object(content, target, before)
    return found != content


def _mode(content: Any, target: ObjectPath, before: ObjectFacts | None) -> Any:
    if (target.scheme, target.bucket) in _unconditional or len(content) > _MOST_BYTES:
        return "overwrite"
    if before is None:
        return "create"
    return {"e_tag": before.e_tag} | ({"version": before.version} if before.version else {})


def _has_no_conditions(error: BaseError, target: ObjectPath) -> bool:
    """Return whether the store turns out to know no conditions."""
    bucket = target.scheme, target.bucket
    if "non-2xx status code: 501" not in str(error) or bucket in _unconditional:
        return False
    _log.warning("the store of %s knows no conditional writes; %s is written without one", target.parent, target)
    _unconditional.add(bucket)
    return True


def _holding(target: ObjectPath, content: Any) -> ObjectFacts | None:
    """Return what the store says of the object if it has this very content, else None."""
    facts = target.facts()
    if facts is None or facts.st_size != len(content):
        return None
    with target.open() as stored:
        digest = hashlib.file_digest(stored, "sha256").digest()
    return facts if digest == hashlib.sha256(content).digest() else None
