"""Numbers in a text: which runs of characters form a number, and its exact value.

What `match` reads at a place where a number may begin, longest form first (d is a digit of any
script; every value is exact, never a float):

    sign         "-", U+2212 or an en dash directly before the number, and not directly behind a
                 word or a number, where it is a hyphen or a range ("10-5"); "+" is read and dropped
    thousands    1,000  1,234,567  1 000 000  1'000  1.234.567  12,34,567 (India): groups of three
                 digits, the first without a leading zero
    decimals     1.5  .5  1,5  0,125  1.234,56: a point is decimal unless two of them group digits
                 by three; a comma is decimal unless the digits behind it are one group of three
                 (so "1.500" is one and a half, and "1,500" is fifteen hundred)
    fractions    1/2  2 1/2: in lowest terms and below one; "50/50", "6/8", "12/25/2024" are not
    powers       3e8  3 × 10^8  10^6
    magnitudes   2.5 million, 12 billion: hundred, thousand, million, billion, trillion
    percent      50%, 50 percent, 50 per cent: a hundredth each; ‰ a thousandth
    currency     $5, US$5, 5 dollars, 5 USD, 5 €: kept beside the value
    ordinals     1st, 2nd, 21st
    words        seven, twenty-one, one hundred and five, two thirds, third, twenty-first (English)

Labels, not numbers, and compared digit by digit: 12:30, 3:1, 3.10.2, 12/25/2024, 007, what is glued
to a letter (B12, v3.10), and decimals behind a capitalised word (Python 3.10 is not Python 3.1;
zeros alone behind the point never count).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from math import gcd
from typing import NamedTuple

LONGEST = 60  # digits; longer numbers are compared as they are written
_SEEN = 40  # characters before a number that can tell what it is
_SIGNS = {"-": "-", "\u2212": "-", "\u2013": "-", "+": ""}

_GROUPED = (
    r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"
    r"|[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?"
    r"|[1-9]\d{0,2}(?:\.\d{3}){2,}(?:,\d+)?|[1-9]\d{0,2}(?:\.\d{3})+,\d+"
    r"|[1-9]\d{0,2}(?: \d{3})+(?:[.,]\d+)?"
    r"|[1-9]\d{0,2}(?:'\d{3})+(?:\.\d+)?"
)
_END = r"(?!\d|[.,/:]\d)"
_GROUPS = re.compile(rf"(?:{_GROUPED}){_END}")
_PLAIN = re.compile(rf"(?:\d+[.,]\d+|\.?\d+){_END}")
_PARTS_OF = re.compile(r"(.*?)(?:([.,])(\d+))?")
_FRACTION = re.compile(r"(?:(\d{1,6}) )?(\d{1,6})/(\d{1,6})(?![\d/:.]|,\d)")
_LABEL = re.compile(r"\d+(?:[:/]\d+)+|\d+(?:\.\d+){2,}")
# A dash after these joins, or means "to"; it is not a sign.
_BINARY = re.compile(r"(?:[^\W_]|[)\]%])$|\d $")
# A capitalised word, or one that says that a version follows.
_NAME = re.compile(r"(?:\b[^\W\d_a-z][^\W\d_]*|\bversion|\bv)[ -]$")
_DIGITS = re.compile(r"\.?\d+")
_POWER = re.compile(
    r"[eE]([+\-\u2212]?\d{1,2})(?![\w.])|\s?[×x*·]\s?10\^([+\-\u2212]?\d{1,2})(?!\d)"
)
_TEN = re.compile(r"\^([+\-\u2212]?\d{1,2})(?!\d)")
_MAGNITUDE = re.compile(r"[\s-]?(hundred|thousand|million|billion|trillion)\b", re.IGNORECASE)
_PERCENT = re.compile(r"\s?(?:(%|percent\b|per cent\b|pct\b)|‰)", re.IGNORECASE)
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b", re.IGNORECASE)

CURRENCIES = {
    "$": r"USD|(?:US )?dollars?", "€": r"EUR|euros?", "£": r"GBP|pounds? sterling",
    "¥": r"JPY|yen|円", "₹": r"INR|rupees?", "₩": r"KRW", "₽": r"RUB|roubles?|rubles?",
}  # fmt: skip
SYMBOLS = "".join(chr(c) for c in [*range(0x24, 0xFFFF)] if unicodedata.category(chr(c)) == "Sc")
_BEGIN = f".{''.join(_SIGNS)}{SYMBOLS}"
_BEFORE = re.compile(
    rf"(?:(?P<land>[A-Z]{{1,3}})?(?P<symbol>[{re.escape(SYMBOLS)}])|(?P<code>[A-Z]{{3}}))\s?"
)
_AFTER = re.compile(
    rf"\s?(?:(?P<symbol>[{re.escape(SYMBOLS)}])|(?P<word>円|(?:"
    + "|".join(CURRENCIES.values()) + r")\b))", re.IGNORECASE,
)  # fmt: skip

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SMALL = dict(zip(_UNITS, range(20), strict=True)) | dict(
    zip(_TENS, range(20, 100, 10), strict=True)
)
_LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13,
    "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18,
    "nineteenth": 19, **{f"{word[:-1]}ieth": _SMALL[word] for word in _TENS},
}  # fmt: skip
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4} | {
    name + s: n for name, n in _ORDINALS.items() if 3 <= n <= 10 for s in ("", "s")
}
_NUMBER_WORDS = "|".join(sorted([*_SMALL, "hundred", *_LARGE], key=len, reverse=True))
_ORDINAL_WORDS = "|".join(sorted(_ORDINALS, key=len, reverse=True))
_PART_WORDS = "|".join(sorted(_PARTS, key=len, reverse=True))
_WORDS = re.compile(
    rf"(?:(?P<tens>{'|'.join(_TENS)})[ -])?(?P<ordinal>{_ORDINAL_WORDS})(?!\w)"
    rf"|(?:(?P<minus>minus|negative) )?(?P<number>(?:{_NUMBER_WORDS})"
    rf"(?:(?: and |[ -])(?:{_NUMBER_WORDS}))*)(?:[ -](?P<part>{_PART_WORDS}))?(?!\w)",
    re.IGNORECASE,
)
_MINUS = re.compile(r"(?:minus|negative) (?=[\d.])", re.IGNORECASE)


class Number(NamedTuple):
    """A number in a text: its canonical form, its unit, and where it ends."""

    value: str
    unit: str
    end: int


def match(text: str, start: int) -> Number | None:
    """The number that begins at `start`, or ``None``.

    `text` has ASCII digits and plain single spaces; case counts (see "labels" above).
    """
    before = text[max(0, start - _SEEN) : start]
    inside = _inside_word(before)
    first = text[start]
    if not (first.isdigit() or first in _BEGIN or first.isalpha() and not inside):
        return None
    if not inside and (found := _words(text, start)):
        return found
    place, sign, unit = start, "", ""
    if not inside and (minus := _MINUS.match(text, start)):
        place, sign = minus.end(), "-"
    elif text[place] in _SIGNS and not _BINARY.search(before):
        sign, place = _SIGNS[text[place]], place + 1
        if text[start] == "\u2212" and text[place : place + 1] == " ":
            place += 1
    if not inside and (money := _BEFORE.match(text, place)):
        unit, place = _currency(money), money.end()
        if text[place : place + 1] in ("-", "\u2212") and not sign:
            sign, place = "-", place + 1
    if unit is None or not re.match(r"\.?\d", text[place : place + 2]):
        return None
    return _digits(text, place, sign, unit)


def find(text: str) -> Iterator[tuple[int, Number]]:
    """The numbers of `text` with the place at which each begins, in their order."""
    place = 0
    while place < len(text):
        if number := match(text, place):
            yield place, number
            place = number.end
        else:
            place += 1


def _digits(text: str, place: int, sign: str, unit: str) -> Number:
    """The number whose first digit, or point, is at `place`."""
    before = text[max(0, place - _SEEN) : place]
    glued = before[-1:].isalpha()
    named = glued or _NAME.search(before) is not None
    if fraction := None if glued else _FRACTION.match(text, place):
        whole, top, bottom = (int(part or 0) for part in fraction.groups())
        if 0 < top < bottom and gcd(top, bottom) == 1:
            return _finish(text, fraction.end(), sign, Fraction(top, bottom) + whole, unit)
    if not (grouped := _GROUPS.match(text, place)):
        if label := _LABEL.match(text, place):
            parts = re.split(r"([:/.])", label[0])
            plain = "".join(str(int(p)) if p.isdigit() and len(p) < 3 else p for p in parts)
            return Number(sign + plain, unit, label.end())
    listed = re.search(r"\d,$", before)  # of "1,2,3" each is a number, and none is 2.3
    found = grouped or (None if listed else _PLAIN.match(text, place)) or _DIGITS.match(text, place)
    written = _ungrouped(found[0]) if grouped else found[0].replace(",", ".")
    whole, _, rest = written.partition(".")
    if not rest.strip("0"):
        written, rest = whole or "0", ""
    padded = whole[:1] == "0" and len(whole) > (1 if glued else 2)
    if len(written) > LONGEST or padded or named and rest.endswith("0"):
        return Number(sign + written, unit, found.end())
    if glued:
        return Number(canonical(Fraction(written)), unit, found.end())
    return _finish(text, found.end(), sign, Fraction(written), unit)


def _ungrouped(written: str) -> str:
    """A number with separators of thousands as plain digits with a decimal point."""
    head, mark, tail = _PARTS_OF.fullmatch(written).groups()
    if mark and (mark in head or len(tail) == 3 and head.isdigit()):
        head, tail = head + tail, None
    return re.sub(r"\D", "", head) + (f".{tail}" if tail else "")


def _finish(text: str, end: int, sign: str, value: Fraction, unit: str) -> Number:
    """The number with what follows it: a power of ten, a magnitude, a unit, an ordinal's ending."""
    if value == 10 and (ten := _TEN.match(text, end)):
        value, end = Fraction(10) ** _int(ten[1]), ten.end()
    elif power := _POWER.match(text, end):
        value, end = value * Fraction(10) ** _int(power[1] or power[2]), power.end()
    while magnitude := _MAGNITUDE.match(text, end):
        value, end = value * ({"hundred": 100} | _LARGE)[magnitude[1].lower()], magnitude.end()
        if value > 10**LONGEST:
            break
    if percent := _PERCENT.match(text, end):
        value, end = value / (100 if percent[1] else 1000), percent.end()
    elif ordinal := _ORDINAL.match(text, end):
        return Number(f"{sign}{canonical(value)}th", unit, ordinal.end())
    elif not unit and (money := _AFTER.match(text, end)):
        unit, end = _currency(money), money.end()
    sign = sign if value else ""
    return Number(sign + canonical(value), unit, end)


def canonical(value: Fraction) -> str:
    """One text per value: digits, or numerator and denominator."""
    top, bottom = value.as_integer_ratio()
    return str(top) if bottom == 1 else f"{top}÷{bottom}"


def _currency(found: re.Match) -> str | None:
    """Return the symbol of the currency; ``None`` for three capitals that name no currency."""
    groups = found.groupdict()
    if symbol := groups.get("symbol"):
        land = groups.get("land")
        return symbol if not land or land == "US" else land + symbol
    word = groups.get("code") or groups.get("word")
    return next(
        (sign for sign, names in CURRENCIES.items() if re.fullmatch(names, word, re.IGNORECASE)),
        None,
    )


def _words(text: str, start: int) -> Number | None:
    """A number in English words; a single "one" only at the end: elsewhere it is a pronoun."""
    found = _WORDS.match(text, start)
    if not found:
        return None
    if ordinal := found["ordinal"]:
        tens = _SMALL[found["tens"].lower()] if found["tens"] else 0
        value = tens + _ORDINALS[ordinal.lower()]
        return Number(f"{value}th", "", found.end()) if not tens or value - tens < 10 else None
    words = re.split(r"[ -]", found["number"].lower())
    value, used = _count(words)
    if value is None:
        return None
    kept = sum(len(word) + 1 for word in words[:used]) - 1
    end = found.start("number") + kept
    sign = "-" if found["minus"] else ""
    if used == len(words) and found["part"]:
        part = found["part"].lower()
        if (value == 1) != part.endswith("s"):
            return Number(sign + canonical(Fraction(value, _PARTS[part])), "", found.end())
    if words[:used] == ["one"] and re.match(r"\s*[^\W\d_]", text[end:]):
        return None
    return _finish(text, end, sign if value else "", Fraction(value), "")


def _count(words: list[str]) -> tuple[int | None, int]:
    """Value of the longest beginning of `words` that is a number, and how many words it has."""
    total, current, best, used, last = 0, None, None, 0, 10**15
    scale = 10**15
    for place, word in enumerate(words, start=1):
        if word == "and":
            if current is None and not total:
                break
            continue
        if word in _SMALL:
            small = _SMALL[word]
            follows = small < last >= 20 and (small < 10 or last >= 100)
            if current is not None and not follows:
                break
            current, last = (current or 0) + small, small if small >= 20 else 1
            if small == 0 and place > 1:
                break
        elif word == "hundred":
            if current is None or not 0 < current < 100:
                break
            current, last = current * 100, 100
        else:
            if not current or _LARGE[word] >= scale:
                break
            scale = _LARGE[word]
            total, current, last = total + current * scale, None, 10**15
        best, used = total + (current or 0), place
    return best, used


def _inside_word(before: str) -> bool:
    return before[-1:].isalnum() or unicodedata.category(before[-1:] or " ")[0] == "M"


def _int(text: str) -> int:
    return int(text.replace("\u2212", "-"))
