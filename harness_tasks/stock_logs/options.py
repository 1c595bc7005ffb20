"""The options of one question in lm-eval's log, whichever version wrote it.

Since 0.4.3, `arguments` is {"gen_args_0": {"arg_0": context, "arg_1": continuation}, ...} and
responses are texts, ["-1.5", "False"]; before, they are lists and numbers. In Parquet a question
with fewer options than others has empty arguments.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness_tasks.stock_logs.content import NoConfidence

_REQUESTS = ("arguments", "resps", "filtered_resps")
Form = Literal["options", "one continuation", "whole texts", "generated"]


@dataclass(frozen=True)
class Question:
    """One question: where it is, for errors, its row without requests, and what was asked.

    continuations, loglikelihoods: of each option. in_contexts: whether the options are in the
    contexts, before one continuation, as in WinoGrande. Requests are most of a log and repeat the
    context for each option, so they are not kept.
    """

    where: str
    row: dict[str, Any]
    continuations: tuple[str, ...]
    loglikelihoods: NDArray[np.float64]
    in_contexts: bool


def form_of(row: dict[str, Any], where: str) -> Form:
    """Return what was asked about a question. Raises ValueError for a row that is not a log's."""
    replies = _replies(row, where)
    pairs = all(isinstance(reply, (list, tuple)) and len(reply) == 2 for reply in replies)
    if not pairs and not row.get("arguments"):
        return "generated"
    asked = _asked(row, where)
    if all(len(arguments) >= 2 and isinstance(arguments[1], str) for arguments in asked):
        if pairs:
            return "options" if len(asked) > 1 else "one continuation"
    if all(len(arguments) == 1 for arguments in asked):
        return "whole texts"
    return "generated"


def read_question(row: dict[str, Any], where: str) -> Question:
    """Read a row of which `form_of` says "options". Raises ValueError for one that is damaged."""
    asked, replies = _asked(row, where), _replies(row, where)
    if len(asked) != len(replies):
        raise ValueError(
            f"{where}: {len(asked)} options were scored, but there are {len(replies)} responses."
        )
    if "acc_mutual_info" in row and len(asked) % 2 == 0:
        # The second half are the options without the question.
        asked, replies = asked[: len(asked) // 2], replies[: len(replies) // 2]
    values = np.array([_number(reply[0], where) for reply in replies])
    contexts, continuations = zip(*((context, text) for context, text, *_ in asked), strict=True)
    in_contexts = len(set(continuations)) == 1 and len(set(map(str, contexts))) > 1
    kept = {key: value for key, value in row.items() if key not in _REQUESTS}
    return Question(where, kept, continuations, values, in_contexts)


def read_target(target: Any) -> int | str | list[Any] | None:
    """Return a target as it was before lm-eval logged it: a place, places, or a text."""
    if isinstance(target, str) and re.fullmatch(r"\s*-?\d{1,9}\s*", target):
        return int(target)
    if isinstance(target, str) and target.startswith("["):
        try:
            found = ast.literal_eval(target)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return target
        return found if isinstance(found, list) else target
    if isinstance(target, float) and target.is_integer():
        return int(target)
    if isinstance(target, (int, str, list)) and not isinstance(target, bool):
        return target
    return None


def verdict(row: dict[str, Any], metric: str, where: str) -> int | None:
    """Return the verdict that lm-eval logged for a row's answer, 0 or 1; None without one.

    Raises NoConfidence if the value is not a verdict.
    """
    value = row.get(metric)
    if value is None:
        return None
    if isinstance(value, str):  # Parquet made by other tools
        value = _number(value, where)
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return int(value)
    raise NoConfidence(
        f"{where}: {metric} is {value!r:.60}, not 0 or 1, so it is not a verdict about the "
        "likeliest option. Some tasks use that name for a share of likelihood, as "
        "truthfulqa_mc2 does: score truthfulqa_mc1 instead."
    )


def _asked(row: dict[str, Any], where: str) -> list[list[Any]]:
    arguments = row.get("arguments")
    if isinstance(arguments, dict):
        numbered = [(key, value) for key, value in arguments.items() if value is not None]
        numbered.sort(key=lambda pair: int(re.sub(r"\D", "", pair[0]) or 0))
        found = [_values(value) for _, value in numbered]
    elif isinstance(arguments, (list, tuple)):
        found = [_values(value) for value in arguments]
    else:
        found = []
    if not found or not all(found):
        raise ValueError(f"{where} has no 'arguments', so the questions are unknown.")
    return found


def _values(arguments: Any) -> list[Any]:
    if isinstance(arguments, dict):
        return [value for _, value in sorted(arguments.items()) if value is not None]
    return list(arguments) if isinstance(arguments, (list, tuple)) else [arguments]


def _replies(row: dict[str, Any], where: str) -> list[Any]:
    replies = row.get("filtered_resps")
    if not isinstance(replies, (list, tuple)) or not replies:
        raise ValueError(f"{where} has no 'filtered_resps', so the responses are unknown.")
    return list(replies)


def _number(value: Any, where: str) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        number = float(value)
        if number == math.inf:
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(f"{where}: found {value!r:.60} instead of a log-likelihood.") from None
    return number
