"""The code in README.md, CONTRIBUTING.md and the pages of docs/ runs.

Blocks fenced as ```python and ```sh are run, those of one file one after another in one place: a copy of this project
with this environment, beside `my-videos` (some classes of the sample), and with both built already, as README.md says.
A Python block whose first line is `# NAME.py` is also that file. What a block serves is reached and ended. `make test`
runs a small test or two. Of `make check`, `bench`, `reliability` and `constraints`, which take long or change
versions, only what they would run is asked for (`make -n`). A block fenced with `notest` after its language is not run,
and neither is one that imports a package that is not installed: its test is skipped by that package's name.
"""

import ast
import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from video_assets.domain.clips import PASSING_REASONS, REMEMBERED_REASONS
from video_assets_tests.waiting import end_process_group, free_port, wait_until

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<language>python|sh)(?P<mark>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SERVES = re.compile(r"^(make|video-assets) ui\b")
TAKES_LONG = re.compile(r"^make (check|bench|reliability|constraints|test-floors)\b")
SMALL_TESTS = "between_two_measured_qualities or harness_sees_a_writer"
"""Of each folder that a page has tested, a small one."""
SAMPLE_CLASSES = 2
LIMIT_SECONDS = 600


def name_of(page: Path) -> str:
    """The page as its path in the project."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block and the line that it begins in."""

    page: Path
    line: int
    language: str
    code: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page that are run, in order."""
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["code"])
        for found in FENCE.finditer(text)
        if found["mark"].split() != ["notest"]
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with this environment, the sample and `my-videos`, both built."""
    if not (ROOT / ".venv" / ".set-up").exists():
        pytest.skip("needs the .venv that `make setup` makes")
    folder = tmp_path_factory.mktemp("docs") / "clone"
    ignored = shutil.ignore_patterns(".git", ".venv", "data", ".*_cache", ".hypothesis", "__pycache__", "my-*")
    shutil.copytree(ROOT, folder, ignore=ignored, symlinks=True)
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    for name in ("constraints.txt", "constraints-readers.txt", "build-packages.txt", "pyproject.toml"):
        os.utime(folder / name, (0, 0))  # the environment is younger: `make setup` has nothing to do
    run_command(folder, ["git", "init", "-q"])
    run_command(folder, ["make", "build"])
    for number, videos in enumerate(sorted(path for path in (folder / "data" / "sample").iterdir() if path.is_dir())):
        if number < SAMPLE_CLASSES:
            shutil.copytree(videos, folder / "my-videos" / videos.name)
    run_command(folder, ["make", "build", "SOURCE=my-videos", "ROOT=my-datasets"])
    return folder


def environment_of(folder: Path) -> Mapping[str, str]:
    """No trace of the user's own settings, `video-assets` on the path, one small test where all would be run."""
    mine = ("DAGSTER", "VIDEO_ASSETS", "MAKE", "MFLAGS", "PYTEST", "SOURCE", "ROOT")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)} | {
        "PYTHONPATH": str(folder),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "VIDEO_ASSETS_AUTOMATION": "off",
        "MAKEFLAGS": "TEST_TOOLS=no",
        "PYTEST_ADDOPTS": f"-k '{SMALL_TESTS}' -p no:cacheprovider",
    }


def run_command(folder: Path, command: list[str]) -> str:
    """Runs a command where the docs' commands run; it must end well. Returns what it printed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment_of(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def commands_of(code: str) -> list[str]:
    """The commands of a sh block, each with the lines that it goes on to."""
    lines = [line for line in re.sub(r"\\\n\s*", " ", code).split("\n") if line.strip()]
    return [line for line in lines if not line.startswith("#")]


def run_shell(folder: Path, code: str) -> None:
    """Runs a sh block; what it serves is reached and ended, the rest is one script for each part between."""
    for kind, commands in groupby(commands_of(code), lambda c: "serves" if SERVES.match(c) else "runs"):
        if kind == "serves":
            for command in commands:
                serve_and_end(folder, command)
        else:
            script = "\n".join(TAKES_LONG.sub(r"make -n \1", command) for command in commands)
            run_command(folder, ["sh", "-euc", script])


def serve_and_end(folder: Path, command: str) -> None:
    """Starts a server on a free port, waits until it answers on this machine, and ends it with all its children."""
    port = free_port()
    command = command.partition("#")[0].rstrip()
    command += f" PORT={port}" if command.startswith("make") else f" --port {port}"
    log = folder / "served.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=folder,
            env=environment_of(folder),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def still_runs() -> None:
        assert process.poll() is None, log.read_text()[-3000:]

    try:
        wait_until(lambda: answers(port), seconds=LIMIT_SECONDS, what=f"{command} to answer", meanwhile=still_runs)
    finally:
        end_process_group(process)


def answers(port: int) -> bool:
    """Whether the UI answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/server_info", timeout=10) as reply:
            return b"dagster_version" in reply.read()
    except OSError:
        return False


def missing_package(code: str) -> str | None:
    """The first package that Python code imports and that is not installed."""
    for node in ast.walk(ast.parse(code)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                return name.partition(".")[0]
    return None


@pytest.fixture
def copied(place: Path, tmp_path: Path) -> Iterator[Path]:
    """A page's own copy of the place, so that no page sees what another built."""
    folder = tmp_path / "clone"
    shutil.copytree(place, folder, symlinks=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
@pytest.mark.timeout(3 * LIMIT_SECONDS)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_the_code_of_a_page_runs(page: Path, copied: Path, tmp_path: Path) -> None:
    """The Python blocks of a page in one process, as one reads on; each sh block by itself."""
    python: list[str] = []
    skipped: list[str] = []
    blocks = blocks_of(page)
    for block in blocks:
        if named := re.match(r"# ([\w.-]+\.py)\n", block.code):
            (copied / named[1]).write_text(block.code, "utf-8")
    for block in blocks:
        if block.language == "sh":
            run_shell(copied, block.code)
        elif package := missing_package(block.code):
            skipped.append(f"{block.place} needs {package}")
        else:
            python.append(f"print({block.place!r}, flush=True)\n{block.code}")
    if python:
        script = tmp_path / "page.py"
        script.write_text("\n".join(python), "utf-8")
        run_command(copied, [sys.executable, str(script)])
    if skipped:
        pytest.skip(f"not all of it was run: {'; '.join(skipped)}")


OWN_SETTINGS = (
    "manifest.max_frames=999",
    "splits.test_fraction=0.4",
    "splits.seed=3",
    "plan.clips_per_shard=5",
    "plan.encoding.num_frames=4",
    "plan.encoding.resolution=48",
    "plan.encoding.image_format=png",
    "dataset.licence=CC0",
)


@pytest.mark.long
@pytest.mark.timeout(LIMIT_SECONDS)
def test_the_crontab_line_leaves_a_dataset_with_its_own_settings_as_it_is(copied: Path) -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text("utf-8")
    line = re.search(r"^30 2 \* \* \*  (cd .*)$", page, re.MULTILINE)
    assert line is not None
    places = {"/path/to/clone": copied, "/path/to/videos": copied / "my-videos", "/path/to/datasets": copied / "own"}
    command = line[1]
    for name, folder in places.items():
        command = command.replace(name, str(folder))
    own = [word for setting in OWN_SETTINGS for word in ("--set", setting)]
    first = ["video-assets", "build", "--source", str(copied / "my-videos"), "--root", str(copied / "own"), *own]
    run_command(copied, first)
    version = copied / "own" / "clips" / "1.0.0"
    before = {path: path.read_bytes() for path in version.rglob("*") if path.is_file()}

    said = run_command(copied, ["sh", "-c", command])

    assert "Encoded 0 clips and reused" in said
    assert {path: path.read_bytes() for path in before} == before


def test_there_is_code_to_run() -> None:
    """A fence that is spelt otherwise would not be found."""
    assert {block.page.name for block in BLOCKS} >= {
        "README.md",
        "CONTRIBUTING.md",
        "GROWING.md",
        "OPERATING.md",
        "TRAINING.md",
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_fence_is_closed_and_marked_as_the_tests_know_it(page: Path) -> None:
    text = page.read_text("utf-8")
    fences = re.findall(r"^\s*```(.*)$", text, re.MULTILINE)
    assert len(fences) % 2 == 0, f"a fence of {page.name} is not closed"
    assert {fence.strip() for fence in fences[1::2]} <= {""}
    marks = {mark for fence in fences[::2] for mark in fence.split()[1:]}
    assert marks <= {"notest"}, marks


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_stands_where_it_is_run(page: Path) -> None:
    """Commands are fenced as sh, without `notest`; what is only shown is fenced as text."""
    text = page.read_text("utf-8")
    assert not re.search(r"^```sh +notest", text, re.MULTILINE)
    for found in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if found[1] not in ("sh", "text"):
            assert not re.search(r"^(make|pip|\.venv/bin/\S+|video-assets) ", found[2], re.MULTILINE), found[2]


def test_two_commands_try_it_and_two_end_in_a_training_script() -> None:
    first, own = [commands_of(b.code) for b in BLOCKS if b.page == ROOT / "README.md" and b.language == "sh"]
    assert [command.partition("#")[0].split() for command in first] == [["make", "build"], ["make", "ui"]]
    assert len(own) == 2
    assert own[-1].startswith(".venv/bin/python train.py")
    assert any(block.code.startswith("# train.py\n") for block in BLOCKS if block.page == ROOT / "README.md")


def test_architecture_names_files_that_exist() -> None:
    """A path is relative to the package, or to the folder that was named before it in the same cell."""
    named = set[str]()
    for line in (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8").splitlines():
        for cell in line.split("|"):
            folder = ""
            for path in re.findall(r"`([\w/]+(?:\.py|/))`", cell):
                folder = path.rpartition("/")[0] or folder
                named.add(path if "/" in path or not folder else f"{folder}/{path}")
    package = ROOT / "video_assets"
    assert len(named) > 30
    rooms = [room for room in package.iterdir() if room.is_dir()]
    assert sorted(p for p in named if not any((place / p).exists() for place in (ROOT, package, *rooms))) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    broken = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert broken == []


def written_sentences() -> list[str]:
    """Every text in the package, with dots for what is filled in."""
    found: list[str] = []
    for path in sorted((ROOT / "video_assets").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def test_every_error_that_is_explained_is_one_that_is_said() -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text("utf-8")
    rows = page.partition("| it says |")[2].partition("\n\n")[0].splitlines()[2:]
    quoted = [quote for row in rows for quote in re.findall(r"\*([^*]+)\*", row.split("|")[1])]
    assert len(quoted) > len(rows) > 5
    said = [*written_sentences(), os.strerror(errno.ENOSPC)]
    patterns = {quote: re.compile(".*".join(map(re.escape, quote.split("…"))), re.DOTALL) for quote in quoted}
    assert [quote for quote, pattern in patterns.items() if not any(map(pattern.search, said))] == []


def test_the_reasons_that_are_tried_again_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "OPERATING.md").read_text("utf-8")
    remembered = page.partition("lies in the file alone")[2].partition("A clip that was lost")[0]
    passing = page.partition("may be the machine's doing:")[2].partition("All others")[0]
    assert set(re.findall(r"`(\w+)`", remembered)) == REMEMBERED_REASONS
    assert set(re.findall(r"`(\w+)`", passing)) == PASSING_REASONS
