"""Requests to object stores: list objects, and write a whole object under a condition."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import SettingsError, StorageFailed
from video_assets.storage.objects import ObjectFacts, ObjectPath, etag_number, object_facts, store_failures

_PAGE = 1000
"""The most that S3 and Google return at once."""


def list_objects(place: Path) -> Iterator[ListedFile]:
    """Yield every object below `place` in the store's order, with its name relative to it; nothing if there is none.

    The time of each is a number derived from the object's etag. Objects that only stand for a folder (their names end
    with a slash) are left out.

    Raises:
        SettingsError: If there is no such bucket.
        StorageFailed: If the store does not answer.
    """
    path = cast("ObjectPath", place)
    bucket, _, key = path.path.partition("/")
    prefix = f"{key.rstrip('/')}/" if key.strip("/") else ""
    page_of = _s3_page if path.protocol == "s3" else _google_page
    more = ""
    while True:
        try:
            with store_failures(path, "listed"):
                entries, more = page_of(path, bucket, prefix, more)
        except FileNotFoundError as error:
            raise SettingsError(f"{path} cannot be listed: there is no bucket {bucket}") from error
        for name, info in entries:
            if not name.endswith("/"):
                facts = object_facts(info)
                yield ListedFile(name[len(prefix) :], facts.st_size, etag_number(facts.etag))
        if not more:
            return


def _s3_page(path: ObjectPath, bucket: str, prefix: str, more: str) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Return one page of ListObjectsV2 (Amazon S3 API Reference) and the next token; s3fs gathers all pages first."""
    begin = {"ContinuationToken": more} if more else {}
    page = path.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **begin)
    entries = [(entry["Key"], {**entry, "size": entry["Size"]}) for entry in page.get("Contents", ())]
    return entries, page.get("NextContinuationToken", "")


def _google_page(path: ObjectPath, bucket: str, prefix: str, more: str) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Return one page of Objects: list (Google Cloud Storage JSON API), and the token of the next."""
    begin = {"pageToken": more} if more else {}
    page = path.fs.call("GET", "b/{}/o", bucket, prefix=prefix, maxResults=_PAGE, json_out=True, **begin)
    return [(entry["name"], entry) for entry in page.get("items", ())], page.get("nextPageToken", "")


_log = logging.getLogger(__name__)
_NOT_MET = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_UNKNOWN = ("NotImplemented", "501")


class WrittenMeanwhile(StorageFailed):
    """The object is not, or no longer, what the condition of a write demands."""


def publish_object(file: Path, target: ObjectPath, before: ObjectFacts | None) -> None:
    """Upload a local file to `target` in one step, if the object there still is `before` (None: if there is none).

    If the answer to a request was lost, the repeated request fails its condition although the object holds this very
    content; that is no failure. A store that knows no conditions is written to without one, with a warning. gcsfs can
    demand that there is no object, but not that it is still a certain one; nor can s3fs for files above 100 MB.

    Raises:
        WrittenMeanwhile: If somebody else wrote it.
        StorageFailed: If the store does not take it.
    """
    try:
        _put(file, target, _condition(target, before))
    except OSError as error:
        code = _code(error)
        if code in _UNKNOWN:
            _log.warning(
                "the store of %s knows no conditional writes; %s is written without one", target.parent, target
            )
            _put(file, target, {})
        elif code not in _NOT_MET:
            raise
        elif not _holds(target, file):
            raise WrittenMeanwhile(
                f"{target} was written by somebody else meanwhile, and is left as it is; one writer at a time: see who "
                "else works on this dataset, then start again; what is finished is kept"
            ) from error


def _condition(target: ObjectPath, before: ObjectFacts | None) -> dict[str, Any]:
    if before is None:
        return {"mode": "create"}
    return {"IfMatch": before.etag} if target.protocol == "s3" else {}


def _put(file: Path, target: ObjectPath, condition: dict[str, Any]) -> None:
    with store_failures(target, "written"):
        try:
            target.fs.put_file(str(file), target.path, **condition)
        except FileNotFoundError as error:  # no such bucket, or the object of the condition is gone
            raise OSError(*error.args) from error


def _code(error: BaseException | None) -> str:
    """Return the store's error code, wherever in the chain of exceptions it stands; for gcsfs the HTTP status."""
    while error is not None:
        if isinstance(error, FileExistsError):
            return _NOT_MET[0]
        response: Any = getattr(error, "response", None)
        found = response.get("Error", {}).get("Code") if isinstance(response, dict) else getattr(error, "code", None)
        code = str(found or "")
        if code:
            return code
        error = error.__cause__ or error.__context__
    return ""


def _holds(target: ObjectPath, file: Path) -> bool:
    """Return whether an object has a local file's content."""
    facts = target.facts()
    if facts is None or facts.st_size != file.stat().st_size:
        return False
    with target.open() as stored, file.open("rb") as wanted:
        digests = [hashlib.file_digest(content, "sha256").digest() for content in (stored, wanted)]
    return digests[0] == digests[1]
