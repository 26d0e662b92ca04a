"""What tests need and a machine may lack. Such a test is skipped, and the reason names everything that it lacks."""

import shutil
from collections.abc import Iterator

import pytest

from video_assets_tests.corpus import CORPUS_VARIABLE, corpus_path

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_DRIVER = "chromedriver"


def skip_where_something_is_missing(items: list[pytest.Item]) -> None:
    """Skip tests by their markers: `corpus`, `browser`, and `program` with names of programs."""
    has_corpus = corpus_path() is not None
    for item in items:
        if missing := list(_missing(item, has_corpus=has_corpus)):
            item.add_marker(pytest.mark.skip(reason=f"needs {' and '.join(missing)}"))


def browser_programs() -> tuple[str, str] | None:
    """Return the browser and its driver; None where one of them is absent."""
    browser, driver = _find_browser(), shutil.which(_DRIVER)
    return (browser, driver) if browser and driver else None


def _missing(item: pytest.Item, *, has_corpus: bool) -> Iterator[str]:
    if not has_corpus and item.get_closest_marker("corpus"):
        yield f"the corpus of real videos (set {CORPUS_VARIABLE} to the folder that has its index.csv)"
    programs = [name for marker in item.iter_markers("program") for name in marker.args]
    if item.get_closest_marker("browser"):
        programs.append(_DRIVER)
        if _find_browser() is None:
            yield "the program chromium"
    yield from (f"the program {name}" for name in programs if shutil.which(name) is None)


def _find_browser() -> str | None:
    return next(filter(None, map(shutil.which, _BROWSERS)), None)
