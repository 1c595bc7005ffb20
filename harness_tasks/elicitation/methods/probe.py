"""A probe: a small network that reads the confidence from the model's hidden state.

This needs a back end with a trained head: ``calib-hf`` with ``probe=PATH``. It provides
``serves_probe`` and ``correctness(requests)``, the log-odds of being correct for requests of
``(context, answer)``; this module uses nothing else from it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CachingLM

from harness_tasks.elicitation.harness import request
from harness_tasks.elicitation.late import add_request_type
from harness_tasks.elicitation.methods.yes_no import sigmoid
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings

PROBE_CHECK = "probe_check"
NO_PROBE = (
    "this back end has no probe to ask: run `calibench eval --model calib-hf --model_args "
    "pretrained=BASE,probe=PATH`, where PATH is what `calibench tune calibration_tuning_probe` "
    "wrote, or remove 'probe' from 'methods'."
)


class Probe:
    """P(correct) that a trained head reads from the hidden state at the answer's last token."""

    def __init__(self, settings: Settings):
        self.temperature = settings.temperature
        self.signature = f"temperature:{settings.temperature:g}"

    def requests(self, question: Question) -> list[Instance]:
        def build() -> tuple:
            return question.conversation.context, question.answer_text

        return [question.late("probe_log_odds", build)]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        return Reading(sigmoid(requests[0].resps[0] / self.temperature))


def check_probe(methods: Collection[str], instance: Mapping[str, Any]) -> list[Instance]:
    """The request that ends the run if the probe is among the `methods` and there is none.

    `instance` holds what the requests of a document share. Put the request before all others, so
    that the run does not stop after thousands of answers.
    """
    if "probe" not in methods:
        return []
    return [request(PROBE_CHECK, (), instance)]


def probe_log_odds(lm: LM, requests: list[Instance]) -> list[float]:
    """The log-odds log P(correct) - log P(wrong) for each request of ``(context, answer)``."""
    return _bare(lm).correctness(requests)


def probe_check(lm: LM, requests: list[Instance]) -> list[bool]:
    """End the run if the back end has no probe.

    Raises:
        NotImplementedError: names what to do.
    """
    if not getattr(_bare(lm), "serves_probe", False):
        raise NotImplementedError(f"{requests[0].task_name}: {NO_PROBE}")
    return [True] * len(requests)


def _bare(lm: LM) -> LM:
    return lm.lm if isinstance(lm, CachingLM) else lm


add_request_type("probe_log_odds", probe_log_odds)
add_request_type(PROBE_CHECK, probe_check)
