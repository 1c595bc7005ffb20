"""The grammar of a stated probability. If a reply does not fit it, the confidence is missing.

A reply is a sequence of sentences. Those with a number must be statements of this form, in words
from the closed lists in `stated_words`, and all of them must state the same value:

    statement   = { clause } ; clauses end at a comma, a bracket, a dash between spaces
    clause      = words [ value words ] [ reason ]
    reason      = ( "because" | "since" | "sure that" ... ) any words without number or denial
    value       = quantity | fraction | range | quantity tolerance | "50/50" | "fifty-fifty"
    quantity    = number [ "%" | "percent" ] | "%" number | "ninety-five" [ "percent" ]
    fraction    = number ( "/" | "out of" | "in" ) whole | number "of 100"
    whole       = 2 to 10, 20, 50, 100 or 1000
    range       = [ "between" | "from" ] quantity ( "-" | "to" | "and" ) quantity
    tolerance   = ( "±" | "+/-" | "plus or minus" ) quantity

Read, for a prompt that asks for a percentage:

* "85%", "85 percent", "ninety percent", and 85 alone, behind "about" or behind a label such as
  "Confidence:", are 0.85; a number of at most 1 with decimals ("0.85", ".85", "1.0") is a
  probability. "9/10" and "9 out of 10" are 0.9, "50/50" is 0.5.
* A range is its middle ("60-70%" is 0.65), a value with a tolerance is the value ("90 ± 5%" is
  0.9), "0.999..." is the number as written, and "a 10% chance of being wrong" is 1 minus the value
  (0.9), each with a note.
* The same value twice is read, and so is a value next to the scale: "Confidence (0-100): 85".
* A question is no statement, so that an echoed prompt says nothing. Of a JSON object the
  confidence is read.

Refused; the confidence is missing, with a reason:

* several values; a value outside [0, 1]; a minus sign; dates, times, scores and arithmetic;
* a bound ("at least 90%", ">90%", "90+", "almost 100%"), since it is not a value;
* a denial: "not 100%", "90% incorrect", or a verdict against the answer beside any number;
* a range of the whole scale, of whole numbers below 10 ("1-10") or the wrong way round;
* "1,000" (a thousand), "1e2", "0.9...", "85th", "$90"; a bare "1" (1%, certain?), "9.5" (of 10?);
* a number after "the answer is" or "it is", unless the words say that it is a probability;
* a number beside a word that the lists do not have: it may be about something else;
* a sentence that breaks off ("90% or").
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from harness_tasks.elicitation.methods.stated_tokens import Token, sentences, tokenize
from harness_tasks.elicitation.methods.stated_values import (
    ENDLESS,
    Refused,
    Stated,
    parse_value,
)
from harness_tasks.elicitation.methods.stated_words import (
    ANSWERS,
    BOUND_SIGNS,
    BOUNDS,
    COPULAS,
    DANGLING,
    HEDGES,
    KNOWN,
    LABELS,
    NOT_BEFORE,
    NOT_BEHIND,
    NUMERALS,
    REASONS,
    SPEAKING,
    SURE,
    WRONG,
    denies,
    negates,
)
from harness_tasks.elicitation.question import Reading

_FENCE = re.compile(r"\A\s*```\w*\n|\n```\s*\Z")
COMPLEMENT = "a probability of being wrong, read as 1 minus it"


def parse_probability(text: str) -> Reading:
    """Read the probability that a model wrote when it was asked for a percentage.

    The module's docstring has the grammar.

    Returns:
        A `Reading` with a confidence in [0, 1] and, where the value is not what was literally
        written, ``extra={"note": ...}``; or ``None`` and the reason.
    """
    shown = text.strip()[:60]
    try:
        parts = sentences(tokenize(_unpacked(text)))
        found = [stated for sentence, question in parts for stated in _read(sentence, question)]
        values = [stated for stated in found if not math.isnan(stated.value)]
        if not values:
            raise Refused("only the scale itself" if found else "no number")
        first = next((stated for stated in values if stated.note != ENDLESS), values[0])
        if any(abs(other.value - first.value) > _room(other) for other in values):
            raise Refused("several numbers")
    except Refused as refusal:
        return Reading(None, f"{refusal} in {shown!r}")
    return Reading(first.value, extra={"note": first.note} if first.note else None)


def _room(stated: Stated) -> float:
    """How far another statement of the same value may be from this one."""
    return (1e-3 if stated.note == ENDLESS else 0) + 1e-9


def holds_number(text: str) -> bool:
    """Whether `text` holds a number, in digits or in words, whether or not it can be read."""
    return any(map(_numeral, tokenize(text)))


def shares(text: str) -> set[float]:
    """Every percentage or fraction in `text`, whatever it refers to."""
    tokens = tokenize(text)
    found = set()
    for at in range(len(tokens)):
        try:
            stated, _ = parse_value(tokens, at) or (None, at)
        except Refused:
            continue
        if stated is not None and stated.marked and not math.isnan(stated.value):
            found.add(stated.value)
    return found


def _unpacked(text: str) -> str:
    """The confidence in a reply that is a JSON object, as text; any other reply as it is."""
    inside = _FENCE.sub("", text).strip()
    if not inside.startswith("{"):
        return text
    try:
        found = json.loads(inside, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return text
    named = [value for name, value in found.items() if LABELS & set(name.casefold().split("_"))]
    if len(named) != 1 or not isinstance(named[0], str):
        raise Refused("no number under one name of a confidence")
    return named[0]


def _read(sentence: Sequence[Token], question: bool) -> list[Stated]:
    """The values that a sentence states: none if it holds no number or is a question."""
    _check_denials(sentence, question)
    if question:
        return []
    return _Statement(sentence).values() if any(map(_numeral, sentence)) else []


def _check_denials(sentence: Sequence[Token], question: bool) -> None:
    """Refuse a sentence without a number that takes back what another one may state.

    Raises:
        Refused: it says that something is wrong or not right, or is a bare "no" or "at most".
    """
    words = [token.text for token in sentence if token.kind == "word"]
    if not question and any(_numeral(token) for token in sentence):
        return  # the grammar of a statement handles these
    if WRONG & set(words) or (any(map(negates, words)) and SURE & set(words) - {"sure", "certain"}):
        raise Refused("a denial")
    if words and all(negates(word) or word in BOUNDS | DANGLING for word in words):
        raise Refused("a denial or a bound")


def _numeral(token: Token) -> bool:
    return token.kind == "number" or token.text in NUMERALS


class _Statement:
    """One sentence, parsed from left to right."""

    def __init__(self, tokens: Sequence[Token]):
        self.tokens = tokens
        self.found: list[Stated] = []
        self.words: list[str] = []  # all words of the sentence so far
        self.behind: list[str] | None = None  # those after the clause's value, once there is one
        self.needed = False  # whether the words after it must say that it is a probability

    def values(self) -> list[Stated]:
        """Every value that the sentence states; none if it holds no number.

        Raises:
            Refused: it holds a number and is not a statement.
        """
        at = 0
        while at < len(self.tokens):
            if found := parse_value(self.tokens, at):
                self._value(found[0], at)
                at = found[1]
            else:
                at = self._other(at)
        self._end_clause()
        last = self.tokens[-1]
        if last.text in DANGLING or last.text in (",", ":", "=", "-", "(", "~"):
            raise Refused("a sentence that breaks off")
        for stated in self.found:
            if stated.doubt:
                raise Refused(stated.doubt)
        return self.found

    def _value(self, stated: Stated, at: int) -> None:
        if math.isnan(stated.value):  # a scale
            self.found.append(stated)
            return
        if self.behind is not None:
            raise Refused("several numbers")
        before, words = self.tokens[at - 1] if at else None, set(self.words)
        if before is not None and before.text in NOT_BEFORE - ({"and"} if self.found else set()):
            raise Refused(f"{before.text!r} before the number")
        if not (stated.marked or LABELS & words or words <= HEDGES | SPEAKING):
            raise Refused("a number without a percent sign, which may be about something else")
        self.needed = bool(ANSWERS & words) and not (LABELS | SURE) & words
        self.found.append(stated)
        self.behind = []

    def _end_clause(self) -> None:
        if self.needed and not (LABELS | SURE) & set(self.behind or ()):
            raise Refused("a number that may be the answer itself")
        self.behind, self.needed = None, False

    def _other(self, at: int) -> int:
        """Take the token that no value begins with; return where to go on."""
        token = self.tokens[at]
        if token.kind == "sign":
            self._sign(at)
        elif negates(token.text):
            raise Refused("a denial")
        elif token.text in BOUNDS:
            raise Refused("a bound")
        elif token.text in WRONG:
            self._complement()
        elif token.text in REASONS and self.found:
            return self._skip(at, len(self.tokens))
        elif token.text in ("that", "of") and (end := self._subject(at)):
            return self._skip(at, end)
        elif token.text not in KNOWN:
            raise Refused(f"{token.text!r} beside the number, which is not understood,")
        else:
            self._word(token.text)
        return at + 1

    def _word(self, word: str) -> None:
        if word in ("and", "or", "so"):
            self._end_clause()
        elif self.behind is not None:
            if not self.behind and word in NOT_BEHIND:
                raise Refused(f"{word!r} behind the number")
            self.behind.append(word)
        self.words.append(word)

    def _sign(self, at: int) -> None:
        sign, after = self.tokens[at], self.tokens[at + 1 : at + 2]
        if sign.text in BOUND_SIGNS:
            raise Refused("a bound")
        if sign.text == "-":
            if after and after[0].kind == "number" and (after[0].glued or not at):
                raise Refused("a minus sign: a number out of range")
            self._end_clause()
        elif sign.text == "\N{MINUS SIGN}":
            raise Refused("a minus sign: a number out of range")
        elif sign.text in (",", "(", ")", ":", "="):
            self._end_clause()
        elif sign.text != "~":
            raise Refused(f"{sign.text!r} beside the number, which is not understood,")

    def _complement(self) -> None:
        """A word such as "wrong": understood in "a 10% chance of being wrong", else a denial."""
        behind = self.behind or []
        sure = (LABELS | SURE) & set(behind) - {"correct", "right", "true", "accurate"}
        if not sure or behind[-1] not in ("being", "be", "is"):
            raise Refused("a denial")
        last = self.found.pop()
        note = f"{last.note}; {COMPLEMENT}" if last.note else COMPLEMENT
        self.found.append(Stated(round(1 - last.value, 12), note, last.marked))
        behind.append("wrong")

    def _subject(self, at: int) -> int | None:
        """Where the free words behind this "that" or "of" end, if they are free.

        "the probability that Paris is the capital is 90%", "90% sure that Paris is the capital".
        """
        rest = [token.text for token in self.tokens[at + 1 :]]
        numbers = (i for i, token in enumerate(self.tokens) if i > at and _numeral(token))
        number = next(numbers, None)
        if self.behind is not None:
            known = all(word in KNOWN or word in WRONG for word in rest)
            sure = (LABELS | SURE) & set(self.behind)
            return None if known or not sure or self.tokens[at].text == "of" else len(self.tokens)
        if number is None or not self.words or self.words[-1] not in LABELS:
            return None
        end = number
        while end > at and self.tokens[end - 1].text in HEDGES | {"~"}:
            end -= 1
        if self.tokens[end - 1].text not in COPULAS:
            return None
        return None if all(word in KNOWN for word in rest[: end - at - 1]) else end

    def _skip(self, at: int, end: int) -> int:
        """Pass over free words, which must hold no number and no denial."""
        for token in self.tokens[at:end]:
            if _numeral(token):
                raise Refused("several numbers")
            if denies(token.text):
                raise Refused("a denial")
            if token.kind == "sign" and token.text in BOUND_SIGNS | {"%"}:
                raise Refused("a bound")
        return end
