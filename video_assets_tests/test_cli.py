"""The command line: usage, exit codes, and a start that imports nothing heavy."""

import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from video_assets.cli import main
from video_assets.cli.__main__ import run
from video_assets.cli.commands import RUNS
from video_assets.cli.options import num_bytes
from video_assets.cli.output import end
from video_assets.cli.parser import parser_of
from video_assets.domain.errors import EXIT_USAGE, BuildRefused, SettingsError, VideoAssetsError
from video_assets.report import help_text

HEAVY = ("dagster", "tensorflow", "tensorflow_datasets", "cv2", "av", "pandas", "pyarrow", "numpy", "google.protobuf")
COMMANDS = tuple(RUNS)

PROBE = """
import json, sys, time
from video_assets.cli import main
try:
    code = main({arguments!r})
except SystemExit as exit:
    code = exit.code
loaded = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps({{"code": code, "loaded": loaded, "cpu_seconds": time.process_time()}}))
"""


def start(*arguments: str) -> dict[str, Any]:
    """Runs a command in a fresh interpreter; gives its exit code, what it imported, and the time it took."""
    code = PROBE.format(arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "stdout": done.stdout, "stderr": done.stderr}


def usage_error(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What argparse says to wrong usage; its exit code is 2."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == EXIT_USAGE == 2
    return capsys.readouterr().err


def stderr_of(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


# --- start ----------------------------------------------------------------------------------------


def test_help_is_there_at_once() -> None:
    help_run = start("--help")
    assert (help_run["code"], help_run["loaded"]) == (0, [])
    assert help_run["cpu_seconds"] < 2  # a bare interpreter takes a tenth of a second, dagster alone three
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", help_run["stdout"], re.MULTILINE), command


@pytest.mark.parametrize("arguments", [["build", "--help"], ["build"], ["sample"], ["no-such-command"]])
def test_usage_is_answered_without_heavy_imports(arguments: list[str]) -> None:
    run = start(*arguments)
    assert (run["code"], run["loaded"]) == (0 if "--help" in arguments else 2, [])


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = f"import sys, video_assets.domain.errors; print([n for n in {HEAVY!r} if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_the_installed_command_is_this_one() -> None:
    (script,) = entry_points(group="console_scripts", name="video-assets")
    assert script.load() is run


def test_the_commands_are_pinned(capsys: pytest.CaptureFixture[str]) -> None:
    """Pinned: others script against these names and options."""
    options = {
        "build": ("--source", "--root", "--name", "--config", "--set", "--workers", "--json"),
        "plan": ("--source", "--root", "--name", "--config", "--set", "--workers", "--json"),
        "status": ("--root", "--name", "--json"),
        "verify": ("--root", "--name", "--all", "--json"),
        "sample": ("<DIR>",),
        "ui": ("--source", "--root", "--name", "--port", "--allow-host"),
    }
    for command, names in options.items():
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        text = capsys.readouterr().out
        assert all(name in text for name in names), command


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2  # as uv and ruff do
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Usage: video-assets [OPTIONS] <COMMAND>" in printed.err


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"video-assets {version('video_assets')}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_help_of_a_command_has_defaults_examples_and_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert f"Usage: video-assets {command} " in text
    assert f"Examples:\n  {'eval' if command.startswith('generate') else 'video-assets'} " in text
    assert "Exit codes:\n  0 " in text
    assert "metavar" not in text


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_as_wide_as_the_terminal(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(help_text, "width_of", lambda _: width)
    with pytest.raises(SystemExit):
        main([*filter(None, [command]), "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith(("  video-assets", "Usage: "))] == []


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_a_shell_completes_commands_options_and_settings(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate-shell-completion", shell]) == 0
    script = capsys.readouterr().out
    for name in ("inspect", "workers", "plan.encoding.num_frames"):
        assert name in script
    if program := which(shell):
        assert subprocess.run([program, "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.program("bash")
def test_bash_completes_what_is_being_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate-shell-completion", "bash"]) == 0
    script = capsys.readouterr().out
    for words, expected in ((["vid", "ins"], "inspect"), (["vid", "build", "--so"], "--source")):
        typed = " ".join(map(shlex.quote, words))
        code = f"{script}\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _video_assets; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [expected]


# --- wrong usage ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["biuld"], "error: unknown command 'biuld'\n\n  tip: a similar command exists: 'build'\n\nUsage: "),
        (["--verbos"], "error: unexpected argument '--verbos'"),
        (["build"], "the following arguments are required: --root"),
        (["status"], "the following arguments are required: --root"),
        (["sample"], "the following arguments are required: <DIR>"),
        (["build", "--root", "r", "--fast"], "error: unexpected argument '--fast'\n\n"),
        (["build", "--root", "r", "--sorce=s"], "argument '--sorce=s'\n\n  tip: a similar option exists: '--source'\n"),
        (["build", "--sorce", "s"], "argument '--sorce'\n\n  tip: a similar option exists: '--source'\n"),
        (["status", "--root"], "try 'video-assets status --help'."),
        (["build", "--source", "s", "--root", "r", "--workers", "0"], "--workers: '0' is not a whole number above 0"),
        (["build", "--source", "s", "--root", "r", "--workers", "-1"], "--workers: "),
        (["build", "--source", "s", "--root", "r", "--workers", "two"], "'two' is not a whole number above 0"),
        (["build", "--source", "s", "--root", "r", "--workers", "²"], "'²' is not a whole number above 0"),
        (["build", "--source", "", "--root", "r"], "--source: it is empty, as of a variable of the shell"),
        (["plan", "--source", "s", "--root", ""], "--root: it is empty, as of a variable of the shell that is not set"),
        (["ui", "--source", "s", "--root", "r", "--port", "http"], "--port: 'http' is no port"),
        (["ui", "--source", "s", "--root", "r", "--port", "0"], "--port: '0' is no port; ports are numbers from 1 to"),
        (["doctor", "--port", "65536"], "--port: '65536' is no port; ports are numbers from 1 to 65535"),
        (["ui", "--source", "s", "--root", "r", "--allow-host", "https://a"], "'https://a' is no host name"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_2_and_says_what(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in usage_error(arguments, capsys)


@pytest.mark.parametrize("command", ["build", "plan", "ui"])
def test_a_source_that_is_not_there_is_exit_2_and_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([command, "--source", str(tmp_path / "none"), "--root", str(tmp_path / "root")])
    assert code == 2
    assert stderr_of(capsys).replace(" ", "").endswith(f"error:thesource{tmp_path}/noneisnotthere")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("command", ["build", "status", "verify"])
def test_a_name_that_cannot_be_is_exit_2(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ["--source", str(tmp_path)] if command == "build" else []
    assert main([command, *source, "--root", str(tmp_path), "--name", "My Clips"]) == 2
    assert "error: the dataset's name is 'My Clips'; it must begin with a small letter" in stderr_of(capsys)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("plan.encoding.resolution=7", "plan.encoding.resolution is 7: Input should be greater than or equal to 8"),
        ("plan.encodng.fps=7", "plan.encodng is not a setting"),
        ("resolution=7", "--set 'resolution=7' must look like ASSET.FIELD=VALUE"),
    ],
)
@pytest.mark.parametrize("command", ["build", "plan"])
def test_a_wrong_setting_is_exit_2_before_anything_is_written(
    command: str, assignment: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    assert main([command, "--source", str(tmp_path), "--root", str(root), "--set", assignment]) == 2
    assert f"error: {said}" in stderr_of(capsys)
    assert not root.exists()


def test_a_misspelt_setting_is_told_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    misspelt = ["--set", "plan.encoding.resolutoin=64"]
    assert main(["build", "--source", str(tmp_path), "--root", str(tmp_path / "root"), *misspelt]) == 2
    assert "Did you mean plan.encoding.resolution?" in stderr_of(capsys)


@pytest.mark.parametrize(
    ("text", "expected"), [("20GB", 20e9), ("1.5 TB", 1.5e12), ("2MiB", 2 * 2**20), ("800k", 8e5), ("300", 300)]
)
def test_a_size_budget_is_read_as_people_write_sizes(text: str, expected: float) -> None:
    assert num_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "GB", "0MB", "-1GB", "20 EB", "1.2.3GB"])
def test_what_is_no_size_is_named(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "--source", str(tmp_path), "--root", str(tmp_path / "r"), f"--budget={text}"]
    assert f"{text!r} is not a size such as 500MB" in usage_error(arguments, capsys)


def test_a_config_file_that_is_not_there_is_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "build",
        "--source",
        str(tmp_path),
        "--root",
        str(tmp_path / "r"),
        "--config",
        str(tmp_path / "no.yaml"),
    ]
    assert main(arguments) == 2
    assert "cannot be read" in stderr_of(capsys)


@pytest.mark.parametrize("command", ["status", "verify", "repair"])
def test_a_root_without_a_dataset_is_an_error_that_says_what_to_do(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--root", str(tmp_path)]) == 2
    assert stderr_of(capsys).startswith("error: there is no dataset clips in ")
    assert list(tmp_path.iterdir()) == []


# --- exit codes of what a command says ------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [(SettingsError("no such class"), 2), (BuildRefused("no such class"), 1), (VideoAssetsError("no such class"), 1)],
)
def test_errors_are_one_sentence_and_an_exit_code(
    error: VideoAssetsError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(options: object) -> int:
        raise error

    monkeypatch.setitem(RUNS, "sample", fail)
    assert main(["sample", "x"]) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "error: no such class\n")


def test_an_interruption_says_that_nothing_finished_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(RUNS, "sample", interrupt)
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main(["sample", "x"]) == 130
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted; finished work is kept, and the same command continues from there" in stderr_of(capsys)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_in_a_callback_which_drops_it_comes_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def work(options: object) -> int:
        held = threading.Event()
        callback = weakref.ref(held, lambda _: signal.raise_signal(number))
        del held
        assert callback() is None
        threading.Event().wait(20)
        return 0

    monkeypatch.setitem(RUNS, "sample", work)
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["sample", "x"]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert sys.unraisablehook is hook
    words = capsys.readouterr().err
    assert "Traceback" not in words
    assert words.startswith("error: interrupted")


def test_too_little_memory_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fill_memory(options: object) -> int:
        raise MemoryError

    monkeypatch.setitem(RUNS, "sample", fill_memory)
    assert main(["sample", "x"]) == 1
    words = " ".join(capsys.readouterr().err.split())
    assert words.startswith("error: memory ran out; end what else takes it, or raise the limit on it (ulimit -v)")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(options: object) -> int:
        raise ZeroDivisionError

    monkeypatch.setitem(RUNS, "sample", break_down)
    with pytest.raises(ZeroDivisionError):
        main(["sample", "x"])


def test_json_is_the_last_line_of_standard_output_and_the_text_goes_elsewhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = parser_of(RUNS).parse_args(["status", "--root", "r", "--json"])
    assert end(options, {"root": "/vidéos"}, lambda _: ["the summary\nof two lines"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"warnings": [], "root": "/vidéos", "error": "", "exit_code": 0}
    assert printed.out.isascii()
    assert printed.out.count("\n") == 1
    assert printed.err == "the summary\nof two lines\n"
    options.json = False
    assert end(options, {"root": "/r"}, lambda _: ["the summary"], "a check failed") == 1
    assert capsys.readouterr() == ("the summary\n", "")
    options.quiet = True
    assert end(options, {"root": "/r"}, lambda _: ["the summary"], "a check failed") == 1
    assert capsys.readouterr() == ("", "error: a check failed\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", "--root", "ROOT"], 2, "there is no dataset clips in ROOT"),
        (["recipe", "--root", "ROOT"], 2, "there is no dataset clips in ROOT"),
        (["verify", "--root", "ROOT"], 2, "there is no dataset clips in ROOT"),
        (["repair", "--root", "ROOT"], 2, "there is no dataset clips in ROOT"),
        (["plan", "--source", "ROOT/none", "--root", "ROOT"], 2, "the source ROOT/none is not there"),
        (["plan", "--source", "ROOT", "--root", "ROOT", "--set", "x=1"], 2, "--set 'x=1' must look like"),
        (["build", "--source", "ROOT/none", "--root", "ROOT"], 2, "the source ROOT/none is not there"),
        (["build", "--source", "ROOT", "--root", "ROOT", "--set", "x=1"], 2, "--set 'x=1' must look like"),
        (["diff", "ROOT/1.0.0", "ROOT/2.0.0"], 2, "ROOT/1.0.0"),
        (["status"], 2, "the following arguments are required: --root"),
        (["build", "--source", "s", "--root", "r", "--workers", "0"], 2, "'0' is not a whole number above 0"),
    ],
)
def test_whatever_fails_json_is_the_last_line_and_says_why(
    arguments: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.replace("ROOT", str(tmp_path)) for argument in arguments]
    try:
        found = main([*given, "--json"])
    except SystemExit as stop:
        found = stop.code
    printed = capsys.readouterr()
    result = json.loads(printed.out.splitlines()[-1])
    assert result["exit_code"] == found == code
    assert said.replace("ROOT", str(tmp_path)) in result["error"]
    assert "".join(result["error"].split()) in "".join(printed.err.split())
    if "ROOT" in arguments:
        assert result["root"] == str(tmp_path)
    assert result["warnings"] == []
    if arguments[0] in ("build", "plan"):
        assert result["source_format"] == ""
    if arguments[0] == "build":
        assert {"version_dir", "splits", "clips_encoded", "clips_reused", "quarantined", "checks"} <= set(result)
        assert (result["classes"], result["committed"]) == ([], False)


def test_a_bug_is_told_in_json_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def break_down(options: object) -> int:
        raise ZeroDivisionError("no")

    monkeypatch.setitem(RUNS, "status", break_down)
    with pytest.raises(ZeroDivisionError):
        main(["status", "--root", "r", "--json"])
    assert json.loads(capsys.readouterr().out)["error"] == "a bug: ZeroDivisionError: no"
