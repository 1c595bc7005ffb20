"""Detect back ends without log-probabilities before any question is asked.

Chat APIs have none, and completion APIs may ignore the request for them. Only the back end knows,
so this is a request of its own type. It comes before all others of a task, so that the run does not
stop after thousands of answers were paid for.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from harness_tasks.elicitation.harness import request, task_of
from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.prompts import Conversation
from harness_tasks.elicitation.settings import Settings

LOGPROBS_CHECK = "logprobs_check"
MULTIPLE_CHOICE = (
    "The answer to a multiple-choice question is its likeliest option; ask an open-ended task."
)
YES_NO = ("zero_shot_classifier", "question_only", "p_ik")
# "The request cannot be served", in the words of HTTP; others (401, 404, 500) have other causes.
REFUSED = (400, 422, 501)


def check_logprobs(
    first: Sequence[Instance],
    methods: Mapping[str, Sequence[Instance]],
    settings: Settings,
    conversation: Conversation,
    instance: Mapping[str, Any],
) -> list[Instance]:
    """The request that ends the run if log-probabilities are needed and there are none.

    Args:
        first: requests for the answer.
        methods: requests of every method, by its name.
        settings: options of the task.
        conversation: the first turn; a reply to its prompt is scored as a trial.
        instance: what the requests of this document share.

    Returns:
        That one request, or an empty list if nothing here needs log-probabilities.
    """
    needing = [name for name, requests in methods.items() if _scored(requests)]
    if not _scored(first) and not needing:
        return []
    finding = f"{task_of(instance)}: this back end returns no log-probabilities"
    by_score = settings.answers is None and _scored(first)
    trial = conversation.context, conversation.delimiter + "Yes"
    words = finding, MULTIPLE_CHOICE if by_score else _way_out(settings)
    return [request(LOGPROBS_CHECK, (*trial, words), instance)]


def _scored(requests: Sequence[Instance]) -> bool:
    return any("loglikelihood" in request.request_type for request in requests)


def _way_out(settings: Settings) -> str:
    """The options that need no log-probabilities, ready to paste."""
    kept = settings.model_fields_set - {"weighting", "temperature"}
    options = settings.model_dump(include=kept)
    methods = [name for name in settings.methods if name != "likelihood"]
    options["methods"] = methods or ["zero_shot_classifier"]
    counted = [name for name in options["methods"] if name in YES_NO]
    if counted:
        options["yes_no"] = "sampled"
    pasted = shlex.quote(json.dumps(options, ensure_ascii=False))
    replies = f", where {' and '.join(counted)} counts k sampled replies" if counted else ""
    return f"Run with --metadata {pasted}{replies}."


def logprobs_check(lm: LM, requests: list[Instance]) -> list[bool]:
    """Score the longest prompt as a trial.

    The longest, because with ``--batch_size auto`` the first request decides how many fit.

    Raises:
        NotImplementedError: the back end has no log-probabilities, or has none of a model that
            thinks first; names what to do.
    """
    trial = max(requests, key=lambda each: len(each.args[0]))
    context, continuation, (finding, way_out) = trial.args
    if getattr(lm, "enable_thinking", None):
        raise NotImplementedError(
            f"{finding} under enable_thinking=True, where lm_eval scores no reply. {way_out} Or "
            f"leave enable_thinking out of --model_args."
        )
    scored = request("loglikelihood", (context, continuation))
    try:
        ((logprob, _),) = lm.loglikelihood([scored])
    except Exception as error:
        if (reason := _why_none(error)) is None:
            raise
        raise NotImplementedError(f"{finding}{reason}. {way_out}") from error
    if logprob == 0:  # the sum over no token at all
        raise NotImplementedError(f"{finding} of the prompt's own tokens. {way_out}")
    return [True] * len(requests)


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
    said = " ".join((getattr(response, "text", "") or str(error)).split())[:200]
    return f" (it refuses with status {status}: {said})"


def _raised_in(error: Exception) -> str:
    """Name of the function that raised `error`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_name if trace else ""


add_request_type(LOGPROBS_CHECK, logprobs_check)
