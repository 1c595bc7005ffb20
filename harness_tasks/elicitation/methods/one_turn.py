"""The confidence that the model states together with its answer, in one reply."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval.api.instance import Instance

from harness_tasks.elicitation.methods.replies import parse_one_turn
from harness_tasks.elicitation.methods.verbalized import READ, read_percent
from harness_tasks.elicitation.question import Question, Reading
from harness_tasks.elicitation.settings import Settings


class OneTurn:
    """The number behind "Confidence:" in the reply whose "Answer:" is the answer.

    The elicitation of Humanity's Last Exam (Phan et al., arXiv:2501.14249) and of BrowseComp, known
    as verbalized 1S (Tian et al., EMNLP 2023). It asks nothing: the prompt of the task does, see
    `harness_tasks.one_turn`. Without a readable number the confidence is missing, where the code of
    Humanity's Last Exam puts 100.
    """

    signature = f"format:percent|turn:one|{READ}"

    def __init__(self, settings: Settings) -> None:
        pass

    def requests(self, question: Question) -> list[Instance]:
        return []

    def read(self, question: Question, requests: Sequence[Instance]) -> Reading:
        answer, stated = parse_one_turn(question.reply() if question.reply else "")
        if not answer:
            return Reading(None, "no line 'Answer:'")
        if stated is None:
            return Reading(None, "no line 'Confidence:' behind the answer")
        return read_percent(f"Confidence:{stated}", alone=True)
