r"""Split a reply into tokens: words, numbers and signs.

What a number can look like, in any script's decimal digits and with the full-width forms of the
signs:

=============  ====================================================  ===========================
digits         ``85``                                                85
decimals       ``0.85``, ``.85``, ``99,9`` (one or two digits), or   0.85, 0.85, 99.9
               any number of digits behind ``0,``
thousands      ``1,000``                                             1000, so out of any range
unreadable     ``1.2.3``, ``1e2``, ``85th``, ``B12``, ``9½``         no value: ``nan``
=============  ====================================================  ===========================

Markdown, quotes, brackets, ``\boxed{}`` and tags such as ``<b>`` are dropped, without joining the
text on their two sides. ``<confidence>`` is the word and a colon, ``</confidence>`` a full stop.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("％﹪٪", "%"),
        **dict.fromkeys("．。｡٫", "."),
        **dict.fromkeys("，、﹐،٬", ","),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\ufe63\uff0d", "-"),
        **dict.fromkeys("～〜∼≈≅≃", "~"),
        **dict.fromkeys("‘’ʼ＇", "'"),
        "：": ":", "；": ";", "！": "!", "？": "?", "（": "(", "）": ")", "＝": "=",
        "＜": "<", "＞": ">", "／": "/", "⁄": "/", "∕": "/", "…": "...",
    }
)  # fmt: skip
_PAIRED_DOLLARS = re.compile(r"\$([^$\n]*)\$")
_TOKEN = re.compile(
    r"""
      (?P<space>[^\S\n]+)
    | (?P<line>\n\s*)
    | (?P<bad>\d[\d.,]*e[+-]?\d+)                          # 1e2
    | (?P<number>\d+(?:[.,]\d+)*|(?<![\w.,])\.\d+)
    | (?P<tag></?[a-z]+\s*/?>)
    | (?P<latex>\\(?:boxed|text|textbf|mathrm|mathbf|approx|sim)(?![a-z])|\\[()\[\],;!%])
    | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)
    | (?P<dots>\.{2,})
    | (?P<wrapper>(?:(?<=\n)|\A)[ \t]*\#+(?=\s)|[*_`"'“”«»\[\]{}•·|])
    | (?P<sign>\+/-|>=|<=|=>|.)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_PLAIN_TAGS = {"b", "i", "u", "p", "em", "br", "div", "span", "code", "strong"}
_SAID_IN_LATEX = {"\\%": "%", "\\approx": "~", "\\sim": "~"}


@dataclass(frozen=True)
class Token:
    """One token of a reply.

    Attributes:
        kind: ``word``, ``number``, ``sign`` or ``line`` (the end of one).
        text: as written, in lower case.
        value: of a number; ``nan`` if it is not one of the forms that are read.
        decimals: whether it was written with a decimal point or comma.
        comma: whether that was a comma which could also separate two numbers.
        glued: whether it stands right behind the token before it.
        capital: whether it began with a capital letter, a digit or a sign.
    """

    kind: str
    text: str
    value: float = math.nan
    decimals: bool = False
    comma: bool = False
    glued: bool = False
    capital: bool = True


def tokenize(text: str) -> list[Token]:
    """The tokens of `text`, in order; characters outside tokens are dropped formatting."""
    tokens: list[Token] = []
    glued = False
    for match in _TOKEN.finditer(_plain(text)):
        kind, found = match.lastgroup or "sign", match[0]
        written, found = found, found.casefold()
        if kind in ("space", "wrapper"):
            # "1_000" must stay two numbers side by side, and "**90**%" a number and its sign.
            glued = glued and kind == "wrapper"
            continue
        if kind == "tag":
            new = _tag(found)
        elif kind == "latex":
            sign = _SAID_IN_LATEX.get(found)
            new = [Token("sign", sign, glued=glued)] if sign else []
        elif kind == "number":
            new = [_number(found, glued)]
        elif kind == "bad":
            new = [Token("number", found, glued=glued)]
        elif kind == "word":
            new = [Token("word", found, glued=glued, capital=not written[0].islower())]
        elif kind == "line":
            new = [Token("line", "\n")]
        else:
            new = [Token("sign", "..." if kind == "dots" else found, glued=glued)]
        tokens += new
        glued = kind not in ("line", "tag") and (bool(new) or glued)
    return tokens


def _plain(text: str) -> str:
    """`text` with ASCII digits and signs and without invisible characters."""
    shown = html.unescape(text).translate(_SIGNS)
    shown = "".join(_digit(c) for c in shown if unicodedata.category(c) != "Cf")
    shown = re.sub(r"\s*\n", "\n", shown.replace("\r", "\n"))
    return _PAIRED_DOLLARS.sub(r" \1 ", shown)


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


def _tag(found: str) -> list[Token]:
    name = found.strip("</> ")
    if name in _PLAIN_TAGS:
        return []
    if found.startswith("</"):
        return [Token("sign", ".")]
    if name in ("confidence", "probability", "likelihood"):
        return [Token("word", name), Token("sign", ":", glued=True)]
    return [Token("sign", found)]


def _number(found: str, glued: bool) -> Token:
    parts = re.split(r"[.,]", found)
    marks = "".join(c for c in found if c in ".,")
    if not marks:
        return Token("number", found, float(found), glued=glued)
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", found) and parts[0] != "0":
        return Token("number", found, float(found.replace(",", "")), glued=glued)
    if marks == ".":
        return Token("number", found, float(found), decimals=True, glued=glued)
    if marks == "," and (parts[0] == "0" or len(parts[1]) <= 2):
        value = float(found.replace(",", "."))
        return Token("number", found, value, True, parts[0] != "0", glued)
    return Token("number", found, glued=glued)


def sentences(tokens: Sequence[Token]) -> Iterator[tuple[list[Token], bool]]:
    """The sentences of a reply, each with whether it is a question.

    A line's end is one only where a statement could be complete: behind a number, before a capital
    letter or another number. ("not", a line's end, "100%" is one sentence.)
    """
    sentence: list[Token] = []
    for place, token in enumerate(tokens):
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        if not _ends(token, after, any(t.kind == "number" for t in sentence)):
            if token.kind != "line":
                sentence.append(token)
            continue
        if sentence:
            yield sentence, token.text == "?"
        sentence = []
    if sentence:
        yield sentence, False


def _ends(token: Token, after: Token | None, numbered: bool) -> bool:
    if token.kind == "line":
        follows = after is not None and after.kind in ("word", "number") and after.capital
        return numbered and follows
    if token.kind != "sign" or token.text not in (".", "!", "?", ";", "..."):
        return False
    if token.text == "..." and token.glued and numbered:
        return False  # "0.999...": left in the sentence, where nothing understands it
    # "sure.90%" could be 90% or .90%.
    return after is None or not after.glued or (after.kind == "word" and after.capital)
