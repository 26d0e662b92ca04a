"""Each thing that can be wrong with a set-up is found, and the finding says what to do."""

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from video_assets.domain.checks import Finding, is_sound, ok, problem, warning
from video_assets.pipeline.upkeep.doctor import (
    check_codecs,
    check_cores,
    check_dagster_home,
    check_memory,
    check_open_files,
    check_packages,
    check_port,
    check_processor,
    check_python,
    check_temporary,
)
from video_assets.pipeline.upkeep.doctor_places import check_clock, check_disk, check_locks, check_root, check_source
from video_assets.settings import ManifestSettings
from video_assets_tests.waiting import free_port


def test_a_set_up_is_sound_while_there_are_only_warnings() -> None:
    assert is_sound([ok("a", ""), warning("b", "", "")])
    assert not is_sound([ok("a", ""), problem("b", "", "")])


@pytest.mark.parametrize(
    ("running", "state"), [((3, 10), "problem"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "problem")]
)
def test_python_is_one_that_was_tested(running: tuple[int, int], state: str) -> None:
    finding = check_python(running)
    assert finding.state == state
    assert finding.found.startswith(f"Python {running[0]}.{running[1]}")
    assert ("make setup PYTHON=" in finding.remedy) == (state == "problem")


def installed(name: str) -> str:
    found = {"av": "17.0.0", "numpy": "2.4.1"}
    if name not in found:
        raise PackageNotFoundError(name)
    return found[name]


def test_packages_that_are_missing_or_of_another_version_are_named() -> None:
    wanted = ["av>=18.1,<19", "numpy>=2.4,<3", "pebble>=5,<6", 'pytest>=9; extra == "test"']
    finding = check_packages(wanted, installed)
    assert finding.state == "problem"
    assert finding.found in (
        "av is 17.0.0, wanted is <19,>=18.1; pebble is not installed",
        "av is 17.0.0, wanted is >=18.1,<19; pebble is not installed",
    )
    assert finding.remedy.endswith("make setup")


def test_the_packages_of_this_environment_are_those_that_are_asked_for() -> None:
    assert check_packages().state == "ok"


def test_a_processor_without_avx_is_told_before_tensorflow_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags : fpu sse2 avx avx2\n")
    assert check_processor(tmp_path / "cpuinfo") == ok("processor", "x86_64 with AVX")
    (tmp_path / "cpuinfo").write_text("processor : 0\nflags : fpu sse2\n")
    assert check_processor(tmp_path / "cpuinfo").state == "problem"


def test_every_codec_of_the_wheel_decodes_a_clip_that_is_made_for_it() -> None:
    finding = check_codecs()
    assert (finding.state, finding.found) == ("ok", "11 kinds of made clips decode")


def test_a_codec_that_does_not_decode_is_named() -> None:
    finding = check_codecs(lambda _pool: {"H.264": "", "AV1": "no decoder"})
    assert (finding.state, finding.found) == ("problem", "AV1: no decoder")
    assert "PyAV" in finding.remedy


def test_a_codec_that_this_ffmpeg_lacks_or_gets_wrong_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from video_assets.media import codec_check

    lacking = codec_check.CodecCheck("none", "no_such_encoder", "mp4")
    assert codec_check.check_codec(lacking) != ""
    mjpeg = codec_check.CodecCheck("MJPEG", "mjpeg", "avi", "yuvj420p")
    assert codec_check.check_codec(mjpeg) == ""
    monkeypatch.setattr(codec_check, "_decoded_levels", lambda _clip: [40.0, 80.0])
    assert codec_check.check_codec(mjpeg) == "2 of 5 frames came back"
    monkeypatch.setattr(codec_check, "_decoded_levels", lambda _clip: [200.0, 160.0, 120.0, 80.0, 40.0])
    assert "other brightness (160 of 255 off)" in codec_check.check_codec(mjpeg)


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="the system has no scheduling policies")
def test_the_check_of_codecs_leaves_the_process_its_usual_scheduling() -> None:
    from video_assets.media import codec_check

    before = os.sched_getscheduler(0)
    for check in codec_check.CODEC_CHECKS:
        codec_check.check_codec(check)
    assert os.sched_getscheduler(0) == before


@pytest.mark.parametrize(
    ("quota", "state"), [("max 100000", "ok"), ("150000 100000", "warning"), ("400000 100000", "ok"), ("", "ok")]
)
def test_a_container_that_may_use_few_cores_is_told_how_many_processes_to_take(
    tmp_path: Path, quota: str, state: str
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    finding = check_cores(tmp_path, available=4)
    assert finding.state == state
    if state == "warning":
        assert finding.found == "4 cores, of which this container may use 1.5"
        assert "--workers 2" in finding.remedy


@pytest.mark.parametrize(
    ("available", "limit", "state"),
    [(8e9, "max", "ok"), (8e9, "1200000000", "problem"), (2e9, "max", "warning"), (5e8, "", "problem")],
)
def test_little_memory_is_told_that_of_the_container_too(
    tmp_path: Path, available: float, limit: str, state: str
) -> None:
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("200000000")
    finding = check_memory(tmp_path, int(available))
    assert finding.state == state
    assert ("in this container" in finding.found) == (limit == "1200000000")


@pytest.mark.parametrize(("limit", "state"), [(256, "problem"), (1024, "ok"), (-1, "ok")])
def test_a_low_limit_on_open_files_is_told(limit: int, state: str) -> None:
    finding = check_open_files(limit)
    assert finding.state == state
    assert ("ulimit -n 4096" in finding.remedy) == (state == "problem")


def test_dagster_home_is_absolute_there_and_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_dagster_home({}).state == "ok"
    assert check_dagster_home({"DAGSTER_HOME": str(tmp_path)}) == ok("DAGSTER_HOME", str(tmp_path))
    assert check_dagster_home({"DAGSTER_HOME": "home"}).found == "home is relative"
    absent = check_dagster_home({"DAGSTER_HOME": str(tmp_path / "none")})
    assert absent.state == "problem"
    assert f"mkdir -p {tmp_path / 'none'}" in absent.remedy
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert check_dagster_home({"DAGSTER_HOME": str(tmp_path)}).found == f"{tmp_path} cannot be written"


def test_a_port_that_is_taken_is_told_and_another_proposed() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finding = check_port(port)
    assert finding.state == "problem"
    assert f"--port {port + 1}" in finding.remedy
    assert check_port(port).state == "ok"


def test_a_folder_for_temporary_files_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert check_temporary(tmp_path).state == "ok"
    finding = check_temporary(tmp_path / "none")
    assert finding.state == "problem"
    assert "TMPDIR" in finding.remedy


# --- places ---------------------------------------------------------------------------------------


def test_a_root_may_be_made_yet_but_not_in_a_file(tmp_path: Path) -> None:
    assert check_root(tmp_path / "a" / "b").found == f"{tmp_path / 'a' / 'b'} can be made in {tmp_path}"
    (tmp_path / "file").touch()
    assert check_root(tmp_path / "file" / "b").state == "problem"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_root_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    finding = check_root(tmp_path)
    assert finding.state == "problem"
    assert finding.found == f"{tmp_path} cannot be written: No space left on device"
    assert finding.remedy.startswith("make room there")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "state"), [(1e8, "problem"), (1e9, "warning"), (1e11, "ok")])
def test_little_room_is_told(tmp_path: Path, free: float, state: str) -> None:
    assert check_disk(tmp_path / "none yet", free).state == state


def test_a_file_system_that_holds_no_more_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half_full = (4096, 4096, 10**7, 5 * 10**6, 5 * 10**6)
    for num_files, num_free, state in ((65536, 12, "problem"), (65536, 60_000, "ok"), (0, 0, "ok")):
        told = os.statvfs_result((*half_full, num_files, num_free, num_free, 0, 255))
        monkeypatch.setattr(os, "statvfs", lambda _path, told=told: told)
        found = check_disk(tmp_path)
        assert found.state == state
        assert (found.found == "12 of 65,536 files (inodes) free") is (state == "problem")


def test_locks_that_hold_nothing_are_found_out(tmp_path: Path) -> None:
    assert check_locks(tmp_path).state == "ok"
    both = check_locks(tmp_path, lambda _descriptor, _operation: None)
    assert (both.state, both.found) == ("problem", f"two hold the same lock at {tmp_path}")

    def unknown(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    assert check_locks(tmp_path, unknown).found == f"{tmp_path}: No locks available"
    assert list(tmp_path.iterdir()) == []
    assert fcntl.LOCK_EX  # the real locks were tried first


@pytest.mark.parametrize(("offset", "words"), [(-100, "100 s ahead of"), (100, "100 s behind")])
def test_a_file_server_with_another_time_is_told(tmp_path: Path, offset: float, words: str) -> None:
    import time

    assert check_clock(tmp_path).state == "ok"
    finding = check_clock(tmp_path, lambda: time.time() + offset)
    assert finding.state == "problem"
    assert words in finding.found


def test_a_source_is_there_readable_and_not_of_the_future(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_source(tmp_path / "none")[0].state == "problem"
    assert check_source(tmp_path)[0].found == f"{tmp_path} holds no file"
    video = tmp_path / "run" / "a.mp4"
    video.parent.mkdir()
    video.touch()
    (readable, one_class) = check_source(tmp_path)
    assert readable == ok("source", "1 file can be read")
    assert (one_class.state, "manifest.allow_single_class" in one_class.found) == ("problem", True)
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "b.mp4").touch()
    assert check_source(tmp_path)[1] == ok("reading", "Read as: a folder per class, 2 classes")
    (tmp_path / "walk" / "b.mp4").unlink()
    assert check_source(video) == [ok("source", "1 file can be read")]
    early = check_source(tmp_path, clock=lambda: video.stat().st_mtime - 3600)[0]
    assert early.state == "warning"
    assert str(video) in early.found
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != video)
    closed = check_source(tmp_path)[0]
    assert closed.found == f"1 file or folder cannot be read: {video}"
    assert f"chmod -R a+rX {tmp_path}" in closed.remedy


def test_a_table_is_read_as_a_build_would(tmp_path: Path) -> None:
    for name in "abcd":
        (tmp_path / f"{name}.mp4").touch()
    table = tmp_path / "clips.csv"
    rows = "path,label\na.mp4,run\nb.mp4,walk\nc.mp4,run\nd.mp4,run\n"
    table.write_text(rows)
    assert check_source(table) == [ok("source", "4 rows: each names a video that is there")]
    table.write_text(f"{rows}/elsewhere/a.mp4,run\n0.mp4,run\n")
    (some,) = check_source(table)
    assert some.state == "warning"
    assert some.found == (
        "2 of 6 rows of clips.csv cannot be used: row 5 of clips.csv: the path /elsewhere/a.mp4 leads out of the "
        "table's folder; paths are relative to it; row 6 of clips.csv: 0.mp4 cannot be found: No such file or directory"
    )
    table.write_text(rows + "".join(f"{n}.mp4,run\n" for n in range(5)))
    (refused,) = check_source(table)
    assert (refused.state, "manifest.max_missing_fraction" in refused.found) == ("problem", True)
    table.write_text("path,label\nb.mp4,run\n")
    assert check_source(table)[0].state == "problem"
    table.write_text("path,label\n")
    assert check_source(table)[0].found == f"{table} has no rows"
    table.write_text("video;kind\na.mp4;run\n")
    (columns,) = check_source(table)
    assert (columns.state, "has no column label" in columns.found) == ("problem", True)
    assert "with commas" in columns.remedy


def test_a_source_is_read_under_the_settings_that_a_build_is_given(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    table = tmp_path / "clips.csv"
    table.write_text("where,what\na.mp4,run\nb.mp4,walk\n")
    assert check_source(table)[0].state == "problem"
    settings = ManifestSettings(columns={"path": "where", "label": "what"})
    assert check_source(table, settings) == [ok("source", "2 rows: each names a video that is there")]


# --- the command ----------------------------------------------------------------------------------


def doctor(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k != "DAGSTER_HOME"}
    return subprocess.run(
        [sys.executable, "-m", "video_assets.cli", "doctor", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=inherited | variables,
    )


def test_the_command_says_what_to_mend_first_and_its_exit_code_says_whether(tmp_path: Path) -> None:
    port = str(free_port())
    done = doctor("--port", port, "--root", str(tmp_path), "--json", DAGSTER_HOME="relative")
    assert done.returncode == 1, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["is_sound"] is False
    findings = [Finding(**finding) for finding in result["findings"]]
    assert [finding.check for finding in findings if finding.state == "problem"] == ["DAGSTER_HOME"]
    assert done.stderr.startswith("1 problem to fix\n\nDAGSTER_HOME: relative is relative\n  Give the whole path: ")
    checks = {finding.check for finding in findings}
    assert {"python", "codecs", "root", "disk space", "file locks", "clock", "port", "memory"} <= checks
    assert list(tmp_path.iterdir()) == []


def test_a_sound_set_up_ends_with_0(tmp_path: Path, videos: Path) -> None:
    done = doctor("--port", str(free_port()), "--root", str(tmp_path), "--source", str(videos))
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("No problems\n")
