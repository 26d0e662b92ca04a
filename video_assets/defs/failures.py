"""Errors of the domain, as Dagster shows them."""

from collections.abc import Generator
from contextlib import contextmanager

import dagster as dg

from video_assets.domain.errors import VideoAssetsError


@contextmanager
def shown_as_failure() -> Generator[None]:
    """Turns an error that is meant for people into a Failure with the same sentence; a retry would not help."""
    try:
        yield
    except VideoAssetsError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"error": type(error).__name__, "what_happened": str(error)},
            allow_retries=False,
        ) from error
