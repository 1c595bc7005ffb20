"""Self-consistency: reason to an answer K times and let the results vote."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.abstention import says_nothing
from harness_tasks.elicitation.methods.samples import (
    NO_ANSWER,
    group,
    readable,
    same_answer,
    too_few,
)
from harness_tasks.elicitation.prompts import CONCLUDED, REASONED, UNTIL
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings


class SelfConsistency:
    """Share of K sampled reasoning paths that arrive at the answer (Wang et al. 2023).

    Each path is asked for its conclusion in a further turn; that is its vote. A path without a
    conclusion, or with only "The answer", does not vote; if half of them do not, the confidence is
    missing. The confidence is that of the answer to be judged, which need not be the majority's.
    The log has the majority's vote (the first drawn among equals).
    """

    def __init__(self, settings: Settings):
        self.k = settings.k
        self.tokens = settings.reasoning_tokens
        self.signature = f"k:{self.k}|temperature:1|reasoning_tokens:{self.tokens}"

    def requests(self, question: Question) -> list[Instance]:
        asked = question.conversation.before(REASONED, cue="Reasoning")
        generation = {
            "until": [UNTIL],
            "max_gen_toks": self.tokens,
            "do_sample": True,
            "temperature": 1.0,
        }
        paths = question.now("generate_samples", (asked.context, generation), repeats=self.k)

        def build(i: int) -> Callable[[], tuple]:
            def arguments() -> tuple:
                reasoning = paths.resps[i].strip()
                return asked.then(reasoning, CONCLUDED, cue="Answer"), question.generation

            return arguments

        votes = [question.late("generate_until", build(i), after=paths) for i in range(self.k)]
        return [paths, *votes]

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        votes = [question.extract(request.resps[0]) for request in requests[1:]]
        extra = {"reasoning": requests[0].resps[: self.k], "votes": votes}
        answer = question.answer()
        if says_nothing(answer):
            return Reading(None, NO_ANSWER, extra)
        if reason := too_few(question, votes, what="conclusions"):
            return Reading(None, reason, extra)
        counted = readable(question, votes)
        share = sum(question.agrees(vote, answer) for vote in counted) / len(counted)
        alike = group(counted, lambda one, other: same_answer(question, one, other))
        majority = max(alike, key=lambda texts: sum(vote in texts for vote in counted))[0]
        return Reading(share, extra={**extra, "majority": majority})
