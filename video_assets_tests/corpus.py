"""Where the corpus of real videos lies; tests and benchmarks that want it do without when it is absent."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

_BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "corpus"
_NEEDED = "needs the corpus of real videos: set VIDEO_ASSETS_CORPUS to its folder"


def corpus_path() -> Path | None:
    """The corpus: from VIDEO_ASSETS_CORPUS, else beside the repository; None where there is none."""
    named = os.environ.get("VIDEO_ASSETS_CORPUS")
    path = Path(named) if named else _BESIDE_THE_REPOSITORY
    return path if (path / "index.csv").is_file() else None


def corpus_rows(*folders: str) -> list[dict[str, str]]:
    """The rows of the corpus's index whose path begins with one of `folders`; none without a corpus."""
    path = corpus_path()
    if path is None:
        return []
    with (path / "index.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["path"].startswith(folders)]


def corpus_files(*folders: str) -> list[str]:
    """Paths, relative to the corpus, of the videos in `folders` ("formats/", …)."""
    return [row["path"] for row in corpus_rows(*folders)]


def needs_corpus(names: Iterable[str]) -> list[object]:
    """The names as parameters of a test; without a corpus, and so without names, one that is skipped."""
    return list(names) or [pytest.param("", marks=pytest.mark.skip(reason=_NEEDED))]


def require_corpus() -> Path:
    """The corpus, or a skip that says what to set."""
    path = corpus_path()
    if path is None:
        pytest.skip(_NEEDED)
    return path
