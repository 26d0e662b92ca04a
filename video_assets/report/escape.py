"""Texts of users (labels, file names) where they could become markup."""

import html
import re


def markdown_text(text: str) -> str:
    r"""The text so that Markdown and HTML show it as it is, on one line.

    >>> markdown_text("<b>_a_|`b`")
    '&lt;b&gt;\\_a\\_\\|\\`b\\`'
    """
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
