"""Completion scripts for shells, made from the commands themselves."""

from collections.abc import Iterable, Mapping, Sequence

from video_assets.report.help_text import PROGRAM, CommandWords

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
