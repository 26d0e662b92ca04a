"""What a terminal is, the help that is shown on it, as wide as it is, and completion scripts for shells.

Nothing heavy is imported, not even `dataclasses`: help is there in a twentieth of a second.
"""

import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

PROGRAM: Final = "video-assets"
WIDTH: Final = 80
"""Columns of what is no terminal."""
MAX_WIDTH: Final = 120
"""Longer lines are hard to read."""
_MIN_WIDTH: Final = 40
_LEFT: Final = 34
_HEADING, _NAME = "1;32", "1;36"


class Terminal(Protocol):
    """The methods of a stream that are used here."""

    def write(self, text: str, /) -> object:
        """Write text."""
        ...

    def flush(self) -> None:
        """Write what is buffered."""
        ...

    def isatty(self) -> bool:
        """Return whether a person looks at it."""
        ...


def has_colours(stream: Terminal) -> bool:
    """Return whether to write colours: to a terminal that has some, unless NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def width_of(stream: Terminal) -> int:
    """Return the columns to use: those of the terminal, but neither very few nor very many."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return WIDTH
    return max(_MIN_WIDTH, min(MAX_WIDTH, columns or WIDTH))


class OptionWords(Protocol):
    """What help says of an option."""

    @property
    def names(self) -> Sequence[str]:
        """Its names, or its place."""
        ...

    @property
    def value(self) -> str:
        """What stands for its value; empty for a switch."""
        ...

    @property
    def words(self) -> str:
        """What it does."""
        ...

    @property
    def group(self) -> str:
        """Under which heading it stands."""
        ...

    @property
    def is_required(self) -> bool:
        """Whether it has to be given."""
        ...

    @property
    def is_positional(self) -> bool:
        """Whether it is given by its place."""
        ...


class CommandWords(Protocol):
    """What help says of a command."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def summary(self) -> str:
        """What it does."""
        ...

    @property
    def options(self) -> Sequence[OptionWords]:
        """What it takes."""
        ...

    @property
    def examples(self) -> Sequence[str]:
        """Calls that people make."""
        ...

    @property
    def exit_codes(self) -> Mapping[int, str]:
        """What its exit codes mean."""
        ...


def usage_line(command: CommandWords | None) -> str:
    """Return the line that says what a call looks like."""
    if command is None:
        return f"{_heading('Usage:')} {_name(PROGRAM)} [OPTIONS] <COMMAND>"
    parts = [f"{PROGRAM} {command.name}", "[OPTIONS]"]
    parts += [f"{option.names[0]} {option.value}" for option in command.options if option.is_required]
    parts += [option.value for option in command.options if option.is_positional]
    return f"{_heading('Usage:')} {_name(parts[0])} {' '.join(parts[1:])}"


def program_help(commands: Iterable[CommandWords], options: Sequence[OptionWords]) -> str:
    """Return the help of the program: its commands."""
    rows = [(command.name, "", command.summary) for command in commands]
    return _page(
        textwrap.fill("From labelled videos to a checked TFRecord dataset for training.", width_of(sys.stdout)),
        usage_line(None),
        _table("Commands:", rows),
        _table("Options:", [_row(option) for option in options]),
        f"Help of a command: {PROGRAM} <COMMAND> --help",
    )


def command_help(command: CommandWords) -> str:
    """Return the help of a command: options by group, examples, exit codes."""
    groups = dict.fromkeys(option.group for option in command.options)
    rows = [(name, [_row(option) for option in command.options if option.group == name]) for name in groups]
    tables = [_table(f"{name}:", found) for name, found in rows]
    examples = "\n".join([_heading("Examples:"), *(f"  {example}" for example in command.examples)])
    lines = [f"  {code:<3}  {means}" for code, means in command.exit_codes.items()]
    codes = "\n".join([_heading("Exit codes:"), *lines])
    return _page(
        textwrap.fill(f"{command.summary}.", width_of(sys.stdout)),
        usage_line(command),
        *tables,
        examples if command.examples else "",
        codes,
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(option: OptionWords) -> tuple[str, str, str]:
    if option.is_positional:
        return option.value, "", option.words
    short = "    " if option.names[0].startswith("--") else ""
    words = f"{option.words} [required]" if option.is_required else option.words
    return f"{short}{', '.join(option.names)}", option.value, words


def _table(title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    """Return names on the left and what they mean on the right; of long names the meaning begins on its own line."""
    width = width_of(sys.stdout)
    widest = max(len(f"{name} {value}".rstrip()) for name, value, _ in rows)
    left = min(widest, _LEFT if width >= 80 else width // 3)
    lines = [_heading(title)]
    for name, value, words in rows:
        shown, size = f"{_name(name)} {value}".rstrip(), len(f"{name} {value}".rstrip())
        meaning = textwrap.wrap(words, max(20, width - left - 4), break_on_hyphens=False)
        if size > left:
            lines.append(f"  {shown}")
            lines += [f"{' ' * (left + 4)}{line}" for line in meaning]
            continue
        lines.append(f"  {shown}{' ' * (left - size)}  {meaning[0]}")
        lines += [f"{' ' * (left + 4)}{line}" for line in meaning[1:]]
    return "\n".join(lines)


def _heading(text: str) -> str:
    return _coloured(text, _HEADING)


def _name(text: str) -> str:
    stripped = text.lstrip()
    return text[: len(text) - len(stripped)] + _coloured(stripped, _NAME)


def _coloured(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if has_colours(sys.stdout) else text


_FUNCTION = "_video_assets"


def completion_script(
    shell: str, commands: Sequence[CommandWords], settings: Sequence[str], choices: Mapping[str, Sequence[str]]
) -> str:
    """Return what the shell has to read to complete our commands.

    Args:
        shell: bash, fish or zsh.
        commands: All commands.
        settings: Names of settings, for `--set`.
        choices: Values of options that have a fixed set of them, by option.
    """
    if shell == "fish":
        return _fish(commands, settings, choices)
    script = _bash(commands, settings, choices)
    return f"autoload -U +X bashcompinit && bashcompinit\n{script}" if shell == "zsh" else script


def _bash(commands: Sequence[CommandWords], settings: Iterable[str], choices: Mapping[str, Sequence[str]]) -> str:
    """Return a function whose words depend on the command and on the option before."""
    values = [
        f'    {option}) COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word")); return ;;'
        for option, words in choices.items()
    ]
    of_commands = [f'    {command.name}) words="{" ".join(_long_names(command))}" ;;' for command in commands]
    names = " ".join(command.name for command in commands)
    all_settings = " ".join(settings)
    return "\n".join(
        (
            f"{_FUNCTION}() {{",
            '  local word="${COMP_WORDS[COMP_CWORD]}" words=""',
            "  COMPREPLY=()",
            '  case "${COMP_WORDS[COMP_CWORD-1]}" in',
            f'    --set) compopt -o nospace; COMPREPLY=($(compgen -S = -W "{all_settings}" -- "$word")); return ;;',
            *values,
            "    --source|--root|--config|--picture) return ;;",
            "  esac",
            f'  if [ "$COMP_CWORD" = 1 ]; then words="{names} --help --version"; fi',
            '  case "${COMP_WORDS[1]}" in',
            *of_commands,
            "  esac",
            '  if [ "$COMP_CWORD" = 1 ] || [ "${word#-}" != "$word" ]; then',
            '    COMPREPLY=($(compgen -W "$words" -- "$word"))',
            "  fi",
            "}",
            f"complete -o default -F {_FUNCTION} {PROGRAM}",
            "",
        )
    )


def _fish(commands: Sequence[CommandWords], settings: Iterable[str], choices: Mapping[str, Sequence[str]]) -> str:
    lines = [f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {c.name} -d {_quoted(c.summary)}" for c in commands]
    for command in commands:
        begin = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            if option.is_positional:
                continue
            name = option.names[-1]
            words = settings if name == "--set" else choices.get(name, ())
            values = f" -f -a '{' '.join(words)}'" if words else ""
            needed = " -r" if option.value else ""
            lines.append(f"{begin} -l {name.removeprefix('--')}{needed}{values} -d {_quoted(option.words)}")
    return "\n".join([*lines, ""])


def _long_names(command: CommandWords) -> list[str]:
    return [name for option in command.options for name in option.names if name.startswith("--")]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
