"""Texts of users show as they are and never become markup."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from video_assets.report.escape import markdown_code, markdown_text, visible

ZERO_WIDTH_JOINER = "\u200d"


def shown(markdown: str) -> str:
    """What a reader sees of escaped inline text: backslash escapes and entities undone."""
    return html.unescape(re.sub(r"\\([\\`*_{}\[\]()#+!|~:@$.=^])", r"\1", markdown))


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("jump", "jump"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert\\(1\\)&lt;/script&gt;"),
        ("a|b", "a\\|b"),
        ("[x](http://h)", "\\[x\\]\\(http\\://h\\)"),
        ("![i](j)", "\\!\\[i\\]\\(j\\)"),
        ("`code`", "\\`code\\`"),
        ("a\n# b", "a \\# b"),
        ("&lt;", "&amp;lt;"),
        ("C:\\x", "C\\:\\\\x"),
        ("www.h.com", "www\\.h\\.com"),
        ("a@b", "a\\@b"),
        ("$x$", "\\$x\\$"),
        ("a\x1b[2Jb", "a\\\\x1b\\[2Jb"),
        ("\u202egnp", "\\\\u202egnp"),
        ("~~x~~", "\\~\\~x\\~\\~"),
    ],
)
def test_markup_is_escaped(text: str, markdown: str) -> None:
    assert markdown_text(text) == markdown


@given(st.text())
def test_the_text_is_shown_as_it_is_on_one_line(text: str) -> None:
    escaped = markdown_text(text)
    assert "\n" not in escaped
    assert "<" not in escaped
    assert ">" not in escaped
    assert shown(escaped) == visible(" ".join(text.split()))


@given(st.text() | st.text("\u200d\u2764\ufe0f\U0001f468a"))
def test_what_is_made_visible_holds_nothing_that_moves_or_hides(text: str) -> None:
    assert visible(text).replace(ZERO_WIDTH_JOINER, "").isprintable()
    assert visible(visible(text)) == visible(text)
    if text.isprintable():
        assert visible(text) == text


@pytest.mark.parametrize("picture", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f\u200d\U0001f525"])
def test_a_picture_of_several_stays_whole_and_a_joiner_elsewhere_is_spelled_out(picture: str) -> None:
    assert visible(f"a {picture} b") == f"a {picture} b"
    assert visible(f"a\u200db {picture}\u200dc") == f"a\\u200db {picture}\\u200dc"


@pytest.mark.parametrize(
    "mark", ["\u202a", "\u202e", "\u2066", "\u2069", "\u200e", "\u200b", "\ufeff", "\x1b", "\x9b", "\x7f"]
)
def test_marks_that_turn_text_and_controls_are_spelled_out(mark: str) -> None:
    assert visible(f"a{mark}b") == f"a{mark!r}b".replace("'", "")


@given(st.text(st.sampled_from("`~ax\n<>")))
def test_a_block_of_code_cannot_be_left_from_inside(text: str) -> None:
    tokens = MarkdownIt().parse(markdown_code(text))
    assert [token.type for token in tokens] == ["fence"]


@given(st.text())
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    """By a real parser: one run of text, where HTML's own entities stand for what they are."""
    (_, inline, _) = MarkdownIt().enable(["table", "strikethrough"]).parse(f"0 {markdown_text(text)}.")
    assert {token.type for token in inline.children or ()} <= {"text", "text_special"}
    assert "".join(token.content for token in inline.children or ()) == f"0 {visible(' '.join(text.split()))}."
