"""Escape texts of users (labels, file names) so that they cannot become markup or control a terminal."""

import html
import os
import re

from video_assets.domain.text import redacted, secrets_of

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|~:@$.=^])")
_JOINER = "\u200d"
_PICTURE_JOINER = re.compile(
    "(?<=[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f])\u200d(?=[\u2190-\u2bff\U0001f000-\U0001faff])"
)


def visible(text: str, keep: str = "") -> str:
    r"""Return the text with everything invisible escaped: control characters, and marks that reverse or hide text.

    A joiner stays where it makes one picture of several, as in emoji of families.

    >>> visible("a\x1b[2Jb\u202ec")
    'a\\x1b[2Jb\\u202ec'
    """
    # A joiner between two pictures separates the parts.
    parts = _PICTURE_JOINER.split(text)
    return _JOINER.join("".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in part) for part in parts)


def shortened(text: str, max_characters: int) -> str:
    """Return the text, or its beginning and end if it is too long: file names differ there.

    >>> shortened("v_MoveLeft_g01_c02.mp4", 13)
    'v_Move…02.mp4'
    """
    if len(text) <= max_characters:
        return text
    head = (max_characters - 1) // 2
    return f"{text[:head]}…{text[len(text) - (max_characters - 1 - head) :]}"


def shown(text: str, keep: str = "") -> str:
    """Return a text for screens, logs and the UI: visible, and without secrets of the environment."""
    return visible(redacted(text, secrets_of(os.environ)), keep)


def markdown_text(text: str) -> str:
    r"""Return the text so that Markdown and HTML show it literally, on one line; no address in it becomes a link.

    >>> markdown_text("<b>_a_|`b`")
    '&lt;b&gt;\\_a\\_\\|\\`b\\`'
    """
    return _MARKDOWN.sub(r"\\\1", html.escape(visible(" ".join(text.split())), quote=False))


def markdown_code(text: str, language: str = "") -> str:
    r"""Return the text as a block of code whose fence is longer than any in the text.

    >>> markdown_code("a: 1\n", "yaml")
    '```yaml\na: 1\n```\n'
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"
