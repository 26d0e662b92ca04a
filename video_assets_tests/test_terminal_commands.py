"""The commands on a real terminal: a pseudo-terminal, and what stands on its screen at the end."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from video_assets.report.help_text import WIDTH
from video_assets_tests.pipeline.videos import write_class

pytestmark = pytest.mark.slow

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ERASE = "\r\x1b[K"


class Screen:
    """What a command wrote to a terminal."""

    def __init__(self, raw: str, code: int) -> None:
        self.raw = raw
        self.code = code

    @property
    def lines(self) -> list[str]:
        """The lines that stand there in the end: of a line that was drawn over itself, the last drawing."""
        return [line.split(ERASE)[-1] for line in COLOUR.sub("", self.raw.replace("\r\n", "\n")).split("\n")]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def run_on_terminal(*arguments: str | Path, columns: int = WIDTH, **variables: str) -> Screen:
    """Runs a command of video-assets with a pseudo-terminal as its input, output and error."""
    return run_python("-m", "video_assets.cli", *arguments, columns=columns, **variables)


def run_python(*arguments: str | Path, columns: int, **variables: str) -> Screen:
    """Runs Python with a pseudo-terminal as its input, output and error."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("VIDEO_ASSETS_", "DAGSTER_", "NO_COLOR"))}
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=inherited | {"TERM": "xterm-256color", "PYTHONUTF8": "1"} | variables,
    )
    os.close(follower)
    raw = b""
    until = time.monotonic() + 280
    try:
        while time.monotonic() < until:
            if not select.select([leader], [], [], 1.0)[0]:
                continue
            try:
                raw += os.read(leader, 65536)
            except OSError:  # the last process that had the terminal is gone
                break
        return Screen(raw.decode("utf-8"), process.wait(timeout=30))
    finally:
        process.kill()
        process.wait()
        os.close(leader)


def assert_fits(screen: Screen, columns: int = WIDTH) -> None:
    """Nothing but colours and the bar's own erasing; no line wider than the screen that is not a command or a path."""
    rest = COLOUR.sub("", screen.raw).replace(ERASE, "").replace("\r\n", "\n")
    assert all(character.isprintable() or character == "\n" for character in rest), ascii(rest)
    wide = [line for line in screen.lines if cell_len(line) > columns]
    assert [
        line
        for line in wide
        if not line.startswith(("    ", "  video-assets ", "Built /", "Valid: /", "Would build /"))
    ] == []


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, one that is none, and a name that would clear the screen."""
    folder = tmp_path_factory.mktemp("terminal") / "videos"
    for label in ("run", "walk"):
        write_class(folder, label, groups=range(1, 4))
    (folder / "run" / "evil\x1b[2J\x1b[31mred.mp4").write_bytes(b"this is no video")
    return folder


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Screen:
    """A build on a terminal."""
    root = tmp_path_factory.mktemp("terminal") / "root"
    settings = ("plan.encoding.resolution=32", "plan.encoding.num_frames=3", "manifest.max_failed_fraction=0.5")
    sets = [part for setting in settings for part in ("--set", setting)]
    return run_on_terminal("build", "--source", source, "--root", root, *sets)


def version_dir_of(built: Screen) -> Path:
    """Where the build says that its dataset is."""
    return Path(next(line for line in built.lines if line.startswith("Built ")).removeprefix("Built "))


def test_a_build_draws_bars_and_ends_with_a_screen_that_can_be_read(built: Screen) -> None:
    assert built.code == 0, built.text
    assert_fits(built)
    drawn = COLOUR.sub("", built.raw).split(ERASE)
    assert drawn[1].startswith("Building clips in ")
    assert any(re.match(r"━+─+ +\d+ %  probing: \d+ of \d+ clips, [\d.]+ clips/s, [\d.]+ MB/s", text) for text in drawn)
    assert any(re.match(r"━+─* +\d+ %  encoding: ", text) for text in drawn)
    assert "\x1b[1;32mBuilt\x1b[0m" in built.raw
    assert "1 clip cannot be used" in built.text
    assert "  1 clip is not a readable video (unreadable):" in built.text
    assert "run/evil\\x1b[2J\\x1b[31mred.mp4" in built.text
    assert "Next\n  Train with it:\n    from video_assets.reader import load_dataset" in built.text


def test_the_code_that_a_build_ends_with_runs(built: Screen) -> None:
    lines = built.lines[built.lines.index("  Train with it:") + 1 :]
    code = "\n".join(line.strip() for line in lines[:2]) + "\nprint('clips:', sum(1 for _ in train))"
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert re.search(r"clips: [1-9]", done.stdout), done.stderr


def test_a_status_without_colours_has_no_escape_at_all(built: Screen) -> None:
    version_dir = version_dir_of(built)
    status = run_on_terminal("status", "--root", version_dir.parents[1], NO_COLOR="1")
    assert status.code == 0, status.text
    assert "\x1b" not in status.raw
    assert_fits(status)
    assert status.lines[0] == f"Valid: {version_dir}"


@pytest.mark.parametrize("no_color", ["", "1"])
@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_status_is_as_wide_as_the_terminal(built: Screen, columns: int, no_color: str) -> None:
    root = version_dir_of(built).parents[1]
    status = run_on_terminal("status", "--root", root, columns=columns, NO_COLOR=no_color)
    assert status.code == 0, status.text
    assert_fits(status, columns)
    assert ("\x1b[" in status.raw) == (not no_color)


WIDTHS = pytest.mark.parametrize("columns", [60, 80, 120])
COLOURS = pytest.mark.parametrize("no_color", ["", "1"], ids=["colours", "plain"])


@WIDTHS
@COLOURS
@pytest.mark.parametrize("command", ["", "build"])
def test_help_is_as_wide_as_the_terminal(command: str, columns: int, no_color: str) -> None:
    screen = run_on_terminal(*command.split(), "--help", columns=columns, NO_COLOR=no_color)
    assert screen.code == 0
    assert [line for line in screen.lines if cell_len(line) > columns and not line.startswith("  video-assets ")] == []
    assert ("\x1b[" in screen.raw) == (not no_color)
    assert max(cell_len(line) for line in screen.lines) > 0.8 * columns  # it takes the width that it is given


PROGRESS = """
import sys
from video_assets.report.terminal_progress import TerminalProgress
with TerminalProgress(sys.stderr).begin("Building clips in /data/datasets") as progress:
    for phase, number in (("probing", 12345), ("encoding", 12345), ("checking", 96)):
        count = progress(phase, number, 10**9)
        for _ in range(3):
            count(number // 3, 10**9 // 3)
print("Built")
"""


@WIDTHS
@COLOURS
def test_progress_stays_within_one_line_of_the_terminal(columns: int, no_color: str) -> None:
    screen = run_python("-c", PROGRESS, columns=columns, NO_COLOR=no_color)
    assert screen.code == 0, screen.text
    drawn = screen.raw.replace("\r\n", "\n").split(ERASE)
    assert [text for text in drawn if cell_len(COLOUR.sub("", text)) >= columns + len("Built")] == []
    shares = [int(found[1]) for text in drawn if (found := re.search(r"(\d+) %", COLOUR.sub("", text)))]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert screen.lines[0].strip() == "Built"
    assert bool(COLOUR.search(screen.raw)) <= (not no_color)


def test_an_interrupted_command_says_so(source: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "video_assets.cli", "build", "--source", source, "--root", tmp_path]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"Building clips in {tmp_path}\n"
        process.terminate()
        assert "error: interrupted; finished work is kept" in " ".join(process.stderr.read().split())
    assert process.returncode == 130


def test_a_plan_on_a_terminal_says_size_time_and_alternatives(source: Path, tmp_path: Path) -> None:
    plan = run_on_terminal(
        "plan", "--source", source, "--root", tmp_path / "root", "--budget", "200kB",
        "--set", "manifest.max_failed_fraction=0.5", "--set", "plan.encoding.resolution=64",
    )  # fmt: skip
    assert plan.code == 0, plan.text
    assert_fits(plan)
    assert re.search(r"as set +[\d.]+ [kM]B ± \d+ % +\d+", plan.text)
    assert re.search(r"JPEG quality \d+ is the highest with which", plan.text)
    assert not (tmp_path / "root").exists()


def test_a_difference_on_a_terminal_fits(built: Screen) -> None:
    found = run_on_terminal("diff", version_dir_of(built), version_dir_of(built))
    assert found.code == 0, found.text
    assert_fits(found)
    assert re.search(r"unchanged +[1-9]", found.text)
