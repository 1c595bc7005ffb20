"""Parse an answer for comparison: a sequence of words, numbers and symbols.

    text     ::= { word | number | symbol | separator }
    word     ::= letters of one script, with their marks
    number   ::= see `harness_tasks.elicitation.numerals`
    symbol   ::= a sign that distinguishes; each is a token of its own

Before that: NFKC (full width is half width, a ligature its letters), except that superscripts
become "^2", subscripts behind a digit "_2", and ½ "1/2"; characters without width are removed;
every white space is a space; digits of all scripts are ASCII.

* Words are case-folded. Marks are removed from Latin and Greek letters alone (Bogotá is Bogota; か
  is not が, й not и, कि not की), and Latin letters that do not decompose are spelt out (Ł L, Ø O, Đ
  D, ı i, Æ AE, Œ OE, Þ TH).
* Separators are spaces, punctuation, brackets, quotation marks and hyphens. What stands on both
  sides of one may be written together: "Jay-Z", "Jay Z" and "JayZ" are one name, "O Brien" is
  "O'Brien", "T.S." is "T. S."; numbers never join ("1 5" is not "15").
* Symbols are what is left (+ < > = √ ^ ° ♭ ♥ …), further "#" or "*" behind a letter (C#, A*), "+"
  there too (C++, A+) and "-" if a space or the end follows (A-), primes (10′ is not 10″), and a
  dash or "to" between two numbers, a range. "&" is "and", "°" degrees, "~" about. A "#" before a
  number, ™ ® ©, and asterisks around words are not read.
* "the", "a", "an" are articles, and not read, if another word follows behind a space; a capital A
  is one only at the beginning ("Vitamin A deficiency"), so that a letter that is the answer stays.
* A date is read day first: "May 18th, 2018" is "18 May 2018". * A text of which nothing would be
left is its characters.

Inside a text, an accepted answer is found only from one boundary to another (`Token.opens`,
`Token.closes`): at separators; not between a letter and a digit or symbol glued to it (B12, C++).
Han and kana have no spaces; there a boundary is a change of script at hiragana, or a word such
as 是 or の, or behind the answer a 市, 县, 都 …: 首都是北京 contains 北京, 東京都 does not contain
京都, 南アメリカ not アメリカ. In Hangul a particle may follow (서울입니다). In Thai, Lao, Khmer and
Burmese every letter is a boundary, and answers of fewer than four are not
looked for inside a longer text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from harness_tasks.elicitation import numerals

WORD, NUMBER, SYMBOL = "word", "number", "symbol"

_SPELT = str.maketrans({
    "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe",
    "þ": "th", "ŀ": "l",
})  # fmt: skip
_HIGH = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾", "0123456789+-()")
_LOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufe00-\ufe0f]")
_QUOTES = str.maketrans("’‘ʼ‛´`“”„‟", "''''''\"\"\"\"")
_SEPARATED = str.maketrans("⁄∕٫٬♯", "//.,#")
_READ_AS = {"&": "and", "°": "degrees", "~": "about", "≈": "about"}
_UNREAD = "™®©℠"
_DEGREES = re.compile(r"°\s?(?:(C)(?:elsius)?|(F)(?:ahrenheit)?)\b", re.IGNORECASE)
_ARTICLE = re.compile(r"(?:the\s+(?=\W*\w)|(an?)\s+(?=\W*[^\W\d_]))", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TAIL = re.compile(r"[^\W\d_]*$")
_ISO_DATE = re.compile(r"(?<!\d)(\d{4})-(0[1-9]|1[0-2])-([0-2]\d|3[01])(?!\d)")

_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_SHORT = {month[:3]: month for month in _MONTHS} | {"sept": "september"}

# Words that may precede a name that is looked for, and words that may follow it.
_BEHIND = set("是在的为為和与與及或叫了于於到从從由被把對对位即乃都有") | set(
    "はがをにのとでへもや"
)
_AHEAD = _BEHIND | set("市省县縣府区區吗嗎吧也呢") | set("だな")
_HANGUL_ENDS = re.compile(
    "(?:은|는|이|가|을|를|의|에|에서|에게|로|으로|와|과|도|만|다|이다|입니다|이에요|예요|이야|야)?"
)
# Scripts that put no space between words, by the first and last code point.
_UNSPACED = (
    ("hiragana", 0x3041, 0x309F), ("katakana", 0x30A0, 0x30FF), ("han", 0x3005, 0x3007),
    ("han", 0x3400, 0x9FFF), ("han", 0xF900, 0xFAFF), ("han", 0x20000, 0x3FFFF),
    ("hangul", 0xAC00, 0xD7A3), ("thai", 0x0E00, 0x0EFF), ("thai", 0x1000, 0x109F),
    ("thai", 0x1780, 0x17FF),
)  # fmt: skip
_CJK = ("hiragana", "katakana", "han")


class Token(NamedTuple):
    """A word, number or symbol.

    Attributes:
        kind: one of `WORD`, `NUMBER`, `SYMBOL`.
        text: its canonical form.
        unit: currency of a number, or "".
        opens, closes: whether an answer that is looked for may begin, or end, here.
    """

    kind: str
    text: str
    unit: str = ""
    opens: bool = True
    closes: bool = True


class _Found(NamedTuple):
    token: Token
    start: int
    end: int


@lru_cache(maxsize=1 << 14)
def read(text: str, articles: bool = False) -> tuple[Token, ...]:
    """The tokens of `text`, with its articles or without; empty if no character is visible."""
    plain = prepare(text)
    tokens = _dates(_bounded(_scan(plain, articles), plain))
    bare = "".join(plain.split())
    return tuple(tokens) or ((Token(SYMBOL, bare),) if bare else ())


@lru_cache(maxsize=1 << 12)
def script(char: str) -> str:
    """Name of the script without spaces that `char` belongs to, "thai" for its like; else ""."""
    code = ord(char)
    return next((name for name, low, high in _UNSPACED if low <= code <= high), "")


def prepare(text: str) -> str:
    """`text` in the characters that the grammar is written for, white space collapsed."""
    if text.isascii():
        text = text.replace("`", "'")
        return _ISO_DATE.sub(_spelt_date, " ".join(_CONTROL.sub(" ", text).split()))
    visible = (c for c in text if unicodedata.category(c) != "Cf" or ord(c) >= 0xE0000)  # flags
    text = _INVISIBLE.sub("", "".join(visible)).translate(_QUOTES)
    text = re.sub("[⁰¹²³⁴-⁾]+", lambda found: "^" + found[0].translate(_HIGH), text)
    text = re.sub("(?<=\\d)[₀-₉]+", lambda found: "_" + found[0].translate(_LOW), text)
    text = re.sub("[¼-¾⅐-⅞↉]", lambda found: " " + unicodedata.normalize("NFKC", found[0]), text)
    text = "".join(c for c in text if c not in _UNREAD) if text.strip(_UNREAD + " ") else text
    text = unicodedata.normalize("NFKC", text).translate(_SEPARATED)
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    return _ISO_DATE.sub(_spelt_date, " ".join(_CONTROL.sub(" ", text).split()))


def _spelt_date(date: re.Match) -> str:
    return f"{date[3]} {_MONTHS[int(date[2]) - 1]} {date[1]}"


def _scan(text: str, articles: bool) -> list[_Found]:
    found: list[_Found] = []
    place = 0
    while place < len(text):
        if number := numerals.match(text, place):
            token = Token(NUMBER, number.value, number.unit)
            found.append(_Found(token, place, number.end))
            place = number.end
        elif article := _article(text, place, any_case=articles, first=not found):
            if articles:  # not a word, which could be joined to another
                token = Token(SYMBOL, article[0].strip().lower())
                found.append(_Found(token, place, article.end()))
            place = article.end()
        elif _is_letter(text[place]):
            end = place + 1
            while end < len(text) and _continues(text, place, end):
                end += 1
            found += _words(text, place, end)
            place = end
        elif degrees := _DEGREES.match(text, place):
            scale = "celsius" if degrees[1] else "fahrenheit"
            found.append(_Found(Token(WORD, "degrees"), place, place))
            found.append(_Found(Token(WORD, scale), degrees.end(), degrees.end()))
            place = degrees.end()
        else:
            if here := _READ_AS.get(text[place]):
                found.append(_Found(Token(WORD, here), place, place))
            elif symbol := _symbol(text, place, found):
                found.append(_Found(Token(SYMBOL, symbol), place, place + 1))
            place += 1
    return found


@lru_cache(maxsize=1 << 12)
def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] == "L"


def _continues(text: str, start: int, place: int) -> bool:
    """Whether the character at `place` belongs to the word that began at `start`."""
    if text[place].isascii():
        return text[place].isalpha() and not script(text[start])
    kind = unicodedata.category(text[place])[0]
    return kind == "M" or kind == "L" and script(text[place]) == script(text[start])


def _article(text: str, place: int, any_case: bool, first: bool) -> re.Match | None:
    """The article at `place` with the space behind it, if there is one."""
    found = _ARTICLE.match(text, place)
    inside = place and (text[place - 1].isalnum() or text[place - 1] in "'-&/")
    if not found or inside or not any_case and found[1] == "A" and not first:
        return None
    return found


def _symbol(text: str, place: int, found: list[_Found]) -> str:
    """The symbol at `place`, or "" if it separates or is not read."""
    here, behind, ahead = text[place], text[:place], text[place + 1 :]
    if here in " .,;:!?()":
        return ""
    letters = _TAIL.search(behind[-3:])[0]
    if here in "'\"":
        open_before = behind.count(here) % 2
        prime = behind[-1:].isdigit() and not open_before and not re.match(r"\w*[^\W\d]", ahead)
        return {"'": "′", '"': "″"}[here] if prime else ""
    if here in "-\u2010\u2011\u2013\u2014\u2212":
        if here in "-\u2212" and 0 < len(letters) < 3 and not ahead[:1].isalnum():
            return "-"
        spaces = len(ahead) - len(ahead.lstrip())
        last = found[-1] if found else None
        counts = last and last.token.kind == NUMBER and not text[last.end : place].strip()
        return "–" if counts and numerals.match(text + " ", place + 1 + spaces) else ""
    if here == "*":
        return here if len(letters) == 1 and "*" not in behind and not ahead[:1].isalnum() else ""
    if here == "#":
        return here if letters else ""
    if here == "_":
        return here if behind[-1:].isdigit() and ahead[:1].isdigit() else ""
    return here if here in "%‰@′″‴" or unicodedata.category(here)[0] in "SNM" else ""


def _words(text: str, start: int, end: int) -> list[_Found]:
    """The letters from `start` to `end`: one word, or one each in a script without spaces."""
    kind = script(text[start])
    if not kind:
        return [_Found(Token(WORD, _fold(text[start:end])), start, end)]
    found = []
    for at in range(start, end):
        if unicodedata.category(text[at])[0] == "M" and found:
            last = found[-1]
            token = last.token._replace(text=last.token.text + text[at])
            found[-1] = _Found(token, last.start, at + 1)
            continue
        found.append(_Found(Token(WORD, text[at]), at, at + 1))
    return [
        _Found(
            one.token._replace(
                opens=_opens(kind, text, one.start, start), closes=_closes(kind, text, one.end, end)
            ),
            one.start, one.end,
        )
        for one in found
    ]  # fmt: skip


def _opens(kind: str, text: str, place: int, start: int) -> bool:
    if kind == "thai" or not place:
        return True
    if kind == "hangul":
        return place == start
    before = script(text[place - 1])
    if before not in _CJK or text[place - 1] in _BEHIND:
        return True
    return before == "hiragana" != kind


def _closes(kind: str, text: str, place: int, end: int) -> bool:
    if kind == "thai" or place == len(text):
        return True
    if kind == "hangul":
        return _HANGUL_ENDS.fullmatch(text, place, end) is not None
    after = script(text[place])
    if after not in _CJK or text[place] in _AHEAD:
        return True
    return after == "hiragana" != kind


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    letters: list[str] = []
    bare = False
    for char in unicodedata.normalize("NFC", word.casefold()):
        if unicodedata.category(char)[0] == "M":
            letters += [] if bare else [char]
            continue
        bare = unicodedata.name(char, "").startswith(("LATIN", "GREEK"))
        parts = unicodedata.normalize("NFD", char) if bare else char
        letters += [c for c in parts if not bare or unicodedata.category(c)[0] != "M"]
    return "".join(letters).translate(_SPELT)


def _bounded(found: list[_Found], text: str) -> list[Token]:
    """The tokens, without a boundary where two are written as one ("B12", "C++", "U.S.")."""
    tokens = [one.token for one in found]
    for i in range(1, len(found)):
        one, other = found[i - 1], found[i]
        gap = text[one.end : other.start]
        initials = gap == "." and one.end - one.start == other.end - other.start == 1
        glued = not gap and one.start < one.end and other.start < other.end
        if initials and _both_letters(one, other) or glued and not _either_unspaced(one, other):
            tokens[i - 1] = tokens[i - 1]._replace(closes=False)
            tokens[i] = tokens[i]._replace(opens=False)
    return tokens


def _both_letters(one: _Found, other: _Found) -> bool:
    return one.token.kind == other.token.kind == WORD


def _either_unspaced(one: _Found, other: _Found) -> bool:
    pair = (one.token, other.token)
    unspaced = any(token.kind == WORD and script(token.text[0]) for token in pair)
    return unspaced or any(token.text == "–" for token in pair)


def _dates(tokens: list[Token]) -> list[Token]:
    """Ranges in one form ("10 to 20"), and dates with the day first."""
    read: list[Token] = []
    for token in tokens:
        read.append(token)
        numbers = [t.kind == NUMBER for t in read[-3:]]
        if numbers == [True, False, True] and read[-2].text == "to":
            read[-2] = Token(SYMBOL, "–")
    place = 0
    while place + 1 < len(read):
        one, other = read[place], read[place + 1]
        if _day(one) and other.text == "of" and place + 2 < len(read) and _month(read[place + 2]):
            read[place : place + 3] = [_plain(one), _named(read[place + 2])]
        elif _day(one) and _month(other):
            read[place : place + 2] = [_plain(one), _named(other)]
        elif _month(one) and _day(other):
            read[place : place + 2] = [_plain(other), _named(one)]
        elif _month(one) and other.kind == NUMBER:
            read[place] = _named(one)
        place += 1
    return read


def _day(token: Token) -> bool:
    number = token.text.removesuffix("th")
    free = token.kind == NUMBER and token.opens and token.closes and not token.unit
    return free and number.isdecimal() and 1 <= int(number[:3]) <= 31


def _month(token: Token) -> bool:
    return token.kind == WORD and (token.text in _MONTHS or token.text in _SHORT)


def _named(token: Token) -> Token:
    return token._replace(text=_SHORT.get(token.text, token.text))


def _plain(token: Token) -> Token:
    return token._replace(text=token.text.removesuffix("th"))
