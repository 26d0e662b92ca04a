"""Starved, refused, in each other's way: a build ends with a sentence that names file and remedy, and loses nothing.

Each case runs the whole command, Dagster included, in a process of its own, forked from a server that has imported it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.reliability.children import Child
from tools.reliability.invariants import differences, files_of, seen_by_readers
from tools.reliability.scenarios import grow_source, write_first_source
from tools.reliability.starving import SETTINGS, Want, command
from video_assets.pipeline.upkeep.verify import find_damage
from video_assets.storage.paths import DatasetPaths
from video_assets.storage.quarantine import read_quarantine
from video_assets_tests.pipeline.videos import write_video
from video_assets_tests.waiting import wait_until

pytestmark = pytest.mark.long
WAIT_SECONDS = 240


@dataclass
class Place:
    """A source and a root that holds its dataset; `grown` is what a build of the grown source must give, `log`
    what such a build said."""

    folder: Path
    source: Path
    root: Path
    grown: dict[str, str]
    log: str = ""

    def build(self, want: Want | None = None, extra: Sequence[str] = (), name: str = "build") -> "Ended":
        """Runs the command to its end."""
        return self.begin(want, extra, name).end()

    def begin(self, want: Want | None = None, extra: Sequence[str] = (), name: str = "build") -> "Running":
        """Starts the command."""
        arguments = ["build", "--source", self.source, "--root", self.root, *SETTINGS, *extra]
        return Running(Child(self.folder / f"{name}.log", command, arguments, want or Want()))

    @property
    def version(self) -> Path:
        return self.root / "clips" / "1.0.0"


@dataclass
class Running:
    child: Child

    def end(self) -> "Ended":
        code = self.child.wait(WAIT_SECONDS)
        if code is None:
            self.child.kill_group()
        return Ended(code, self.child.log.read_text("utf-8", "replace"))


@dataclass
class Ended:
    """How the command ended, and all that it said."""

    code: int | None
    log: str

    @property
    def words(self) -> str:
        return " ".join(" ".join(line for line in self.log.splitlines() if not line.startswith("peak ")).split())


@pytest.fixture(scope="module")
def first() -> Iterator[Place]:
    """A dataset, its source grown since, and the files that a build then gives. Where other users may look."""
    folder = Path(tempfile.mkdtemp(prefix="starved-"))
    folder.chmod(0o755)
    place = Place(folder, folder / "videos", folder / "root", {})
    write_first_source(place.source, num_groups=2)
    place.root.mkdir()
    done = place.build()
    assert done.code == 0, done.log
    shutil.copytree(place.root, folder / "before")
    grow_source(place.source)
    shutil.copytree(place.source, folder / "grown")
    done = place.build()
    assert done.code == 0, done.log
    place.grown.update(files_of(place.root))
    place.log = done.log
    yield place
    shutil.rmtree(folder)


@pytest.fixture
def place(first: Place) -> Place:
    """The dataset as before, and the grown source, which a test may change; both where they always are."""
    for kept, now in (("before", first.root), ("grown", first.source)):
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(first.folder / kept, now)
    return first


def goes_on(place: Place) -> None:
    """The same build, no longer in want, gives what it would have given."""
    done = place.build(name="again")
    assert done.code == 0, done.log
    assert differences(place.root, place.grown) == []


@contextmanager
def mounted(folder: Path, *options: str) -> Generator[None]:
    """A file system on a folder; the test is skipped where this user may not mount."""
    done = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("is_dagster_elsewhere", [True, False], ids=["shards", "events"])
def test_a_full_disk_is_named_and_room_is_all_that_the_same_build_needs(
    place: Place, is_dagster_elsewhere: bool, tmp_path: Path
) -> None:
    seen = seen_by_readers(place.root)
    shutil.rmtree(place.root)
    place.root.mkdir()
    with mounted(place.root, "-t", "tmpfs", "-o", "size=64m", "tmpfs"):
        shutil.copytree(place.folder / "before", place.root, dirs_exist_ok=True)
        committed = files_of(place.version)
        num_used = shutil.disk_usage(place.root).used
        subprocess.run(["mount", "-o", f"remount,size={num_used + 40_960}", place.root], check=True)
        home = {"DAGSTER_HOME": str(tmp_path)} if is_dagster_elsewhere else {}
        done = place.build(Want(environment=home))
        assert done.code == 1, done.log
        assert "make room there" in done.words
        assert str(place.root) in done.log
        assert seen_by_readers(place.root) == seen
        assert files_of(place.version).items() >= committed.items()
        subprocess.run(["mount", "-o", "remount,size=64m", place.root], check=True)
        if is_dagster_elsewhere:
            goes_on(place)


def test_a_limit_on_the_size_of_files_is_named_with_its_remedy(place: Place, tmp_path: Path) -> None:
    before = files_of(place.version)
    done = place.build(Want(max_file_bytes=4096, environment={"DAGSTER_HOME": str(tmp_path)}))
    assert done.code == 1, done.log
    assert "Dagster's storage" in done.words or "raise the limit on the size of a file (ulimit -f)" in done.words
    assert files_of(place.version).items() >= before.items()  # and perhaps shards that wait for their commit


def test_a_read_only_root_is_named_with_its_remedy(place: Place) -> None:
    before = files_of(place.root)
    with mounted(place.root, "--bind", str(place.root)):
        subprocess.run(["mount", "-o", "remount,ro,bind", place.root], check=True)
        done = place.build()
    assert done.code == 1, done.log
    assert f"mount the file system of {place.root}" in done.words
    assert "for writing, or choose another root" in done.words
    assert files_of(place.root) == before


@contextmanager
def forbidden(folder: Path, mode: int) -> Generator[None]:
    """A folder and all in it with a mode that takes rights away; given back afterwards."""
    paths = [folder, *folder.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path in reversed(paths):
        path.chmod(mode)
    try:
        yield
    finally:
        for path, was in zip(paths, modes, strict=True):
            path.chmod(was)


def test_a_root_that_may_not_be_written_is_named_with_the_right_that_is_wanting(place: Place) -> None:
    before = files_of(place.root)
    with forbidden(place.root, 0o555):
        done = place.build(Want(without_override=True))
    assert done.code == 1, done.log
    wanted = f"Permission denied; give user {os.geteuid()} the right to it, or choose another place"
    assert f"{place.root}/clips/.lock/build cannot be written: {wanted}" in done.words
    assert files_of(place.root) == before


def test_a_class_folder_that_may_not_be_read_is_not_taken_for_a_deletion(place: Place) -> None:
    before = files_of(place.root)
    with forbidden(place.source / "jump", 0o000):
        done = place.build(Want(without_override=True))
    assert done.code == 1, done.log
    assert "jump/: the folder cannot be listed: Permission denied; the dataset knows 4 clips in it" in done.words
    assert files_of(place.root) == before


@pytest.mark.parametrize("limit", [10, 16])
def test_too_few_open_files_are_named_with_the_limit(place: Place, limit: int) -> None:
    before = files_of(place.version)
    done = place.build(Want(max_open_files=limit))
    assert done.code == 1, done.log
    assert f"this process may open {limit} files" in done.words
    assert "(ulimit -n 4096)" in done.words
    assert files_of(place.version).items() >= before.items()  # and perhaps shards that wait for their commit


def test_too_few_addresses_are_named_with_the_limit_before_a_library_crashes(place: Place) -> None:
    """In a new process: the server of the others has filled more than that."""
    before = files_of(place.root)
    arguments = ["build", "--source", str(place.source), "--root", str(place.root), *SETTINGS]
    limited = ["sh", "-c", 'ulimit -v 2000000; exec "$0" "$@"', sys.executable, "-m", "video_assets.cli", *arguments]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    words = " ".join(done.stdout.split())
    assert "a process may have 1.9 GiB of addresses here; FFmpeg, OpenCV and TensorFlow need 2.5 GiB" in words
    assert "raise that (ulimit -v unlimited)" in words
    assert files_of(place.root) == before


def test_a_video_that_vanishes_and_one_that_changes_amid_a_build_cost_no_other_clip(place: Place) -> None:
    gone, changed = "walk/v_walk_g00_c00.mp4", "walk/v_walk_g00_c01.mp4"
    kept = (place.source / gone).read_bytes()
    other = write_video(place.folder / "other.mp4", seed=77).read_bytes()
    done = place.build(
        Want(at="clips/plan.parquet", changes={place.source / gone: None, place.source / changed: other})
    )
    assert done.code == 0, done.log
    lost = read_quarantine(DatasetPaths(place.root, "clips").quarantine)
    reasons = dict(zip(lost["source"], lost["reason"], strict=True))
    assert (reasons[gone], reasons[changed]) == ("missing_file", "changed")
    assert find_damage(DatasetPaths(place.root, "clips")) == []
    (place.source / gone).write_bytes(kept)
    done = place.build(extra=["--set=plan.retry_lost=true"], name="again")
    assert done.code == 0, done.log
    clips = {clip for split in seen_by_readers(place.root)["1.0.0"].values() for clip in split}
    assert {gone, changed} <= clips
    lost = read_quarantine(DatasetPaths(place.root, "clips").quarantine)
    assert set(lost["source"]) == {"run/broken.mp4"}


def test_a_source_that_is_gone_or_empty_is_not_taken_for_a_deletion(place: Place) -> None:
    before = files_of(place.root)
    shutil.rmtree(place.source)
    done = place.build()
    assert done.code == 2
    assert done.words.endswith(f"error: the source {place.source} is not there")
    place.source.mkdir()
    done = place.build()
    assert done.code == 1
    assert "The dataset knows 8 clips; an empty source does not mean that they are gone" in done.words
    assert files_of(place.root) == before


def test_clocks_that_jump_change_nothing(place: Place) -> None:
    """Videos of the distant past and future, and a dataset that was committed in the future."""
    times = [1, 4_102_444_800_000_000_000]
    for number, video in enumerate(sorted(place.source.rglob("*.mp4"))):
        os.utime(video, ns=(times[number % 2], times[number % 2]))
    for path in place.root.rglob("*"):
        if ".dagster" not in path.parts:
            os.utime(path, ns=(times[1], times[1]))
    done = place.build()
    assert done.code == 0, done.log
    assert {path: digest for path, digest in files_of(place.root).items() if path.endswith(".tfrecord")} == {
        path: digest for path, digest in place.grown.items() if path.endswith(".tfrecord")
    }
    assert find_damage(DatasetPaths(place.root, "clips")) == []


def test_of_two_builds_at_the_same_time_one_is_told_to_wait_and_the_other_is_right(place: Place) -> None:
    reached, go = place.folder / "reached", place.folder / "go"
    one = place.begin(Want(at="clips/manifest.parquet", reached=reached, until=go), name="one")
    wait_until(reached.exists, seconds=WAIT_SECONDS, what="the build got so far", every=0.05)
    two = place.build(name="two")
    go.touch()
    assert two.code == 1, two.log
    pid = one.child.pid
    assert f"video-assets build must wait: {place.root / 'clips'} is being written by process {pid} on" in two.words
    assert "wait for its end, or end it, then start again; what it finished is kept" in two.words
    done = one.end()
    assert done.code == 0, done.log
    assert differences(place.root, place.grown) == []
    for path in (reached, go):
        path.unlink()


def test_the_lock_of_a_killed_build_holds_nobody_up_and_is_told(place: Place) -> None:
    reached = place.folder / "reached"
    one = place.begin(Want(at="clips/plan.parquet", reached=reached, until=place.folder / "never"), name="one")
    wait_until(reached.exists, seconds=WAIT_SECONDS, what="the build got so far", every=0.05)
    one.child.kill_group()
    done = place.build(extra=["--json"], name="again")
    assert done.code == 0, done.log
    assert f"process {one.child.pid} on" in done.log
    assert differences(place.root, place.grown) == []
    reached.unlink()


ODD_NAMES = (
    b"-rf.mp4",
    b"--source.mp4",
    b" spaces at both ends .mp4",
    b'it\'s "quoted" `$(x)`.mp4',
    b"two\nlines\ttab.mp4",
    "🎬 läuft.mp4".encode(),
    b"n" * 251 + b".mp4",
    b"%s {0} \\.mp4",
)
NO_NAME = b"not \xff utf-8.mp4"


def test_very_long_and_odd_names_are_stored_or_named(first: Place, tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path / "- odd 'source'", tmp_path / "-root", {})
    video = write_video(tmp_path / "video.mp4", seed=5, num_frames=6)
    for number, name in enumerate((*ODD_NAMES, NO_NAME)):
        for label in (b"-x", "ü".encode() * 127):
            path = place.source / os.fsdecode(label) / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(video, seed=10 * number + len(label), num_frames=6)
            shutil.copyfile(video, path)
    done = place.build()
    assert done.code == 0, done.log
    stored = {clip for split in seen_by_readers(place.root)["1.0.0"].values() for clip in split}
    assert stored == {f"{label}/{name.decode()}" for label in ("-x", "ü" * 127) for name in ODD_NAMES}
    lost = read_quarantine(DatasetPaths(place.root, "clips").quarantine)
    assert dict(zip(lost["source"], lost["reason"], strict=True)) == {
        f"{label}/not \\xff utf-8.mp4": "bad_name" for label in ("-x", "ü" * 127)
    }


def test_fifty_thousand_files_in_one_folder_take_bounded_time_and_memory(place: Place) -> None:
    for number in range(50_000):
        os.link(place.source / "run" / "broken.mp4", place.source / "run" / f"frame {number:05d}.jpg")
    large = place.build()
    assert large.code == 0, large.log
    of_small, of_large = (re.search(r"peak (\d+) MB, processor ([\d.]+) s", log) for log in (place.log, large.log))
    assert of_small is not None
    assert of_large is not None
    assert float(of_large[1]) < float(of_small[1]) + 200
    assert float(of_large[2]) < float(of_small[2]) + 20
    assert {p: d for p, d in files_of(place.root).items() if "1.0.0/clips" in p} == {
        p: d for p, d in place.grown.items() if "1.0.0/clips" in p
    }
