"""Does the model choose the same option wherever it stands?"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.option_orders import likeliest
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings


class OrderAgreement:
    """Share of the orders of the options in which the answer is the likeliest option.

    1 if it is in all of them, 0 if in none, which the answer with the highest mean can be. It needs
    ``permute_options`` and asks nothing more than that does (see `option_orders`). Pezeshkpour and
    Hruschka, Findings of NAACL 2024, let the orders vote on the answer; this is the share of votes
    that the answer has, which here is the option with the highest mean probability.
    """

    signature = "orders:cyclic"

    def __init__(self, settings: Settings) -> None:
        pass

    def requests(self, question: Question) -> list[Instance]:
        return []

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        chosen = [likeliest(shares) for shares in question.by_order()]
        return Reading(chosen.count(question.answer()) / len(chosen))
