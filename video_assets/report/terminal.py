"""Output on a terminal: at most 80 columns, colours only there, and no control characters from names."""

import io
import os
import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from video_assets.domain.progress import Counter, LineProgress, progress_line
from video_assets.report.escape import shown

WIDTH = 80
_BAR = 12
_NARROW, _INDENT = 24, 2

Screen = Sequence[RenderableType]
"""Parts under one another, with an empty line between two of them."""


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


def _width_of(stream: Terminal) -> int:
    try:
        return max(20, min(WIDTH, os.get_terminal_size(stream.fileno()).columns))  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return WIDTH


def show(screen: Screen, stream: Terminal) -> None:
    """Write a screen; characters that the stream's encoding lacks are escaped."""
    text = as_text(screen, width=_width_of(stream), colours=has_colours(stream))
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


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Return columns as wide as needed, numbers to the right. Long cells are cut, so that a row stays one line."""
    grid = Table(box=None, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    cells = [list(row) for row in rows]
    columns = [[header, *(row[column] for row in cells)] for column, header in enumerate(headers)]
    widths = [max(cell_len(_cell(value)) for value in column) for column in columns]
    long = [width for width in widths if width > _NARROW]
    room = WIDTH - _INDENT - sum(width for width in widths if width <= _NARROW) - 2 * (len(widths) - 1)
    for header, column, width in zip(headers, columns, widths, strict=True):
        is_number = len(column) > 1 and all(isinstance(value, int | float) for value in column[1:])
        most = width if width <= _NARROW else max(_NARROW, room // len(long))  # only long columns are cut
        grid.add_column(
            header, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis", max_width=most
        )
    for row in cells:
        grid.add_row(*(Text(_cell(value)) for value in row))
    return grid


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


def paragraph(text: str, indent: str = "") -> str:
    """Return text wrapped at the screen's width."""
    return textwrap.fill(escaped(text), WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


@dataclass(slots=True)
class TerminalProgress:
    """A bar that is redrawn on a terminal, or a line every few seconds elsewhere."""

    stream: Terminal
    every_seconds: float = 5.0

    def __call__(self, phase: str, num_clips: int, num_bytes: int) -> Counter:
        """Begin a phase."""
        if not self.stream.isatty():
            return LineProgress(self._say, self.every_seconds)(phase, num_clips, num_bytes)
        bar = ProgressBar(self.stream, phase, num_clips, num_bytes)
        bar.draw()
        return bar.count

    def _say(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()


@dataclass(slots=True)
class ProgressBar:
    """One line that is overwritten. Not rich's: its thread would go on when a stage ends by an exception."""

    stream: Terminal
    phase: str
    num_clips: int
    num_bytes: int
    begun: float = field(default_factory=time.monotonic)
    drawn: float = 0.0
    clips: int = 0
    bytes: int = 0

    def count(self, clips: int, num_bytes_done: int) -> None:
        """Count what was finished, and draw the bar again if that is due."""
        self.clips += clips
        self.bytes += num_bytes_done
        if self.clips >= self.num_clips or time.monotonic() - self.drawn >= 0.2:
            self.draw()

    def draw(self) -> None:
        """Draw the bar over itself."""
        self.drawn = time.monotonic()
        line = progress_line(
            self.phase, self.clips, self.num_clips, self.bytes, self.drawn - self.begun, num_bytes=self.num_bytes
        )
        room = _width_of(self.stream) - 1
        # The text needs its room first: the time left is at its end.
        width = max(0, min(_BAR, room - len(" ") - cell_len(line)))
        filled = round(width * self.clips / max(1, self.num_clips))
        done, rest = ("█", "░") if (getattr(self.stream, "encoding", "") or "").lower() == "utf-8" else ("#", ".")
        bar = f"{done * filled}{rest * (width - filled)}"
        if has_colours(self.stream):
            bar = f"\x1b[32m{bar}\x1b[0m"
        end = "\n" if self.clips >= self.num_clips else ""
        self.stream.write(f"\r\x1b[K{bar}{' ' if width else ''}{line[:room]}{end}")
        self.stream.flush()
