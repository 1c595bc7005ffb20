"""The English words that a statement of confidence is made of.

The lists are closed: a number next to a word outside them is not read. So they contain no word that
could change a number ("half", "minus", "unlikely"), except in the lists that say so.
"""

# ruff: noqa: SIM905 (one word a line would hide what belongs together)

from __future__ import annotations

# What the number measures. With one of these it needs no percent sign.
LABELS = frozenset(
    "probability likelihood chance chances confidence certainty odds percentage p pr prob".split()
)
# How sure: after the number, or in a clause of its own.
SURE = frozenset(
    "sure certain confident likely probable correct right true accurate correctness accuracy"
    " certainly definitely confidently".split()
)
# A number after "the answer is" could be the answer itself.
ANSWERS = frozenset("answer response reply guess solution".split())
HEDGES = frozenset(
    "about around approximately approx roughly circa maybe perhaps possibly probably exactly"
    " precisely just only somewhere anywhere say overall final".split()
)
# With only these words, a number without a sign is still the requested one.
SPEAKING = frozenset("i i'd i'll would put give estimate estimated guess my a an the of".split())
DEGREES = frozenset(
    "very highly quite fairly pretty extremely absolutely completely fully how".split()
)
KNOWN = (
    LABELS
    | SURE
    | ANSWERS
    | HEDGES
    | SPEAKING
    | DEGREES
    | frozenset(
        "will can think believe feel rate judge assign have with at own level score rating it "
        "is i'm i've am we me it's that this that's there there's here here's are be was been "
        "being for to in on as its your our proposed given stated and or so then thus "
        "therefore hence ok okay yes well model high low medium moderate range percent reply "
        "e g times".split()
    )
)
# Words that may not be the last before a number, or the first after it.
NOT_BEFORE = frozenset("being to in on and as for".split())
NOT_BEHIND = frozenset("of to on and for".split())
# A statement that ends like this was cut.
DANGLING = frozenset(
    "a an the of to in on or and as for with at my i is are am be being that its your our"
    " about around approximately roughly say".split()
)
COPULAS = frozenset(["is", "are", "be", "at", ":", "="])
NEGATIONS = frozenset("not no never nor neither none cannot without hardly barely nope".split())
WRONG = frozenset(
    "wrong incorrect false mistaken inaccurate untrue error erroneous invalid incorrectly".split()
)
BOUNDS = frozenset(
    "least most more less over under above below up beyond almost nearly close minimum maximum"
    " higher lower greater fewer upwards upto min max exceeds exceeding within north".split()
)
BOUND_SIGNS = frozenset(["<", ">", "<=", ">=", "=>", "≤", "≥", "≦", "≧", "⩽", "⩾", "+"])
# After one of these the rest of a sentence is free, as long as it holds no number or denial.
REASONS = frozenset("because since given due based considering".split())

_UNITS = "zero one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
UNITS = {word: value for value, word in enumerate(_UNITS)}
TENS = {word: 10 * value for value, word in enumerate(_TENS, start=2)}
SMALL = {**UNITS, **{word: value for value, word in enumerate(_TEENS, start=10)}}
NUMERALS = SMALL.keys() | TENS.keys() | {"hundred", "thousand", "half", "quarter"}


def negates(word: str) -> bool:
    """Whether `word` is a negation: "not", "isn't", "never"."""
    return word in NEGATIONS or word.endswith("n't")


def denies(word: str) -> bool:
    """Whether `word` is a negation or says that something is wrong."""
    return negates(word) or word in WRONG
