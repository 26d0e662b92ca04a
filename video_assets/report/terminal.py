"""Screens: as wide as the terminal, colours only there, and no control characters from names."""

import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from video_assets.report.escape import shown
from video_assets.report.help_text import WIDTH, Terminal, has_colours, width_of

_NARROW = 24

Screen = Sequence[RenderableType]
"""Parts under one another, with an empty line between two of them."""


def show(screen: Screen, stream: Terminal) -> None:
    """Write a screen; characters that the stream's encoding lacks are escaped."""
    text = as_text(screen, width=width_of(stream), colours=has_colours(stream))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def as_text(screen: Screen, *, width: int = WIDTH, colours: bool = False) -> str:
    """Return a screen as text; without colours its only control characters are line ends."""
    parts: list[str] = []
    for part in screen:
        buffer = io.StringIO()
        console = Console(
            file=buffer,
            width=width,
            color_system="standard" if colours else None,
            force_terminal=colours,
            markup=False,
            emoji=False,
            highlight=False,
            legacy_windows=False,
        )
        console.print(Group(part), crop=False)  # in a group: a Text on its own would lose its no_wrap
        parts.append("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()))
    return "\n\n".join(parts)


def escaped(text: str) -> str:
    """Return the text with control characters escaped: a file name cannot move the cursor or change colours."""
    return shown(text, keep="\n")


def wrapped(text: object, style: str = "") -> Text:
    """Return any text with control characters escaped, wrapped between words."""
    return Text(escaped(str(text)), style=style)


def headline(verdict: str, rest: object, style: str) -> Text:
    """Return one line with the result. It is never broken, so that a path in it can be copied."""
    line = Text.assemble((verdict, f"bold {style}"), " ", wrapped(rest))
    line.no_wrap, line.overflow = True, "ignore"
    return line


def copyable(lines: Iterable[str]) -> Text:
    """Return commands or code, each on one line that is never broken, so that it can be copied."""
    return Text("\n".join(f"  {escaped(line)}" for line in lines), "cyan", no_wrap=True, overflow="ignore")


@dataclass(frozen=True, slots=True)
class ScreenTable:
    """A table without lines, as wide as needed. Long cells are cut, so that a row stays one line."""

    headers: Sequence[str]
    rows: Sequence[Sequence[object]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fit the columns into the width that there is; only long ones are cut."""
        grid = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        columns = [[header, *(row[place] for row in self.rows)] for place, header in enumerate(self.headers)]
        widths = [max(cell_len(_cell(value)) for value in column) for column in columns]
        num_long = sum(width > _NARROW for width in widths)
        room = options.max_width - sum(width for width in widths if width <= _NARROW) - 2 * (len(widths) - 1)
        for header, column, width in zip(self.headers, columns, widths, strict=True):
            is_number = len(column) > 1 and all(isinstance(value, int | float) for value in column[1:])
            most = width if width <= _NARROW else max(_NARROW, room // num_long)
            grid.add_column(
                header, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis", max_width=most
            )
        for row in self.rows:
            grid.add_row(*(Text(_cell(value)) for value in row))
        yield grid


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> ScreenTable:
    """Return columns under their headers, numbers to the right."""
    return ScreenTable(headers, [list(row) for row in rows])


def _cell(value: object) -> str:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}".replace(",", " ") if is_count else escaped(str(value)).replace("\n", " ")


def section(title: str, *parts: RenderableType, style: str = "bold") -> Group:
    """Return parts under a title, indented."""
    return Group(Text(escaped(title), style=style), *map(_indented, parts))


def _indented(part: RenderableType) -> RenderableType:
    if isinstance(part, Text) and part.overflow == "ignore":  # padding would cut it at the edge of the screen
        return Text(f"  {part.plain.replace(chr(10), chr(10) + '  ')}", part.style, no_wrap=True, overflow="ignore")
    return Padding(part, (0, 0, 0, 2))


def paragraph(text: str, indent: str = "", *, width: int = WIDTH) -> str:
    """Return text wrapped at the screen's width."""
    return textwrap.fill(escaped(text), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
