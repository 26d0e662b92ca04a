"""Texts of users show as they are and never become markup."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_assets.report.escape import markdown_text


def shown(markdown: str) -> str:
    """What a reader sees of escaped inline text: backslash escapes and entities undone."""
    return html.unescape(re.sub(r"\\([\\`*_{}\[\]()#+!|~])", r"\1", markdown))


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("jump", "jump"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert\\(1\\)&lt;/script&gt;"),
        ("a|b", "a\\|b"),
        ("[x](http://h)", "\\[x\\]\\(http://h\\)"),
        ("![i](j)", "\\!\\[i\\]\\(j\\)"),
        ("`code`", "\\`code\\`"),
        ("a\n# b", "a \\# b"),
        ("&lt;", "&amp;lt;"),
        ("C:\\x", "C:\\\\x"),
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
    assert shown(escaped) == " ".join(text.split())
