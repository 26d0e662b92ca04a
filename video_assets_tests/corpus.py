"""Where the corpus of real videos lies. Tests that use it are marked `corpus`; benchmarks do without it."""

import csv
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest

CORPUS_VARIABLE = "VIDEO_ASSETS_CORPUS"
_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "corpus"
_running_tests: list[pytest.Item] = []


class CorpusNotMarkedError(Exception):
    """A test uses the corpus and does not say so: without a corpus it would fail instead of being skipped."""


def corpus_path() -> Path | None:
    """Return the folder that VIDEO_ASSETS_CORPUS names, else the one beside the repository; None if no corpus is there.

    Raises:
        CorpusNotMarkedError: if a test asks that is not marked `corpus`, whether there is a corpus or not.
    """
    if _running_tests and not _running_tests[-1].get_closest_marker("corpus"):
        message = f"{_running_tests[-1].nodeid} uses the corpus of real videos: mark it with @pytest.mark.corpus"
        raise CorpusNotMarkedError(message)
    named = os.environ.get(CORPUS_VARIABLE)
    path = Path(named) if named else _BESIDE_THE_REPOSITORY
    return path if (path / "index.csv").is_file() else None


def require_corpus() -> Path:
    """Return the corpus's folder to a test, which the marker `corpus` skips where there is none."""
    path = corpus_path()
    assert path is not None, f"there is no corpus: set {CORPUS_VARIABLE} to its folder"
    return path


def corpus_rows(*folders: str) -> list[dict[str, str]]:
    """Return the rows of the corpus's index whose path begins with one of `folders`; none without a corpus."""
    path = corpus_path()
    if path is None:
        return []
    with (path / "index.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["path"].startswith(folders)]


def corpus_files(*folders: str) -> list[str]:
    """Return the paths, relative to the corpus, of the videos in `folders` ("formats/", …)."""
    return [row["path"] for row in corpus_rows(*folders)]


def needs_corpus(names: Iterable[str]) -> list[object]:
    """Return names of the corpus's files as parameters of a test, marked; without a corpus one, to skip the test by."""
    marked = pytest.mark.corpus
    return [pytest.param(name, marks=marked) for name in names] or [pytest.param("", marks=marked, id="no corpus")]


@contextmanager
def running(test: pytest.Item) -> Generator[None]:
    """Remember which test runs, for `corpus_path` to look at its markers."""
    _running_tests.append(test)
    try:
        yield
    finally:
        _running_tests.pop()
