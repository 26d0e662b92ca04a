"""Errors of the domain, as Dagster shows them."""

import os
from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from video_assets.domain.errors import VideoAssetsError
from video_assets.domain.text import redacted, secrets_of
from video_assets.report.escape import shown
from video_assets.storage.failures import failure_sentence


@contextmanager
def errors_as_failures() -> Generator[None]:
    """Turns an error that is meant for people, or of the system, into a Failure with one sentence.

    A retry would not help; of shards, those that failed to be written are reported otherwise, and tried again.
    """
    try:
        yield
    except VideoAssetsError as error:
        raise _failure(error, str(error)) from _tellable(error)
    except OSError as error:
        raise _failure(error, failure_sentence(error, doing="opened")) from _tellable(error)


@contextmanager
def tried_again(context: dg.AssetExecutionContext, retries: dg.RetryPolicy) -> Generator[None]:
    """Asks for another attempt where a step fails, as the policy says; never where it was interrupted.

    As the asset's own policy it would also try again after Ctrl-C in a build and Terminate in the UI.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, dg.Failure) and not error.allow_retries:
            raise
        wait_seconds = retries.calculate_delay(context.retry_number + 1)
        raise dg.RetryRequested(max_retries=retries.max_retries, seconds_to_wait=wait_seconds) from error


def _failure(error: Exception, sentence: str) -> dg.Failure:
    sentence = shown(sentence)
    metadata = {"error": type(error).__name__, "what_happened": sentence}
    return dg.Failure(description=sentence, metadata=metadata, allow_retries=False)


def _tellable(error: BaseException) -> BaseException | None:
    """The error, whose chain Dagster stores word by word; None if a secret is in it."""
    secrets, link = secrets_of(os.environ), error
    while link is not None:
        if redacted(str(link), secrets) != str(link):
            return None
        link = link.__cause__ or link.__context__
    return error
