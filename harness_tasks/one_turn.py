"""Tasks whose reply holds an explanation, the answer and a confidence, each on lines of its own."""

from __future__ import annotations

from harness_tasks.elicitation.methods.replies import parse_one_turn
from harness_tasks.task import ConfidenceTask


class OneTurnTask(ConfidenceTask):
    """Takes the answer from the line "Answer:" of the reply; `one_turn` reads the confidence.

    A reply without such a line has no answer, which is wrong. The other methods ask about the
    answer alone, without the explanation and the stated confidence. ``one_turn_template_yaml`` has
    the prompt.
    """

    in_one_turn = True

    def extract(self, text: str) -> str:
        """The answer that the reply states."""
        return parse_one_turn(text)[0]
