"""Clients of object stores, made from the environment as the stores' own programs do it, and their failures."""

import errno
import functools
import importlib.util
import itertools
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from obstore.exceptions import BaseError, GenericError, InvalidPathError, PermissionDeniedError, UnauthenticatedError
from obstore.store import GCSStore, S3Store

from video_assets.storage.failures import named_failures

Answer = TypeVar("Answer")
MAX_RETRIES = 7
"""If one request in ten fails, one in a hundred million is given up, after half a minute."""
_TRIES = 5
_PAUSE_SECONDS = 0.1
_METADATA = re.compile(r"169\.254\.169\.254|169\.254\.170\.|metadata\.google\.internal")
"""Where machines in a cloud are given credentials."""
_TIMEOUT = "2m"
"""For one request. Whole contents are read in parts of at most 16 MiB."""
_WRITING_TIMEOUT = "1h"
"""For a shard, which is written by one request."""
_REGION_SERVER = "https://s3.amazonaws.com"
_REGION_SECONDS = 5.0


@functools.cache
def client_of(scheme: str, bucket: str, *, is_for_writing: bool = False) -> Any:
    """Return this process's client of a bucket."""
    options: dict[str, Any] = {
        "client_options": {"timeout": _WRITING_TIMEOUT if is_for_writing else _TIMEOUT, "connect_timeout": "10s"},
        "retry_config": {
            "max_retries": MAX_RETRIES,
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
            "retry_timeout": timedelta(minutes=3),
        },
    }
    if scheme == "s3":
        return _s3_client(bucket, options)
    options["client_options"]["allow_http"] = os.environ.get("GOOGLE_BASE_URL", "").startswith("http://")
    return GCSStore(bucket, **options)


def _s3_client(bucket: str, options: dict[str, Any]) -> S3Store:
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["client_options"]["root_certificate"] = Path(bundle).read_text("utf-8")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    config: dict[str, Any] = {"disable_bulk_delete": True}  # not every store like S3 knows bulk deletion
    session = profile_session()
    if session is not None:
        from obstore.auth.boto3 import Boto3CredentialProvider

        options["credential_provider"] = Boto3CredentialProvider(session)
        endpoint = endpoint or _own_endpoint(session)
    if endpoint:
        config["endpoint"] = endpoint
        options["client_options"]["allow_http"] = endpoint.startswith("http://")
    elif region := _region_of(bucket):
        config["region"] = region
    return S3Store(bucket, config=config, **options)  # pyright: ignore[reportArgumentType]


def profile_session() -> Any:
    """Return a session of boto3 if credentials come from a profile, else None: obstore knows none.

    Keys in the environment, a web identity and the roles of containers and instances are obstore's own business.
    """
    home = Path.home() / ".aws"
    files = [
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", home / "credentials"),
        os.environ.get("AWS_CONFIG_FILE", home / "config"),
    ]
    has_profile = "AWS_PROFILE" in os.environ or any(Path(file).is_file() for file in files)
    if "AWS_ACCESS_KEY_ID" in os.environ or not has_profile or importlib.util.find_spec("boto3") is None:
        return None
    import boto3

    session = boto3.Session()
    return session if session.get_credentials() is not None else None


def _own_endpoint(session: Any) -> str:
    """Return the end point that a profile names; empty if it is Amazon's."""
    endpoint = session.client("s3").meta.endpoint_url
    return "" if endpoint.endswith((".amazonaws.com", ".amazonaws.com.cn")) else endpoint


def _region_of(bucket: str) -> str:
    """Return the region that a bucket of Amazon lies in, which anybody is told; empty if nobody tells."""
    request = urllib.request.Request(f"{_REGION_SERVER}/{bucket}", method="HEAD")  # noqa: S310  (a constant)
    try:
        with urllib.request.urlopen(request, timeout=_REGION_SECONDS) as answer:  # noqa: S310
            return str(answer.headers.get("x-amz-bucket-region", ""))
    except urllib.error.HTTPError as error:  # what the bucket holds is not for everybody; where it lies is
        return str(error.headers.get("x-amz-bucket-region", ""))
    except OSError:
        return ""


@contextmanager
def store_failures(path: object, doing: str) -> Generator[None]:
    """Turn errors of a store into `StorageFailed`, as `named_failures` does.

    A missing object is a FileNotFoundError, and a listing with a name that is no path an InvalidPathError of obstore.

    Raises:
        StorageFailed: If the store, its client or the network failed after all attempts.
    """
    with named_failures(path, doing, but=(FileNotFoundError,)):
        try:
            yield
        except InvalidPathError:
            raise
        except BaseError as error:
            raise _as_os_error(error) from error


def ask(path: object, doing: str, request: Callable[[], Answer]) -> Answer:
    """Return the answer to a request; `doing` is what could not be done, as a participle, if there is none.

    Raises:
        FileNotFoundError: If there is no such object.
        StorageFailed: If the store, its client or the network failed after all attempts.
    """
    with store_failures(path, doing):
        for attempt in itertools.count():
            try:
                return request()
            except BaseError as error:
                if not may_be_asked_again(error, attempt):
                    raise
        raise AssertionError  # it is asked until it answers or fails


def may_be_asked_again(error: BaseError, attempt: int) -> bool:
    """Return, after a pause, whether a request was cut off in a way after which obstore does not repeat it.

    That is so while the body of a refusal comes, and of a write under a condition, which may fail the second time.
    """
    told = str(error)
    was_answered = "non-2xx status code" in told or not isinstance(error, GenericError) or _METADATA.search(told)
    if was_answered or attempt + 1 >= _TRIES or f"after {MAX_RETRIES} retries" in told:
        return False
    threading.Event().wait(_PAUSE_SECONDS * 2**attempt)
    return True


def first_line(error: BaseError) -> str:
    """Return what happened, without the page of details below it."""
    return str(error).partition("\n")[0]


def _as_os_error(error: BaseError) -> OSError:
    """Return an error of the system with the gist of obstore's, which goes on for a page."""
    text = str(error).partition("\n\nDebug source")[0]
    if _METADATA.search(text):
        return PermissionError(errno.EACCES, "no credentials were found")
    if "<Code>NoSuchBucket</Code>" in text:  # in the answer to a listing; to other requests it is not found at all
        return FileNotFoundError(errno.ENOENT, "there is no such bucket")
    status = re.search(r"non-2xx status code: (\d+ [\w ]+)", text)
    code, message = (re.search(f"<{tag}>(.*?)</{tag}>", text) for tag in ("Code", "Message"))
    told = ": ".join(found[1] for found in (status, code, message) if found)
    what = told or text.rpartition(" - ")[2].strip()
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return PermissionError(errno.EACCES, what)
    return OSError(errno.EIO, what)


def told_checksum(path: Any) -> str:
    """Return the SHA-256 in base64 that an object on S3 was uploaded with, if it is of the whole object; else "".

    Raises:
        StorageFailed: If the store does not answer.
    """
    client = boto3_client()
    if client is None:
        return ""
    with boto3_failures(path, "looked at"):
        head = client.head_object(Bucket=path.bucket, Key=path.key, ChecksumMode="ENABLED")
    told = str(head.get("ChecksumSHA256", ""))
    is_whole = head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in told
    return told if is_whole else ""


@functools.cache
def boto3_client() -> Any:
    """Return a client for what obstore does not tell of S3; None if boto3 is not installed."""
    if importlib.util.find_spec("boto3") is None:
        return None
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": MAX_RETRIES + 1}))


@contextmanager
def boto3_failures(path: object, doing: str) -> Generator[None]:
    """Turn errors of boto3 into `StorageFailed`.

    Raises:
        StorageFailed: If it failed after all attempts.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    with named_failures(path, doing):
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise OSError(errno.EIO, str(error)) from error
