"""Ctrl-C during a build, as a terminal sends it: to the command and to all that it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from video_assets.defs.instance import open_instance
from video_assets.defs.run_requests import UNFINISHED
from video_assets.storage.locks import current_holder
from video_assets.storage.paths import DatasetPaths
from video_assets_tests.pipeline.videos import write_video
from video_assets_tests.waiting import end_process_group, wait_until

pytestmark = pytest.mark.long

COMMAND = Path(sys.executable).with_name("video-assets")
NUM_CLIPS = 120
WORDS = "error: interrupted; finished work is kept, and the same command continues from there"
PROMPT_SECONDS = 60.0
"""Of a machine that is busy with other tests; alone it takes less than half a second."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many clips that none of the stages is over before it is interrupted."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(NUM_CLIPS):
        write_video(folder / ("run", "walk")[number % 2] / f"{number}.mp4", seed=number)
    return folder


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetPaths:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return DatasetPaths(tmp_path / "root", "clips")


@contextmanager
def building(source: Path, root: Path) -> Generator["subprocess.Popen[bytes]"]:
    """A build in a process group of its own."""
    arguments = ["build", "--source", source, "--root", root, "--set", "plan.clips_per_shard=2", "--workers", "1"]
    command = [*map(str, (COMMAND, *arguments)), "--set", "plan.encoding.resolution=64"]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("VIDEO_ASSETS_", "DAGSTER_"))}
    log = root.parent / "said"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=inherited, start_new_session=True)
    try:
        yield process
    finally:
        end_process_group(process)


def interrupt(process: "subprocess.Popen[bytes]", times: int = 1) -> int:
    """Ctrl-C; gives the exit code."""
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
    return process.wait(timeout=PROMPT_SECONDS)


def said(paths: DatasetPaths) -> str:
    return " ".join((paths.root.parent / "said").read_text("utf-8").split())


def sidecars(paths: DatasetPaths) -> Path:
    return paths.version("1.0.0").directory / "shards"


def living(group: int) -> list[str]:
    """Processes of a group; those that ended and that nobody asked for are none."""
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return found


def is_loading_codecs(pid: int) -> bool:
    """Whether a child is past the start of Python itself, where an interrupt shows nothing."""
    try:
        children = psutil.Process(pid).children()
        return any("site-packages" in place.path for child in children for place in child.memory_maps())
    except psutil.NoSuchProcess:
        return False


def is_listing(paths: DatasetPaths) -> bool:
    return current_holder(paths.build_lock) is not None


def is_encoding(paths: DatasetPaths) -> bool:
    return any(sidecars(paths).glob("train-*.json"))


def is_committing(paths: DatasetPaths) -> bool:
    checked = list((paths.directory / ".checks" / "1.0.0").glob("*.json"))
    return bool(checked) and len(checked) == len(list(sidecars(paths).glob("*.json")))


@pytest.mark.parametrize("condition", [is_listing, is_encoding, is_committing])
def test_ctrl_c_ends_a_build_at_once_whatever_it_does_and_the_next_one_goes_on(
    source: Path, paths: DatasetPaths, condition: Callable[[DatasetPaths], bool]
) -> None:
    with building(source, paths.root) as process:
        wait_until(lambda: condition(paths) or None, seconds=120, what=condition.__name__, every=0.002)
        assert interrupt(process) == 130, said(paths)
        words = said(paths)
        assert words.endswith(WORDS)
        assert "Traceback" not in words
        assert "Not built" not in words
        assert "test clips" not in words
        wait_until(lambda: not living(process.pid) or None, seconds=5, what="the end of its processes")
    assert not paths.version("1.0.0").dataset_info.exists()
    with open_instance(paths) as instance:
        assert instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)) == []
    finished = {file.name: file.stat().st_mtime_ns for file in sidecars(paths).glob("*.json")}
    with building(source, paths.root) as process:
        assert process.wait(timeout=300) == 0, said(paths)
    assert {name: (sidecars(paths) / name).stat().st_mtime_ns for name in finished} == finished


def test_ctrl_c_right_after_the_start_shows_no_traceback_of_a_process_that_is_just_starting(
    source: Path, paths: DatasetPaths
) -> None:
    with building(source, paths.root) as process:
        what = "a fork server that loads its modules"
        wait_until(lambda: is_loading_codecs(process.pid) or None, seconds=60, what=what, every=0.002)
        assert interrupt(process) == 130, said(paths)
    assert said(paths) == f"Building clips in {paths.root} {WORDS}"


def test_whoever_presses_ctrl_c_three_times_gets_the_same_words(source: Path, paths: DatasetPaths) -> None:
    with building(source, paths.root) as process:
        wait_until(lambda: is_encoding(paths) or None, seconds=120, what="encoding", every=0.002)
        assert interrupt(process, times=3) == 130, said(paths)
    assert said(paths).endswith(WORDS)
