"""Markdown for GitHub, in which names from files are never markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

MARK = "<!-- Made by `calibench leaderboard build`: build it again rather than edit it. -->"


def markdown_table(head: Sequence[str], body: Iterable[Sequence[str]], align: Sequence[str]) -> str:
    """A table in Markdown; cells are escaped already, `align` is "---" or "---:" per column."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, align, *body))


def escape(value: Any) -> str:
    """Text on one line that HTML and Markdown both show literally, even in a table cell.

    >>> escape("a|b <script>")
    'a&#124;b &lt;script&gt;'
    """
    one_line = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", str(value)).split())
    text = html.escape(one_line)
    # Markdown decodes entities after parsing its structure, so these stay plain characters.
    text = re.sub(r"[|`*\[\]\\~$]", lambda found: f"&#{ord(found[0])};", text)
    # An underscore inside a word means nothing to GitHub; elsewhere it may start emphasis.
    text = re.sub(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", "&#95;", text)
    # A scheme or "www." would be turned into a link.
    return re.sub(r":(?=//)|(?<=www)\.", lambda found: f"&#{ord(found[0])};", text)
