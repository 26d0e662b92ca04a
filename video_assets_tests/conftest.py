"""What all tests share: their order, what they need, hypothesis profiles, and TensorFlow where a test asks for it."""

import gc
import os
import signal
from collections.abc import Generator
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

from video_assets_tests.corpus import running
from video_assets_tests.datasets import built, built_at_another_size, built_once, first_build, videos
from video_assets_tests.label_sets import label_sets_as_sequences, label_sets_built, labelled
from video_assets_tests.needs import skip_where_something_is_missing

__all__ = [  # fixtures
    "built",
    "built_at_another_size",
    "built_once",
    "first_build",
    "label_sets_as_sequences",
    "label_sets_built",
    "labelled",
    "tensorflow",
    "tfds",
    "videos",
]

# Before anything imports TensorFlow: its start-up messages would bury a failing test's own, and no test needs a GPU.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# A shell that runs tests in the background has them ignore SIGINT, and Dagster then SIGTERM too; programs that tests
# start would inherit both, and not end when they are told to.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadlines: a machine that is busy with decoding is slow, which says nothing about the code under test.
settings.register_profile("dev", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here. Files with slow tests come first, so that no process has one left at the end."""
    skip_where_something_is_missing(items)
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Keep the corpus from tests that are not marked `corpus`."""
    with running(item):
        return (yield)


@pytest.fixture(scope="session")
def tensorflow() -> ModuleType:
    """TensorFlow, imported by the first test that needs it: six seconds that other runs do not pay."""
    import tensorflow as tf

    return tf


@pytest.fixture(scope="session")
def tfds(tensorflow: ModuleType) -> ModuleType:
    """The real tensorflow-datasets, of the extra `readers`.

    While it is imported, it replaces Python's own import for moments. Were other tests' objects collected in such a
    moment, what they import as they end would fail, and with it the test at hand.
    """
    gc.disable()
    try:
        return pytest.importorskip(
            "tensorflow_datasets", reason="needs the extra readers: pip install 'video_assets[readers]'"
        )
    finally:
        gc.enable()
