"""What the commands print: readable at 80 columns, and nothing that a file name could do to a terminal."""

import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from video_assets.report.terminal import (
    WIDTH,
    ProgressBar,
    TerminalProgress,
    as_text,
    copyable,
    paragraph,
    plain,
    show,
    table,
    words,
)


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
    assert all(c.isprintable() or c == "\n" for c in plain(text))
    assert all(c.isprintable() or c == "\n" for c in paragraph(text))
    plain(text).encode("utf-8")


def test_control_characters_are_spelled_out() -> None:
    assert plain("a\x1b[31m\u202eb\r\n\udcff") == "a\\x1b[31m\\u202eb\\r\n\\udcff"


@given(st.text(max_size=400))
def test_paragraphs_are_wrapped_at_the_edge_of_the_screen(text: str) -> None:
    assert all(len(line) <= WIDTH for line in paragraph(text, "  ").split("\n"))


# --- colours --------------------------------------------------------------------------------------


def shown(terminal: io.StringIO) -> str:
    show([words("hello", "bold red"), copyable(["a command"])], terminal)
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
    show([words("läuft … 🏃")], stream)
    assert buffer.getvalue() == b"l\\xe4uft \\u2026 \\U0001f3c3\n"


# --- progress -------------------------------------------------------------------------------------


def test_a_terminal_gets_a_bar_that_ends_full_on_its_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    count = TerminalProgress(terminal)("encoding", 4, 1000)
    for _ in range(4):
        count(1, 250)
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert drawn[0] == ""
    assert drawn[1].startswith("............ encoding: 0 of 4 clips, ")
    assert drawn[-1].startswith("############ encoding: 4 of 4 clips, ")
    assert drawn[-1].endswith("\n")
    assert terminal.getvalue().count("\n") == 1
    assert all(len(text) < WIDTH + 1 for text in drawn)


@pytest.mark.parametrize(("num_clips", "bar"), [(10_000, "............ "), (10_000_000, "..... encoding")])
def test_a_bar_leaves_room_for_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch, num_clips: int, bar: str) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    ProgressBar(terminal, "encoding", num_clips, 10**9, begun=time.monotonic() - 20).count(num_clips // 100, 10**7)
    drawn = terminal.getvalue().removeprefix("\r\x1b[K")
    assert drawn.startswith(bar)
    assert re.search(r" clips/s, 0\.\d MB/s, \d+ min left$", drawn)
    assert len(drawn) < WIDTH


def test_elsewhere_it_is_lines_without_control_characters() -> None:
    stream = io.StringIO()
    count = TerminalProgress(stream, every_seconds=3600)("encoding", 2, 1000)
    count(1, 500)
    assert stream.getvalue() == ""
    count(1, 500)
    assert stream.getvalue().startswith("encoding: 2 of 2 clips, ")
    assert stream.getvalue().endswith(" MB/s\n")
