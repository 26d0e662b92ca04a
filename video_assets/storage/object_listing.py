"""All objects below a place in a store, page by page: a million of them, in the memory of a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from video_assets.domain.clips import ListedFile
from video_assets.domain.errors import SettingsError
from video_assets.storage.objects import ObjectPath, etag_number, object_facts, store_failures

_PAGE = 1000
"""The most that S3 and Google give at once."""


def list_objects(place: Path) -> Iterator[ListedFile]:
    """Every object below `place` in the store's order, its name relative to it; none if there is nothing.

    In place of a time stands a number that the object's etag gives. Objects that only stand for a folder (their names
    end with a slash) are none.

    Raises:
        SettingsError: if there is no such bucket.
        StorageFailed: if the store does not answer.
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
    """ListObjectsV2 (Amazon S3 API Reference), and what asks for the next page; s3fs would gather all pages first."""
    begin = {"ContinuationToken": more} if more else {}
    page = path.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **begin)
    entries = [(entry["Key"], {**entry, "size": entry["Size"]}) for entry in page.get("Contents", ())]
    return entries, page.get("NextContinuationToken", "")


def _google_page(path: ObjectPath, bucket: str, prefix: str, more: str) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Objects: list (Google Cloud Storage JSON API), and what asks for the next page."""
    begin = {"pageToken": more} if more else {}
    page = path.fs.call("GET", "b/{}/o", bucket, prefix=prefix, maxResults=_PAGE, json_out=True, **begin)
    return [(entry["name"], entry) for entry in page.get("items", ())], page.get("nextPageToken", "")
