"""Reads the command line into what was given, or says what is wrong with it."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, NoReturn

from video_assets.cli.command_list import COMMANDS
from video_assets.cli.options import GLOBAL_OPTIONS, Command
from video_assets.report.help_text import PROGRAM, command_help, program_help, usage_line

Run = Callable[[argparse.Namespace], int]
"""What does a command; gives the exit code."""


class WrongUsage(Exception):
    """The arguments cannot be read. `hint` is what follows the sentence: a tip, the usage, where there is help."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.hint = hint


class Parser(argparse.ArgumentParser):
    """One that shows help as `report.help_text` writes it, and leaves it to the caller how wrong usage is told."""

    def __init__(self, *, command: Command | None = None, **keywords: Any) -> None:
        super().__init__(add_help=command is None, **keywords)
        self.command = command

    def format_help(self) -> str:
        """Return the help of the command, or of the program."""
        return program_help(COMMANDS, GLOBAL_OPTIONS) if self.command is None else command_help(self.command)

    def format_usage(self) -> str:
        """Return the line that says what a call looks like."""
        return usage_line(self.command)

    def error(self, message: str) -> NoReturn:
        """Stop the reading.

        Raises:
            WrongUsage: always.
        """
        raise wrong_usage(message.removeprefix("argument "), self.command)


def wrong_usage(sentence: str, command: Command | None, tip: str = "") -> WrongUsage:
    """Return the error, with the tip, the usage, and how to get help."""
    where = PROGRAM if command is None else f"{PROGRAM} {command.name}"
    parts = [f"  tip: {tip}" if tip else "", usage_line(command), f"For more information, try '{where} --help'."]
    return WrongUsage(sentence, "\n\n".join(filter(None, parts)))


def parse(given: Sequence[str], runs: Mapping[str, Run]) -> argparse.Namespace:
    """Return what was given; `run` in it does the command.

    Raises:
        WrongUsage: if it cannot be read; a similar name is proposed.
    """
    word = command_of(given)
    if word is not None and word not in runs:
        raise wrong_usage(f"unknown command '{word}'", None, _similar(word, list(runs), "command"))
    parser = parser_of(runs)
    command = next((command for command in COMMANDS if command.name == word), None)
    taken = GLOBAL_OPTIONS if command is None else command.options
    names = [name for option in taken for name in option.names if name.startswith("--")]
    # A misspelt option is told before one that is missing: it often is the one that is missing.
    before = [argument for argument in takewhile("--".__ne__, given) if argument.startswith("--")]
    misspelt = [argument for argument in before if not any(name.startswith(_name_of(argument)) for name in names)]
    options, unknown = (None, misspelt) if misspelt else parser.parse_known_args(given)
    if options is None or unknown:
        similar = _similar(_name_of(unknown[0]), names, "option")
        raise wrong_usage(f"unexpected argument '{unknown[0]}'", command, similar)
    return options


def command_of(given: Sequence[str]) -> str | None:
    """Return the word that stands where a command does: the first that is no option."""
    return next((argument for argument in given if not argument.startswith("-")), None)


def _name_of(argument: str) -> str:
    """Return the option's name, without a value that stands behind it."""
    return argument.partition("=")[0]


def _similar(word: str, names: Sequence[str], kind: str) -> str:
    import difflib

    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"a similar {kind} exists: '{close[0]}'" if close else ""


def parser_of(runs: Mapping[str, Run]) -> Parser:
    """Return the parser of all commands; each sets `run` to what does it."""
    parser = Parser(prog=PROGRAM)
    parser.add_argument("-V", "--version", action="store_true", dest="version")
    parsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        added = parsers.add_parser(command.name, command=command)
        for option in command.options:
            option.add_to(added)
        added.set_defaults(run=runs[command.name])
    return parser
