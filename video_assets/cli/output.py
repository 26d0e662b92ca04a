"""What commands say: to people on the screen, to scripts as one JSON object, and how far they have come."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from video_assets.cli.options import without_secrets
from video_assets.domain.errors import EXIT_FAILED, EXIT_OK
from video_assets.report.help_text import has_colours, width_of

if TYPE_CHECKING:
    from video_assets.report.terminal import Screen
    from video_assets.report.terminal_progress import TerminalProgress


def say_error(sentence: str) -> None:
    """Print a sentence to people, as an error."""
    from video_assets.report.terminal import paragraph

    text = paragraph(f"error: {sentence}", width=width_of(sys.stderr))
    if has_colours(sys.stderr):
        text = f"\x1b[1;31merror:\x1b[0m{text.removeprefix('error:')}"
    print(text, file=sys.stderr)


def end(
    options: argparse.Namespace,
    result: Mapping[str, Any],
    screen: "Callable[[Mapping[str, Any]], Screen]",
    error: str = "",
) -> int:
    """Show what a command found, and end it: well, or with what makes it a failure."""
    from video_assets.report.terminal import show

    exit_code = result.get("exit_code", EXIT_FAILED if error else EXIT_OK)
    if not options.quiet:
        show(screen({**result, "verbose": options.verbose}), sys.stderr if options.json else sys.stdout)
    elif error:
        say_error(error)
    if options.json:
        print_json({**result, "error": error, "exit_code": exit_code})
    return exit_code


def print_json(values: Mapping[str, Any]) -> None:
    """Print one object to scripts, without secrets; every command's has `warnings`."""
    print(without_secrets(json.dumps({"warnings": [], **values}, ensure_ascii=True)))


def begin_progress(options: argparse.Namespace, sentence: str, running: ExitStack) -> "TerminalProgress":
    """Begin to say how far a command has come, before anything is imported or read."""
    from video_assets.report.terminal_progress import TerminalProgress

    stream = running.enter_context(_quiet_stream()) if options.quiet else sys.stderr
    return running.enter_context(TerminalProgress(stream)).begin(sentence)


def _quiet_stream() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
