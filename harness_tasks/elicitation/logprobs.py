"""Detect back ends without log-probabilities before any question is asked.

Chat APIs do not give those of a given reply, and completion APIs may ignore the request for them.
Only the back end knows, so this is a request of its own type. It comes before all others of a task,
so that the run does not stop after thousands of paid answers.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness_tasks.elicitation.first_token import (
    FIRST_TOKEN,
    ONE,
    first_token_logprobs,
    gives_first_tokens,
)
from harness_tasks.elicitation.harness import request, task_of
from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.settings import BY_PROBABILITY, OF_TOKENS, Settings

LOGPROBS_CHECK = "logprobs_check"
MULTIPLE_CHOICE = (
    "The answer to a multiple-choice question is its likeliest option; ask an open-ended task."
)
PROBABILITIES = ("likelihood", *OF_TOKENS, *BY_PROBABILITY)
YES_NO = ("zero_shot_classifier", "question_only", "p_ik")
# HTTP's "the request cannot be served"; other statuses (401, 404, 500) have other causes.
REFUSED = (400, 422, 501)


class Need(NamedTuple):
    """What a task needs from the back end, and the advice to its user if that is missing.

    Attributes:
        task: name of the task.
        scored: log-probabilities of replies; otherwise those of first tokens.
        by_first_token, sampled: what to do instead, where the server gives the log-probabilities
            of first tokens, and where it does not.
    """

    task: str
    scored: bool
    by_first_token: str
    sampled: str


def check_logprobs(
    first: Sequence[Instance],
    methods: Mapping[str, Sequence[Instance]],
    settings: Settings,
    conversation: Conversation,
    instance: Mapping[str, Any],
) -> list[Instance]:
    """The request that ends the run if log-probabilities are needed and unavailable.

    Args:
        first: requests for the answer.
        methods: requests of every method, by its name.
        settings: options of the task.
        conversation: the first turn; a reply to its prompt is scored as a trial.
        instance: what the requests of this document share.

    Returns:
        That request, one for scored replies and one for first tokens, or an empty list if nothing
        here needs log-probabilities.
    """
    added = [each for requests in methods.values() for each in requests]
    trial = conversation.context, conversation.delimiter + "Yes"
    by_score = settings.answers is None and _scored(first)
    sampled = MULTIPLE_CHOICE if by_score else _way_out(settings, "sampled")
    first_token = MULTIPLE_CHOICE if by_score else _way_out(settings, "first_token")
    if settings.wording != "yes_no":
        first_token = sampled
    needs = []
    if _scored(first) or _scored(added):
        needs.append(Need(task_of(instance), True, first_token, sampled))
    if any(FIRST_TOKEN in each.request_type for each in added):
        needs.append(Need(task_of(instance), False, first_token, sampled))
    return [request(LOGPROBS_CHECK, (*trial, need), instance) for need in needs]


def _scored(requests: Sequence[Instance]) -> bool:
    return any("loglikelihood" in each.request_type for each in requests)


def _way_out(settings: Settings, yes_no: str) -> str:
    """The options that need no scored replies, ready to paste."""
    kept = settings.model_fields_set - {"weighting", "temperature"}
    options = settings.model_dump(include=kept)
    methods = [name for name in settings.methods if name not in PROBABILITIES]
    options["methods"] = methods or ["zero_shot_classifier"]
    read = [name for name in options["methods"] if name in YES_NO]
    if read:
        options["yes_no"] = yes_no
    pasted = shlex.quote(json.dumps(options, ensure_ascii=False))
    how = "counts k sampled replies" if yes_no == "sampled" else "reads the first token of a reply"
    replies = f", where {' and '.join(read)} {how}" if read else ""
    return f"Run with --metadata {pasted}{replies}."


def logprobs_check(lm: LM, requests: list[Instance]) -> list[bool]:
    """Score the longest prompt, or have one token written behind it, as a trial.

    The longest, because with ``--batch_size auto`` the first request decides how many fit.

    Raises:
        NotImplementedError: the back end has no log-probabilities, or has none of a model that
            thinks first; names what to do.
    """
    for scored in (True, False):
        asked = [each for each in requests if each.args[2].scored is scored]
        if asked:
            trial = max(asked, key=lambda each: len(each.args[0]))
            (_check_scores if scored else _check_first_tokens)(lm, *trial.args)
    return [True] * len(requests)


def _check_scores(lm: LM, context: str, continuation: str, need: Need) -> None:
    finding = f"{need.task}: this back end returns no log-probabilities"
    if getattr(lm, "enable_thinking", None):
        raise NotImplementedError(
            f"{finding} under enable_thinking=True, where lm_eval scores no reply. {need.sampled} "
            f"Or leave enable_thinking out of --model_args."
        )

    def way_out() -> str:
        if need.by_first_token == need.sampled or not gives_first_tokens(lm, context):
            return need.sampled
        return need.by_first_token

    scored = request("loglikelihood", (context, continuation))
    try:
        ((logprob, _),) = lm.loglikelihood([scored])
    except Exception as error:
        if (reason := _why_none(error)) is None:
            raise
        raise NotImplementedError(f"{finding}{reason}. {way_out()}") from error
    if logprob == 0:  # the sum over no tokens at all
        raise NotImplementedError(f"{finding} of the prompt's own tokens. {way_out()}")


def _check_first_tokens(lm: LM, context: str, _: str, need: Need) -> None:
    ((found),) = first_token_logprobs(lm, [request("generate_until", (context, dict(ONE)))])
    if not found:
        raise NotImplementedError(
            f"{need.task}: this server returns no log-probabilities with its replies "
            f"(top_logprobs). {need.sampled}"
        )


def _why_none(error: Exception) -> str | None:
    """What `error` says of a back end without log-probabilities; ``None`` for other errors."""
    if isinstance(error, NotImplementedError):
        return ""
    if isinstance(error, (KeyError, TypeError)) and "logprobs" in f"{error}{_raised_in(error)}":
        return " (its reply holds none)"
    response = getattr(error, "response", None)  # of requests; aiohttp's error has a status itself
    status = getattr(response, "status_code", None) or getattr(error, "status", None)
    if status not in REFUSED:
        return None
    answer = " ".join((getattr(response, "text", "") or str(error)).split())[:200]
    return f" (it refuses with status {status}: {answer})"


def _raised_in(error: Exception) -> str:
    """Name of the function that raised `error`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_name if trace else ""


add_request_type(LOGPROBS_CHECK, logprobs_check)
