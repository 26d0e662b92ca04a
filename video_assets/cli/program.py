"""The program: reads the command line, runs the command, and ends with its exit code, whatever happens."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType, MappingProxyType
from typing import Any, NoReturn

from video_assets.cli.commands import RUNS
from video_assets.cli.output import print_json, say_error
from video_assets.cli.parser import WrongUsage, command_of, parse, parser_of
from video_assets.domain.errors import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    SettingsError,
    VideoAssetsError,
)

_INTERRUPTED = "interrupted; finished work is kept, and the same command continues from there"
_OUT_OF_MEMORY = (
    "memory ran out; end what else takes it, or raise the limit on it (ulimit -v); finished work is kept, and the same "
    "command continues from there"
)
_AGAIN_SECONDS = 0.05
"""After which an interruption that was lost is tried again: by then the callback that dropped it has ended."""
_NOTHING_BUILT: Mapping[str, Any] = {
    "source": "",
    "read_as": "",
    "source_format": "",
    "warnings": [],
    "root": "",
    "name": "",
    "version_dir": "",
    "splits": {},
    "clips_encoded": 0,
    "clips_reused": 0,
    "shards_written": 0,
    "shards_reused": 0,
    "shards_replaced": [],
    "quarantined": [],
    "left_out": [],
    "classes": [],
    "gone": 0,
    "gone_clips": [],
    "checks": [],
    "seconds": 0.0,
    "committed": False,
}
"""What `build --json` promises, of a build that ended before it began, or by a signal."""
_NOTHING_READ: Mapping[str, Any] = {"read_as": "", "source_format": "", "warnings": []}
"""The same of `plan` and `inspect`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 done and valid, 1 refused or a check failed, 2 wrong usage or settings."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse(given, RUNS)
    except WrongUsage as error:
        say_error(str(error))
        print(f"\n{error.hint}", file=sys.stderr)
        if "--json" in given:
            print_json({**_promised(command_of(given)), "error": str(error), "exit_code": EXIT_USAGE})
        raise SystemExit(EXIT_USAGE) from None
    if options.version:
        return _version()
    if options.command is None:
        print(parser_of(RUNS).format_help(), end="", file=sys.stderr)
        return EXIT_USAGE
    try:
        with _ended_by_signals():
            exit_code = options.run(options)
            sys.stdout.flush()  # here, for a reader that is gone
            return exit_code
    except VideoAssetsError as error:
        exit_code = EXIT_USAGE if isinstance(error, SettingsError) else EXIT_FAILED
        return _fail(options, str(error), exit_code, error.facts)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only cut off these words
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the cursor stands behind ^C
        return _fail(options, _INTERRUPTED, EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output is gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        from video_assets.storage.failures import failure_sentence

        return _fail(options, failure_sentence(error, doing="opened"), EXIT_FAILED)
    except MemoryError:
        return _fail(options, _OUT_OF_MEMORY, EXIT_FAILED)
    except Exception as error:
        _tell_scripts(options, f"a bug: {type(error).__name__}: {error}", EXIT_FAILED)
        raise


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Take a termination as Ctrl-C is taken: the command cleans up, and says that it was interrupted."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    def ask_again(lost: "sys.UnraisableHookArgs") -> None:
        """Signal again where the interruption came in a weak reference's callback or a `__del__`: these drop it."""
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            hook_before(lost)
            return
        timers.append(threading.Timer(_AGAIN_SECONDS, os.kill, (os.getpid(), signal.SIGTERM)))
        timers[-1].daemon = True
        timers[-1].start()

    timers: list[threading.Timer] = []
    before, hook_before = signal.signal(signal.SIGTERM, interrupt), sys.unraisablehook
    sys.unraisablehook = ask_again
    try:
        yield
    finally:
        for timer in timers:  # another interruption may have come through before
            timer.cancel()
        sys.unraisablehook = hook_before
        signal.signal(signal.SIGTERM, before)


def _version() -> int:
    from importlib.metadata import version

    print(f"video-assets {version('video_assets')}")
    return EXIT_OK


def _fail(
    options: argparse.Namespace, sentence: str, exit_code: int, more: Mapping[str, Any] = MappingProxyType({})
) -> int:
    """Say why a command could not be done, to people and to scripts; return the exit code."""
    say_error(sentence)
    _tell_scripts(options, sentence, exit_code, more)
    return exit_code


def _tell_scripts(
    options: argparse.Namespace, error: str, exit_code: int, more: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Print the object that `--json` promises, where there is nothing else to tell."""
    if not getattr(options, "json", False):
        return
    root = getattr(options, "root", None)
    known = {"root": str(root.absolute())} if root is not None else {}
    known |= {"name": options.name} if getattr(options, "name", None) else {}
    print_json({**_promised(options.command), **known, **more, "error": error, "exit_code": exit_code})


def _promised(command: str | None) -> Mapping[str, Any]:
    """Return the keys that a command's `--json` always has, where there is nothing to put into them."""
    return _NOTHING_BUILT if command == "build" else _NOTHING_READ if command in ("plan", "inspect") else {}
