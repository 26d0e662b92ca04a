"""The thread that reports to Dagster holds nobody up who was interrupted."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from video_assets.defs import instance
from video_assets.defs.report_thread import ReportThread
from video_assets.storage.paths import DatasetPaths

WAIT_SECONDS = 10.0


class SlowInstance:
    """Stands for Dagster's instance, whose import and opening take as long as the test wants."""

    def __init__(self) -> None:
        self.is_asked_for, self.may_open, self.is_closed = threading.Event(), threading.Event(), threading.Event()
        self.was_waited_for = False

    @contextmanager
    def open(self, _paths: DatasetPaths):
        self.is_asked_for.set()
        self.was_waited_for = not self.may_open.wait(WAIT_SECONDS)
        yield None
        self.is_closed.set()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowInstance:
    slow = SlowInstance()
    monkeypatch.setattr(instance, "open_instance", slow.open)
    return slow


def leave(slow: SlowInstance, thread: ReportThread, error: BaseException) -> None:
    with thread:
        thread.begin()
        assert slow.is_asked_for.wait(WAIT_SECONDS)
        raise error


def test_an_interruption_does_not_wait_for_dagsters_import(tmp_path: Path, slow: SlowInstance) -> None:
    beside = ThreadPoolExecutor(1)
    with pytest.raises(KeyboardInterrupt):
        leave(slow, ReportThread(DatasetPaths(tmp_path, "clips"), beside), KeyboardInterrupt())
    assert not slow.is_closed.is_set()
    slow.may_open.set()
    beside.shutdown()
    assert slow.is_closed.is_set()
    assert not slow.was_waited_for


def test_another_error_waits_for_it(tmp_path: Path, slow: SlowInstance) -> None:
    threading.Timer(0.05, slow.may_open.set).start()
    with pytest.raises(ZeroDivisionError):
        leave(slow, ReportThread(DatasetPaths(tmp_path, "clips")), ZeroDivisionError())
    assert slow.is_closed.is_set()
