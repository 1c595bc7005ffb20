"""The values of the grammar in `stated`: quantities, fractions, ranges and tolerances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness_tasks.elicitation.methods.stated_tokens import Token
from harness_tasks.elicitation.methods.stated_words import SMALL, TENS, UNITS

MIDDLE = "a range, read as its middle"
TOLERANCE = "a value with a tolerance, read as the value"
ENDLESS = "a decimal that continues, read as far as it was written"
# Denominators that are read as fractions; 9/11 or 12/25 is as likely a date.
WHOLES = {*range(2, 11), 20, 50, 100, 1000}
_PERCENT = {"%", "percent", "pct"}
_NOTHING = Token("end", "")


class Refused(ValueError):
    """Why a reply is not read; ``in 'the reply'`` is added to the words."""


@dataclass(frozen=True)
class Stated:
    """A probability that a reply states.

    Attributes:
        value: in [0, 1].
        note: how it was read, where it is not what was literally written.
        marked: whether a percent sign or a fraction shows that it is a share.
        doubt: why it may be on another scale, if it may.
    """

    value: float
    note: str | None = None
    marked: bool = True
    doubt: str | None = None


SCALE = Stated(math.nan, "from 0% to 100%")
UNIT_SCALE = Stated(math.nan, "from 0 to 1")


@dataclass(frozen=True)
class _Quantity:
    value: float
    end: int
    marked: bool = False
    decimals: bool = False
    comma: bool = False
    spelt: bool = False
    endless: bool = False

    @property
    def fraction(self) -> bool:
        """Whether it is a probability as it stands, since decimals up to 1 are."""
        return not self.marked and self.decimals and self.value <= 1

    @property
    def doubt(self) -> str | None:
        """Why it may be no percentage, if it stands without a percent sign."""
        if self.value == 1 and not self.decimals:
            return "a whole 1, which may be one percent or certainty,"
        if 1 < self.value < 10 and self.decimals:
            return "a small number with decimals, which may be a percentage or a rating out of ten,"
        return None

    def probability(self, marked: bool) -> float:
        if self.comma and not (self.marked or marked):
            raise Refused("a comma that may separate two numbers")
        value = self.value if self.decimals and self.value <= 1 and not marked else self.value / 100
        if not 0 <= value <= 1:
            raise Refused("a number out of range")
        return value


def parse_value(tokens: Sequence[Token], at: int) -> tuple[Stated, int] | None:
    """The value that begins at the token `at`, and where it ends; ``None`` if none begins there.

    Raises:
        Refused: a number stands there that is no value of the grammar.
    """
    return _Values(tokens).value(at)


class _Values:
    def __init__(self, tokens: Sequence[Token]):
        self.tokens = tokens

    def _token(self, at: int) -> Token:
        return self.tokens[at] if at < len(self.tokens) else _NOTHING

    def _linked(self, at: int) -> bool:
        """Whether a sign stands at `at` that joins two numbers into a date, a time or the like."""
        after = self._token(at + 1)
        return self._token(at).text in ("/", ":", "-") and after.kind == "number" and after.glued

    def _words(self, at: int, *words: str) -> bool:
        return all(self._token(at + i).text == word for i, word in enumerate(words))

    def value(self, at: int) -> tuple[Stated, int] | None:
        if self._words(at, "out", "of") and (whole := self._quantity(at + 2)):
            if whole.value != 100:
                raise Refused("another scale than from 0% to 100%")
            return SCALE, whole.end
        opened = self._token(at).text if self._token(at).text in ("between", "from") else ""
        first = self._quantity(at + 1 if opened else at)
        if first is None:
            return None
        second = self._second(first, opened == "between")
        if second is None:
            if opened:
                raise Refused(f"{opened!r} without a range")
            return self._even(first) or self._fraction(first) or self._tolerance(first)
        if self._second(second, False) or self._linked(second.end):
            raise Refused("a date or several numbers")
        return self._range(first, second), second.end

    # ------------------------------------------------------------------------------- quantities

    def _quantity(self, at: int) -> _Quantity | None:
        token = self._token(at)
        if token.text == "%" and self._token(at + 1).kind == "number":
            number = self._token(at + 1)
            if not number.glued or self._token(at + 2).text in _PERCENT:
                raise Refused("a percent sign that belongs to no number")
            self._check_alone(at + 1, at)
            return _Quantity(number.value, at + 2, True, number.decimals, number.comma)
        if token.kind == "number":
            self._check_alone(at, at)
            value, end, spelt = token.value, at + 1, False
            # "0.999...": from three decimals on, what is left out is less than a thousandth.
            if endless := self._words(end, "...") and len(token.text.partition(".")[2]) >= 3:
                end += 1
        elif found := self._spelt(at):
            (value, end), spelt, endless = found, True, False
        else:
            return None
        marked = 0
        if self._token(end).text in _PERCENT:
            marked = 1
        elif self._words(end, "per", "cent"):
            marked = 2
        elif spelt and value == 1 and self._token(end).text not in ("in", "out"):
            return None  # "the one that"
        elif self._token(end).kind == "word" and self._token(end).glued:
            raise Refused("a number in a word")
        return _Quantity(
            value, end + marked, bool(marked), token.decimals, token.comma, spelt, endless
        )

    def _check_alone(self, at: int, start: int) -> None:
        before = self._token(start - 1) if start else _NOTHING
        if self._token(start).glued and (before.kind != "sign" or before.text in (".", ",", "%")):
            raise Refused("a number in a word")
        if math.isnan(self._token(at).value):
            raise Refused("a number in a form that is not read")

    def _spelt(self, at: int) -> tuple[float, int] | None:
        word = self._token(at).text
        if word == "hundred":
            return 100, at + 1
        if word in ("a", *SMALL) and self._token(at + 1).text == "hundred":
            return 100 * SMALL.get(word, 1), at + 2
        if word in TENS:
            dash = self._token(at + 1)
            unit = at + (2 if dash.text == "-" and dash.glued else 1)
            if UNITS.get(self._token(unit).text):
                return TENS[word] + UNITS[self._token(unit).text], unit + 1
            return TENS[word], at + 1
        return (SMALL[word], at + 1) if word in SMALL else None

    # ----------------------------------------------------------------------- what they combine to

    def _second(self, first: _Quantity, between: bool) -> _Quantity | None:
        """The upper end of a range that begins with `first`."""
        link, after = self._token(first.end), self._token(first.end + 1)
        dash = link.text in ("-", "~") and link.glued == after.glued
        if dash or link.text == "to" or (between and link.text == "and"):
            return self._quantity(first.end + 1)
        return None

    def _range(self, low: _Quantity, high: _Quantity) -> Stated:
        marked = low.marked or high.marked
        if not marked:
            if (low.value, high.value) == (0, 1):
                return UNIT_SCALE
            whole = not (low.decimals or high.decimals) and low.value >= 10
            if not (whole or high.value == 100 and low.value in (0, 1)):
                if not (low.fraction and high.fraction):
                    raise Refused("a range without a percent sign")
        elif low.fraction and not high.decimals:
            raise Refused("a range of a fraction and a percentage")
        ends = low.probability(marked), high.probability(marked)
        if ends[1] == 1 and low.value in (0, 1):
            return SCALE
        if ends[0] > ends[1]:
            raise Refused("a range the wrong way round")
        note = MIDDLE if ends[0] < ends[1] else None
        return Stated(round(sum(ends) / 2, 12), note, marked or not low.fraction)

    def _even(self, first: _Quantity) -> tuple[Stated, int] | None:
        """Read "50/50", "50:50", "fifty-fifty", "fifty fifty"; "50-50" is a range."""
        if first.value != 50:
            return None
        spaced = first.spelt and self._token(first.end).text == "fifty"
        if spaced or self._token(first.end).text in ("/", ":"):
            other = self._quantity(first.end + (0 if spaced else 1))
            if other and other.value == 50 and not self._linked(other.end):
                return Stated(0.5), other.end
        return None

    def _fraction(self, first: _Quantity) -> tuple[Stated, int] | None:
        at = first.end + (self._token(first.end).text == "(")
        if self._words(at, "out", "of"):
            whole = self._quantity(at + 2)
        elif self._token(first.end).text in ("/", "of", "in") or self._linked(first.end):
            whole = self._quantity(first.end + 1)
        else:
            return None
        if whole is None:
            return None  # "90% in total": the words decide
        clock = self._token(first.end).text == ":" or self._linked(whole.end)
        marked = first.marked or whole.marked
        if whole.value == 0 or first.value > whole.value:
            raise Refused("a fraction out of range")
        counted = marked or self._token(first.end).text == "of"  # "8 of 10" can count anything
        if clock or whole.value not in WHOLES or (counted and whole.value != 100):
            raise Refused("a date, a time or a fraction of another whole")
        return Stated(first.value / whole.value), whole.end

    def _tolerance(self, first: _Quantity) -> tuple[Stated, int]:
        at = first.end + (self._token(first.end).text == "(")
        width, marked = None, first.marked
        if self._token(at).text in ("±", "+/-"):
            width = self._quantity(at + 1)
        elif self._words(at, "plus", "or", "minus"):
            width = self._quantity(at + 3)
        marked = first.marked or (width is not None and width.marked)
        doubt = None if marked else first.doubt
        note = TOLERANCE if width else ENDLESS if first.endless else None
        stated = Stated(first.probability(marked), note, marked, doubt)
        return stated, width.end if width else first.end
