"""Is an answer correct? String grading against every accepted answer.

Texts are compared as ``reading.py`` reads them; the grammar is documented there, and that of
numbers in ``numerals.py``. To compare with published numbers, choose one of two official rules
instead: ``squad`` or ``triviaqa`` (``official.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from harness_tasks.elicitation import official
from harness_tasks.elicitation.reading import WORD, Token, read, script

F1_THRESHOLD = 0.5
JUDGE = "judge:"
SHORTEST_UNSPACED = 4


def first_line(text: str) -> str:
    """The first line of a generated text that is not blank, without surrounding white space."""
    stripped = text.strip()
    return stripped.splitlines()[0].strip() if stripped else ""


def words(text: str) -> list[str]:
    """The words, numbers and symbols of `text` in canonical form."""
    return [token.text + token.unit for token in read(text)]


def same(one: str, other: str) -> bool:
    """Whether two texts are the same answer; symmetric, and False if one of them is blank.

    A number with a currency is the same as one without, not as one with another currency.
    """
    return any(_equal(read(one, kept), read(other, kept)) for kept in (False, True))


def exact(answer: str, accepted: Sequence[str]) -> bool:
    """Whether `answer` is the `same` as an accepted answer."""
    return any(same(answer, gold) for gold in accepted)


def contains(answer: str, accepted: Sequence[str]) -> bool:
    """Whether an accepted answer occurs in `answer`, from one boundary to another."""
    return any(_within(answer, gold) or same(answer, gold) for gold in accepted)


def token_f1(answer: str, gold: str) -> float:
    """Token F1 of `answer` against one accepted answer, in [0, 1] (Rajpurkar et al. 2016)."""
    predicted, expected = words(answer), words(gold)
    shared = sum((Counter(predicted) & Counter(expected)).values())
    return 2 * shared / (len(predicted) + len(expected)) if shared else 0.0


def f1(answer: str, accepted: Sequence[str]) -> bool:
    """Whether `answer` is `exact`, or its best `token_f1` reaches `F1_THRESHOLD`."""
    best = max((token_f1(answer, gold) for gold in accepted), default=0.0)
    return best >= F1_THRESHOLD or exact(answer, accepted)


GRADERS = {
    "exact": exact, "contains": contains, "f1": f1,
    "squad": official.squad, "triviaqa": official.triviaqa,
}  # fmt: skip


def string_grader(grading: str) -> Callable[[str, Sequence[str]], bool]:
    """The string rule named by `grading`; ``exact`` if a judge grades, which compares no texts."""
    return exact if grading.startswith(JUDGE) else GRADERS[grading]


def _equal(one: Sequence[Token], other: Sequence[Token]) -> bool:
    return _behind(one, 0, _joined(other)) == len(one) > 0


def _within(answer: str, gold: str) -> bool:
    tokens, wanted = read(answer), read(gold)
    if not wanted:
        return False
    if all(script(token.text[0]) == "thai" for token in wanted) and len(wanted) < SHORTEST_UNSPACED:
        return False
    joined = _joined(wanted)
    for start, token in enumerate(tokens):
        end = _behind(tokens, start, joined) if token.opens else None
        if end and tokens[end - 1].closes:
            return True
    return False


def _joined(tokens: Sequence[Token]) -> list[Token]:
    """The tokens, with neighbouring words merged: they may be written together or apart."""
    joined: list[Token] = []
    for token in tokens:
        if joined and joined[-1].kind == token.kind == WORD:
            joined[-1] = joined[-1]._replace(text=joined[-1].text + token.text)
        else:
            joined.append(token)
    return joined


def _behind(tokens: Sequence[Token], start: int, wanted: Sequence[Token]) -> int | None:
    """The position after `wanted` in `tokens` from `start` on; ``None`` if it is not there."""
    place = start
    for piece in wanted:
        if piece.kind == WORD:
            text = ""
            while (
                len(text) < len(piece.text) and place < len(tokens) and tokens[place].kind == WORD
            ):
                text, place = text + tokens[place].text, place + 1
            if text != piece.text:
                return None
        elif place < len(tokens) and _agree(tokens[place], piece):
            place += 1
        else:
            return None
    return place


def _agree(one: Token, other: Token) -> bool:
    currencies = {one.unit, other.unit} - {""}
    return one.kind == other.kind and one.text == other.text and len(currencies) < 2
