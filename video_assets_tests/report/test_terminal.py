"""What the commands print: readable at 80 columns, and nothing that a file name could do to a terminal."""

import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from video_assets.report.help_text import WIDTH
from video_assets.report.terminal import (
    as_text,
    copyable,
    escaped,
    paragraph,
    section,
    show,
    table,
    wrapped,
)
from video_assets.report.terminal_progress import ProgressBar, TerminalProgress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


# --- columns, paragraphs, control characters ------------------------------------------------------


def test_columns_are_as_wide_as_they_need_to_be() -> None:
    found = as_text([table(("a", "long"), [("wide value", 1), ("b", 22_000)])])
    assert found == "a             long\nwide value       1\nb           22 000"


@given(st.lists(st.tuples(st.text(), st.text(max_size=200)), max_size=5))
def test_a_table_stays_within_the_screen_a_row_a_line(rows: list[tuple[str, str]]) -> None:
    lines = as_text([table(("one", "other"), rows)]).split("\n")
    assert len(lines) == len(rows) + 1
    assert all(cell_len(line) <= WIDTH for line in lines)


@given(st.text(st.characters()))
def test_a_text_cannot_move_the_cursor_or_colour_the_screen(text: str) -> None:
    assert all(c.isprintable() or c == "\n" for c in escaped(text))
    assert all(c.isprintable() or c == "\n" for c in paragraph(text))
    escaped(text).encode("utf-8")


def test_control_characters_are_spelled_out() -> None:
    assert escaped("a\x1b[31m\u202eb\r\n\udcff") == "a\\x1b[31m\\u202eb\\r\n\\udcff"


@given(st.text(max_size=400))
def test_paragraphs_are_wrapped_at_the_edge_of_the_screen(text: str) -> None:
    assert all(len(line) <= WIDTH for line in paragraph(text, "  ").split("\n"))


# --- colours --------------------------------------------------------------------------------------


def shown(terminal: io.StringIO) -> str:
    show([wrapped("hello", "bold red"), copyable(["a command"])], terminal)
    return terminal.getvalue()


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31mhello\x1b[0m" in shown(Terminal())
    assert shown(io.StringIO()) == "hello\n\n  a command\n"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, value)
    assert shown(Terminal()) == "hello\n\n  a command\n"


def test_what_must_be_copied_is_not_broken() -> None:
    command = "video-assets build --source " + "/a/long/path" * 20
    assert command in as_text([copyable([command])])


def test_an_encoding_that_knows_few_letters_is_no_error() -> None:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, "ascii")
    show([wrapped("läuft … 🏃")], stream)
    assert buffer.getvalue() == b"l\\xe4uft \\u2026 \\U0001f3c3\n"


# --- progress -------------------------------------------------------------------------------------


def drawings(terminal: Terminal) -> list[str]:
    return terminal.getvalue().split("\r\x1b[K")[1:]


def test_a_terminal_gets_one_bar_for_all_phases_that_ends_with_an_empty_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    with TerminalProgress(terminal).begin("Building clips") as progress:
        for phase in ("probing", "encoding", "checking"):
            count = progress(phase, 4, 1000)
            for _ in range(4):
                count(1, 250)
    drawn = drawings(terminal)
    assert drawn[0] == "Building clips"
    assert drawn[1].startswith(f"{'.' * 20}   0 %  probing: 0 of 4 clips")
    assert [re.findall(r"(\d+) %  (\w+)", text)[0] for text in drawn[1:-1]] == [
        ("0", "probing"), ("20", "probing"), ("20", "encoding"), ("90", "encoding"), ("90", "checking"),
        ("100", "checking"),
    ]  # fmt: skip
    assert set(drawn[-2].split()[0]) == {"#"}  # it is full
    assert drawn[-1] == ""
    assert "\n" not in terminal.getvalue()
    assert all(len(text) < WIDTH for text in drawn)


def test_a_bar_leaves_room_for_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    ProgressBar(terminal, "encoding", 10_000_000, 10**9, begun=time.monotonic() - 20).count(100_000, 10**7)
    (drawn,) = drawings(terminal)
    assert re.search(r"^#*\.+   1 %  encoding: 100000 of 10000000 clips, \d+ min left$", drawn)
    assert len(drawn) < WIDTH


def test_elsewhere_it_is_lines_without_control_characters_and_the_first_at_once() -> None:
    stream = io.StringIO()
    with TerminalProgress(stream, every_seconds=3600).begin("Building clips") as progress:
        assert stream.getvalue() == "Building clips\n"
        count = progress("encoding", 2, 1000)
        count(1, 500)
        count(1, 500)
    assert re.fullmatch(r"Building clips\nencoding: 2 of 2 clips, .* MB/s\n", stream.getvalue())


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_screen_is_as_wide_as_its_terminal(width: int) -> None:
    rows = [("a column", "a long cell " * 20, 3)]
    screen = [
        wrapped("some words " * 40),
        table(("one", "two", "three"), rows),
        section("title", table(("a", "b"), rows)),
    ]
    lines = as_text(screen, width=width).split("\n")
    assert max(map(cell_len, lines)) == width
